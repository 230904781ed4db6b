#!/usr/bin/env bash
# Everybody at once: so many buyers, each with a login, a card, the same item in the cart and a connection of its own, check
# out at the same moment; there are UNITS of it. There must be as many orders, every buyer must have an answer in the end, and
# the books must balance. One line of JSON, appended to bench/results/flash-sale.jsonl with commit and conditions.
#   bench/flash-sale.sh [BUYERS] [UNITS]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards, or not with KEEP=1. The buyers are
# made by the first run, at the pace of auth's throttle (5,000 take eight minutes; LOGIN_ADDRESS_BURST and
# LOGIN_ADDRESS_PER_MINUTE are passed on) and kept in the suite's folder: later runs renew their logins.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
buyers=${1:-5000} units=${2:-100}
export SOUK_STATE=${SOUK_STATE:-$PWD/.souk-bench} SOUK_PORT_BASE=${SOUK_PORT_BASE:-17080} SOUK_BUILD=${SOUK_BUILD:-build}
export SOUK_DEMO_DATA=0 LOG_LEVEL=${LOG_LEVEL:-warn}

mkdir -p bench/results
work=$(mktemp -d)
trap '[ -n "${KEEP:-}" ] || ./souk down >/dev/null; rm -rf "$work"' EXIT
./souk up >/dev/null
load=$(cut -d' ' -f1 /proc/loadavg) status=0
./souk load flash-sale --direct --users "$buyers" --units "$units" --keep "$SOUK_STATE/crowd" --timeout 60s \
    --fail-if 'visit.flash-sale.errors>0' --json "$work/run" >&2 || status=$?
[ -s "$work/run" ] || exit "$status"
jq -c --argjson buyers "$buyers" --argjson units "$units" --argjson status "$status" --argjson load "$load" --argjson cores "$(nproc)" \
    --arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" --arg at "$(date -u +%FT%TZ)" '
    def answers($kind): [.series.checkout.outcomes[] | select(.kind == $kind) | {(.outcome): .count}] | add // {};
    {buyers: $buyers, units: $units, exit: $status, orders: (answers("good")["201"] // 0), seconds: (.seconds * 100 | round / 100),
     answers: answers("good"), again: answers("again"), shed: answers("shed"), errors: .errors,
     untilAnAnswerMs: (.series["visit.flash-sale"] | {p50: .p50Ms, p99: .p99Ms, max: .maxMs}),
     lastTryMs: (.series.checkout | {p50: .p50Ms, p99: .p99Ms}), audit: ([.audit[] | select(.holds)] | length),
     cpuSeconds, commit: $commit, at: $at, cores: $cores, loadBefore: $load}' "$work/run" | tee -a bench/results/flash-sale.jsonl
exit "$status"
