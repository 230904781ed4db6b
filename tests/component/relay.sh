#!/usr/bin/env bash
# Relay and consumer under fire, on real servers: several relays of which some die, a broker that
# blocks, a dependency that is away, a topology that is damaged.
set -euo pipefail
. tests/component-lib.sh

probe=relay-probe-$$
ctl() {
    (as_account rabbitmq env -i PATH=/usr/bin:/bin:/usr/sbin HOME="$DATA/rabbitmq" LANG=C.UTF-8 ERL_EPMD_PORT="${PORTS[epmd]}" \
        RABBITMQ_ERLANG_COOKIE="$(cat "$DATA/rabbitmq/.erlang.cookie")" rabbitmqctl -q -n souk@localhost "$@")
}
# undo COMMAND...: whatever happens, this is done at the end
undo() {
    local undoing="$*"
    # shellcheck disable=SC2064 # now
    trap "status=\$?; ($undoing) >/dev/null || true; set +e; (exit \$status); _end" EXIT
}
bind() { management POST "/api/bindings/%2f/e/$1/q/$2" -d "{\"routing_key\":\"$3\"}" >/dev/null; }
pending() { sql order 'SELECT count(*) FROM outbox WHERE published_at IS NULL'; }
pending_is() { [ "$(pending)" = "$1" ]; }
parked_is() { [ "$(sql order 'SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL')" = "$1" ]; }
# tell TYPE COUNT AGGREGATES FIRST: events that nobody here understands, past the service
tell() {
    sql order "INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, body)
        SELECT gen_random_uuid(), '$1', 'relay-' || n % $3, 'test', json_build_object('aggregate', n % $3, 'n', n)
        FROM generate_series($4, $4 + $2 - 1) n"
}
verbose() { curl -sS --max-time 30 "$ORDER_SERVICE_URL/readyz?verbose"; }
shows() { verbose | grep -F "$1" >/dev/null; }
metric() { curl -sS --max-time 30 "$ORDER_SERVICE_URL/metrics" | sed -n "s/^$1 //p"; }
metric_is() { [ "$(metric "$1")" = "$2" ]; }
parked_and_held_are() { [ "$(metric souk_outbox_parked) $(metric souk_outbox_held)" = "$1" ]; }

rabbitmq_empty
sql order 'DELETE FROM outbox'
management PUT "/api/queues/%2f/$probe" -d '{"durable":true,"arguments":{"x-queue-type":"quorum"}}' >/dev/null
bind order-events "$probe" order.updated

# ---- several relays, some of which die ----

other=$((PORT_BASE + 17)) third=$((PORT_BASE + 18))
total=6000 aggregates=200
service_start order
service_start order PORT=$other
# This one dies with the lock in its hand, and with a window that is out and not marked.
service_start order PORT=$third SOUK_FAULT=relay_before_claimed_mark:3
(for ((first = 0; first < total; first += 200)); do tell order.updated 200 $aggregates $first; done) &
feeding=$!
gone() { ! running "$1"; }
half_out() { [ "$(sql order 'SELECT count(*) FROM outbox WHERE published_at IS NOT NULL')" -gt $((total / 4)) ]; }
check "the relays work" until_true 20 half_out
if running "test-order-$other"; then kill -KILL "$PID"; fi
wait $feeding
check "whatever dies, everything is published" until_true 30 pending_is 0
service_stop "order-$third"
lock_is_free() { [ "$(sql order "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 20011")" = 0 ]; }
check "nobody keeps the relay's lock" until_true 5 lock_is_free
take_all() {
    local got
    while :; do
        got=$(management POST "/api/queues/%2f/$probe/get" -d '{"count":2000,"ackmode":"ack_requeue_false","encoding":"auto"}' |
            jq -r '.[].payload | fromjson | "\(.aggregate) \(.n)"')
        [ -n "$got" ] || return 0
        printf '%s\n' "$got"
    done
}
take_all >"$SCRATCH/told"
is "all of it arrived" "$(sort -u "$SCRATCH/told" | wc -l)" $total
is "each aggregate's events in their order, but for repeats" \
    "$(awk '{ if (!($0 in seen) && ($1 in last) && $2 < last[$1]) bad++; seen[$0] = 1; if (!($1 in last) || $2 > last[$1]) last[$1] = $2 } END { print bad + 0 }' "$SCRATCH/told")" 0

# Two living ones: what either of them is nudged for goes at once; nothing waits for the other.
service_start order PORT=$third
tell order.updated 400 400 0
check "two relays side by side leave nothing" until_true 10 pending_is 0
service_stop "order-$third"
is "and what both of them sent came once" "$(take_all | sort | uniq -d | wc -l)" 0

# ---- a broker that blocks ----

if [ -n "$(external AMQP_URL)" ]; then
    ok "a broker that blocks # SKIP it is not ours"
