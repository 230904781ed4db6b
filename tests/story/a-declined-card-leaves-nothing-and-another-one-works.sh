#!/usr/bin/env bash
# The bank says no, in each of its ways; the cart stays as it was, and a second card buys it.
. tests/lib.sh

product 5 2000
shopper carla
good=$CARD
put "$SKU" 2
for refusal in tok_insufficient_funds:insufficient_funds tok_expired:card_expired tok_declined:do_not_honor; do
    card "${refusal%:*}"
    checkout
    is "a card that is refused with ${refusal#*:} is 402 and says so" \
        "$STATUS $(field '.code + " " + .reason')" "402 payment_declined ${refusal#*:}"
done
that "no stock is held" stock_is "$SKU" "5 0 0"
is "there is no order" "$(orders_of "$USER_ID")" 0

key=$(fresh_key)
checkout "$key"
checkout "$key"
is "a refusal is repeated under its key" "$STATUS $(field .code) $(header idempotent-replayed)" "402 payment_declined true"

CARD=00000000-0000-7000-8000-000000000000
checkout
that "a card that is not the shopper's is 422" answered 422 payment_method_not_found
call GET /api/v1/cart
is "the cart is as it was" "$(field '.items[0].quantity, .total.amount')" $'2\n4000'

CARD=$good
checkout
that "the second card works on the same cart" answered 201
soon 3 "and is charged" payment_is "$ORDER" "captured 4000 0"
soon 3 "the order is confirmed" order_is "$ORDER" confirmed

product 5 900
card tok_unknown
put "$SKU"
key=$(fresh_key)
checkout "$key"
if answered 201; then # on a slow machine payment hears from the bank before cart asks again
    soon 3 "an answer that came late counts once" payment_is "$ORDER" "captured 900 0"
    put "$SKU"
else
    that "when the bank does not answer, nothing is promised" answered 503
    that "and the shopper is told when to ask again" test -n "$(header retry-after)"
fi
soon 30 "the checkout is over" no_live_checkouts
CARD=$good
checkout
that "the shopper can go on with another card" answered 201
audit
