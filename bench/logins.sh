#!/usr/bin/env bash
# Logins per second while 200 clients log in, and what that does to browsing (a profile from auth, the product list from
# seller, both through the gateway): one line of JSON, appended to bench/results/logins.jsonl with commit and conditions.
#   bench/logins.sh [CLIENTS] [ROUNDS]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SOUK_STATE=${SOUK_STATE:-$PWD/.souk-bench} SOUK_PORT_BASE=${SOUK_PORT_BASE:-17080}
export SOUK_DEMO_DATA=0 LOG_LEVEL=${LOG_LEVEL:-warn}
# All clients come from one address here.
export LOGIN_ADDRESS_BURST=1000000 LOGIN_ADDRESS_PER_MINUTE=1000000 LOGIN_DEVICE_BURST=100000 LOGIN_DEVICE_PER_MINUTE=100000

mkdir -p bench/results
trap './souk down >/dev/null' EXIT
./souk up >/dev/null
# shellcheck source=tests/env.sh
. tests/env.sh
export AUTH_SERVICE_URL=$PUBLIC_URL SELLER_SERVICE_URL=$PUBLIC_URL

load=$(cut -d' ' -f1 /proc/loadavg)
line=$("${SOUK_BUILD:-build}/bench/bench-logins" --clients "${1:-200}" --rounds "${2:-6}")
jq -cn --argjson run "$line" --arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" --arg at "$(date -u +%FT%TZ)" \
    --arg cores "$(nproc)" --arg load "$load" --arg log "$LOG_LEVEL" \
    '$run + {commit: $commit, at: $at, cores: ($cores | tonumber), loadBefore: ($load | tonumber), logLevel: $log}' |
    tee -a bench/results/logins.jsonl
