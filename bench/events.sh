#!/usr/bin/env bash
# What events cost: relay and consumers in events per second and CPU per event, by service; and the services' CPU per
# checkout, the synchronous half apart from the asynchronous one. One line of JSON, appended to bench/results/events.jsonl.
#   bench/events.sh [SECONDS] [SHOPPERS]      runs on a suite of its own (folder .souk-bench, ports from 17080)
#
#   live    checkouts in a closed loop, everything at work                     -> CPU of both halves
#   sync    the same without a broker: only what the shopper waits for, events stay in the outboxes
#   drain   the broker comes back. All consumers are frozen (SIGSTOP) and thawed one after the other, so that each has
#           the machine, and its CPU, for itself                               -> the asynchronous half, in full batches
#   audit   the books must balance afterwards
# live minus sync is the asynchronous half as it is under that load, in smaller batches than the drain's. A service's
# stage holds all it does about an event: handling, its own relay, its workers (captures, mails). Rates come from the
# rows' own times. CPU is that of all threads by the scheduler's clock; of PostgreSQL and RabbitMQ by the tick.
seconds=${1:-8} shoppers=${2:-16}
export BACKLOG_SHARE=100 ADMISSION_LIMIT_MIN=${ADMISSION_LIMIT_MIN:-256} # nobody is turned away
declare -A pid cpu_before
# shellcheck disable=SC2317 # called by suite.sh
at_end() { for svc in "${!pid[@]}"; do kill -CONT "${pid[$svc]}" 2>/dev/null || true; done; }
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

for part in "${SERVICES[@]}" postgres rabbitmq; do running "$part" && pid[$part]=$PID; done
psql_of() { psql -X -q -At -F ' ' -v ON_ERROR_STOP=1 -d "postgresql://souk_audit:$(secret pg-souk_audit)@127.0.0.1:${PORTS[postgres]}/souk_$1" -c "$2"; }
say_now() { printf '%s\n' "${EPOCHREALTIME/[.,]/}"; }

