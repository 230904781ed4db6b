# shellcheck shell=bash
# The whole suite: up, down, status, reset. Whatever can go on side by side does.

PARTS=(postgres redis rabbitmq mail)

prepare() {
    state_ours
    prepare_state
    # One `up`, `down` or `reset` at a time; servers do not inherit descriptor 8.
    exec 8>"$STATE/lock"
    flock -n 8 || { say "waiting for another souk command" && flock 8; }
}

# part_wanted PART: no, when its place is taken by somebody else's server.
part_wanted() {
    case $1 in
    postgres) ! postgres_external ;;
    redis) [ -z "$(external REDIS_URL)" ] ;;
    rabbitmq) [ -z "$(external AMQP_URL)" ] ;;
    mail) [ -z "$(external SMTP_URL)" ] ;;
    esac
}

anything_running() {
    local file
    for file in "$RUN"/*.pid; do
        file=${file##*/}
        if running "${file%.pid}"; then return 0; fi
    done
    return 1
}

build_tree() {
    if [ ! -e "$BUILD/build.ninja" ]; then
        say "  configuring $BUILD"
        meson setup "$BUILD" "$ROOT" --buildtype=release -Dtests=false >"$LOG/build.log" 2>&1 || {
            tail -n 20 "$LOG/build.log" >&2
            die "meson could not configure the tree; its log is $LOG/build.log"
        }
    fi
    if [ -t 1 ]; then ninja -C "$BUILD"; else say "  building" && ninja -C "$BUILD" >"$LOG/build.log" 2>&1; fi || {
        [ -t 1 ] || grep -A 20 -m 1 '^FAILED' "$LOG/build.log" >&2
        die "the tree does not build"
    }
}

# part_up PART: with a line that says how long it took, if it took any time.
part_up() {
    local began=${EPOCHREALTIME/[.,]/} took
    running "$1" && began=
    "$1_up"
    [ -z "$began" ] && return
    took=$(((${EPOCHREALTIME/[.,]/} - began) / 100000))
    say "  $1 is ready ($((took / 10)).$((took % 10)) s)"
}

servers_up() {
    local part failed=0
    local -A job
    for part in "${PARTS[@]}"; do
        part_wanted "$part" || continue
        (part_up "$part") &
        job[$part]=$!
    done
    # What takes the servers a while to do is time enough to build.
    (build_tree) || failed=1
    for part in "${!job[@]}"; do wait "${job[$part]}" || failed=1; done
    [ $failed = 0 ] || exit 1
    if ! part_wanted rabbitmq && [ -n "$(external RABBITMQ_MANAGEMENT_URL)" ]; then rabbitmq_import; fi
    topology_compare
}

# So that a service that is restarted later has as many.
processes_keep() {
    local count
    count=$(SOUK_PROCESSES=${SOUK_PROCESSES:-1} service_processes) || exit 1
    printf '%s\n' "$count" >"$STATE/processes"
}

# Not where nobody told us where the management API of somebody else's broker is.
topology_compare() {
    if part_wanted rabbitmq || [ -n "$(external RABBITMQ_MANAGEMENT_URL)" ]; then rabbitmq_compare; fi
}

suite_services_up() {
    local svc names
    local -a own
    names=$(services_built) || exit 1
    mapfile -t own <<<"$names"
    service_keys
    services_migrate "${own[@]}" || exit 1
    [ -e "$STATE/demo-loaded" ] || [ "${SOUK_DEMO_DATA:-1}" = 0 ] || demo_data_load
    for svc in "${own[@]}"; do service_up "$svc"; done
    gateway_up
    services_await "${own[@]}"
}

suite_up() {
    local began=$EPOCHREALTIME
    mkdir -p "$STATE"
    state_ours
    disk_room "$STATE"
    packages_up
    prepare
    anything_running || { external_keep && processes_keep; }
    external_load
    gateway_orphans_end
    ports_check
    note "up"
    trap suite_interrupted INT
    say "starting the servers in $STATE"
    servers_up
    say "starting the services"
    suite_services_up
    say "ready in $(awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }') s"
    trap - INT
    suite_greeting
}

