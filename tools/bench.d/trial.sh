# shellcheck shell=bash
# shellcheck disable=SC2154 # what tools/bench sets
# One measurement: a load, until the last of its events has had its effect. What it leaves is a line of JSON in
# $work/trials (trial.mjs), from files in $work/trial:
#   orders   "id us": orders and when their answer came
#   rows     "id created|paid us": when the notification service had committed its row about that event
#   meter    bench-meter's lines
#   driver   its JSON
#   rss      MiB of the services

driver_pid='' meter_pid=''
driver_end() {
    local pid
    for pid in $driver_pid $meter_pid; do kill -TERM "$pid" 2>/dev/null || true; done
    driver_pid='' meter_pid=''
}

# until_true SECONDS COMMAND...: tries again every 100 ms.
until_true() {
    local tries=$(($1 * 10))
    shift
    until "$@"; do
        [ $((tries -= 1)) -gt 0 ] || return 1
        sleep 0.1
    done
}

# trial SUITE NAME USERS [RATE]: a closed loop of so many users, or an open one with so many visits a second
trial() {
    local suite=$1 name=$2 does=${1%%-*} since=${EPOCHREALTIME/[.,]/} status=0
    local -a groups
    shift 2
    rm -rf "$work/trial"
    mkdir "$work/trial"
    "${does}_before"
    "${does}_drive" "$@" >"$work/trial/driver" 2>"$work/trial/driver.err" &
    driver_pid=$!
    mapfile -t groups < <("${does}_groups")
    "$BUILD/bench/bench-meter" 250 "${groups[@]}" "driver:$driver_pid" >"$work/trial/meter" &
    meter_pid=$!
    wait "$driver_pid" || status=$?
    driver_pid=''
    [ -s "$work/trial/driver" ] || die "the driver failed ($status): $(tail -n 5 "$work/trial/driver.err")"
    "${does}_orders" >"$work/trial/orders"
    until_true 120 "${does}_drained" "$since" "$(wc -l <"$work/trial/orders")" ||
        die "not all events of $suite $name came to their end"
    # The meter's next line has all of it.
    sleep 0.3
    kill -TERM "$meter_pid"
    wait "$meter_pid" || true
    meter_pid=''
    "${does}_rows" "$since" >"$work/trial/rows"
    "${does}_rss" >"$work/trial/rss"
    node "$here/trial.mjs" "$work/trial" "$suite" "$name" "$round" "$warmup" "$(load_average)" | tee -a "$work/trials" |
        jq -r '"  \(.suite) \(.name): \(.sustained) checkouts/s, p50 \(.checkout.p50) p99 \(.checkout.p99) ms, services \(.cpuMs.services) ms"
            + (if .failed > 0 then ", \(.failed) FAILED" else "" end) + (if .foreign > 8 then ", foreign CPU \(.foreign) %" else "" end)'
}

# warm SUITE: 10 s of load after its start that nobody measures. Plans, connections and a JIT compiler's code are there when
# a shop has been open for a while, and all suites shall have theirs.
warm() {
    local does=${1%%-*} warmup=1 seconds=10
    [ -z "$quick" ] || return 0
    rm -rf "$work/trial"
    mkdir "$work/trial"
    ("${does}_drive" "$shoppers") >/dev/null 2>"$work/trial/driver.err" || die "the driver failed: $(tail -n 5 "$work/trial/driver.err")"
    until_true 60 "${does}_quiet" || die "the events of $1 don't come to their end"
}

# rss PID...: of these processes, in MiB
rss_of() {
    local pid
    for pid in "$@"; do cat "/proc/$pid/smaps_rollup"; done | awk '/^Rss:/ { sum += $2 } END { printf "%.1f\n", sum / 1024 }'
}

# ---- ours ----

souk_before() { admin_psql -d postgres -c CHECKPOINT; }

