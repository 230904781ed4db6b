#!/usr/bin/env bash
# Who may do what at the broker: every service's user tries everything on the real one. What the
# contract does not give it, is refused; what it needs, works.
set -euo pipefail
. tests/component-lib.sh

trap 'rabbitmq_empty >/dev/null 2>&1; _end' EXIT

declare -A QUEUE=([cart]=cart-queue [order]=order-queue [payment]=payment-settlement-queue
    [seller]=seller-updates-queue [notification]=notification-queue [aibuddy]=ai-events-queue)
declare -A PUBLISHER=([user.registered]=auth [user.deactivated]=auth [order.created]=order [order.refunded]=order
    [payment.authorized]=payment [payment.refunded]=payment [inventory.updated]=seller [inventory.low_stock]=seller
    [product.updated]=seller [product.rated]=aibuddy [cart.abandoned]=cart)
mapfile -t ALL < <(jq -r '.queues[].name' rabbitmq/definitions.json)
OTHER_KEYS=(x user order. .order '#' '*' order.created.x "x.order.created")

# want ANSWER ACT...: ANSWER is "ok" or the code of a refusal.
want() {
    printf '%s\n' "$1" >>"$SCRATCH/wanted"
    printf '%s\n' "${*:2}" >>"$SCRATCH/acts"
}
want_send() { want "$1" send "$2" "$3" "${4:--}" - - -; }

publishing() {
    local me=$1 type key queue exchange
    for type in "${!PUBLISHER[@]}"; do
        want_send "$([ "${PUBLISHER[$type]}" = "$me" ] && echo ok || echo 403)" order-events "$type"
    done
    for key in "${OTHER_KEYS[@]}"; do
        case $key.$me in order.created.x.order | order..order) continue ;; esac # its own family
        want_send 403 order-events "$key"
    done
    for queue in "${QUEUE[@]}"; do
        local answer=403
        [ "$queue" != "${QUEUE[$me]:-none}" ] || answer=ok
        for key in 0 1 5; do want_send $answer order-events.retry "$queue.$key"; done
        want_send $answer order-events.dlx "$queue.dlq"
    done
    for queue in "${ALL[@]}"; do want_send 403 - "$queue"; done
    for exchange in order-events.return order-events.unrouted amq.topic amq.direct amq.fanout; do
        want_send 403 $exchange "${QUEUE[$me]:-x}.1"
    done
}

# Purging goes by the right to read: RabbitMQ knows no other.
reading() {
    local me=$1 queue
    for queue in "${ALL[@]}"; do
        [ "$queue" != "${QUEUE[$me]:-none}" ] || continue
        want 403 get "$queue"
        want 403 consume "$queue"
        want 403 purge "$queue"
    done
    [ -z "${QUEUE[$me]:-}" ] || want ok consume "${QUEUE[$me]}"
}

arranging() {
    local me=$1 queue exchange
    for queue in "${ALL[@]}" of-its-own amq.gen-x; do want 403 declare "$queue"; done
    for queue in "${ALL[@]}"; do
        want 403 delete "$queue"
        want 403 bind "$queue" order-events '#'
        want 403 unbind "$queue" order-events 'user.#'
    done
    for exchange in order-events order-events.retry order-events.return order-events.dlx order-events.unrouted; do
        want 403 exchange-delete $exchange
        want 403 exchange-bind order-events.return $exchange '#'
    done
    want 403 exchange-declare order-events
    want 403 exchange-declare of-its-own
}

pretending() {
    local me=$1 other
    for other in "${SERVICES[@]}" ops nobody; do
        [ "$other" = "$me" ] || [ -z "${QUEUE[$me]:-}" ] || want_send 406 order-events.retry "${QUEUE[$me]}.0" "$other"
    done
    [ "$me" = auth ] && want_send 406 order-events user.registered ops
    [ -z "${QUEUE[$me]:-}" ] || want_send ok order-events.retry "${QUEUE[$me]}.0" "$me"
}

before=$(management GET /api/definitions | jq -S 'del(.rabbit_version, .rabbitmq_version)')
for me in "${SERVICES[@]}"; do
    rm -f "$SCRATCH"/{wanted,acts}
    publishing "$me"
    reading "$me"
    arranging "$me"
    pretending "$me"
    url=$(upper "$me")_AMQP_URL
    "$SOUK_BUILD/tests/amqp-act" "${!url}" <"$SCRATCH/acts" >"$SCRATCH/answers"
    wrong=$(paste -d '|' "$SCRATCH/wanted" <(cut -d ' ' -f 1 "$SCRATCH/answers") "$SCRATCH/acts" |
        awk -F '|' '$1 != $2 { print "wanted " $1 ", got " $2 ": " $3 }')
    is "$me may do what it needs and nothing else ($(wc -l <"$SCRATCH/acts") acts, $(grep -vc ok "$SCRATCH/wanted") refused)" "$wrong" ''
    status=$(curl -s -o /dev/null -w '%{http_code}' -K - "$(management_url)/api/whoami" <<<"user = \"$me:$(secret "amqp-$me")\"")
    is '... and has no place at the management page' "$status" 401
done
is 'none of all that has changed the topology' "$(management GET /api/definitions | jq -S 'del(.rabbit_version, .rabbitmq_version)')" "$before"
