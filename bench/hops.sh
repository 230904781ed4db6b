#!/usr/bin/env bash
# Where a checkout goes: its time by step of the saga, as receipts tell it, and its CPU by server, until the last of its events was heard.
# For 1 and for 16 shoppers in a closed loop; one line of JSON each, appended to bench/results/hops.jsonl.   bench/hops.sh [SECONDS] [SHOPPERS...]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards. A visit is an item into the cart and the checkout.
seconds=${1:-10}
shift || true
shoppers=("$@")
[ ${#shoppers[@]} -gt 0 ] || shoppers=(1 16)
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"
# shellcheck source=bench/cpu.sh
. bench/cpu.sh

# used: a JSON object of what each has used so far, in microseconds
used() {
    local svc
    {
        for svc in "${SERVICES[@]}"; do echo "$svc $(cpu_us "$svc") $(backends_us "$svc")"; done
        echo "rabbitmq $(cpu_us rabbitmq) 0"
        echo "postgres $(cpu_us postgres) 0"
    } | jq -Rn '[inputs | split(" ") | {key: .[0], value: {own: (.[1] | tonumber), database: (.[2] | tonumber)}}] | from_entries'
}

# steps SINCE: a JSON object of the steps of what was bought since then, in microseconds
steps() {
    admin_psql -At -d souk_cart -c "SELECT json_object_agg(step, json_build_object('mean', mean, 'p50', p50, 'p99', p99)) FROM (
        SELECT s ->> 'step' AS step, round(avg((s ->> 'durationUs')::int)) AS mean,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY (s ->> 'durationUs')::int) AS p50,
            percentile_cont(0.99) WITHIN GROUP (ORDER BY (s ->> 'durationUs')::int) AS p99
        FROM checkouts, json_array_elements(steps) s WHERE state = 'completed' AND created_at > '$1' GROUP BY 1) t"
}

for n in "${shoppers[@]}"; do
    ./souk load buy --direct --no-audit --users "$n" --duration 3s --warmup 1ms --keep "$work/shoppers.$n" --quiet --json - >/dev/null # logins, connections
    all_heard
    since=$(admin_psql -At -d souk_cart -c 'SELECT clock_timestamp()')
    used >"$work/before"
    ./souk load buy --direct --no-audit --users "$n" --duration "${seconds}s" --warmup 1ms --keep "$work/shoppers.$n" --quiet --json - >"$work/load"
    all_heard
    used >"$work/after"
    jq -n --argjson n "$n" --slurpfile load "$work/load" --slurpfile before "$work/before" --slurpfile after "$work/after" --argjson steps "$(steps "$since")" '
        $load[0].series as $s | $s.checkout.good as $sold | $before[0] as $b
        | ($after[0] | with_entries({key, value: {own: ((.value.own - $b[.key].own) / $sold | round), database: ((.value.database - $b[.key].database) / $sold | round)}})) as $cpu
        | {shoppers: $n, checkouts: $sold, perSecond: $s.checkout.perSecond, p50Ms: {add: ($s.add.p50Ms // null), checkout: $s.checkout.p50Ms},
           p99Ms: {add: ($s.add.p99Ms // null), checkout: $s.checkout.p99Ms}, stepsUs: $steps, cpuUs: $cpu}' | result hops
done
