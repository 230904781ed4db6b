# shellcheck shell=bash
# shellcheck disable=SC2154 # what tools/bench sets
# The suite that is measured: private servers, and the seven services started without anybody who would start them again.

# Stored mails are marked as sent by the notification service's log, which says nothing at this level: the same rows and
# commits as with a mail server, but no SMTP.
if [ -z "$mail" ]; then
    PARTS=(postgres redis rabbitmq)
    smtp_url() { :; }
fi

# Nobody shall be refused for coming often, or for logging in 64 shoppers, from one address.
export CLIENT_PER_MINUTE=0 PASSWORD_QUEUE=1000 PASSWORD_THREADS=4 LOGIN_ADDRESS_BURST=1000000 LOGIN_ADDRESS_PER_MINUTE=1000000 REFRESH_ADDRESS_BURST=1000000 REFRESH_ADDRESS_PER_MINUTE=1000000

# The time of a commit, not of a statement before it, is when a row is there for everybody.
eval "$(declare -f postgres_init | sed '1s/postgres_init/postgres_init_plain/')"
postgres_init() {
    postgres_init_plain
    echo 'track_commit_timestamp = on' >>"$DATA/postgres/cluster/postgresql.conf"
}

bench_up() {
    mkdir -p "$STATE"
    packages_up
    state_ours
    if [ -d "$RUN" ]; then bench_down; fi
    data_folder
    rm -rf "$STATE" "${DATA:?}"
    mkdir -p "$STATE"
    prepare
    disk_room "$STATE"
    ports_check
    say "building and starting servers (ports from $PORT_BASE)"
    servers_up
    exec 8>&-
    service_keys
    services_migrate "${SERVICES[@]}" || die "the migrations failed"
    services_prepare
}

bench_down() {
    local part
    services_stop
    local -a jobs=()
    for part in postgres redis rabbitmq mail; do
        ("${part}_down") &
        jobs+=($!)
    done
    wait "${jobs[@]}" || true
}

# The logs of a few minutes, at this level, don't grow that far; looking costs as much as half a service's start.
rotate() { :; }

# The environment of each service, made beforehand: its making is not a part of the service's start.
services_prepare() {
    local svc
    (umask 077 && for svc in "${SERVICES[@]}"; do
        (
            service_environment "$svc"
            # Who logs in before a measurement may wait for it on a busy machine.
            [ "$svc" != auth ] || export REQUEST_TIMEOUT_MS=30000
            export -p
        ) >"$work/$svc.env"
    done)
}

service_begin() {
    # shellcheck source=/dev/null
    . "$work/$1.env"
    exec setsid "$(service_binary "$1")"
}

services_stop() {
    local svc
    for svc in "${SERVICES[@]}"; do
        if running "$svc"; then kill -TERM "$PID" 2>/dev/null || true; fi
    done
    for svc in "${SERVICES[@]}"; do stop "$svc" TERM 15; done
}

# A request without a process of its own, which would take longer than the service.
ready_now() {
    local line=''
    { exec 7<>"/dev/tcp/127.0.0.1/${PORTS[$1]}"; } 2>/dev/null || return 1
    printf 'GET /readyz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n' >&7
    read -r -t 2 line <&7 || true
    exec 7>&-
    case $line in *' 200 '*) ;; *) return 1 ;; esac
}

# Sets took_us: from the first exec to the last answer 200 of /readyz.
services_start() {
    local svc began=${EPOCHREALTIME/[.,]/} pause
    exec {pause}<> <(:)
    for svc in "${SERVICES[@]}"; do spawn "$svc" service_begin "$svc"; done
    for svc in "${SERVICES[@]}"; do
        until ready_now "$svc"; do
            running "$svc" || {
                tail -n 5 "$LOG/$svc.log" >&2
                die "$svc ended while starting; its log is $LOG/$svc.log"
            }
            [ $((${EPOCHREALTIME/[.,]/} - began)) -lt 30000000 ] || die "$svc is not ready in time; its log is $LOG/$svc.log"
            read -r -t 0.001 -u "$pause" || true
        done
    done
    exec {pause}>&-
    took_us=$((${EPOCHREALTIME/[.,]/} - began))
}

services_start_measured() {
    local n times=5
    [ -z "$quick" ] || times=1
    : >"$work/starts"
    for ((n = 1; n <= times; n++)); do
        services_stop
        services_start
        awk -v us=$took_us 'BEGIN { printf "souk %.1f\n", us / 1000 }' >>"$work/starts"
    done
}
