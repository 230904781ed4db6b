#!/usr/bin/env bash
# Every event of two orders is delivered again three times over, and the state stays the same to the
# last column. Then an order's events come to those who never heard of it in the wrong order.
. tests/lib.sh

product 50 1000 && first=$SKU
product 50 1000
shopper lea
put "$first" 2
put "$SKU"
checkout
must 201
soon 5 "the order is confirmed" order_is "$ORDER" confirmed
kept=$ORDER
put "$SKU" 3
checkout
must 201
soon 5 "another one too" order_is "$ORDER" confirmed
call POST "/api/v1/orders/$ORDER/cancellation" '{"reason":"no"}'
must 200
paid_back() { sql_is payment "SELECT captured - refunded FROM payments WHERE order_id = '$ORDER'" 0; }
soon 5 "that one is cancelled and paid back" paid_back
soon 5 "and restocked" stock_is "$SKU" "49 0 1"
soon 20 "everything has settled" quiet

# All that these events may change.
state() {
    sql order "SELECT id, status, total, refunded, paid_at, stock_committed_at, version FROM orders WHERE user_id = '$USER_ID' ORDER BY id"
    sql order "SELECT count(*) FROM order_history h JOIN orders o ON o.id = order_id WHERE user_id = '$USER_ID'"
    sql payment "SELECT id, status, amount, captured, refunded FROM payments WHERE user_id = '$USER_ID' ORDER BY id"
    sql payment "SELECT count(*), sum(debit), sum(credit) FROM ledger_entries"
    sql seller "SELECT sku, available, held, committed, version FROM stock WHERE sku IN ('$first', '$SKU') ORDER BY sku"
    sql seller "SELECT order_id, state, updated_at FROM holds WHERE order_id IN ('$kept', '$ORDER') ORDER BY 1"
    sql aibuddy "SELECT * FROM pair_counts WHERE sku_a IN ('$first', '$SKU') ORDER BY 1, 2"
    sql aibuddy "SELECT * FROM daily_counts WHERE sku IN ('$first', '$SKU') ORDER BY 1, 2"
    sql notification "SELECT count(*) FROM deliveries WHERE user_id = '$USER_ID'"
}
state >"$WORK/before"

# How many queues an event type is bound to.
queues_of() {
    jq -r --arg type "$1" '[.bindings[] | select(.source == "order-events" and (.destination | endswith("-queue")))
        | (.routing_key | gsub("[.]"; "[.]") | gsub("[*]"; "[^.]+") | gsub("#"; ".*")) as $pattern
        | select($type | test("^\($pattern)$")) | .destination] | unique | length' rabbitmq/definitions.json
}

# publish EXCHANGE: messages as GET of the management API gives them, a line each, with their new key.
publish() {
    local message
    while read -r message; do
        management POST "/api/exchanges/%2f/$1/publish" -H 'content-type: application/json' --data-binary @/dev/fd/9 -o /dev/null 9<<<"$message"
    done
}

# resend SERVICE ASC|DESC: all its events about these orders.
sent=0
resend() {
    local type
    sql "$1" "SELECT type || ' ' || body FROM outbox WHERE body LIKE '%$kept%' OR body LIKE '%$ORDER%' ORDER BY seq $2" >"$WORK/told"
    while read -r type _; do sent=$((sent + $(queues_of "$type"))); done <"$WORK/told"
    jq -R -c 'capture("(?<routing_key>[^ ]*) (?<payload>.*)") + {payload_encoding: "string",
        properties: {delivery_mode: 2, user_id: "ops", content_type: "application/json"}}' "$WORK/told" | publish order-events
}

# Deliveries that the services have dealt with, one way or another.
handled() {
    local service
    for service in cart order payment seller notification aibuddy; do
        curl -sS --max-time 30 "$(service_url $service)/metrics"
    done | awk '/^souk_events_handled_total/ { n += $NF } END { print n + 0 }'
}
all_handled() { [ "$(handled)" -ge $((before + sent)) ]; }

before=$(handled)
for order in DESC ASC DESC; do
    for service in seller payment order; do resend $service $order; done
done
that "all events are sent again, three times, backwards and forwards ($sent deliveries)" test $sent -ge 60
soon 20 "all of them are handled" all_handled
that "the suite settles again" quiet
is "nothing has changed" "$(state | diff "$WORK/before" - | head -20)" ''

# Nothing leaves order's outbox while somebody else has the relay's lock.
exec {lock}> >(psql -X -q -d "$ORDER_DATABASE_URL" >/dev/null)
echo 'SELECT pg_advisory_lock(20011);' >&$lock
held() { [ "$(sql order "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 20011 AND granted")" = 1 ]; }
wait_until 30 held || die "the relay's lock can't be had"
noticed() { [ "$(metric order souk_outbox_from_memory)" = 0 ]; }
wait_until 30 noticed || die "the relay does not notice"
put "$first"
put "$SKU" 2
checkout
must 201
call DELETE "/api/v1/orders/$ORDER"
must 200
listeners=(payment seller aibuddy notification)
off "${listeners[@]}"
exec {lock}>&-
soon 10 "the order and its end are told while nobody listens" sql_is order "SELECT count(*) FROM outbox WHERE published_at IS NULL" 0

# turn QUEUE: what lies in it comes out the other way round; says how much that was.
turn() {
    management POST "/api/queues/%2f/$1/get" -H 'content-type: application/json' \
        -d '{"count":100,"ackmode":"ack_requeue_false","encoding":"auto"}' >"$WORK/turned"
    jq -c --arg queue "$1" 'reverse | .[] | {routing_key: "\($queue).0", payload, payload_encoding,
        properties: (.properties | .user_id = "ops")}' "$WORK/turned" | publish order-events.return
    jq -r '[.[].properties.type | select(startswith("order."))] | join(" ")' "$WORK/turned"
}
for queue in payment-settlement-queue seller-updates-queue ai-events-queue notification-queue; do
    is "$queue gets them the wrong way round" "$(turn $queue)" "order.created order.cancelled"
done
on "${listeners[@]}"
soon 10 "nothing of it is charged" paid_back
soon 10 "the stock is back" stock_is "$SKU" "49 0 1"
soon 10 "of both lines" stock_is "$first" "48 0 2"
soon 10 "nothing of it is counted" sql_is aibuddy "SELECT cancelled AND NOT counted FROM known_orders WHERE order_id = '$ORDER'" t
soon 10 "the shopper is told" mail_to "$EMAIL" "$ORDER"
that "the order stays cancelled" order_is "$ORDER" cancelled
audit
