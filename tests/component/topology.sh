#!/usr/bin/env bash
# The broker's topology at work: what is published ends exactly where the contract says.
set -euo pipefail
. tests/env.sh

publish() {
    management POST "/api/exchanges/%2f/$1/publish" -d "{\"routing_key\":\"$2\",\"payload\":\"$3\",
        \"payload_encoding\":\"string\",\"properties\":{\"delivery_mode\":2,\"message_id\":\"$3\"}}" |
        jq -e .routed >/dev/null || die "$1 did not route $2"
}

# take QUEUE: every payload that is there now, one a line; they are gone afterwards.
take() {
    management POST "/api/queues/%2f/$1/get" -d '{"count":100,"ackmode":"ack_requeue_false","encoding":"auto"}' |
        jq -r '.[].payload'
}

# expect QUEUE PAYLOADS: exactly these, within three seconds.
expect() {
    local got='' more i
    for i in {1..30}; do
        more=$(take "$1")
        got=$(printf '%s\n%s\n' "$got" "$more" | sed '/^$/d' | sort | paste -sd ' ')
        got=${got// /$'\n'}
        [ "${got//$'\n'/ }" != "$2" ] || return 0
        sleep 0.1
    done
    die "$1 holds '${got//$'\n'/ }', not '$2' (after $i looks)"
}

queues=(notification-queue ai-events-queue seller-updates-queue payment-settlement-queue order-queue cart-queue)
rabbitmq_empty

# A fresh event reaches those who asked for it, and nobody else.
publish order-events order.created created
publish order-events inventory.updated stock
publish order-events user.password.reset.requested reset
expect notification-queue 'created reset'
expect ai-events-queue created
expect seller-updates-queue created
expect payment-settlement-queue created
expect order-queue stock
expect cart-queue ''

# The replay door is immediate, the first tier takes its second; both reach one queue only.
publish order-events.retry order-queue.0 door
publish order-events.retry order-queue.1 tier
expect order-queue 'door tier'
for queue in "${queues[@]}"; do expect "$queue" ''; done

# Parked messages stay parked, in the dead letters of their own queue.
publish order-events.dlx cart-queue.dlq parked
expect cart-queue.dlq parked
for queue in "${queues[@]}"; do [ "$queue" = cart-queue ] || expect "$queue.dlq" ''; done

# A rejected delivery goes to its queue's dead letters by itself.
publish order-events order.completed poison
management POST /api/queues/%2f/cart-queue/get -d '{"count":1,"ackmode":"reject_requeue_false","encoding":"auto"}' >/dev/null
expect cart-queue.dlq poison
rabbitmq_empty