else
    undo ctl set_vm_memory_high_watermark 0.4
    ctl set_vm_memory_high_watermark 0.000001
    tell order.updated 5 5 0
    check "a blocking broker is told" until_true 15 shows '[!] broker: the broker blocks publishers'
    check "and measured" metric_is souk_broker_blocked 1
    is "the service goes on" "$(curl -sS -o /dev/null -w '%{http_code}' "$ORDER_SERVICE_URL/readyz")" 200
    tell order.updated 5 5 5
    tries=$(metric 'souk_broker_messages_total{what="published"}')
    check "the events wait" until_true 12 metric_is souk_outbox_pending 10
    is "and are not sent to it" "$(metric 'souk_broker_messages_total{what="published"}')" "$tries"
    ctl set_vm_memory_high_watermark 0.4
    trap _end EXIT
    check "they go when it is over" until_true 15 pending_is 0
    check "which is told as well" until_true 5 shows '[+] broker'
    check "lag is shown" until_true 8 shows '[+] outbox: lag 0.0 s'
    is "and nothing is lost" "$(take_all | sort -u | wc -l)" 10
fi

# ---- a dependency that is away ----

told() { curl -sS --max-time 30 "$NOTIFICATION_SERVICE_URL/metrics" | grep -E "^$1" | awk '{ sum += $NF } END { print sum + 0 }'; }
paused_is() { [ "$(told souk_consumer_paused)" = "$1" ]; }
heard_is() { [ "$(sql notification 'SELECT count(*) FROM inbox')" = "$1" ]; }
sent_is() { [ "$(sql notification "SELECT count(*) FROM deliveries WHERE status = 'sent'")" = "$1" ]; }
shipped() {
    local i id
    for ((i = 0; i < $1; i++)); do
        id=$(uuid)
        deliver notification-queue order.shipped "$id" "{\"orderId\":\"$id\",\"userId\":\"$id\",\"userEmail\":\"relay$i@people.example\",\"status\":\"shipped\",\"totalAmount\":100,\"currency\":\"EUR\"}"
    done
}
rabbitmq_empty
sql notification 'DELETE FROM deliveries; DELETE FROM inbox'
service_start notification WORK_LIMIT=4 SMTP_URL=smtp://127.0.0.1:1
shipped 6
check "without a mail server events are heard" until_true 10 heard_is 6
check "until too much is unsent: then the consumer pauses" until_true 10 paused_is 1
check "and says so" grep -qF '[!] consumer: paused' <(curl -sS "$NOTIFICATION_SERVICE_URL/readyz?verbose")
shipped 5
is "what comes now stays in the queue" "$(sleep 1 && sql notification 'SELECT count(*) FROM inbox')" 6
is "no retry tier got anything, nor the dead letters" "$(told souk_event_retries_total) $(told souk_dead_letters_total)" "0 0"
service_stop notification
sql notification "UPDATE deliveries SET next_attempt_at = now()"
service_start notification WORK_LIMIT=4
check "when the mail server is there all of it is sent" until_true 20 sent_is 11
check "and the consumer runs" until_true 10 paused_is 0
service_stop notification

# ---- a topology that is damaged ----

if [ -n "$(external RABBITMQ_MANAGEMENT_URL)" ]; then
    ok "a damaged topology # SKIP it is not ours"
    exit
fi
# Whatever takes order.*, and the alternate exchange's own bindings.
management GET /api/exchanges/%2f/order-events/bindings/source | jq -r --arg probe "$probe" '.[] |
    select(.routing_key | startswith("order.")) | select(.destination != $probe) | "order-events/q/\(.destination)/\(.properties_key | @uri)"' >"$SCRATCH/bindings"
management GET /api/exchanges/%2f/order-events.unrouted/bindings/source | jq -r '.[] |
    "order-events.unrouted/q/\(.destination)/\(.properties_key | @uri)"' >>"$SCRATCH/bindings"
undo rabbitmq_up
while read -r binding; do management DELETE "/api/bindings/%2f/e/$binding"; done <"$SCRATCH/bindings"
tell order.cancelled 3 3 0
tell order.updated 20 10 0
check "what is returned is parked, and what follows of the same aggregates waits" until_true 10 pending_is 9
check "with its reason" parked_is 3
check "what others told is out" test "$(take_all | wc -l)" = 14
check "it is told" until_true 8 shows '[!] outbox: 3 events are parked'
check "and measured" until_true 8 parked_and_held_are "3 6"
check "by its type and reason" test "$(metric 'souk_events_parked_total{type="order.cancelled",reason="unroutable"}')" -ge 3
is "the service goes on" "$(curl -sS -o /dev/null -w '%{http_code}' "$ORDER_SERVICE_URL/readyz")" 200
management POST /api/bindings/%2f/e/order-events/q/seller-updates-queue -d '{"routing_key": "order.#"}'
(rabbitmq_up) >/dev/null 2>&1 || true # it imports, and then finds our probe one queue too much
trap _end EXIT
# What the relay does by itself once a minute.
sql order 'UPDATE outbox SET parked_at = NULL WHERE parked_at IS NOT NULL'
check "when the topology is mended they go, in order" until_true 10 pending_is 0
is "with what waited behind them" "$(take_all | wc -l)" 6
check "and that is told" until_true 8 shows '[+] outbox'
is "a binding that the definitions don't know is undone" "$(management GET /api/bindings/%2f/e/order-events/q/seller-updates-queue |
    jq -r 'map(.routing_key) | sort | join(" ")')" "order.cancelled order.completed order.created user.deactivated"

management DELETE "/api/queues/%2f/$probe"
sql order 'DELETE FROM outbox'
rabbitmq_empty
