#!/usr/bin/env bash
# The broker is frozen for a minute: connections stand, nobody answers. The shop does not become slower by it, every
# service finds out in time, and afterwards everything that was to be told is told.
. tests/lib.sh

HEARTBEAT=$(sed -n 's/^heartbeat = //p' rabbitmq/rabbitmq.conf)
DETECT=$((2 * HEARTBEAT + 2)) # two heartbeats missed, seen by a tick of one second, and our own look

# Connections to the broker that services believe in.
connected() {
    local svc sum=0
    for svc in $(listeners); do sum=$((sum + $(metric "$svc" souk_broker_connected))); done
    echo "$sum"
}
gone() { [ "$(connected)" = 0 ]; }

soon 60 "the suite is at rest" quiet
began=$EPOCHSECONDS
load_begin mixed --mix buy=2,browse=5 --rate 35 --shoppers 32 --duration 150s
first=$(wall)
sleep 50
frozen=$(wall)
freeze rabbitmq
soon "$DETECT" "every service learns that the broker is gone" gone
known=$(wall)
that "within 2 x $HEARTBEAT s, and a little for this look at it" test $((known - frozen)) -le $(((DETECT + 3) * 1000))
that "order says so" grep -q '^\[!\] broker' <(curl -sS "$(service_url order)/readyz?verbose")
that "and goes on" service_ready order
sleep $((60 - ($(wall) - frozen) / 1000))
waiting=$(sql order "SELECT count(*) FROM outbox WHERE published_at IS NULL")
thawed=$(wall)
thaw rabbitmq
load_end

# slices WHAT FROM TO: the p99 of each ten seconds, in order of their size. One that a busy machine made slow is one of
# several; what a frozen broker makes slow is slow in most of them.
slices() {
    local from p99 count
    for ((from = $2; from + 10000 <= $3; from += 10000)); do
        read -r p99 count < <(load_percentile "$1" "$from" $((from + 10000)) 99)
        [ "$count" = 0 ] || echo "$p99"
    done | sort -n
}

figures=("\"detectedAfterMs\":$((known - frozen))")
for what in checkout browse; do
    read -r p50 requests < <(load_percentile $what "$first" "$frozen" 50)
    read -r p99 requests < <(load_percentile $what "$first" "$frozen" 99)
    read -r p50_frozen requests_frozen < <(load_percentile $what "$frozen" "$thawed" 50)
    read -r p99_frozen requests_frozen < <(load_percentile $what "$frozen" "$thawed" 99)
    worst=$(slices $what "$first" "$frozen" | tail -n 1)
    ok "$what: p99 $p99_frozen ms while it is frozen ($requests_frozen requests, p50 $p50_frozen ms), $p99 ms before ($requests requests, p50 $p50 ms)"
    mapfile -t parts < <(slices $what "$frozen" "$thawed")
    that "most of its ten seconds are as fast as those before (p99 ${parts[*]} ms; before $worst ms at most)" \
        awk -v frozen="${parts[$((${#parts[@]} / 2))]}" -v before="$worst" 'BEGIN { exit !(frozen <= 1.5 * before + 10) }'
    that "and none is out of all proportion" awk -v frozen="${parts[-1]}" -v before="$worst" 'BEGIN { exit !(frozen <= 5 * before + 500) }'
    figures+=("\"$what\":{\"before\":{\"p50Ms\":$p50,\"p99Ms\":$p99},\"frozen\":{\"p50Ms\":$p50_frozen,\"p99Ms\":$p99_frozen}}")
    that "with enough of both to tell" test "$requests" -ge 500 -a "$requests_frozen" -ge 500
done
report "{$(IFS=, && echo "${figures[*]}")}"
is "nobody was refused" "$(load_refused)" ''
that "events waited meanwhile ($waiting in order's outbox)" test "$waiting" -ge 100

soon 60 "everything is told when it thaws" quiet
proof $began
audit
