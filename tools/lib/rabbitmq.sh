# shellcheck shell=bash
# A private RabbitMQ node with its own cookie, epmd, mnesia and plugins, so that the distribution's
# node is neither used nor disturbed. Its topology comes from rabbitmq/definitions.json, imported
# after the boot (an import at boot fails silently on 3.10) and then compared with what is live. The
# import is not soukctl topology apply, for it gives the users this installation's passwords, and is
# done before there is a soukctl.

RABBIT_BIN=${SOUK_RABBIT_BIN:-/usr/lib/rabbitmq/bin}
DEFINITIONS=$ROOT/rabbitmq/definitions.json

management_url() {
    local url
    url=$(external RABBITMQ_MANAGEMENT_URL)
    printf '%s' "${url:-http://127.0.0.1:${PORTS[ui]}}"
}

# The same with the operator's user and password in it; somebody else's url brings its own.
management_login_url() {
    local url
    url=$(external RABBITMQ_MANAGEMENT_URL)
    printf '%s' "${url:-http://ops:$(secret amqp-ops)@127.0.0.1:${PORTS[ui]}}"
}

# amqp_url USER
amqp_url() {
    local url
    url=$(external AMQP_URL)
    printf '%s' "${url:-amqp://$1:$(secret "amqp-$1")@127.0.0.1:${PORTS[amqp]}/%2f}"
}

# management METHOD PATH [CURL ARGS]: a call of the management API as ops. The password goes in
# on standard input, for arguments can be read by everyone on the machine.
management() {
    local method=$1 path=$2
    shift 2
    if [ -n "$(external RABBITMQ_MANAGEMENT_URL)" ]; then
        curl -sS --max-time 30 -X "$method" "$@" "$(management_url)$path"
    else
        curl -sS --max-time 30 -X "$method" -K - "$@" "$(management_url)$path" \
            <<<"user = \"ops:$(secret amqp-ops)\""
    fi
}

rabbitmq_configure() {
    local dir=$DATA/rabbitmq
    owned_folder "$dir" rabbitmq
    printf '[rabbitmq_management,rabbitmq_prometheus,rabbitmq_shovel,rabbitmq_shovel_management].\n' \
        >"$dir/enabled_plugins"
    (
        umask 077
        sed -e "s/@AMQP_PORT@/${PORTS[amqp]}/" -e "s/@UI_PORT@/${PORTS[ui]}/" \
            -e "s/@METRICS_PORT@/${PORTS[metrics]}/" -e "s/@OPS_PASSWORD@/$(secret amqp-ops)/" \
            "$ROOT/rabbitmq/rabbitmq.conf" >"$dir/rabbitmq.conf"
        [ -s "$dir/.erlang.cookie" ] || head -c 24 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' >"$dir/.erlang.cookie"
        chmod 400 "$dir/.erlang.cookie"
    )
    if is_root && id rabbitmq >/dev/null 2>&1; then
        chown rabbitmq "$dir/rabbitmq.conf" "$dir/enabled_plugins" "$dir/.erlang.cookie"
    fi
}

epmd_run() {
    as_account rabbitmq env -i PATH=/usr/bin:/bin epmd -port "${PORTS[epmd]}" -address 127.0.0.1
}

# RUNNING_UNDER_SYSTEMD makes the start script exec the Erlang VM, so that the pid is the VM's and
# SIGTERM its orderly stop; without busy-waiting schedulers an idle broker costs no CPU. It shares the
# machine with everything else: schedulers for half of the processors do the same work with a third
# less, for they hand less to each other (docs/MEASUREMENTS.md).
rabbitmq_run() {
    local dir=$DATA/rabbitmq schedulers
    schedulers=$((($(nproc) + 1) / 2))
    umask 077
    ! is_root || renice -n "$BROKER_NICE" -p "$BASHPID" >/dev/null 2>&1 || true
    as_account rabbitmq env -i PATH=/usr/bin:/bin:/usr/sbin HOME="$dir" LANG=C.UTF-8 \
        RUNNING_UNDER_SYSTEMD=1 RABBITMQ_CONF_ENV_FILE=/dev/null \
        ERL_EPMD_PORT="${PORTS[epmd]}" ERL_EPMD_ADDRESS=127.0.0.1 \
        RABBITMQ_NODENAME=souk@localhost RABBITMQ_DIST_PORT="${PORTS[dist]}" \
        RABBITMQ_MNESIA_BASE="$dir/mnesia" RABBITMQ_LOG_BASE="$dir/log" \
        RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$dir/enabled_plugins" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1} +S $schedulers:$schedulers +sbwt none +sbwtdcpu none +sbwtdio none" \
        "$RABBIT_BIN/rabbitmq-server"
}