# cpu_us PART: of a service's threads in µs; of a server's processes, those that have ended included.
cpu_us() {
    case $1 in
    postgres | rabbitmq)
        { cat /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v root="${pid[$1]}" '
            { p = $1; sub(/.*\) /, ""); if (p == root) sum += $12 + $13 + $14 + $15; else if ($2 == root) sum += $12 + $13 }
            END { printf "%d", sum * 10000 }'
        ;;
    *) cat "/proc/${pid[$1]}"/task/*/schedstat | awk '{ sum += $1 } END { printf "%d", sum / 1000 }' ;;
    esac
}
cpu_mark() { for part in "${!pid[@]}"; do cpu_before[$part]=$(cpu_us "$part"); done; }
# cpu_since EVENTS: a JSON object, µs for each event and part
cpu_since() {
    for part in "${!pid[@]}"; do printf '%s %s\n' "$part" $(($(cpu_us "$part") - cpu_before[$part])); done |
        jq -Rcn --argjson n "$1" '[inputs | split(" ") | {(.[0]): ((.[1] | tonumber) / $n | round)}] | add'
}

# until_is WANTED COMMAND...: asks every 100 ms, for two minutes
until_is() {
    local want=$1 tries=1200
    shift
    until [ "$("$@")" = "$want" ]; do
        [ $((tries -= 1)) -gt 0 ] || die "still $("$@"), not $want: $*"
        sleep 0.1
    done
}
pending() { psql_of "$1" "SELECT count(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL"; }
heard() { psql_of "$1" "SELECT count(*) FROM inbox WHERE type = 'order.created'"; }
unconfirmed() { psql_of order "SELECT count(*) FROM orders WHERE status <> 'confirmed'"; }
uncaptured() { psql_of payment "SELECT count(*) FROM payments WHERE status <> 'captured'"; }
sent() { psql_of notification "SELECT count(*) FROM deliveries WHERE status = 'sent'"; }
unsent() { psql_of notification "SELECT count(*) FROM deliveries WHERE status IN ('pending', 'sending')"; }
quiet() {
    until_is 0 unconfirmed
    for svc in auth order payment seller; do until_is 0 pending "$svc"; done
    until_is "$(orders)" heard notification
    until_is "$(orders)" heard aibuddy
}
orders() { psql_of order "SELECT count(*) FROM orders"; }
# rate SERVICE TABLE COLUMN: events per second of the rows written since the stage began
rate() {
    psql_of "$1" "SELECT round(count(*) / greatest(extract(epoch FROM max($3) - min($3)), 0.001)) FROM $2 WHERE $3 > to_timestamp($began / 1e6)"
}
since() { psql_of "$1" "SELECT count(*) FROM $2 WHERE $3 > to_timestamp($began / 1e6)"; }

signal_all() {
    local name=$1 svc
    shift
    for svc in "$@"; do kill "-$name" "${pid[$svc]}"; done
}
load() {
    ./souk load buy --direct --users "$shoppers" --duration "${seconds}s" --quiet --json - |
        jq -c '.series.checkout.good as $n | {shoppers, perSecond: .series.checkout.perSecond, cpuMsPerCheckout: (.cpuSeconds | map_values(. * 1000 / $n))}'
}

live=$(load)
quiet
until_is 0 unsent
(rabbitmq_down)
sync=$(load)

signal_all STOP payment seller notification aibuddy cart
# The broker's login and import are not what is measured: the services are told of it when it stands.
signal_all STOP order auth
(rabbitmq_up) >/dev/null
running rabbitmq && pid[rabbitmq]=$PID
stages='{}'
# stage NAME SERVICE EVENTS-TABLE COLUMN CONDITION...: thaws the service and waits until the condition is met
stage() {
    local name=$1 svc=$2 table=$3 column=$4 n
    shift 4
    began=$(say_now)
    cpu_mark
    signal_all CONT "$svc"
    until_is "$@"
    n=$(since "$svc" "$table" "$column")
    stages=$(jq -cn --argjson all "$stages" --arg name "$name" --argjson n "$n" --argjson rate "$(rate "$svc" "$table" "$column")" \
        --argjson cpu "$(cpu_since "$n")" --arg svc "$svc" '$all + {($name): {events: $n, perSecond: $rate, cpuUsPerEvent: ($cpu[$svc]),
            postgresUsPerEvent: $cpu.postgres, rabbitmqUsPerEvent: $cpu.rabbitmq, servicesUsPerEvent: ([$cpu[]] | add - $cpu.postgres - $cpu.rabbitmq)}}')
}
owed=$(psql_of order "SELECT count(*) FROM orders WHERE status = 'created'")
signal_all CONT auth
declare -A drain_before
for part in "${!pid[@]}"; do drain_before[$part]=$(cpu_us "$part"); done
sent_before=$(sent)
total=$(orders)
stage relay order outbox published_at 0 pending order
stage notification notification inbox handled_at "$total" heard notification
stage aibuddy aibuddy inbox handled_at "$total" heard aibuddy
stage seller seller inbox handled_at "$total" heard seller
until_is 0 pending seller
stage payment payment inbox handled_at "$total" heard payment
began=$(say_now)
until_is 0 uncaptured
quiet
signal_all CONT cart
# What is left to do is the mails: each is an SMTP conversation of its own.
sent_now=$(sent) mails_us=$(cpu_us notification)
until_is 0 unsent
mails_us=$((($(cpu_us notification) - mails_us) / ($(sent) - sent_now)))
sent=$(($(sent) - sent_before))
drain=$(for part in "${!pid[@]}"; do printf '%s %s\n' "$part" $(($(cpu_us "$part") - drain_before[$part])); done |
    jq -Rcn --argjson n "$owed" '[inputs | split(" ") | {(.[0]): ((.[1] | tonumber) / $n | round)}] | add')
./souk audit >/dev/null || die "the books do not balance; see ./souk audit"

services='[.auth, .cart, .order, .payment, .seller, .notification, .aibuddy] | map(. // 0) | add'
jq -cn --argjson live "$live" --argjson sync "$sync" --argjson drain "$drain" --argjson stages "$stages" --argjson owed "$owed" \
    --argjson mail "$mails_us" --argjson sent "$sent" "
    def us: map_values(. * 1000 | round);
    (\$live.cpuMsPerCheckout | us) as \$l | (\$sync.cpuMsPerCheckout | us) as \$s |
    {shoppers: \$live.shoppers, checkoutsPerSecond: {live: (\$live.perSecond | round), sync: (\$sync.perSecond | round)}, drained: \$owed,
     servicesUsPerCheckout: {live: (\$l | $services), sync: (\$s | $services), asyncLive: ((\$l | $services) - (\$s | $services)), asyncDrain: (\$drain | $services),
        asyncDrainWithoutMails: ((\$drain | $services) - \$mail * \$sent / \$owed | round), mail: \$mail},
     postgresUsPerCheckout: {live: \$l.postgres, sync: \$s.postgres, asyncDrain: \$drain.postgres},
     rabbitmqUsPerCheckout: {live: \$l.rabbitmq, asyncDrain: \$drain.rabbitmq},
     byServiceUs: {live: \$l, sync: \$s, asyncDrain: \$drain}, stages: \$stages}" | result events
