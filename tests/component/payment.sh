#!/usr/bin/env bash
# The payment service alone: methods, authorizations by every token of the sandbox, captures and
# refunds driven by the order's events, and the process ending at each of its fault points. Events
# are put into its own queue only.
set -euo pipefail
. tests/component-lib.sh

QUEUE=payment-settlement-queue
URL=$PAYMENT_SERVICE_URL

new_id() {
    local random
    random=$(od -An -tx1 -N10 /dev/urandom | tr -d ' \n')
    printf '01900000-%s-7%s-8%s-%s\n' "${random:0:4}" "${random:4:3}" "${random:7:3}" "${random:8:12}"
}

# deliver TYPE ORDER PAYLOAD [EVENT-ID]
deliver() {
    local event=${4:-$(new_id)} body
    body=$(jq -cn --arg id "$event" --arg type "$1" --arg order "$2" --argjson payload "$3" \
        '{eventId: $id, eventType: $type, type: $type, eventVersion: "1.0", timestamp: (now | todate),
          source: "order-service", aggregateId: $order, correlationId: ("test-" + $order), payload: $payload}')
    jq -cn --arg queue $QUEUE --arg type "$1" --arg id "$event" --arg body "$body" \
        '{routing_key: $queue, payload: $body, payload_encoding: "string",
          properties: {type: $type, message_id: $id, delivery_mode: 2, content_type: "application/json"}}' >"$SCRATCH/message"
    management POST /api/exchanges/%2F/amq.default/publish -H 'content-type: application/json' \
        --data-binary @"$SCRATCH/message" | jq -e .routed >/dev/null || die "the broker did not take $1"
}

# order_created ORDER TOTAL [EVENT-ID]
order_created() {
    deliver order.created "$1" "{\"orderId\":\"$1\",\"userId\":\"$USER_ID\",\"customerId\":\"$USER_ID\",\"userEmail\":\"p@test.example\",\"totalAmount\":$2,\"currency\":\"USD\",\"items\":[{\"sku\":\"T-1\",\"name\":\"Thing\",\"sellerId\":\"$USER_ID\",\"quantity\":1,\"unitPrice\":{\"amount\":$2,\"currency\":\"USD\"}}]}" "${3:-}"
}

order_cancelled() {
    deliver order.cancelled "$1" "{\"orderId\":\"$1\",\"userId\":\"$USER_ID\",\"userEmail\":\"p@test.example\",\"status\":\"cancelled\",\"reason\":\"changed my mind\",\"totalAmount\":1000,\"currency\":\"USD\"}"
}

# as_user METHOD URL [BODY [CURL ARGS]] and so on
as_user() { ask "$1" "$2" "${3:--}" -H "Authorization: Bearer $USER_TOKEN" "${@:4}"; }
as_admin() { ask "$1" "$2" "${3:--}" -H "Authorization: Bearer $ADMIN_TOKEN" "${@:4}"; }
as_cart() { ask "$1" "$2" "${3:--}" -H "Authorization: Bearer $CART_TOKEN" "${@:4}"; }

# method TOKEN: a new payment method in METHOD.
method() {
    as_user POST "$URL/api/v1/payment-methods" "{\"token\":\"$1\",\"label\":\"my $1\"}"
    METHOD=$(field .paymentMethodId)
}

# authorize TOKEN [AMOUNT]: for a new order in ORDER.
authorize() {
    method "$1"
    ORDER=$(new_id)
    authorize_again "${2:-1000}"
}
authorize_again() {
    as_cart POST "$URL/internal/v1/authorizations" "{\"orderId\":\"$ORDER\",\"userId\":\"$USER_ID\",\"userEmail\":\"p@test.example\",\"paymentMethodId\":\"$METHOD\",\"amount\":{\"amount\":$1,\"currency\":\"USD\"}}"
}
void() { as_cart POST "$URL/internal/v1/authorizations/$ORDER/void" '{"reason":"checkout_failed"}'; }
capture() { as_cart POST "$URL/internal/v1/authorizations/$ORDER/capture"; }

