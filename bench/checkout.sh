#!/usr/bin/env bash
# Checkouts per second and CPU per checkout, closed loop, for 1, 16 and 64 shoppers: one line of JSON each, appended to
# bench/results/checkout.jsonl with commit and conditions.   bench/checkout.sh [SECONDS] [SHOPPERS...]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:-10}
shift || true
shoppers=("$@")
[ ${#shoppers[@]} -gt 0 ] || shoppers=(1 16 64)
export SOUK_STATE=${SOUK_STATE:-$PWD/.souk-bench} SOUK_PORT_BASE=${SOUK_PORT_BASE:-17080}
export SOUK_DEMO_DATA=0 LOG_LEVEL=${LOG_LEVEL:-warn}
export ADMISSION_LIMIT_MIN=${ADMISSION_LIMIT_MIN:-256} # nobody is turned away, however many there are

mkdir -p bench/results
trap './souk down >/dev/null' EXIT
./souk up >/dev/null
# shellcheck source=tests/env.sh
. tests/env.sh

commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
for n in "${shoppers[@]}"; do
    run=$(./souk load buy --direct --users "$n" --duration "${seconds}s" --quiet --json - | jq -c '.series.checkout.good as $n | {
        shoppers, checkouts: $n, failures: .errors, perSecond: .series.checkout.perSecond,
        p50Ms: .series.checkout.p50Ms, p99Ms: .series.checkout.p99Ms, cpuMsPerCheckout: (.cpuSeconds | map_values(. * 1000 / $n)),
        loadCpuMsPerCheckout: (.ownCpuSeconds * 1000 / $n)}')
    jq -cn --argjson run "$run" --arg commit "$commit" --arg at "$(date -u +%FT%TZ)" \
        --arg cores "$(nproc)" --arg load "$(cut -d' ' -f1 /proc/loadavg)" --arg log "$LOG_LEVEL" \
        '$run + {servicesCpuMsPerCheckout: ($run.cpuMsPerCheckout | [.auth, .cart, .order, .payment, .seller, .notification, .aibuddy] | map(. // 0) | add),
                 commit: $commit, at: $at, cores: ($cores | tonumber), loadBefore: ($load | tonumber), logLevel: $log}' |
        tee -a bench/results/checkout.jsonl
done
