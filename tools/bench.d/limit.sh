# shellcheck shell=bash
# shellcheck disable=SC2154 # what tools/bench sets
# The SQL limit: what PostgreSQL alone can do with exactly the suite's statements. They are not kept anywhere, where they
# would grow old: each run takes them down anew, from PostgreSQL's own log, while LIMIT_BATCHES times LIMIT_VISITS visits
# are made, and bench-replay plays them against copies of the databases. So that consumers and relays work in full
# batches, events are held back (by taking the relays' lock) until all visits of a batch are made, and consumers sleep
# until all of them have come.

RELAY_LOCK=20011 # of src/common/app/relay.c
LIMIT_SERVICES=(auth cart order payment seller notification aibuddy)
declare -A hold_fd

hold() {
    local fd
    exec {fd}> >(admin_psql -d "souk_$1" >/dev/null)
    hold_fd[$1]=$fd
    printf 'SELECT pg_advisory_lock(%d);\n' "$RELAY_LOCK" >&"$fd"
    until_true 10 held "$1" || die "the relay's lock of $1 can't be had"
}
held() {
    [ "$(admin_psql -At -d "souk_$1" -c "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE d.datname = 'souk_$1' AND locktype = 'advisory' AND objid = $RELAY_LOCK AND granted AND mode = 'ExclusiveLock'")" = 1 ]
}
# Twice a second a relay reads the outbox; when it finds the lock taken, it takes nothing from memory either.
noticed() { curl -sS --max-time 10 "$(service_url "$1")/metrics" | grep -qx 'souk_outbox_from_memory 0'; }
release() {
    local fd=${hold_fd[$1]}
    printf '\\q\n' >&"$fd" # closing it would not do: the others' processes have it, too
    exec {fd}>&-
}

signal_services() {
    local name=$1 svc
    shift
    for svc in "$@"; do if running "$svc"; then kill "-$name" "$PID"; fi; done
}
count_is() { [ "$(souk_sql "$1" "$2")" = "$3" ]; }
published() { count_is "$1" 'SELECT count(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL' 0; }
settled() {
    local svc
    for svc in auth order payment seller; do published "$svc" || return 1; done
    count_is order "SELECT count(*) FROM orders WHERE status = 'created'" 0 &&
        count_is notification "SELECT count(*) FROM deliveries WHERE status IN ('pending', 'sending')" 0 &&
        [ "$(souk_sql notification 'SELECT count(*) FROM inbox')" = "$(souk_sql notification 'SELECT count(DISTINCT event_id) FROM deliveries')" ]
}
heard_all() {
    count_is aibuddy "SELECT count(*) FROM inbox WHERE type = 'order.created'" "$1" &&
        count_is notification "SELECT count(*) FROM inbox WHERE type IN ('order.created', 'payment.completed')" $(($1 * 2))
}
rest() {
    until_true 60 souk_quiet || die "the suite does not come to rest"
    sleep 0.5
}
mark() { admin_psql -At -d postgres -c "SELECT 'bench mark $1'" >/dev/null; }

record_batch() {
    local first=$((($1 - 1) * LIMIT_VISITS + 1)) svc
    for svc in order payment seller; do hold $svc; done
    for svc in order payment seller; do until_true 10 noticed $svc || die "the relay of $svc does not notice that its lock is taken"; done
    mark "visits $1"
    shop_visit $first $((first + LIMIT_VISITS - 1))
    count_is order 'SELECT count(DISTINCT aggregate_id) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL' "$LIMIT_VISITS" ||
        die "the relay's lock does not hold events back any more: is its number in src/common/app/relay.c another one?"
    mark "events $1"
    signal_services STOP cart payment seller notification aibuddy
    release order
    until_true 30 published order || die "the order service's events stay where they are"
    signal_services CONT cart payment seller notification aibuddy
    until_true 30 count_is payment "SELECT count(*) FROM payments WHERE status <> 'captured'" 0 || die "payments stay uncaptured"
    until_true 30 count_is seller "SELECT count(*) FROM holds WHERE state = 'held'" 0 || die "stock stays held"
    signal_services STOP order notification
    for svc in payment seller; do release $svc; done
    for svc in payment seller; do until_true 30 published $svc || die "the events of $svc stay where they are"; done
    signal_services CONT order notification
    rest
    mark "end $1"
}

# limit_counts PREFIX FILE: rows of each table, by status where there is one: "service table[:status] rows"
limit_counts() {
    local svc
    for svc in "${LIMIT_SERVICES[@]}"; do
        admin_psql -At -F ' ' -d "$1_$svc" <<SQL | sed "s/^/$svc /"
SELECT CASE WHEN s.attname IS NULL THEN format('SELECT %L, count(*) FROM %I', t.tablename, t.tablename)
    ELSE format('SELECT %L || %I, count(*) FROM %I GROUP BY 1', t.tablename || ':', s.attname, t.tablename) END
FROM pg_tables t LEFT JOIN pg_attribute s ON s.attrelid = format('%I', t.tablename)::regclass AND s.attname IN ('status', 'state') AND NOT s.attisdropped
WHERE schemaname = 'public' AND t.tablename <> 'schema_migrations' \gexec
SELECT 'outbox, published', count(*) FROM outbox WHERE published_at IS NOT NULL;
SQL
    done | sed 's/ \([0-9]*\)$/\t\1/' >"$2"
}

