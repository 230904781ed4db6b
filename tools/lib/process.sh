# shellcheck shell=bash
# A process of ours: started in its own session, recorded so that nobody else is ever taken for it,
# waited for, stopped.

# A pid alone proves nothing, for pids come round again: we keep it with the kernel's start time.
# start_time PID: sets STARTED; false, and nothing in it, when there is no such process.
start_time() {
    local stat
    STARTED=
    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086 # the words are wanted
    set -- $stat
    [ "$1" != Z ] && STARTED=${20}
}

# record NAME PID
record() {
    start_time "$2" || true
    printf '%s %s\n' "$2" "$STARTED" >"$RUN/$1.pid"
}

# running NAME: true, and PID set, when the process we recorded under that name still lives.
running() {
    local started
    PID=
    [ -s "$RUN/$1.pid" ] || return 1
    read -r PID started <"$RUN/$1.pid"
    start_time "$PID" && [ "$STARTED" = "$started" ]
}

# spawn NAME FUNCTION [ARGS]: runs it in its own session with its log, and records it. FUNCTION
# must end in exec (as_account does), so that the shell becomes the server.
spawn() {
    local name=$1
    shift
    (
        trap - EXIT INT TERM
        rotate "$LOG/$name.log"
        cd /
        exec 8>&- 9>&- </dev/null >>"$LOG/$name.log" 2>&1
        "$@"
    ) &
    record "$name" $!
}

# rotate FILE: keeps one older copy once a log has grown past 10 MiB.
rotate() {
    [ -s "$1" ] || return 0
    if [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt 10485760 ]; then mv "$1" "$1.1"; fi
}

# stop NAME SIGNAL SECONDS: asks, waits, insists. Quiet when it is not there.
stop() {
    local name=$1 tries=$(($3 * 20))
    if running "$name"; then
        kill "-$2" "$PID" 2>/dev/null || true
        while running "$name" && [ $tries -gt 0 ]; do
            sleep 0.05
            tries=$((tries - 1))
        done
        if running "$name"; then
            warn "$name did not end within $3 s: killed"
            kill -KILL "$PID" 2>/dev/null || true
        fi
    fi
    rm -f "$RUN/$name.pid"
}

# await NAME SECONDS COMMAND...: polls every 50 ms; fails at once when the process NAME has died.
await() {
    local name=$1 tries=$(($2 * 20))
    shift 2
    until "$@" >/dev/null 2>&1; do
        running "$name" || {
            tail -n 5 "$LOG/$name.log" >&2
            die "$name ended while starting; its log is $LOG/$name.log"
        }
        [ $((tries -= 1)) -gt 0 ] || die "$name is not ready in time; its log is $LOG/$name.log"
        sleep 0.05
    done
}
