#!/usr/bin/env bash
# The dead letter work with RabbitMQ's own page alone, in a real browser: an event that order could
# not handle is found, its reason read, and it goes back by "Move messages" and is handled.
#   SOUK_PICTURES=1 makes docs/pictures/dead-letter.png anew.
set -euo pipefail
. tests/component-lib.sh

if ! have chromium; then
    echo 'Chromium is not installed (tools/packages-test.txt)'
    trap - EXIT
    exit 77
fi

Q='order-queue'
broken=''
break_it() { broken=yes && sql order 'ALTER TABLE orders RENAME TO orders_away'; }
mend() { broken='' && sql order 'ALTER TABLE orders_away RENAME TO orders'; }

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    [ -z "$broken" ] || mend
    management DELETE /api/policies/%2f/page-test || true
    management DELETE "/api/parameters/shovel/%2f/Move%20from%20$Q.dlq" || true
    service_stop order
    rabbitmq_empty
    (exit "$status")
}
trap 'clean_up >/dev/null 2>&1; _end' EXIT

holds() { [ "$(depth "$1")" = "$2" ]; }

# look WORDS...: at the dead letters of order, in the browser; SEEN is what the page shows.
look() {
    SEEN=$(node tests/browser/management-page.mjs "http://127.0.0.1:${PORTS[ui]}/" ops $Q.dlq "$@" \
        <<<"$(secret amqp-ops)" 2>"$SCRATCH/browser") && return
    not_ok 'the page can be used' "$(cat "$SCRATCH/browser")"
    exit 1
}
# shows SENTENCE FILTER
shows() { if jq -e "$2" >/dev/null <<<"$SEEN"; then ok "$1"; else not_ok "$1" "not so: $2 in $SEEN"; fi; }

rabbitmq_empty
management PUT /api/policies/%2f/page-test -d '{"pattern":"^order-events\\.retry\\.","apply-to":"queues","priority":10,
    "definition":{"message-ttl":30,"dead-letter-exchange":"order-events.return","dead-letter-strategy":"at-least-once","overflow":"reject-publish"}}'
service_start auth
service_start order

order=$(uuid) id=$(uuid) trace=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
sql order "INSERT INTO orders (id, user_id, user_email, status, total, currency)
    VALUES ('$order', '$order', 'ann@people.example', 'created', 4998, 'USD')"
body=$(jq -cn --arg id "$id" --arg order "$order" '{eventId: $id, eventType: "payment.completed", type: "payment.completed",
    eventVersion: "1.0", timestamp: (now | todate), source: "payment", aggregateId: $order, correlationId: $id,
    payload: {paymentId: $id, orderId: $order, userId: $order, amount: 4998, currency: "USD", cardToken: "tok_hush",
    note: "Größe 40 – 5 €"}}')

break_it
jq -n --arg body "$body" --arg id "$id" --arg trace $trace '{routing_key: "payment.completed", payload: $body,
        payload_encoding: "string", properties: {delivery_mode: 2, message_id: $id, type: "payment.completed",
        user_id: "ops", content_type: "application/json", headers: {traceparent: $trace}}}' |
    management POST /api/exchanges/%2f/order-events/publish --data-binary @/dev/fd/9 9<&0 | jq -e .routed >/dev/null
check 'an event fails through all tiers and is dead' until_true 20 holds $Q.dlq 1

look --picture "$SCRATCH/dead-letter.png"
shows 'ops finds it in the list of queues' '.listed == 1'
shows 'its code tells what kind of failure' '.headers["souk-error-code"] | length > 0'
shows 'a sentence tells the reason' '.headers["souk-error"] | startswith("order_lock_all: relation \"orders\" does not exist")'
shows 'who failed' '.headers["souk-consumer"] == "order"'
shows 'how often' '.headers["souk-attempts"] == "5"'
shows 'since when' '.headers | .["souk-first-failed-at"] > (now - 300 | todate) and .["souk-first-failed-at"] < .["souk-last-failed-at"]'
shows 'where it came from' '.headers["souk-origin-queue"] == "order-queue" and .headers["souk-origin-key"] == "payment.completed"'
shows 'the trace goes on' '.headers.traceparent | startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")'
shows 'its id and type are among the properties' ".properties.message_id == \"$id\" and .properties.type == \"payment.completed\""
shows 'the body is text' '.encoding == "string"'
shows '... the event itself, readable' ".body | fromjson | .eventId == \"$id\" and .payload.orderId == \"$order\" and .payload.amount == 4998 and .payload.note == \"Größe 40 – 5 €\""
shows '... with its secrets masked' '.body | fromjson | .payload.cardToken == "***"'
is 'nothing on the page shows them' "${SEEN/tok_hush/}" "$SEEN"
check 'a picture was taken' test -s "$SCRATCH/dead-letter.png"
[ -z "${SOUK_PICTURES:-}" ] || cp "$SCRATCH/dead-letter.png" docs/pictures/dead-letter.png
check 'looking leaves it where it was' until_true 5 holds $Q.dlq 1

is_paid() { [ "$(sql order "SELECT status FROM orders WHERE id = '$order'")" = paid ]; }
gone() { [ "$(management GET /api/parameters/shovel | jq length)" = 0 ]; }

mend
look --move-to $Q
check 'moved by the page, it is handled' until_true 10 is_paid
check '... and dead no more' until_true 10 holds $Q.dlq 0
is '... and had its effect once' "$(sql order "SELECT count(*) FROM order_history WHERE order_id = '$order'")" 1
check 'the page tidies up behind itself' until_true 10 gone