state() { sql payment "SELECT status, captured, refunded FROM payments WHERE order_id = '$ORDER'"; }
bank() { sql payment "SELECT state, captured, refunded FROM sandbox_charges WHERE key = (SELECT id::text FROM payments WHERE order_id = '$ORDER')"; }
events() { sql payment "SELECT string_agg(type, ' ' ORDER BY seq) FROM outbox WHERE aggregate_id = (SELECT id::text FROM payments WHERE order_id = '$ORDER')"; }
becomes() { # SENTENCE FUNCTION WANTED
    until_true 12 same "$2" "$3" || true
    is "$1" "$($2)" "$3"
}
same() { [ "$($1)" = "$2" ]; }
drained() { [ "$(sql payment "SELECT count(*) FROM payments WHERE next_at IS NOT NULL")" = 0 ]; }
handled() { [ "$(sql payment "SELECT count(*) FROM inbox WHERE event_id = '$1'")" = 1 ]; }
ended() { ! running test-payment; }

# ---- people ----

http_ok "$AUTH_SERVICE_URL/readyz" 2>/dev/null || service_start auth
service_start payment
ask POST "$AUTH_SERVICE_URL/api/v1/auth/register" "{\"email\":\"payer-$RANDOM$RANDOM@test.example\",\"password\":\"correct horse 27\",\"name\":\"Pay Er\"}"
USER_ID=$(field .user.userId) USER_TOKEN=$(field .accessToken)
ask POST "$AUTH_SERVICE_URL/api/v1/auth/register" "{\"email\":\"other-$RANDOM$RANDOM@test.example\",\"password\":\"correct horse 27\",\"name\":\"Ot Her\"}"
OTHER_TOKEN=$(field .accessToken) ADMIN_EMAIL=$(field .user.email)
sql auth "UPDATE users SET roles = '{user,admin}' WHERE id = '$(field .user.userId)'"
ask POST "$AUTH_SERVICE_URL/api/v1/auth/login" "{\"email\":\"$ADMIN_EMAIL\",\"password\":\"correct horse 27\"}"
ADMIN_TOKEN=$(field .accessToken)
CART_TOKEN=$(service_token cart payment)
as_user GET "$URL/api/v1/payment-methods"
says 'at first there are no payment methods' 200 '.data == []'
[ "$STATUS" = 200 ] || exit 1

# ---- payment methods ----

as_user POST "$URL/api/v1/payment-methods" '{"token":"4111111111111111"}'
says 'a card number is no token' 422 '.code == "validation_failed"' '.errors[0].pointer == "/token"'
as_user POST "$URL/api/v1/payment-methods" '{"token":"tok_visa","label":"4111 1111 1111 1111"}'
says 'a card number is no label either' 422 '.errors[0].pointer == "/label"'
as_user POST "$URL/api/v1/payment-methods" '{}'
says 'a method needs a token' 422 '.errors[0].pointer == "/token"'
ask POST "$URL/api/v1/payment-methods" '{"token":"tok_visa"}'
says 'a guest keeps no payment method' 401
as_user POST "$URL/api/v1/payment-methods" '{"token":"tok_visa","label":"Visa"}' -H 'Idempotency-Key: one'
says 'a token is kept and not shown' 201 '.label == "Visa"' '.provider == "sandbox"' 'has("token") | not'
FIRST=$(field .paymentMethodId)
as_user POST "$URL/api/v1/payment-methods" '{"token":"tok_visa","label":"Visa"}' -H 'Idempotency-Key: one'
says 'the same key gives the same method' 201 ".paymentMethodId == \"$FIRST\""
method tok_expired
as_user GET "$URL/api/v1/payment-methods?limit=1"
says 'the newest method comes first' 200 ".data[0].paymentMethodId == \"$METHOD\"" .hasMore
as_user GET "$URL/api/v1/payment-methods?limit=1&cursor=$(field .nextCursor)"
says 'the cursor leads to the older one' 200 ".data[0].paymentMethodId == \"$FIRST\"" '.hasMore | not'
as_user POST "$URL/api/v1/payment-methods/$FIRST/validation"
says 'a good method is valid' 200 .valid
as_user POST "$URL/api/v1/payment-methods/$METHOD/validation"
says 'an expired card is not valid' 200 '.valid == false' '.reason == "card_expired"'
ask POST "$URL/api/v1/payment-methods/$FIRST/validation" - -H "Authorization: Bearer $OTHER_TOKEN"
says "somebody else's method does not exist" 404 '.code == "payment_method_not_found"'
ask DELETE "$URL/api/v1/payment-methods/$FIRST" - -H "Authorization: Bearer $OTHER_TOKEN"
says 'and cannot be deleted' 404
as_user DELETE "$URL/api/v1/payment-methods/$METHOD"
says 'an own method can be deleted' 204
as_user DELETE "$URL/api/v1/payment-methods/$METHOD"
says 'once' 404

