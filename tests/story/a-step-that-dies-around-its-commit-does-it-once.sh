#!/usr/bin/env bash
# Payment, seller and order die in the middle of their step, just before and just after what they do
# is written. The cart asks again or undoes; the same key ends in one order.
. tests/lib.sh

product 100 1000
points='payment:payment_before_provider payment:payment_after_provider payment:payment_after_authorize_commit
    payment:capture_after_provider seller:hold_before_commit seller:hold_after_commit
    order:order_before_commit order:order_after_commit'
declare -A keys
for point in $points; do
    shopper "${point//[:_]/}"
    put "$SKU"
    keys[$point]=$(fresh_key)
    arm "${point%:*}" "${point#*:}"
    # The cart may spare a service that has just failed the next call, so it is asked until it dies.
    dies() { struck "${point%:*}" || { checkout "${keys[$point]}" && struck "${point%:*}"; }; }
    soon 15 "${point%:*} dies at ${point#*:} and comes back" dies
done

bought() { checkout "$1" && [ "$STATUS" = 201 ]; }
for point in $points; do
    as "${point//[:_]/}"
    soon 30 "after ${point#*:} the same key buys" bought "${keys[$point]}"
    is "one order" "$(orders_of "$USER_ID")" 1
    soon 30 "it is confirmed" order_is "$ORDER" confirmed
    soon 5 "and paid once" payment_is "$ORDER" "captured 1000 0"
done
soon 30 "no checkout is left" no_live_checkouts
soon 5 "eight units are sold" stock_is "$SKU" "92 0 8"
audit
