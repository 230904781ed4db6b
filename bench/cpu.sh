# shellcheck shell=bash
# CPU of a suite's processes, in microseconds, and when it has come to rest: for the measurements beside it, after tests/env.sh.

# backends_us SVC: of PostgreSQL's processes that serve it; what goes on beside them (vacuum, the other databases) is not in it.
backends_us() {
    running postgres
    pgrep -P "$PID" -f "^postgres: souk_$1 souk_$1 " | sed 's|.*|/proc/&/schedstat|' | xargs cat | awk '{ sum += $1 } END { printf "%d", sum / 1000 }'
}
# cpu_us PART: of a service's threads, or of the broker's; of PostgreSQL's processes by the tick, those that have ended included.
cpu_us() {
    running "$1"
    case $1 in
    postgres) { cat /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v root="$PID" '
        { p = $1; sub(/.*\) /, ""); if (p == root) sum += $12 + $13 + $14 + $15; else if ($2 == root) sum += $12 + $13 }
        END { printf "%d", sum * 10000 }' ;;
    *) cat "/proc/$PID"/task/*/schedstat | awk '{ sum += $1 } END { printf "%d", sum / 1000 }' ;;
    esac
}
cpu_of() {
    local part sum=0
    for part in "$@"; do sum=$((sum + $(cpu_us "$part"))); done
    echo $sum
}

# heard: the events of all checkouts have gone their ways
heard() { [ "$(for svc in order payment seller; do admin_psql -At -d "souk_$svc" -c 'SELECT EXISTS (SELECT FROM outbox WHERE published_at IS NULL AND parked_at IS NULL)'; done | sort -u)" = f ] &&
    [ "$(management GET '/api/queues/%2f?columns=name,messages' | jq '[.[] | select(.name | endswith("-queue")) | .messages] | add')" = 0 ]; }
# all_heard: waits for that
all_heard() {
    local looks=600
    until heard; do
        [ $((looks -= 1)) -gt 0 ] || die "events are still on their way after minutes"
        sleep 0.1
    done
}