# ---- authorizing ----

as_user POST "$URL/internal/v1/authorizations" '{}'
says 'people do not authorize' 403
authorize tok_visa
says 'an approved card is authorized' 201 '.status == "authorized"' '.amount.amount == 1000'
PAYMENT=$(field .paymentId)
is 'which is told' "$(events)" payment.authorized
authorize_again 1000
says 'the same order gets the same payment' 200 ".paymentId == \"$PAYMENT\""
authorize_again 2000
says 'but not for another amount' 409 '.code == "authorization_mismatch"'
as_user GET "$URL/api/v1/payments/$PAYMENT"
says 'its owner sees it' 200 '.status == "authorized"' '.capturedAmount == 0' '.refunds == []'
as_user GET "$URL/api/v1/payments?orderId=$ORDER"
says 'also by its order' 200 ".data[0].paymentId == \"$PAYMENT\""
ask GET "$URL/api/v1/payments?orderId=$ORDER" - -H "Authorization: Bearer $OTHER_TOKEN"
says 'others do not' 200 '.data == []'
ask GET "$URL/api/v1/payments/$PAYMENT" - -H "Authorization: Bearer $OTHER_TOKEN"
says 'in no way' 404
as_admin GET "$URL/api/v1/payments/$PAYMENT"
says 'an admin does' 200
METHOD=$(new_id) ORDER=$(new_id)
authorize_again 1000
says 'an unknown method is refused' 404 '.code == "payment_method_not_found"'
while read -r token reason; do
    authorize "$token"
    says "$token is declined" 402 '.code == "payment_declined"' ".reason == \"$reason\"" '.paymentId'
    is "$token: the payment has failed, which is told" "$(state) $(events)" 'failed|0|0 payment.failed'
done <<'TOKENS'
tok_declined do_not_honor
tok_insufficient_funds insufficient_funds
tok_expired card_expired
tok_nobody_knows invalid_token
TOKENS
authorize_again 1000
says 'asked again, the bank still declines' 402 '.reason == "invalid_token"'
authorize tok_slow
says 'a slow bank is waited for' 201
authorize tok_visa 0
says 'an order for nothing is authorized' 201

authorize tok_unknown
says 'an answer that was lost is not known yet' 503 '.code == "payment_outcome_unknown"'
is 'which the row says too' "$(state)" 'unknown|0|0'
becomes 'until the bank is asked what became of it' state 'authorized|0|0'
authorize_again 1000
says 'then the repeat succeeds' 200 '.status == "authorized"'
authorize tok_error
says 'a bank that answers 500 leaves it open' 503 '.code == "payment_outcome_unknown"'
becomes 'until it is known that nothing was done' state 'failed|0|0'
is 'and a late arrival is barred' "$(bank)" 'voided|0|0'
is 'and the failure told' "$(events)" payment.failed
authorize_again 1000
says 'nobody hears that the card was declined' 409 '.code == "authorization_voided"'

