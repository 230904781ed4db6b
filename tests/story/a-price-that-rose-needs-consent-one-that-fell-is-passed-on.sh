#!/usr/bin/env bash
# A cart remembers the price that the shopper has seen. What is charged is never more than that.
. tests/lib.sh

product 10 1000 && tea=$SKU
product 10 500
shopper eva
put "$tea" 2
put "$SKU"
reprice "$tea" 1200
checkout
that "a risen price is 409" answered 409 price_changed
is "with both prices of that line alone" "$(field '[.lines[] | "\(.sku) \(.was.amount) \(.is.amount)"] | .[]')" "$tea 1000 1200"
that "nothing is held" stock_is "$tea" "10 0 0"
is "there is no order" "$(orders_of "$USER_ID")" 0
call GET /api/v1/cart
is "the cart shows the new price" "$(field .total.amount)" 2900

call POST /api/v1/cart/checkout "{\"paymentMethodId\":\"$CARD\",\"expectedTotal\":{\"amount\":2500,\"currency\":\"USD\"}}" -H "idempotency-key: $(fresh_key)"
that "a total that is not the expected one is 409" answered 409 total_changed
checkout
is "asking again is consent" "$STATUS $(field .total.amount)" "201 2900"
soon 3 "the new price is charged" payment_is "$ORDER" "captured 2900 0"

put "$tea" 3
reprice "$tea" 800
checkout
is "a fallen price is passed on" "$STATUS $(field .total.amount)" "201 2400"
soon 3 "less is captured than was authorized" payment_is "$ORDER" "captured 2400 0"
is "that was 3600" "$(sql payment "SELECT amount FROM payments WHERE order_id = '$ORDER'")" 3600
soon 3 "the order is confirmed" order_is "$ORDER" confirmed
audit
