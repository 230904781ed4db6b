#!/usr/bin/env bash
# What a checkout costs with several processes of each service against one: the same suite restarted by turns, round after round. One
# line of JSON, appended to bench/results/processes.jsonl, with the medians of the rounds.
#   bench/processes.sh [--rounds N] [--processes N] [--users N] [--seconds N]      (4 rounds, 2 processes, 16 users, 8 s)
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and audits its books at the end.
rounds=4 processes=2 users=16 seconds=8
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2 ;;
    --processes) processes=$2 ;;
    --users) users=$2 ;;
    --seconds) seconds=$2 ;;
    *) sed -n '4p' "$0" >&2 && exit 2 ;;
    esac
    shift 2
done
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

# one N: a run with N processes of each service
one() {
    SOUK_PROCESSES=$1 ./souk restart "${SERVICES[@]}" >/dev/null
    ./souk load buy --direct --users "$users" --duration "${seconds}s" --quiet --json - | jq -c --argjson processes "$1" '
        .series.checkout as $c | [.cpuSeconds | .auth, .cart, .order, .payment, .seller, .notification, .aibuddy | . // 0] as $s
        | {processes: $processes, perSecond: $c.perSecond, p50Ms: $c.p50Ms, p99Ms: $c.p99Ms, errors: .errors,
           servicesUs: (($s | add) * 1000000 / $c.good | round), postgresUs: (.cpuSeconds.postgres * 1000000 / $c.good | round),
           rabbitmqUs: (.cpuSeconds.rabbitmq * 1000000 / $c.good | round)}'
}
for ((round = 1; round <= rounds; round++)); do
    turns=(1 "$processes")
    [ $((round % 2)) = 1 ] || turns=("$processes" 1)
    for n in "${turns[@]}"; do one "$n" | tee -a "$work/lines" >&2; done
done
tools/audit --wait 120 >&2

jq -cs --argjson users "$users" '
    def median: sort | .[(length - 1) / 2 | floor] * 0.5 + .[length / 2 | floor] * 0.5;
    def middle: . as $r | {perSecond: ($r | map(.perSecond) | median), p50Ms: ($r | map(.p50Ms) | median), p99Ms: ($r | map(.p99Ms) | median),
        servicesUs: ($r | map(.servicesUs) | median), postgresUs: ($r | map(.postgresUs) | median), rabbitmqUs: ($r | map(.rabbitmqUs) | median),
        errors: ($r | map(.errors) | add)};
    {users: $users, rounds: (length / 2)} + (group_by(.processes) | map({key: "processes\(.[0].processes)", value: middle}) | from_entries)' \
    "$work/lines" | result processes