# ---- voiding ----

authorize tok_visa
void
says 'an authorization is voided at once' 200 '.status == "voided"'
is 'at the bank too' "$(bank)" 'voided|0|0'
void
says 'voiding is repeatable' 200 '.status == "voided"'
authorize_again 1000
says 'a voided order is not authorized again' 409 '.code == "authorization_voided"'
ORDER=$(new_id)
void
says 'an order without a payment gets a tombstone' 200 '.status == "voided"'
authorize_again 1000
says 'which refuses a late authorization' 409 '.code == "authorization_voided"'

# A crash of PostgreSQL may take away the row that is written before the bank is asked.
lose_row() { sql payment "DELETE FROM payments WHERE order_id = '$ORDER'" >/dev/null; }
authorize tok_visa
PAYMENT=$(field .paymentId)
lose_row
authorize_again 1000
says 'a payment whose row was lost is the same one when asked for again' 201 ".paymentId == \"$PAYMENT\""
is 'which the bank knows once' "$(bank)" 'authorized|0|0'
lose_row
void
says 'one whose row was lost is voided' 200 '.status == "voided"' ".paymentId == \"$PAYMENT\""
is 'at the bank, too' "$(bank)" 'voided|0|0'
method tok_slow
ORDER=$(new_id)
authorize_again 1000 >/dev/null &
asking=$!
row_there() { [ "$(state)" = 'pending|0|0' ]; }
check 'while the bank is asked there is a row' until_true 5 row_there
lose_row
wait $asking
is 'the answer of the bank is not told of a payment whose row was lost' \
    "$(sql payment "SELECT count(*) FROM outbox WHERE body::json->'payload'->>'orderId' = '$ORDER'")" 0
void
says 'and voided' 200 '.status == "voided"'
is 'at the bank, whatever it had said' "$(bank)" 'voided|0|0'

authorize tok_unknown
void
says 'an unknown one is voided whatever it was' 200 '.status == "voided"'
is 'also at the bank' "$(bank)" 'voided|0|0'
authorize tok_declined
void
says 'a declined one needs no voiding' 200 '.status == "failed"'

# ---- capturing and giving back ----

authorize tok_visa
PAYMENT=$(field .paymentId)
as_admin POST "$URL/api/v1/payments/$PAYMENT/refunds" '{"amount":{"amount":1,"currency":"USD"},"reason":"early"}' -H 'Idempotency-Key: early'
says 'what is not captured is not refunded' 409 '.code == "payment_not_captured"'
EVENT=$(new_id)
order_created "$ORDER" 1000 "$EVENT"
becomes 'the order captures its payment' state 'captured|1000|0'
order_created "$ORDER" 1000 "$EVENT"
order_created "$ORDER" 1000
is 'once, whatever is delivered' "$(events)" 'payment.authorized payment.completed'
is 'with its two entries in the ledger' "$(sql payment "SELECT string_agg(account || ' ' || debit || ' ' || credit, ', ' ORDER BY id) FROM ledger_entries WHERE payment_id = '$PAYMENT'")" \
    'provider_receivable 1000 0, order_clearing 0 1000'
