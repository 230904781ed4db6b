#!/usr/bin/env bash
# Everybody at once: so many buyers, each with a login, a card, the same item in the cart and a connection of its own, check
# out at the same moment; there are UNITS of it. There must be as many orders, every buyer must have an answer in the end, and
# the books must balance. One line of JSON, appended to bench/results/flash-sale.jsonl with commit and conditions.
#   bench/flash-sale.sh [BUYERS] [UNITS]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards (suite.sh). The buyers are
# made by the first run, at the pace of auth's throttle (5,000 take eight minutes; LOGIN_ADDRESS_BURST and
# LOGIN_ADDRESS_PER_MINUTE are passed on) and kept in the suite's folder: later runs renew their logins.
buyers=${1:-5000} units=${2:-100} status=0
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

./souk load flash-sale --direct --users "$buyers" --units "$units" --keep "$SOUK_STATE/crowd" --timeout 60s \
    --fail-if 'visit.flash-sale.errors>0' --json "$work/run" >&2 || status=$?
[ -s "$work/run" ] || exit "$status"
jq -c --argjson buyers "$buyers" --argjson units "$units" --argjson status "$status" '
    def answers($kind): [.series.checkout.outcomes[] | select(.kind == $kind) | {(.outcome): .count}] | add // {};
    {buyers: $buyers, units: $units, exit: $status, orders: (answers("good")["201"] // 0), seconds: (.seconds * 100 | round / 100),
     answers: answers("good"), again: answers("again"), shed: answers("shed"), errors: .errors,
     untilAnAnswerMs: (.series["visit.flash-sale"] | {p50: .p50Ms, p99: .p99Ms, max: .maxMs}),
     lastTryMs: (.series.checkout | {p50: .p50Ms, p99: .p99Ms}), audit: ([.audit[] | select(.holds)] | length),
     cpuSeconds}' "$work/run" | result flash-sale
exit "$status"
