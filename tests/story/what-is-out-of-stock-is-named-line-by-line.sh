#!/usr/bin/env bash
# All lines or none: the lines that are short are named with what is left, the others are not taken.
. tests/lib.sh

product 10 && plenty=$SKU
product 2 && few=$SKU
product 0 && none=$SKU
shopper dan
put "$plenty" 3
put "$few" 5
put "$none"
checkout
that "a cart that can't be filled is 409" answered 409 out_of_stock
is "the short lines say what is left" \
    "$(field '[.lines[] | "\(.sku) \(.requested) \(.available)"] | sort | .[]')" \
    "$(printf '%s 5 2\n%s 1 0\n' "$few" "$none" | sort)"
that "nothing is held of the line that was there" stock_is "$plenty" "10 0 0"
that "nor of the short one" stock_is "$few" "2 0 0"
is "nothing was charged" "$(sql payment "SELECT count(*) FROM payments WHERE user_id = '$USER_ID' AND (captured > 0 OR status = 'authorized')")" 0
is "there is no order" "$(orders_of "$USER_ID")" 0

call PUT "/api/v1/cart/items/$few" '{"quantity":2}'
call DELETE "/api/v1/cart/items/$none"
checkout
that "what is left can be bought" answered 201
soon 3 "and is committed" stock_is "$few" "0 0 2"
soon 3 "with the rest" stock_is "$plenty" "7 0 3"

product 3
put "$SKU"
before=$TOKEN
keeper
call DELETE "/api/v1/products/$SKU"
must 204
TOKEN=$before
checkout
that "what is off the shelves can't be bought" answered 409 product_unavailable
is "and is named" "$(field '.lines[0].sku')" "$SKU"
audit