# What runs already goes on running: each part of `up` can be taken up again where it was left.
suite_interrupted() {
    warn "interrupted; ./souk up goes on from here, ./souk down ends what runs already"
    trap - INT
    kill -INT $$
}

suite_greeting() {
    cat <<TEXT

  shop API        $(public_url)/api/v1
  RabbitMQ page   $(management_url | sed 's|//.*@|//|')   user ops, password in ${SECRETS#"$PWD"/}/amqp-ops
  mail inbox      http://127.0.0.1:${PORTS[mail]}
  logs            ${LOG#"$PWD"/}   (./souk logs [service])

TEXT
    [ ! -e "$ROOT/tools/demo-data/logins.txt" ] || sed 's/^/  /' "$ROOT/tools/demo-data/logins.txt"
    say "  try:  curl -s '$(public_url)/api/v1/products?limit=3'"
}

suite_down() {
    prepare
    external_load
    local part
    gateway_down
    service_down "${SERVICES[@]}"
    local -a jobs=()
    for part in "${PARTS[@]}"; do
        ("${part}_down") &
        jobs+=($!)
    done
    wait "${jobs[@]}" || true
    note "down"
}

suite_status() {
    local name state pid failed=0
    printf '%-14s %-6s %-9s %s\n' part port state pid
    for name in "${PARTS[@]}" gateway "${SERVICES[@]}"; do
        state=down pid=-
        if running "$name"; then
            state=up pid=$PID
        fi
        case $name in
        postgres | redis | rabbitmq | mail) part_wanted "$name" || state=external ;;
        gateway) ;;
        *)
            if service_external "$name"; then state=external; fi
            if [ $state = up ] && ! service_ready "$name" 2>/dev/null; then state=unready; fi
            ;;
        esac
        case $state in down | unready) failed=1 ;; esac
        case $name in rabbitmq) port=${PORTS[amqp]} ;; *) port=${PORTS[$name]} ;; esac
        printf '%-14s %-6s %-9s %s\n' "$name" "$port" "$state" "$pid"
    done
    return $failed
}

# Services off; databases, caches, queues and the mail inbox emptied.
suite_empty() {
    local svc
    local -a jobs=()
    service_down "${SERVICES[@]}"
    for svc in $(services_own); do
        postgres_empty "$svc" &
        jobs+=($!)
    done
    (redis_empty) & jobs+=($!)
    (rabbitmq_empty && rabbitmq_streams_anew) & jobs+=($!)
    (mail_empty) & jobs+=($!)
    for svc in "${jobs[@]}"; do wait "$svc" || die "the servers could not be emptied"; done
    rm -f "$STATE/demo-loaded"
}

# The same demo data again.
suite_reset() {
    prepare
    external_load
    { part_wanted postgres && running postgres; } || die "reset works on the private servers; start them with ./souk up"
    suite_empty
    suite_services_up
    say "reset: the demo data is as new"
}

# suite_part start|stop|restart PART...: for tests and for those who like to pull plugs.
suite_part() {
    local action=$1 part
    shift
    prepare
    external_load
    for part in "$@"; do
        case " ${SERVICES[*]} " in
        *" $part "*)
            [ "$action" = start ] || service_down "$part"
            [ "$action" = stop ] || { service_up "$part" && services_await "$part"; }
            continue
            ;;
        esac
        case " ${PARTS[*]} gateway " in *" $part "*) ;; *) die "there is no part called $part" ;; esac
        [ "$action" = start ] || "${part}_down"
        [ "$action" = stop ] || "${part}_up"
        case $action:$part in start:rabbitmq | restart:rabbitmq) topology_compare ;; esac
    done
}
