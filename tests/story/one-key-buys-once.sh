#!/usr/bin/env bash
# An impatient shopper clicks fifty times; a confused one sends other things under the same key.
. tests/lib.sh

product 100 1300
shopper gus
put "$SKU" 2
key=$(fresh_key)
for _ in {1..50}; do aim POST /api/v1/cart/checkout "$(checkout_body)" "idempotency-key: $key"; done
fire 50
allowed() { ! cut -d' ' -f2 "$WORK/codes" | grep -vE '^(201|409)$' >/dev/null; }
that "fifty at once are answered 201, or 409 while the first one runs ($(codes))" allowed
is "those that are 409 say why" "$(problems | tr -d '0-9 ')" "$(grep -q ' 409$' "$WORK/codes" && echo idempotency_key_in_use)"
is "they all name one order" "$(cat "$WORK"/shot.* | jq -r '.orderId // empty' | sort -u | wc -l)" 1
is "there is one order" "$(orders_of "$USER_ID")" 1
checkout "$key"
is "afterwards the key still gives the same answer" "$STATUS $(header idempotent-replayed)" "201 true"
is "word for word" "$(cat "$WORK/answer")" "$(cat "$WORK/shot.$(awk '$2 == 201 { print $1; exit }' "$WORK/codes")")"
soon 3 "one order's stock is gone" stock_is "$SKU" "98 0 2"
soon 3 "one order's money" payment_is "$ORDER" "captured 2600 0"

call POST /api/v1/cart/checkout "{\"paymentMethodId\":\"$CARD\"}" -H "idempotency-key: $key"
that "the same key with another body is 422" answered 422 idempotency_key_reused
call POST /api/v1/cart/checkout "$(checkout_body)"
that "no key is 400" answered 400
call POST /api/v1/cart/checkout "$(checkout_body)" -H "idempotency-key: $(printf 'k%.0s' {1..300})"
that "a key without end is 400" answered 400
checkout
that "an empty cart can't be bought" answered 422 cart_empty

put "$SKU"
for _ in {1..20}; do aim POST /api/v1/cart/checkout "$(checkout_body)" "idempotency-key: $(fresh_key)"; done
fire 20
is "of twenty keys on one cart one buys it" "$(grep -c ' 201$' "$WORK/codes")" 1
that "the others are told ($(codes))" test "$(awk '$2 !~ /^(201|409|422)$/' "$WORK/codes" | wc -l)" = 0
is "there are two orders now" "$(orders_of "$USER_ID")" 2
audit
