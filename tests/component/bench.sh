#!/usr/bin/env bash
# ./souk bench measures a suite of its own beside this one, and its line of JSON has all that it promises.
set -euo pipefail
. tests/component-lib.sh

is "what it does not know is refused" "$(./souk bench --fast >/dev/null 2>&1; echo $?)" 2
is "so is a number that is none" "$(./souk bench --rounds 0 >/dev/null 2>&1; echo $?)" 2

# The first ports that nobody has.
free_base() {
    local base offset
    for ((base = PORT_BASE + 1000; base < PORT_BASE + 1400; base += 20)); do
        for ((offset = 0; offset < 17; offset++)); do ! port_open $((base + offset)) || continue 2; done
        echo "$base" && return
    done
    die "no free ports"
}

line=$SCRATCH/line
run() {
    # What plays the statements ends without tidying up.
    ASAN_OPTIONS=${ASAN_OPTIONS:-}:detect_leaks=0 SOUK_BENCH_STATE=$STATE/bench SOUK_BENCH_PORT_BASE=$(free_base) SOUK_BENCH_BUILD=$SOUK_BUILD SOUK_BENCH_RESULT=$line \
        ./souk bench --quick >"$SCRATCH/table" 2>"$SCRATCH/complaints"
}
if run; then
    ok "a quick run comes to its end"
else
    not_ok "a quick run comes to its end" "$(tail -n 5 "$SCRATCH/table" "$SCRATCH/complaints")"
    exit
fi
is "it leaves one line" "$(wc -l <"$line")" 1
check "with commit and conditions" jq -e '.commit and .at and .quick and .audit == "balanced" and .rounds == 1 and .driver == "souk-load"
    and (.cores >= 1) and (.loadBefore >= 0) and (.loadAfter >= 0) and .settings.buildtype and (.settings.postgres | contains("fsync=on"))
    and (.settings | has("gateway") and has("mail") and has("rateLimits") and has("logLevel") and has("faults"))' "$line"
# shellcheck disable=SC2016 # jq has variables of its own
for load in c4 open; do
    check "$load: every order had its events, and none failed" jq -e --arg load "$load" '.results.souk[$load] | .missing == 0 and .failed == 0' "$line"
    check "$load: checkouts a second, times and lags" jq -e --arg load "$load" '.results.souk[$load] | .perSecond > 0 and .accepted > 0
        and .checkoutMs.p50 > 0 and ([.checkoutMs, .lagMs.created, .lagMs.paid] | all(.p50 <= .p99 and .p99 > 0))' "$line"
    check "$load: processor time of all seven and of the servers" jq -e --arg load "$load" '.results.souk[$load] |
        (.cpuMsByService | keys == ["aibuddy", "auth", "cart", "notification", "order", "payment", "seller"])
        and .cpuMs.services > 0 and .cpuMs.postgres > 0 and (.cpuMs | .rabbitmq >= 0 and .redis >= 0 and .all >= .services)
        and .rssMb > 1 and .foreignPercent >= 0' "$line"
done
check "the SQL limit: checkouts a second and PostgreSQL's time" jq -e '.results.limit.batch | .perSecond > 0 and .cpuMs.postgres > 0' "$line"
check "its statements did what the suite's do" jq -e '.limitStatements | contains("grow as by real visits")' "$line"
check "the time to readiness" jq -e '.readyMs.souk > 0' "$line"
check "and what was to be reached" jq -e '.goals | length >= 8 and all(has("what") and has("value") and has("target") and has("met"))' "$line"
check "the table names each goal" grep -q '^services ready after .*<= 100 ms' "$SCRATCH/table"
is "its servers are gone" "$(compgen -G "$STATE/bench/run/*.pid" || true)" ""

# The table's own arithmetic: ratios are those of one round, and noise is marked.
trial() { jq -cn --arg suite "$1" --argjson round "$2" --argjson rate "$3" --argjson foreign "$4" --argjson cpu "$5" '
    {suite: $suite, name: "c64", round: $round, sustained: $rate, foreign: $foreign, checkout: {p50: 1, p99: 2},
     lag: {created: {p50: 1, p99: 2}, paid: {p50: 1, p99: 2}}, cpuMs: {services: $cpu, all: $cpu}, rssMb: 10, busy: 90}'; }
{
    trial souk 1 300 1 0.5 && trial node 1 100 1 2
    trial souk 2 600 20 0.5 && trial node 2 150 1 2
    trial souk 3 500 1 0.2 && trial node 3 500 1 2
} >"$SCRATCH/trials"
jq -c 'del(.results, .goals, .readyMs, .noisy)' "$line" >"$SCRATCH/conditions"
printf 'souk 40\nsouk 90\nsouk 50\n' >"$SCRATCH/starts"
node tools/bench.d/table.mjs "$SCRATCH/conditions" "$SCRATCH/starts" "$SCRATCH/trials" "$SCRATCH/summary" >"$SCRATCH/told"
goal() { jq -c --arg what "$1" '.goals[] | select(.what == $what) | [.value, .met]' "$SCRATCH/summary"; }
is "a ratio is the median of the rounds' ratios" "$(goal 'checkouts/s by the plain Node suite')" '[3,true]'
is "a figure is the median of the rounds" "$(goal "services' CPU a checkout, saturated")" '[0.5,false]'
is "so is the start" "$(goal 'services ready after')" '[50,true]'
# A plan that does less than the visits is told.
mkdir "$SCRATCH/limit"
printf 'order orders:confirmed\t10\norder outbox\t5\n' | tee "$SCRATCH/limit/before" >"$SCRATCH/limit/copy"
printf 'order orders:confirmed\t20\norder outbox\t25\n' >"$SCRATCH/limit/after"
printf 'order orders:confirmed\t110\norder outbox\t205\n' >"$SCRATCH/limit/played-to"
printf 's a\tSELECT 1\n' >"$SCRATCH/limit/order.1"
printf 'order 60\norder 40\n' >"$SCRATCH/limit/played"
is "what grows alike is fine" "$(node bench/limit/check.mjs "$SCRATCH/limit" 10)" \
    "1 statements as the services send them; a visit leaves 3 rows; those of 2 tables and statuses grow as by real visits"
printf 'order orders:confirmed\t110\norder outbox\t105\n' >"$SCRATCH/limit/played-to"
is "what does not is named" "$(node bench/limit/check.mjs "$SCRATCH/limit" 10)" \
    "the plans did something else than the visits: order outbox: 2.00 a visit, 1.00 played"
is "a noisy round is marked" "$(jq -c '[.noisy, .results.souk.c64.noisyRounds, .results.node.c64.noisyRounds]' "$SCRATCH/summary")" '[true,1,0]'
check "in the table, too" grep -q '^souk .*1 of 3 noisy' "$SCRATCH/told"
