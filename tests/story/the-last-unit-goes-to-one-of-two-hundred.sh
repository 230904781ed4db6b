#!/usr/bin/env bash
# Two hundred buyers, one unit: one order, 199 clean refusals, and nobody else is charged.
. tests/lib.sh

product 1 5000
crowd 200
# Only this story has that price.
paid() { sql payment "SELECT count(*) FROM payments WHERE amount = 5000 AND status IN ('authorized', 'captured')"; }
empty_carts() {
    local i
    for i in {0..199}; do
        TOKEN=${CROWD_TOKENS[i]}
        aim DELETE /api/v1/cart
    done
    fire 16
}
empty_carts # of what others have left
before=$(paid)
for i in {0..199}; do
    TOKEN=${CROWD_TOKENS[i]}
    aim POST /api/v1/cart/items "{\"sku\":\"$SKU\",\"quantity\":1}"
done
fire 16
is "all of them have it in their carts" "$(codes)" "200 200"
for i in {0..199}; do
    TOKEN=${CROWD_TOKENS[i]} CARD=${CROWD_CARDS[i]}
    aim POST /api/v1/cart/checkout "$(checkout_body)" "idempotency-key: $(fresh_key)"
done
fire 200
is "one buys it, the others are refused" "$(codes)" "1 201 199 409"
is "with the reason" "$(problems)" "199 out_of_stock"
is "and how many are left" "$(cat "$WORK"/shot.* | jq -r 'select(.lines) | .lines[0].available' | sort -u)" 0
soon 5 "the unit is committed" stock_is "$SKU" "0 0 1"
is "one payment has money" "$(paid)" $((before + 1))
empty_carts
audit
