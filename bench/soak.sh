#!/usr/bin/env bash
# What time and mishaps do to the suite: shoppers come at a part of the rate that it can sustain, whatever becomes of it, while PostgreSQL,
# RabbitMQ, Redis and the seven services are ended in turn, now in an orderly way, now by SIGKILL, and come back. Then: do the books
# balance, do memory, descriptors and threads stay where they were, does trouble end when its cause has?
#   bench/soak.sh [MINUTES] [PERCENT]      (20 minutes at 70 % of the peak)
# Services are restarted in the first half only, for what leaks is seen in those that live long; servers until a tenth is left.
# A table, and a line of JSON appended to bench/results/soak.jsonl. Exit status: 0 all of that is so, 1 something is not. The rules
# are told in docs/PERFORMANCE.md, "Soak".
# Runs on a suite of its own, emptied (folder .souk-bench, ports from 17080, a release build in build-bench), and ends it afterwards.
#   SOUK_SOAK_KEEP=DIR   keeps samples, answers and what else the verdict is made of
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
minutes=${1:-20} percent=${2:-70}
case $minutes:$percent in *[!0-9:]* | 0*:* | *:0* | :* | *:) sed -n '5p' "$0" >&2 && exit 2 ;; esac
export LC_ALL=C
export SOUK_STATE=${SOUK_STATE:-$PWD/.souk-bench} SOUK_PORT_BASE=${SOUK_PORT_BASE:-17080} SOUK_BUILD=${SOUK_BUILD:-$PWD/build-bench}
export SOUK_DEMO_DATA=0 LOG_LEVEL=${LOG_LEVEL:-warn}
export SMTP_URL=smtp://127.0.0.1:$((SOUK_PORT_BASE + 12))
seconds=$((minutes * 60)) every=5 calm=10 patience=90