souk_drive() {
    local -a how
    if [ -n "$SHOPLOAD" ]; then
        export AUTH_ADDRESS=127.0.0.1:${PORTS[auth]} PAYMENT_ADDRESS=127.0.0.1:${PORTS[payment]} CART_ADDRESS=127.0.0.1:${PORTS[cart]}
        export SHOP_PASSWORD SHOP_ITEMS
        exec "$SHOPLOAD" -f "$ROOT/bench/souk.conf" -w "$warmup" -d "$seconds" -o "$work/trial/log" -c "$1" ${2:+-r "$2"}
    fi
    if [ $# = 1 ]; then how=(--users "$1"); else how=(--shoppers "$1" --rate "$2"); fi
    # shellcheck disable=SC2030 # for this driver only
    export AUTH_SERVICE_URL CART_SERVICE_URL PAYMENT_SERVICE_URL SELLER_SERVICE_URL
    AUTH_SERVICE_URL=$(service_url auth) CART_SERVICE_URL=$(service_url cart)
    PAYMENT_SERVICE_URL=$(service_url payment) SELLER_SERVICE_URL=$(service_url seller)
    exec "$BUILD/src/souk-load" buy --direct --no-watch --no-audit --quiet --keep "$work/shoppers" \
        --items "$((SHOP_ITEMS < 200 ? SHOP_ITEMS : 200))" --warmup "${warmup}s" --duration "${seconds}s" \
        --log "$work/trial/log" --json - "${how[@]}"
}

souk_groups() {
    local part
    for part in "${SERVICES[@]}" postgres rabbitmq redis; do
        running "$part" || die "$part does not run any more; its log is $LOG/$part.log"
        printf '%s:%s\n' "$part" "$PID"
    done
}

souk_orders() {
    if [ -n "$SHOPLOAD" ]; then cat "$work/trial/log" && return; fi
    awk '$1 == "checkout" && $4 == 201 { printf "%s %.0f\n", $5, $2 * 1000 + $3 }' "$work/trial/log"
}

# souk_drained SINCE ORDERS: both notifications of each order are there, and nothing else is on its way either.
souk_drained() {
    local rows
    rows=$(souk_sql notification "SELECT count(*) FROM inbox WHERE handled_at > to_timestamp($1 / 1e6)
        AND type IN ('order.created', 'payment.completed')")
    [ "$rows" -ge $(($2 * 2)) ] &&
        [ "$(souk_sql order "SELECT count(*) FROM orders WHERE status = 'created'")" = 0 ] &&
        [ "$(souk_sql order "SELECT count(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL")" = 0 ] &&
        [ "$(souk_sql payment "SELECT count(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL")" = 0 ] &&
        [ "$(souk_sql aibuddy "SELECT count(*) FROM inbox WHERE handled_at > to_timestamp($1 / 1e6) AND type = 'order.created'")" -ge "$2" ]
}

souk_quiet() { settled && heard_all "$(souk_sql order 'SELECT count(*) FROM orders')"; }

souk_rows() {
    {
        souk_sql order "SELECT event_id, aggregate_id, 'created' FROM outbox
            WHERE type = 'order.created' AND created_at > to_timestamp($1 / 1e6)"
        souk_sql payment "SELECT event_id, body::jsonb->'payload'->>'orderId', 'paid' FROM outbox
            WHERE type = 'payment.completed' AND created_at > to_timestamp($1 / 1e6)"
    } | sort >"$work/trial/told"
    souk_sql notification "SELECT event_id, (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1e6)::bigint FROM inbox
        WHERE handled_at > to_timestamp($1 / 1e6)" | sort | join -o 1.2,1.3,2.2 "$work/trial/told" -
}

souk_rss() {
    local svc
    local -a pids=()
    for svc in "${SERVICES[@]}"; do if running "$svc"; then pids+=("$PID"); fi; done
    rss_of "${pids[@]}"
}

souk_sql() { admin_psql -At -F ' ' -d "souk_$1" -c "$2"; }