# Every event of every service goes through the broker's one or two threads, and a full machine that treats all alike makes a
# confirm wait for a tenth of a second (docs/MEASUREMENTS.md). What works little and often has to go first. Where the
# kernel shares processors among sessions (autogroups, sched(7)) each of PostgreSQL's backends is a session, counts as much as
# the whole broker, and a nice value says nothing outside its own session: then it is the session's that counts. Only root may.
BROKER_NICE=-10
rabbitmq_first() {
    if ! is_root || ! running rabbitmq; then return 0; fi
    [ ! -e "/proc/$PID/autogroup" ] || { echo "$BROKER_NICE" >"/proc/$PID/autogroup"; } 2>/dev/null ||
        note "RabbitMQ does not go first: its scheduling group is not ours to change"
}

# The password hash RabbitMQ wants: base64(salt + SHA-256(salt + password)), salt of 4 bytes.
password_hash() {
    local salt
    salt=$(od -An -tx1 -N4 /dev/urandom | sed 's/ /\\x/g')
    {
        printf '%b' "$salt"
        { printf '%b' "$salt" && printf '%s' "$1"; } | openssl dgst -sha256 -binary
    } | base64 -w0
}

# The definitions with this installation's passwords in them; the file in the tree has none. A
# broker of somebody else's gets the topology and keeps its own users.
rabbitmq_definitions() {
    local user
    if [ -n "$(external RABBITMQ_MANAGEMENT_URL)" ]; then
        jq 'del(.users, .permissions, .topic_permissions)' "$DEFINITIONS"
        return
    fi
    for user in "${SERVICES[@]}" ops; do
        printf '%s %s\n' "$user" "$(password_hash "$(secret "amqp-$user")")"
    done | jq -R -n --slurpfile d "$DEFINITIONS" '
        ([inputs | split(" ") | {(.[0]): .[1]}] | add) as $hash
        | $d[0] | .users |= map(.password_hash = $hash[.name])'
}

rabbitmq_import() {
    local answer
    answer=$(rabbitmq_definitions | management POST /api/definitions -H 'content-type: application/json' \
        --data-binary @/dev/fd/9 -w '\n%{http_code}' 9<&0)
    case ${answer##*$'\n'} in
    2*) ;;
    *) die "RabbitMQ refused rabbitmq/definitions.json: ${answer%$'\n'*}" ;;
    esac
}

# An import only adds: what an older definitions.json bound to our queues, and this one does not, would go on filling them. Not
# soukctl topology apply --prune, for this may come before there is a soukctl, and leaves an operator's policies alone.
rabbitmq_unbind() {
    local binding
    management GET /api/exchanges/%2f/order-events/bindings/source | jq -r --slurpfile definitions "$DEFINITIONS" '
        ($definitions[0].queues | map(.name)) as $queues
        | ($definitions[0].bindings | map([.source, .destination, .routing_key])) as $wanted
        | .[] | select(.destination | IN($queues[]))
        | select([.source, .destination, .routing_key] | IN($wanted[]) | not)
        | "\(.source)/q/\(.destination)/\(.properties_key | @uri)"' |
        while read -r binding; do management DELETE "/api/bindings/%2f/e/$binding"; done
}

# An import may be partial without a word, so soukctl compares. The servers start while the tree is
# built: this comes after both.
rabbitmq_compare() {
    local -a option=()
    [ -z "$(external RABBITMQ_MANAGEMENT_URL)" ] || option=(--topology-only)
    RABBITMQ_MANAGEMENT_URL=$(management_login_url) SOUK_DEFINITIONS=$DEFINITIONS \
        "$BUILD/src/soukctl" topology check "${option[@]}" >"$LOG/topology.log" 2>&1 && return
    grep -v '^idle: ' "$LOG/topology.log" >&2
    die "the live topology is not what rabbitmq/definitions.json and the services want"
}

rabbitmq_up() {
    if ! running rabbitmq; then
        port_free amqp
        port_free ui
        rabbitmq_configure
        if ! running epmd; then
            port_free epmd
            spawn epmd epmd_run
        fi
        spawn rabbitmq rabbitmq_run
    fi
    await rabbitmq 120 port_open "${PORTS[amqp]}"
    rabbitmq_first
    await rabbitmq 60 http_answers "$(management_url)/api/overview"
    rabbitmq_import
    rabbitmq_unbind
}

# Any answer will do: without a password it is 401.
http_answers() { curl -sS --max-time 2 -o /dev/null "$1"; }

rabbitmq_down() {
    stop rabbitmq TERM 60
    stop epmd TERM 5
}

# Empties every queue; streams keep their past, which is their purpose.
rabbitmq_empty() {
    local queue
    for queue in $(jq -r '.queues[] | select(.arguments["x-queue-type"] == "quorum") | .name' "$DEFINITIONS"); do
        management DELETE "/api/queues/%2f/$queue/contents" -f
    done
}

# Makes the streams anew: they can't be emptied, and a replay of their past into emptied databases would bring back what has gone.
rabbitmq_streams_anew() {
    local stream
    for stream in $(jq -r '.queues[] | select(.arguments["x-queue-type"] == "stream") | .name' "$DEFINITIONS"); do
        management DELETE "/api/queues/%2f/$stream" -o /dev/null # not there: well, if an earlier try was cut short
    done
    rabbitmq_import >/dev/null
}