is 'under the correlation of the checkout' "$(sql payment "SELECT count(DISTINCT correlation_id) FROM outbox WHERE aggregate_id = '$PAYMENT'")" 1
refund() { as_admin POST "$URL/api/v1/payments/$PAYMENT/refunds" "{\"amount\":{\"amount\":$1,\"currency\":\"USD\"},\"reason\":\"broken\"}" -H "Idempotency-Key: $2"; }
as_user POST "$URL/api/v1/payments/$PAYMENT/refunds" '{"amount":{"amount":1,"currency":"USD"},"reason":"x"}' -H 'Idempotency-Key: mine'
says 'shoppers do not refund themselves' 403
as_admin POST "$URL/api/v1/payments/$PAYMENT/refunds" '{"amount":{"amount":300,"currency":"USD"},"reason":"x"}'
says 'a refund needs a key' 400 '.code == "idempotency_key_required"'
as_admin POST "$URL/api/v1/payments/$PAYMENT/refunds" '{"amount":{"amount":300,"currency":"EUR"},"reason":"x"}' -H 'Idempotency-Key: euro'
says 'and the currency of the payment' 422 '.errors[0].pointer == "/amount/currency"'
as_admin POST "$URL/api/v1/payments/$(new_id)/refunds" '{"amount":{"amount":300,"currency":"USD"},"reason":"x"}' -H 'Idempotency-Key: none'
says 'and a payment' 404
refund 300 "$PAYMENT"
says 'an admin gives some of it back' 201 '.amount.amount == 300' '.status == "pending"'
REFUND=$(field .refundId)
refund 300 "$PAYMENT"
says 'once a key' 201 ".refundId == \"$REFUND\""
becomes 'the bank does it' state 'partially_refunded|1000|300'
refund 701 "$PAYMENT-more"
says 'more than is left is refused' 409 '.code == "refund_exceeds_payment"' '.refundable.amount == 700'
order_cancelled "$ORDER"
becomes 'a cancelled order gets the rest back' state 'refunded|1000|1000'
is 'the bank says the same' "$(bank)" 'captured|1000|1000'
is 'each refund is told with the sum so far' "$(sql payment "SELECT string_agg(body::json->'payload'->>'refundedTotal', ' ' ORDER BY seq) FROM outbox WHERE aggregate_id = '$PAYMENT' AND type = 'payment.refunded'")" '300 1000'
as_user GET "$URL/api/v1/payments/$PAYMENT"
says 'and shown' 200 '.refundedAmount == 1000' '[.refunds[].status] == ["done", "done"]' '.refunds[1].amount.amount == 700'

authorize tok_visa
order_created "$ORDER" 800
becomes 'an order that became cheaper captures less' state 'captured|800|0'
void
says 'voiding a captured payment gives it back' 200
becomes 'all of it' state 'refunded|800|800'
authorize tok_visa
order_created "$ORDER" 1200
becomes 'an order that costs more captures what was authorized' state 'captured|1000|0'
authorize tok_visa
order_cancelled "$ORDER"
becomes 'an order cancelled first is voided' state 'voided|0|0'
EVENT=$(new_id)
order_created "$ORDER" 1000 "$EVENT"
settled() { handled "$EVENT" && drained; }
until_true 10 settled || true
is 'and stays so when its creation comes late' "$(state) $(bank)" 'voided|0|0 voided|0|0'
authorize tok_visa
capture
says 'a service captures by itself' 200 '.status == "captured"'
capture
says 'once' 200 '.status == "captured"'
ORDER=$(new_id)
capture
says 'where there is a payment' 404
authorize tok_visa 0
order_created "$ORDER" 0
becomes 'an order for nothing is captured' state 'captured|0|0'
authorize tok_capture_refused
order_created "$ORDER" 1000
becomes 'a capture that the bank refuses has failed' state 'failed|0|0'
is 'which is told' "$(events)" 'payment.authorized payment.failed'
authorize tok_capture_flaky
order_created "$ORDER" 1000
becomes 'a bank that is away is asked again' state 'captured|1000|0'
ORDER=$(new_id)
EVENT=$(new_id)
order_created "$ORDER" 1000 "$EVENT"
check 'an order without a payment is passed over' until_true 10 handled "$EVENT"

authorize tok_visa
for n in 1 2 3 4 5 6 7 8 9 10; do
    as_cart POST "$URL/internal/v1/authorizations" "{\"orderId\":\"$(new_id)\",\"userId\":\"$USER_ID\",\"userEmail\":\"p@test.example\",\"paymentMethodId\":\"$METHOD\",\"amount\":{\"amount\":$n,\"currency\":\"USD\"}}"
