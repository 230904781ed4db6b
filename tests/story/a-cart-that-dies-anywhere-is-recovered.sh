#!/usr/bin/env bash
# The cart service dies at each point of the chain. Within 30 seconds either the order is there with
# its payment and its stock, or nothing is; and the shopper's same request then ends well.
. tests/lib.sh

product 100 1000
points=(checkout_after_claim checkout_before_auth checkout_before_payment checkout_before_stock
    checkout_before_order checkout_before_end)
declare -A keys
for point in "${points[@]}"; do
    shopper "${point//_/}"
    put "$SKU"
    keys[$point]=$(fresh_key)
    arm cart "$point"
    checkout "${keys[$point]}"
    that "the shopper is told to try again when the cart dies at $point" answered 503
    soon 10 "the cart comes back" struck cart
done
died=$EPOCHSECONDS
soon 30 "all checkouts are over" no_live_checkouts
that "30 seconds were enough" test $((EPOCHSECONDS - died)) -le 30
soon 5 "nothing is held" sql_is seller "SELECT held FROM stock WHERE sku = '$SKU'" 0

for point in "${points[@]}"; do
    as "${point//_/}"
    before=$(orders_of "$USER_ID")
    checkout "${keys[$point]}"
    that "the same request buys after $point" answered 201
    is "once ($before was there before)" "$(orders_of "$USER_ID")" 1
    soon 5 "and is confirmed" order_is "$ORDER" confirmed
done
is "only the last point was past the order" "$before" 1
audit
