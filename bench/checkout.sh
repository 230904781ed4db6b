#!/usr/bin/env bash
# Checkouts per second and CPU per checkout, closed loop, for 1, 16 and 64 shoppers: one line of JSON each, appended to
# bench/results/checkout.jsonl with commit and conditions.   bench/checkout.sh [SECONDS] [SHOPPERS...]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards.
seconds=${1:-10}
shift || true
shoppers=("$@")
[ ${#shoppers[@]} -gt 0 ] || shoppers=(1 16 64)
export ADMISSION_LIMIT_MIN=${ADMISSION_LIMIT_MIN:-256} # nobody is turned away, however many there are
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

for n in "${shoppers[@]}"; do
    ./souk load buy --direct --users "$n" --duration "${seconds}s" --quiet --json - | jq -c '.series.checkout.good as $n | {
        shoppers, checkouts: $n, failures: .errors, perSecond: .series.checkout.perSecond,
        p50Ms: .series.checkout.p50Ms, p99Ms: .series.checkout.p99Ms, cpuMsPerCheckout: (.cpuSeconds | map_values(. * 1000 / $n)),
        loadCpuMsPerCheckout: (.ownCpuSeconds * 1000 / $n)}
        | .servicesCpuMsPerCheckout = (.cpuMsPerCheckout | [.auth, .cart, .order, .payment, .seller, .notification, .aibuddy] | map(. // 0) | add)' |
        result checkout
done