work=${SOUK_SOAK_KEEP:-$(mktemp -d)}
mkdir -p "$work" bench/results
rm -f "$work"/*
helpers=()
# shellcheck disable=SC2317 # called by the trap
leave() {
    local pid
    trap - EXIT
    for pid in "${helpers[@]}"; do kill "$pid" 2>/dev/null || true; done
    ./souk down >/dev/null || true
    [ -n "${SOUK_SOAK_KEEP:-}" ] || rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM

# tell WORDS: what goes on; on a terminal one line that is written over.
tell() { if [ -t 2 ]; then printf '\r\033[K%s' "$(head -c $((${COLUMNS:-120} - 1)) <<<"$*")" >&2; else printf '%s\n' "$*" >&2; fi; }

tell "building and starting the suite"
./souk down >/dev/null 2>&1 || true # one that an interrupted run has left
node bench/soak.d/mails.mjs $((SOUK_PORT_BASE + 12)) "$work/mails" &
helpers+=($!)
./souk up >"$work/up" || { cat "$work/up" >&2 && exit 1; }
./souk reset >"$work/up" || { cat "$work/up" >&2 && exit 1; }
# shellcheck source=tests/env.sh
. tests/env.sh

wall() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
clock() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# ---- samples ----

# One line a process:  p AT NAME PID RSS_KB ANONYMOUS_KB THREADS DESCRIPTORS
sample_process() {
    local rss=0 anonymous=0 threads=0 key value
    local -a descriptors
    while read -r key value _; do
        case $key in VmRSS:) rss=$value ;; RssAnon:) anonymous=$value ;; Threads:) threads=$value ;; esac
    done <"/proc/$3/status" || return 0
    descriptors=("/proc/$3/fd"/*)
    [ "$rss" = 0 ] || printf 'p %s %s %s %s %s %s %s\n' "$1" "$2" "$3" "$rss" "$anonymous" "$threads" ${#descriptors[@]}
}

# One line for all:  q AT CONNECTIONS WAITING_IN_QUEUES DEAD OUTBOXES    ("-" where it could not be asked)
# and one for each database:  d AT SERVICE CONNECTIONS
sample_servers() {
    local svc connections outboxes queues
    connections=$(admin_psql -d postgres -At -F ' ' -c "SELECT datname, count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND usename LIKE 'souk\_%' AND datname LIKE 'souk\_%' GROUP BY 1" 2>/dev/null | sed 's/^souk_//') || connections=''
    outboxes=$(for svc in "${SERVICES[@]}"; do printf '\\connect souk_%s\nSELECT count(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL;\n' "$svc"; done |
        admin_psql -d postgres -At 2>/dev/null | awk '{ n += $1 } END { print NR ? n : "-" }') || outboxes=-
    queues=$(management GET '/api/queues/%2f?columns=name,messages' -f --max-time 3 2>/dev/null | jq -r 'map({name, n: (.messages // 0)}) |
        (map(select(.name | endswith("-queue")).n) | add), (map(select(.name | endswith(".dlq")).n) | add)' 2>/dev/null | paste -sd ' ') || queues=''
    printf 'q %s %s %s %s\n' "$1" "$(awk '{ n += $2 } END { print NR ? n : "-" }' <<<"$connections")" "${queues:-- -}" "$outboxes"
    [ -z "$connections" ] || while read -r svc n; do printf 'd %s %s %s\n' "$1" "$svc" "$n"; done <<<"$connections"
}

sample() {
    local at name
    at=$(wall)
    for name in "${SERVICES[@]}" gateway rabbitmq redis; do
        if running "$name"; then sample_process "$at" "$name" "$PID" 2>/dev/null; fi
    done
    [ -z "${load:-}" ] || sample_process "$at" load "$load" 2>/dev/null || true
    sample_servers "$at"
}

# Every five seconds, whatever one takes; and the line of progress.
sampler() {
    local next=$EPOCHSECONDS errors=0 rate
    exec 5<"$work/log"
    while :; do
        sample >>"$work/samples"
        read -r rate errors < <(awk -v all="$errors" -v every=$every '$4 !~ /^2/ { all++ } $1 == "checkout" && $4 == 201 { n++ } END { print int(n / every), all + 0 }' <&5)
        tell "$(clock $((EPOCHSECONDS - began))) of $(clock $seconds): $rate checkouts/s of $wanted, $errors errors, $(cat "$work/last")"
        next=$((next + every))
        sleep "$(awk -v at=$next -v now="$EPOCHREALTIME" 'BEGIN { print (at > now ? at - now : 0.1) }')"
    done
}

# What it holds open, by kind, for when there is too much: files, and sockets by the port at the other end.
descriptors() {
    running "$1" || return 0
    find "/proc/$PID/fd" -type l -printf '%l\n' 2>/dev/null | sed -E 's/[0-9]*:?\[[0-9]*\]$//' | sort | uniq -c
    ss -Htnap 2>/dev/null | awk -v pid="pid=$PID," 'index($0, pid) { n = split($5, peer, ":"); m = split($4, own, ":"); print $1, own[m] "->" peer[n] }' |
        awk -v from="$SOUK_PORT_BASE" -v to=$((SOUK_PORT_BASE + 120)) '{ split($2, e, "->"); for (i = 1; i <= 2; i++) if (e[i] + 0 < from || e[i] + 0 > to) e[i] = "*"; print $1, e[1] "->" e[2] }' | sort | uniq -c
}

balanced() { tools/audit --wait 300 >"$work/$1.audit" 2>"$work/words"; }

# at_rest NAME: a sample in $work/NAME.samples, taken when connections that were kept for more requests have ended (60 s).
at_rest() {
    local svc
    sleep 65
    sample >"$work/$1.samples"
    for svc in "${SERVICES[@]}"; do
        echo "== $svc"
        descriptors "$svc"
    done >"$work/$1.descriptors"
}

# ---- mishaps ----

# whole: every service is ready and has all it works with; for a service that was restarted, by another process.
whole() {
    local svc answer
    for svc in "${SERVICES[@]}"; do
        answer=$(curl -sS --max-time 2 "$(service_url "$svc")/readyz?verbose" 2>/dev/null) || return 1
        case $answer in *'[-]'* | *'[!]'*) return 1 ;; *ready*) ;; *) return 1 ;; esac
    done
}
up_again() { running "$1" && [ "$PID" != "$2" ] && case " ${SERVICES[*]} " in *" $1 "*) service_ready "$1" 2>/dev/null ;; esac; }

# until_true SECONDS COMMAND...
until_true() {
    local until=$((EPOCHSECONDS + $1))
    shift
    until "$@"; do
        [ $EPOCHSECONDS -lt $until ] || return 1
        sleep 0.1
    done
}

kill_server() {
    local port=$1
    [ "$1" != rabbitmq ] || port=amqp
    running "$1" || return 1
    kill -KILL "$PID"
    until_true 30 server_gone "$1" "$port"
}
# shellcheck disable=SC2317 # called through until_true
server_gone() { ! running "$1" && ! port_open "${PORTS[$2]}" 2>/dev/null; }

# mishap PART HOW: a line  e FROM BACK WHOLE PART HOW  in $work/events (ms; 0: not in time).
mishap() {
    local from back=0 whole=0 old='' tries=patience
    if running "$1"; then old=$PID; fi
    echo "$1 ($2)" >"$work/last"
    from=$(wall)
    case $2:$1 in
    orderly:*) ./souk restart "$1" >"$work/words" 2>&1 || cat "$work/words" >&2 ;;
    killed:postgres | killed:rabbitmq | killed:redis) kill_server "$1" && { ./souk start "$1" >"$work/words" 2>&1 || cat "$work/words" >&2; } ;;
    killed:*) [ -z "$old" ] || kill -KILL "$old" ;;
    esac
    ! until_true "$tries" up_again "$1" "$old" || back=$(wall)
    ! until_true "$tries" whole || whole=$(wall)
    printf 'e %s %s %s %s %s\n' "$from" "$back" "$whole" "$1" "$2" >>"$work/events"
    echo "$1 ($2) at $(clock $((from / 1000 - began)))" >"$work/last"
}

# mishaps FROM TO WHAT...: evenly over these seconds of the run, but 20 s apart at least; those that there is no time for are left out.
mishaps() {
    local from=$1 to=$2 count part n
    shift 2
    count=$(((to - from) / 20))
    [ $count -lt $# ] || count=$#
    for ((n = 0; n < count; n++)); do
        part=${*:n+1:1}
        until [ $EPOCHSECONDS -ge $((began + from + (to - from) * (2 * n + 1) / (2 * count))) ]; do sleep 0.2; done
        [ $EPOCHSECONDS -lt $((began + to)) ] || break
        mishap "${part%:*}" "${part#*:}"
    done
}

# ---- the run ----

# drive NAME ARGS...: checkouts through the gateway; its figures in $work/NAME.json, every answer in $work/NAME.log
drive() {
    local name=$1
    shift
    exec "$SOUK_BUILD/src/souk-load" checkout --quiet --no-watch --no-audit --fail-if 'errors>100%' --json "$work/$name.json" --log "$work/$name.log" "$@" >"$work/$name.words" 2>&1
}

# The peak that lasts: all orders of a closed loop, by the time until the last event of them was heard.
tell "measuring the peak"
(drive warm --users 16 --duration 5s --warmup 0) || { cat "$work/warm.words" >&2 && exit 1; }
balanced before || true
(drive peak --users 16 --duration 20s --warmup 0) || { cat "$work/peak.words" >&2 && exit 1; }
balanced before || { cat "$work/before.audit" >&2 && exit 1; }
heard=$(for svc in "${SERVICES[@]}"; do admin_psql -At -d "souk_$svc" -c 'SELECT (extract(epoch FROM max(handled_at)) * 1000)::bigint FROM inbox'; done | sort -n | tail -n 1)
peak=$(awk -v heard="$heard" '!from || $2 < from { from = $2 } $1 == "checkout" && $4 == 201 { n++ } END { printf "%.1f", n * 1000 / (heard - from) }' "$work/peak.log")
wanted=$(awk -v peak="$peak" -v percent="$percent" 'BEGIN { n = int(peak * percent / 100); print (n > 0 ? n : 1) }')
at_rest before

: >"$work/log" && : >"$work/events" && : >"$work/samples" && echo 'all quiet' >"$work/last"
ln -sf log "$work/soak.log"
load_before=$(cut -d' ' -f1 /proc/loadavg)
tell "the peak that lasts is $peak checkouts/s; preparing shoppers"
(drive soak --rate "$wanted" --poisson --duration "${seconds}s" --warmup 2s) &
load=$!
helpers+=("$load")
until [ -s "$work/log" ]; do
    kill -0 "$load" 2>/dev/null || { cat "$work/soak.words" >&2 && exit 1; }
    sleep 0.1
done
began=$((EPOCHSECONDS + 2))
sampler &
sampler=$!
helpers+=("$sampler")

mishaps 10 $((seconds / 2)) postgres:orderly cart:killed rabbitmq:orderly order:orderly redis:orderly payment:killed auth:orderly postgres:killed \
    seller:killed rabbitmq:killed notification:orderly redis:killed aibuddy:killed cart:orderly order:killed payment:orderly auth:killed \
    seller:orderly notification:killed aibuddy:orderly
mishaps $((seconds / 2)) $((seconds * 9 / 10)) postgres:orderly rabbitmq:orderly redis:orderly postgres:killed rabbitmq:killed redis:killed
while kill -0 "$load" 2>/dev/null; do sleep 0.5; done
wait "$load" || { cat "$work/soak.words" >&2 && exit 1; }
kill "$sampler" || die "the sampler has ended early"
load=''
tell "waiting until nothing is under way"
balanced after || true
at_rest after
[ ! -t 2 ] || tell ''

jq -n --arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" --arg at "$(date -u +%FT%TZ)" --argjson cores "$(nproc)" \
    --argjson before "$load_before" --argjson after "$(cut -d' ' -f1 /proc/loadavg)" --arg log "$LOG_LEVEL" --argjson peak "$peak" --argjson percent "$percent" \
    --argjson minutes "$minutes" --argjson rate "$wanted" --argjson calm $calm --argjson mails "$(cat "$work/mails")" \
    --arg build "$(meson introspect "$SOUK_BUILD" --buildoptions | jq -r '.[] | select(.name == "buildtype").value')" \
    '{commit: $commit, at: $at, minutes: $minutes, percent: $percent, peakPerSecond: $peak, offeredPerSecond: $rate, calmAfterSeconds: $calm, mails: $mails,
      cores: $cores, loadBefore: $before, loadAfter: $after, buildtype: $build, logLevel: $log, gateway: true}' >"$work/conditions.json"
status=0
node bench/soak.d/table.mjs "$work" "$work/line" || status=1
[ ! -s "$work/line" ] || cat "$work/line" >>bench/results/soak.jsonl
exit $status
