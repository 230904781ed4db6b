#!/usr/bin/env bash
# No service can read its queue for a while, and people go on buying: the queues fill up. Then all of it is worked off
# while checkouts come at a steady rate: none is refused, and all are answered in time.
#   SOUK_STORY_EVENTS=100000   how many messages shall wait (3000); bench/backlog.sh does that on a suite of its own
. tests/lib.sh

backlog=${SOUK_STORY_EVENTS:-3000}
rate=20
declare -A waiting handled_then drained_in

# reading yes|no: may the services read their queues? Who may no longer also loses the connection it does it with.
# shellcheck disable=SC2317 # at the end, too
reading() {
    local svc connection
    for svc in $(listeners); do
        jq -c --arg svc "$svc" --arg may "$1" '.permissions[] | select(.user == $svc)
            | if $may == "yes" then . else .read = "^$" end | {configure, write, read}' rabbitmq/definitions.json |
            management PUT "/api/permissions/%2f/$svc" -f -o /dev/null --data-binary @/dev/fd/9 9<&0
    done
    [ "$1" = no ] || return 0
    management GET /api/connections | jq -r '.[] | select(.client_properties.connection_name // "" | endswith(":consume")) | .name | @uri' |
        while read -r connection; do management DELETE "/api/connections/$connection" -o /dev/null; done
}
nobody_reads() { [ "$(management GET /api/consumers | jq '[.[] | select(.queue.name | endswith("-queue"))] | length')" = 0 ]; }
depth() { management GET "/api/queues/%2f/$1?columns=messages" | jq .messages; }
queue_of() { "$(service_binary "$1")" --describe | jq -r .queue; }
all_waiting() {
    local svc sum=0
    for svc in $(listeners); do sum=$((sum + $(depth "$(queue_of "$svc")"))); done
    echo $sum
}

soon 60 "the suite is at rest" quiet
load_begin buy --rate $rate --shoppers 32 --duration 60s
from=$(wall)
sleep 16
read -r p50 requests < <(load_percentile checkout "$from" "$(wall)" 50)
read -r p99 requests < <(load_percentile checkout "$from" "$(wall)" 99)
load_end
soon 60 "and again" quiet

at_end 'reading yes'
reading no
soon 20 "nobody reads any more" nobody_reads
began=$EPOCHSECONDS
while [ "$(all_waiting)" -lt "$backlog" ]; do
    "$SOUK_BUILD/src/souk-load" buy --direct --no-watch --quiet --users 32 --warmup 0 --duration $((backlog > 20000 ? 20 : 2))s >/dev/null 2>"$WORK/err" || die "$(cat "$WORK/err")"
    # The broker counts its queues every five seconds.
    sleep 5
done
ok "$(all_waiting) messages wait, made by checkouts in $((EPOCHSECONDS - began)) s"
for svc in $(listeners); do
    waiting[$svc]=$(depth "$(queue_of "$svc")") handled_then[$svc]=$(metric "$svc" souk_events_handled_total)
done

load_begin buy --rate $rate --shoppers 64 --duration 580s
from=$(wall)
reading yes
# drained: notes when each service has dealt with as much as was waiting for it.
drained() {
    local svc all=yes
    for svc in $(listeners); do
        [ -z "${drained_in[$svc]:-}" ] || continue
        if [ $(($(metric "$svc" souk_events_handled_total) - handled_then[$svc])) -ge "${waiting[$svc]}" ]; then
            drained_in[$svc]=$(($(wall) - from))
        else
            all=''
        fi
    done
    [ -n "$all" ]
}
soon 500 "all of it is worked off" drained
to=$(wall)
# There shall be enough checkouts to tell.
sleep $((16 - (to - from) / 1000 > 0 ? 16 - (to - from) / 1000 : 0))
[ "$to" -gt $((from + 16000)) ] || to=$(wall)
load_end
read -r p50_then requests_then < <(load_percentile checkout "$from" "$to" 50)
read -r p99_then requests_then < <(load_percentile checkout "$from" "$to" 99)
for svc in $(listeners); do
    ok "$svc: ${waiting[$svc]} messages, $((waiting[$svc] * 1000 / drained_in[$svc])) a second"
done
is "nobody was refused" "$(load_refused)" ''
that "checkouts take $p50_then ms, p99 $p99_then ms in the $(((to - from) / 1000)) s from then on ($requests_then of them); without $p50 ms, p99 $p99 ms ($requests)" \
    awk -v then="$p99_then" -v before="$p99" 'BEGIN { exit !(then <= 2 * before + 250) }'
figures=$(for svc in $(listeners); do echo "$svc ${waiting[$svc]} ${drained_in[$svc]}"; done | jq -Rcs '
    [split("\n")[] | select(. != "") | split(" ") | {service: .[0], messages: (.[1] | tonumber), ms: (.[2] | tonumber)}]
    | {messages: (map(.messages) | add), drainSeconds: ((map(.ms) | max) / 1000),
       perSecond: (map({key: .service, value: (.messages * 1000 / .ms | floor)}) | from_entries)}')
report "$(jq -c --argjson rate $rate --argjson p50 "$p50" --argjson p99 "$p99" --argjson p50_then "$p50_then" --argjson p99_then "$p99_then" \
    '. + {checkoutsPerSecond: $rate, before: {p50Ms: $p50, p99Ms: $p99}, during: {p50Ms: $p50_then, p99Ms: $p99_then}}' <<<"$figures")"
gapless
# A mail takes the test's mail server a tenth of a second, so their queue is the longest.
soon $((60 + backlog / 20)) "everything has settled, to the last mail" quiet
audit
