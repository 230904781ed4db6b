# shellcheck shell=bash
# The seven services: what each is told through its environment, and their life from migration to
# drain. Each runs under tools/watch, which brings a crashed one back.

service_binary() { printf '%s' "$BUILD/src/souk-$1"; }

service_url() {
    local url
    url=$(external "$(upper "$1")_SERVICE_URL")
    printf '%s' "${url:-http://127.0.0.1:${PORTS[$1]}}"
}

service_external() { [ -n "$(external "$(upper "$1")_SERVICE_URL")" ]; }

# The services of this installation that run here.
services_own() {
    local svc
    for svc in "${SERVICES[@]}"; do service_external "$svc" || printf '%s\n' "$svc"; done
}

# Of those, the ones that this tree has sources for. Each must have been built.
services_built() {
    local svc
    for svc in $(services_own); do
        [ -x "$(service_binary "$svc")" ] || die "$(service_binary "$svc") is missing; build the tree again"
        printf '%s\n' "$svc"
    done
}

# Each service has one secret of its own, which it shows auth to get service tokens. auth sees all.
# Auth and notification share one more, for the tokens of mailed links.
service_keys() {
    local svc
    mkdir -p "$STATE/service-keys" "$STATE/keys"
    chmod 700 "$STATE/service-keys" "$STATE/keys"
    for svc in "${SERVICES[@]}"; do
        [ -s "$STATE/service-keys/$svc.key" ] || install -m 400 <(secret "api-$svc") "$STATE/service-keys/$svc.key"
    done
    [ -s "$STATE/mail-token.key" ] || install -m 400 <(secret mail-token) "$STATE/mail-token.key"
}

# With several processes a service has ports of its processes' own, ten for each service.
PROCESS_PORT_BASE=${SOUK_PROCESS_PORT_BASE:-$((PORT_BASE + 100))}
process_port() {
    local svc port=$PROCESS_PORT_BASE
    for svc in "${SERVICES[@]}"; do
        [ "$svc" != "$1" ] || break
        port=$((port + 10))
    done
    printf '%s' "$port"
}

# How many processes each service has: as `up` was told, unless the environment says otherwise.
service_processes() {
    local count=${SOUK_PROCESSES:-$(cat "$STATE/processes" 2>/dev/null || echo 1)}
    case $count in [1-9]) printf '%s' "$count" ;; *) die "SOUK_PROCESSES: from 1 to 9, not $count" ;; esac
}

# service_environment SVC: exports the whole contract between launcher and service.
service_environment() {
    local svc=$1 peer
    # One service is not told the others' passwords.
    unset "${EXTERNAL_NAMES[@]}"
    for peer in "${SERVICES[@]}"; do
        export "$(upper "$peer")_SERVICE_URL=$(service_url "$peer")"
    done
    export PORT=${PORTS[$svc]} LISTEN_ADDRESS=127.0.0.1
    PROCESS_PORT=$(process_port "$svc")
    export PROCESS_PORT
    DATABASE_URL=$(database_url "$svc")
    MIGRATE_DATABASE_URL=$(database_url "$svc" owner)
    REDIS_URL=$(redis_url)
    AMQP_URL=$(amqp_url "$svc")
    PUBLIC_URL=$(public_url)
    export DATABASE_URL MIGRATE_DATABASE_URL REDIS_URL AMQP_URL PUBLIC_URL
    export AUTH_SERVICE_API_KEY_FILE=$STATE/service-keys/$svc.key
    export SOUK_ENV=${SOUK_ENV:-development} LOG_LEVEL=${LOG_LEVEL:-info}
    case $svc in
    auth)
        export SERVICE_KEYS_DIR=$STATE/service-keys SIGNING_KEY_DIR=$STATE/keys
        export MAIL_TOKEN_KEY_FILE=$STATE/mail-token.key
        # The list of the package cracklib-runtime, unless there is a better one.
        : "${PASSWORD_LIST_FILE=$(find /usr/share/dict/cracklib-small 2>/dev/null)}"
        export PASSWORD_LIST_FILE
        ;;
    payment) export PROVIDER=${PROVIDER:-sandbox} ;;
    notification)
        SMTP_URL=$(smtp_url)
        export MAIL_TOKEN_KEY_FILE=$STATE/mail-token.key SMTP_URL MAIL_FROM=${MAIL_FROM:-shop@souk.example}
        ;;
    esac
}

# Becomes the service (or `souk-<svc> --migrate` and its like).
service_run() {
    local svc=$1
    shift
    service_environment "$svc"
    exec "$(service_binary "$svc")" "$@"
}

# services_migrate SVC...: runs their migrations at once; a failure shows the end of its log.
services_migrate() {
    local svc failed=0
    local -A job
    for svc in "$@"; do
        (service_run "$svc" --migrate) >"$LOG/$svc-migrate.log" 2>&1 </dev/null &
        job[$svc]=$!
    done
    for svc in "${!job[@]}"; do
        wait "${job[$svc]}" && continue
        failed=1
        tail -n 5 "$LOG/$svc-migrate.log" >&2
        warn "the migrations of $svc failed; their log is $LOG/$svc-migrate.log"
    done
    return $failed
}

service_up() {
    running "watch-$1" && return
    # A service whose watcher was killed has lost its keeper: start afresh.
    stop "$1" TERM 15
    port_free "$1"
    rm -f "$RUN/$1.crashes"
    spawn "watch-$1" exec setsid "$ROOT/tools/watch" "$1"
}

service_ready() { http_ok "$(service_url "$1")/readyz"; }

# Waits for all the named services together, naming those still missing once a second.
services_await() {
    local -a waiting=("$@") still
    local svc tick=0
    while :; do
        still=()
        for svc in "${waiting[@]}"; do
            service_ready "$svc" 2>/dev/null && continue
            still+=("$svc")
            if [ "$(cat "$RUN/$svc.crashes" 2>/dev/null || echo 0)" -ge 3 ]; then
                tail -n 5 "$LOG/$svc.log" >&2
                die "$svc ends again and again; its log is $LOG/$svc.log"
            fi
        done
        waiting=("${still[@]}")
        [ ${#waiting[@]} -gt 0 ] || return 0
        tick=$((tick + 1))
        [ $((tick % 20)) -ne 0 ] || say "  waiting for ${waiting[*]}"
        if [ $tick -gt 600 ]; then
            curl -sS --max-time 2 "$(service_url "${waiting[0]}")/readyz?verbose" >&2 || true
            die "${waiting[0]} is not ready in time; its log is $LOG/${waiting[0]}.log"
        fi
        sleep 0.05
    done
}

# service_down SVC...: all are asked first, then waited for; the watcher passes the wish on.
service_down() {
    local svc
    for svc in "$@"; do
        if running "watch-$svc"; then kill -TERM "$PID" 2>/dev/null || true; fi
    done
    for svc in "$@"; do
        stop "watch-$svc" TERM 30
        stop "$svc" TERM 15
    done
}

# Demo data: one SQL file per service, loaded as the owner of its database.
demo_data_load() {
    local svc file
    for svc in $(services_own); do
        file=$ROOT/tools/demo-data/$svc.sql
        [ -e "$file" ] || continue
        psql -X -q -v ON_ERROR_STOP=1 --single-transaction -d "$(database_url "$svc" owner)" -f "$file" \
            >"$LOG/$svc-demo.log" 2>&1 || {
            tail -n 5 "$LOG/$svc-demo.log" >&2
            die "the demo data of $svc could not be loaded"
        }
    done
    : >"$STATE/demo-loaded"
}
