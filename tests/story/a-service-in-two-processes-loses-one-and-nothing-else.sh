#!/usr/bin/env bash
# Two processes of each service share its port, its queue and its outbox. While people shop, one process of each service is killed in
# turn, and once a parent with all of its processes. Whatever they had in hand is taken over or comes again; the books balance.
. tests/lib.sh

export SOUK_PROCESSES=2 SOUK_PROCESS_PORT_BASE=${SOUK_PROCESS_PORT_BASE:-$((PORT_BASE + 1000))}
# shellcheck disable=SC2317 # called at the end
as_before() { SOUK_PROCESSES=1 "$ROOT/souk" restart "${SERVICES[@]}" >/dev/null; }
at_end as_before
"$ROOT/souk" restart "${SERVICES[@]}" >/dev/null

children() { running "$1" && cat "/proc/$PID/task/$PID/children"; }
own_port() { echo $((SOUK_PROCESS_PORT_BASE + 10 * $1 + $2)); }
# both N: both processes of the Nth service answer at their own ports.
both() { { http_ok "http://127.0.0.1:$(own_port "$1" 0)/readyz" && http_ok "http://127.0.0.1:$(own_port "$1" 1)/readyz"; } 2>/dev/null; }
all_both() {
    local n
    for n in "${!SERVICES[@]}"; do both "$n" || return 1; done
}
soon 20 "each service has two processes, each with probes of its own" all_both
listeners() { ss -Hltn "sport = :${PORTS[order]}" | wc -l; }
is "and both listen on the service's port" "$(listeners)" 2

load_begin buy --rate 8 --shoppers 24 --duration 120s
for n in "${!SERVICES[@]}"; do
    svc=${SERVICES[n]}
    read -r victim other <<<"$(children "$svc")"
    kill -KILL "$victim"
    soon 20 "$svc: the killed process is there again" both "$n"
    that "$svc: the other never went" kill -0 "$other"
done
# The parent alone: its children drain, the watcher starts it anew.
running order && old=$(children order) && kill -KILL "$PID"
gone() { for pid in $old; do [ ! -e "/proc/$pid" ] || return 1; done; }
soon 20 "the children of a killed parent don't outlive it" gone
soon 20 "and order is there again, twice" both 2
load_end

report "{\"good\":$(load_count checkout 201),\"refused\":$(load_refused | wc -l)}"
wanted=$(awk '$1 == "checkout" { n++ } END { print n + 0 }' "$WORK/load")
that "most of those who wanted to buy did" [ $((2 * $(load_count checkout 201))) -gt "$wanted" ]

product 20
shopper anna
for _ in {1..8}; do
    put "$SKU"
    checkout
    must 201
done
share() { curl -fsS "http://127.0.0.1:$(own_port "$1" "$2")/metrics" | awk '/^souk_broker_messages_total\{what="delivered"\}/ { print $2 + 0 }'; }
handled_by_both() { [ "$(share 2 0)" -gt 0 ] && [ "$(share 2 1)" -gt 0 ]; }
soon 20 "events are dealt out to both processes" handled_by_both
soon 90 "nothing is under way" quiet
audit
