# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # what tools/bench sets, and uses
# The Node suite beside ours: $PEERS_DIR has it with its own servers and the load driver (shopload) that drives both then.
# It works on a copy, so nothing is written there. Suites are called node and node-grouped; only one of the two, or ours,
# runs at a time, but for the servers.

PEERS_DIR=$(realpath -m "${PEERS_DIR:-$ROOT/../shared/peers}")
declare -A NODE_SETTINGS=([node]='AMQP_NODELAY=0 GROUP=0' [node-grouped]='AMQP_NODELAY=1 GROUP=50')
SHOPLOAD=''

# False, with a word about it, when there is no peer.
peer_there() {
    [ -x "$PEERS_DIR/node-suite/run.sh" ] && [ -e "$PEERS_DIR/load/shopload.c" ] && return
    warn "no peer is measured: there is no Node suite in $PEERS_DIR (PEERS_DIR)"
    return 1
}

peer_up() {
    local port
    for port in 58001 58002 58003 58004 58005 58006 58007; do
        if port_open $port; then die "port $port, of the Node suite, is taken"; fi
    done
    say "starting the Node suite's servers, installing it"
    PEERS=$DATA/peers
    cp -r "$PEERS_DIR" "$PEERS"
    chmod -R u+w,a+rX "$PEERS"
    export PEERS_RUN=$DATA/peers-run PG_PORT=$((PORT_BASE + 20)) REDIS_PORT=$((PORT_BASE + 21)) AMQP_PORT=$((PORT_BASE + 22))
    export RABBIT_DIST_PORT=$((PORT_BASE + 23)) RABBIT_EPMD_PORT=$((PORT_BASE + 24)) PGBIN=$PG_BIN
    "$PEERS/infra/infra.sh" up >"$LOG/peers.log" 2>&1 || die "the Node suite's servers don't start; see $LOG/peers.log"
    # As ours: the time of the commit is when a row is there.
    node_sql postgres 'ALTER SYSTEM SET track_commit_timestamp = on'
    kill -INT "$(cat "$PEERS_RUN/infra/pg.pid")"
    until_true 60 peer_postgres_gone || die "the Node suite's PostgreSQL does not end"
    "$PEERS/infra/infra.sh" up >>"$LOG/peers.log" 2>&1 || die "the Node suite's servers don't start; see $LOG/peers.log"
    make -s -C "$PEERS/load" >>"$LOG/peers.log" 2>&1 || die "shopload does not compile; see $LOG/peers.log"
    SHOPLOAD=$PEERS/load/shopload
    { "$PEERS/node-suite/run.sh" install && "$PEERS/node-suite/run.sh" seed; } >>"$LOG/peers.log" 2>&1 ||
        die "the Node suite can't be installed; see $LOG/peers.log"
}
peer_postgres_gone() { [ ! -e "$PEERS_RUN/infra/pg/postmaster.pid" ]; }

peer_down() {
    [ -n "${PEERS:-}" ] || return 0
    "$PEERS/node-suite/run.sh" down >>"$LOG/peers.log" 2>&1 || true
}

# peer_begin SUITE: starts it and notes how long that took.
peer_begin() {
    local -a settings
    local since=${EPOCHREALTIME/[.,]/}
    read -r -a settings <<<"${NODE_SETTINGS[$1]}"
    env "${settings[@]}" "$SHOPLOAD" -f "$PEERS/load/node-suite.conf" -R "$PEERS/node-suite/run.sh" start |
        jq -r --arg suite "$1" '"\($suite) \(.ready_ms)"' >>"$work/starts"
    warm "$1"
}
peer_end() { "$PEERS/node-suite/run.sh" stop; }

# ---- what a measurement asks of it (trial.sh) ----

node_sql() { psql -X -q -At -F ' ' -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PG_PORT" -U peers -d "$1" -c "$2"; }
node_before() { node_sql postgres CHECKPOINT; }
node_drive() { exec "$SHOPLOAD" -f "$PEERS/load/node-suite.conf" -w "$warmup" -d "$seconds" -o "$work/trial/log" -c "$1" ${2:+-r "$2"}; }
node_groups() {
    printf 'services:%s\n' "$(paste -sd, "$PEERS_RUN/node-suite.pids")"
    printf 'postgres:%s\nrabbitmq:%s\nredis:%s\n' "$(cat "$PEERS_RUN/infra/pg.pid")" "$(cat "$PEERS_RUN/infra/rabbit.pid")" "$(cat "$PEERS_RUN/infra/redis.pid")"
}
node_orders() { cat "$work/trial/log"; }
node_quiet() {
    [ "$(node_sql orders "SELECT (SELECT count(*) FROM orders WHERE status = 'created') + (SELECT count(*) FROM outbox)")" = 0 ] &&
        [ "$(node_sql payment 'SELECT count(*) FROM outbox')" = 0 ] &&
        [ "$(node_sql aibuddy 'SELECT count(*) FROM inbox')" = "$(node_sql notification 'SELECT count(*) FROM inbox')" ]
}
node_drained() {
    [ "$(node_sql notification "SELECT count(*) FROM notifications WHERE created_at > to_timestamp($1 / 1e6)")" -ge $(($2 * 2)) ] && node_quiet
}
node_rows() {
    node_sql notification "SELECT order_id, CASE kind WHEN 'order.created' THEN 'created' ELSE 'paid' END,
        (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1e6)::bigint FROM notifications WHERE created_at > to_timestamp($1 / 1e6)"
}
node_rss() {
    local -a pids
    mapfile -t pids <"$PEERS_RUN/node-suite.pids"
    rss_of "${pids[@]}"
}
