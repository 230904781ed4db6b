#!/usr/bin/env bash
# What the alarms read is there: each series of the alert rules on a real service or on the broker,
# and an outbox that is late is told by /readyz, first in words, then by taking no more traffic.
set -euo pipefail
. tests/component-lib.sh
promtool=${PROMTOOL:-promtool}

scrape() { curl -sS --max-time 30 "$1" >"$SCRATCH/metrics.$2"; }
has() { grep -qE "^$2([ {]|_bucket|$)" "$SCRATCH/metrics.$1"; }
broker=http://127.0.0.1:${PORTS[metrics]}

service_start cart
service_start payment
service_start notification
service_start order
for svc in cart payment notification order; do
    url=$(upper "$svc")_SERVICE_URL
    scrape "${!url}/metrics" "$svc"
    if ! command -v "$promtool" >/dev/null; then
        ok "$svc: promtool reads the metrics # SKIP promtool is not installed"
    else
        check "$svc: promtool reads the metrics" "$promtool" check metrics <"$SCRATCH/metrics.$svc"
    fi
done

for series in souk_ready souk_part_ok souk_broker_connected souk_broker_blocked souk_peer_breaker \
    souk_database_connections souk_event_retries_total souk_event_redeliveries_total souk_events_in_hand; do
    check "cart tells $series from the start" has cart "$series"
done
fresh() { scrape "$1/metrics" late && has late "$2"; }
check "cart tells its checkouts" until_true 8 fresh "$CART_SERVICE_URL" 'souk_work_oldest_seconds\{work="checkouts"\}'
for work in payments_undecided captures refunds; do
    check "payment tells its $work" until_true 8 fresh "$PAYMENT_SERVICE_URL" "souk_work_oldest_seconds\{work=\"$work\"\}"
done
check "notification tells its messages" until_true 8 fresh "$NOTIFICATION_SERVICE_URL" 'souk_work_oldest_seconds\{work="messages"\}'
check "order tells its outbox" until_true 8 fresh "$ORDER_SERVICE_URL" souk_outbox_oldest_seconds

if [ -z "$(external RABBITMQ_MANAGEMENT_URL)" ]; then
    scrape "$broker/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count" queues
    scrape "$broker/metrics" broker
    for queue in order-events.unrouted order-queue order-queue.dlq; do
        check "the broker tells the depth of $queue" has queues "rabbitmq_detailed_queue_messages\{vhost=\"/\",queue=\"$queue\"\}"
    done
    check "the broker tells who consumes" has queues 'rabbitmq_detailed_queue_consumers\{vhost="/",queue="cart-queue"\}'
    for alarm in free_disk_space_watermark memory_used_watermark file_descriptor_limit; do
        check "the broker tells its alarm $alarm" has broker "rabbitmq_alarms_$alarm"
    done
fi

# A dead letter is counted under its code.
deliver order-queue order.nonsense nothing '{}'
counted() { fresh "$ORDER_SERVICE_URL" 'souk_dead_letters_total\{code="unknown_event_type"\}'; }
check "a dead letter is counted by its code" until_true 5 counted
management DELETE /api/queues/%2f/order-queue.dlq/contents -f

# An event that finds no broker: told after 30 s, beyond READY_OUTBOX_AGE_S no traffic.
service_stop order
row=$(uuid)
sql order "INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, body, created_at)
    VALUES ('$row', 'order.updated', '$row', 'test', '{}', now() - interval '100 s')"
nowhere=AMQP_URL=amqp://order:none@127.0.0.1:1/%2f
says_late() { ask GET "$ORDER_SERVICE_URL/readyz?verbose" && [ "$STATUS" = "$1" ] && grep -qF "[$2] outbox: the oldest event has waited 1" <<<"$BODY"; }
service_start order "$nowhere"
check "a late outbox is told" until_true 8 says_late 200 !
service_stop order
service_start order "$nowhere" READY_OUTBOX_AGE_S=60
check "a service whose outbox is too late takes no traffic" until_true 8 says_late 503 -
check "and says so to Prometheus" fresh "$ORDER_SERVICE_URL" 'souk_ready 0'
service_stop order
service_start order "$nowhere" READY_OUTBOX_AGE_S=0
check "unless it is told to go on" until_true 8 says_late 200 !
service_stop order
sql order "DELETE FROM outbox WHERE event_id = '$row'"