done
sql payment "UPDATE payments SET ordered = amount, next_at = now() WHERE status = 'authorized' AND amount BETWEEN 1 AND 10" >/dev/null
small() { sql payment "SELECT status, count(*), sum(captured) FROM payments WHERE amount BETWEEN 1 AND 10 AND user_id = '$USER_ID' GROUP BY 1"; }
becomes 'many are captured in one go' small 'captured|10|55'

# ---- the process ends at each of its points ----

restart_with() { service_stop payment && service_start payment "$@"; }
for point in payment_before_provider payment_after_provider payment_after_authorize_commit; do
    restart_with "SOUK_FAULT=$point"
    authorize tok_visa
    check "$point ends the process" until_true 10 ended
    service_start payment
    # Before the bank was asked nothing was charged; afterwards the bank's word counts.
    case $point in
    payment_before_provider) becomes "$point: nothing was charged" state 'failed|0|0' ;;
    *) becomes "$point: the authorization is found" state 'authorized|0|0' ;;
    esac
    void
    says "$point: and can be voided" 200
    is "$point: the bank has no charge left" "$(bank)" 'voided|0|0'
done

authorize tok_visa
restart_with SOUK_FAULT=capture_after_provider
order_created "$ORDER" 1000
check 'capture_after_provider ends the process' until_true 10 ended
is 'the bank has captured, our books say nothing yet' "$(state) $(bank)" 'authorized|0|0 captured|1000|0'
sql payment "UPDATE payments SET next_at = now() WHERE next_at > now()" # the lease of the dead
service_start payment
becomes 'after the restart they agree' state 'captured|1000|0'
is 'with one capture told' "$(events)" 'payment.authorized payment.completed'

# ---- a closed account ----

deliver user.deactivated "$USER_ID" "{\"userId\":\"$USER_ID\",\"email\":\"p@test.example\",\"name\":\"Pay Er\"}"
no_methods() { as_user GET "$URL/api/v1/payment-methods" && [ "$(field '.data | length')" = 0 ]; }
check 'an account that is closed loses its methods' until_true 10 no_methods
is 'the tokens of its cards are gone' "$(sql payment "SELECT count(*) FROM payment_methods WHERE user_id = '$USER_ID' AND token <> ''")" 0
as_user POST "$URL/api/v1/payment-methods" '{"token":"tok_visa"}'
says 'and cannot add one' 401 '.code == "unauthenticated"'

# ---- the books ----

# Nothing is left behind, so that the whole suite's books balance as well: these orders never were.
sql payment "UPDATE payments SET cancelled = true, next_at = now() WHERE user_id = '$USER_ID' AND status NOT IN ('failed', 'voided', 'refunded')"
kept() { sql payment "SELECT count(*) FILTER (WHERE status IN ('authorized', 'pending', 'unknown')), sum(captured - refunded) FROM payments WHERE user_id = '$USER_ID'"; }
becomes 'everything can be given back' kept '0|0'
until_true 10 drained || true
is 'every operation of the ledger balances' "$(sql payment 'SELECT count(*) FROM (SELECT FROM ledger_entries GROUP BY operation, currency HAVING sum(debit) <> sum(credit)) AS bad')" 0
is 'the payments say what the bank says' "$(sql payment "SELECT count(*) FROM payments p LEFT JOIN sandbox_charges c ON c.key = p.id::text WHERE (p.captured, p.refunded) IS DISTINCT FROM (coalesce(c.captured, 0), coalesce(c.refunded, 0))")" 0
is 'and what the ledger says' "$(sql payment "SELECT count(*) FROM payments p LEFT JOIN (SELECT payment_id, sum(debit - credit) AS net FROM ledger_entries WHERE account = 'provider_receivable' GROUP BY 1) l ON l.payment_id = p.id WHERE p.captured - p.refunded <> coalesce(l.net, 0)")" 0
