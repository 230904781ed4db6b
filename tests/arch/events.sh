#!/usr/bin/env bash
# What the services say of themselves (--describe) against the event list, the broker's definitions and
# the gateway: every event has a publisher that may send it and somebody who listens, every queue gets
# what its service understands, every public route is reachable and no internal one is.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${SOUK_BUILD:-build}
services=(auth cart order payment seller notification aibuddy)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
wrong() {
    echo "$*"
    bad=1
}

for service in "${services[@]}"; do
    if [ ! -x "$build/src/souk-$service" ]; then
        echo "$build/src/souk-$service is not built"
        exit 77
    fi
    "$build/src/souk-$service" --describe
done | jq -s . >"$work/services"
[ -s "$work/services" ] || exit 77

# Events that nobody among the services listens to, and why that is right.
silent='
order.updated       for shops outside that follow an order step by step; inside, facts travel as the facts
order.refunded      the payment.refunded before it is what everybody here acts on
payment.authorized  for outside; within the chain the answer itself tells it
payment.settled     the settlement of sellers comes with payouts
inventory.low_stock for sellers, whose notifications come with webhooks
inventory.back_in_stock  likewise
'

sed -n 's/^EVENT([A-Z_]*, "\([^"]*\)", "\([^"]*\)",.*/\1 \2/p' src/common/contract/events.def | sort >"$work/contract"
jq -r '.[] | .service as $s | .publishes[]? | "\(.type) \($s)"' "$work/services" | sort >"$work/published"
jq -r '.[].consumes[]?' "$work/services" | sort -u >"$work/consumed"
[ -s "$work/contract" ] || wrong 'src/common/contract/events.def has no events'

while read -r line; do wrong "published, but not so in the contract: $line"; done < <(comm -13 "$work/contract" "$work/published")
while read -r line; do
    case ${line% *} in payment.settled) ;; *) wrong "in the contract, but not published: $line" ;; esac
done < <(comm -23 "$work/contract" "$work/published")
while read -r type _; do
    if grep -qx "$type" "$work/consumed"; then
        ! grep -q "^$type " <<<"$silent" || wrong "$type is called silent, but somebody listens"
    else
        grep -q "^$type " <<<"$silent" || wrong "nobody listens to $type"
    fi
done <"$work/contract"
while read -r type; do grep -q "^$type " "$work/contract" || wrong "$type is consumed, but in no contract"; done <"$work/consumed"

# Queues, bindings and permissions.
"$build/src/soukctl" topology check --offline >"$work/topology" 2>&1 || wrong "$(grep -v '^idle: ' "$work/topology")"

# The gateway: the first line of its map that fits decides.
# shellcheck disable=SC2016 # that is nginx's variable
sed -n '/map \$uri \$service {/,/}/p' deploy/nginx/gateway.conf | awk '$1 ~ /^~/ { sub(/^~/, "", $1); sub(/;/, "", $2); print $1, $2 }' >"$work/map"
[ -s "$work/map" ] || wrong 'deploy/nginx/gateway.conf has no map of services'
goes_to() {
    local regex service
    while read -r regex service; do
        if [[ $1 =~ $regex ]]; then
            printf '%s' "$service"
            return
        fi
    done <"$work/map"
}
while read -r service path; do
    # shellcheck disable=SC2001 # the pattern is one of sed's
    path=$(sed 's/{[^}]*}/x/g' <<<"$path")
    case $path in
    /internal/* | /livez | /healthz | /readyz | /metrics | /openapi.json | /debug/*)
        [ -z "$(goes_to "$path")" ] || wrong "the gateway lets $path through"
        ;;
    /orders | /orders/*) [ "$service" = order ] || wrong "$service has $path" ;;
    *) [ "$(goes_to "$path")" = "$service" ] || wrong "the gateway sends $path to '$(goes_to "$path")', it is of $service" ;;
    esac
done < <(jq -r '.[] | .service as $s | .routes[] | "\($s) \(.path)"' "$work/services" | sort -u)
exit $bad