# limit_versions FILE: "service id version" of every row that has both
limit_versions() {
    local svc
    for svc in "${LIMIT_SERVICES[@]}"; do
        souk_sql "$svc" "SELECT format('SELECT id, version FROM %I', i.attrelid::regclass) FROM pg_attribute i
            JOIN pg_attribute v ON v.attrelid = i.attrelid AND v.attname = 'version' JOIN pg_class c ON c.oid = i.attrelid
            WHERE i.attname = 'id' AND i.atttypid = 'uuid'::regtype AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace" |
            sed 's/$/;/' | admin_psql -At -F ' ' -d "souk_$svc" | sed "s/^/$svc /"
    done >"$1"
}

limit_record() {
    local n log=$LOG/postgres.log
    say "taking down the statements of $((LIMIT_BATCHES * LIMIT_VISITS)) visits"
    mkdir -p "$work/limit"
    admin_psql -d postgres -c "ALTER SYSTEM SET log_line_prefix = '@@ %p %u %v '" -c "ALTER SYSTEM SET log_statement = 'all'" -c 'SELECT pg_reload_conf()' >/dev/null
    until_true 10 grep -q '^@@ ' "$log"
    shop_make
    # Everybody has a cart from here on.
    shop_visit 1 $((LIMIT_BATCHES * LIMIT_VISITS))
    rest
    limit_counts souk "$work/limit/before"
    limit_versions "$work/limit/versions.before"
    for ((n = 1; n <= LIMIT_BATCHES; n++)); do record_batch $n; done
    limit_counts souk "$work/limit/after"
    limit_versions "$work/limit/versions.after"
    admin_psql -d postgres -c 'ALTER SYSTEM RESET log_statement' -c 'SELECT pg_reload_conf()' >/dev/null
    node "$ROOT/bench/limit/plans.mjs" "$log" "$LIMIT_BATCHES" "$LIMIT_VISITS" "$work/limit" "${LIMIT_SERVICES[@]}"
    : >"$log"
}

# Copies of the databases; nobody may be connected to them.
limit_copy() {
    local svc
    for svc in "${LIMIT_SERVICES[@]}"; do
        admin_psql -d postgres -c "CREATE DATABASE limit_$svc TEMPLATE souk_$svc OWNER souk_${svc}_owner" -c "GRANT CONNECT ON DATABASE limit_$svc TO souk_$svc"
    done
    limit_counts limit "$work/limit/copy"
}

# trial_limit: like trial, of the plans
trial_limit() {
    local svc n pid
    local -a clients=()
    rm -rf "$work/trial"
    mkdir "$work/trial"
    admin_psql -d postgres -c CHECKPOINT
    for svc in "${LIMIT_SERVICES[@]}"; do
        for ((n = 1; n <= LIMIT_BATCHES; n++)); do
            clients+=("$svc" "postgresql://souk_$svc:$(secret "pg-souk_$svc")@127.0.0.1:${PORTS[postgres]}/limit_$svc" "$work/limit/$svc.$n")
        done
    done
    "$BUILD/bench/bench-replay" "$warmup" "$seconds" "${clients[@]}" >"$work/trial/driver" 2>"$work/trial/driver.err" &
    driver_pid=$!
    running postgres
    "$BUILD/bench/bench-meter" 250 "postgres:$PID" "driver:$driver_pid" >"$work/trial/meter" &
    meter_pid=$!
    wait "$driver_pid" || die "the statements could not be played: $(tail -n 3 "$work/trial/driver.err")"
    driver_pid=''
    kill -TERM "$meter_pid"
    wait "$meter_pid" || true
    meter_pid=''
    jq -r '.all | to_entries[] | "\(.key) \(.value)"' "$work/trial/driver" >>"$work/limit/played"
    node "$here/trial.mjs" "$work/trial" limit batch "$round" "$warmup" "$(load_average)" | tee -a "$work/trials" |
        jq -r '"  SQL limit: \(.sustained) checkouts/s, PostgreSQL \(.cpuMs.postgres) ms" + (if .foreign > 8 then ", foreign CPU \(.foreign) %" else "" end)'
}

# Whether the plans did to their copies what the visits did to the suite; says so in $statements.
limit_check() {
    limit_counts limit "$work/limit/played-to"
    statements=$(node "$ROOT/bench/limit/check.mjs" "$work/limit" $((LIMIT_BATCHES * LIMIT_VISITS)))
    say "SQL limit: $statements"
}
