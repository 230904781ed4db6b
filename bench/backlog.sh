#!/usr/bin/env bash
# What a long outage of all consumers costs afterwards: so many messages wait in the queues, made by real checkouts and
# relayed by the services; then all of it is worked off beside a steady rate of checkouts. One line of JSON, appended to
# bench/results/backlog.jsonl with commit and conditions.   bench/backlog.sh [MESSAGES]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards. The story it tells, with 3,000
# messages a part of the tests, is tests/story/a-long-backlog-drains-beside-checkouts.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SOUK_STORY_EVENTS=${1:-100000}
export SOUK_STATE=${SOUK_STATE:-$PWD/.souk-bench} SOUK_PORT_BASE=${SOUK_PORT_BASE:-17080} SOUK_BUILD=${SOUK_BUILD:-build}
export SOUK_DEMO_DATA=0 LOG_LEVEL=${LOG_LEVEL:-warn}

mkdir -p bench/results
work=$(mktemp -d)
trap './souk down >/dev/null; rm -rf "$work"' EXIT
./souk up >/dev/null
load=$(cut -d' ' -f1 /proc/loadavg)
SOUK_STORY_REPORT=$work/report bash tests/story/a-long-backlog-drains-beside-checkouts.sh || status=$?
[ ! -s "$work/report" ] || jq -c --arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" --arg at "$(date -u +%FT%TZ)" \
    --arg cores "$(nproc)" --arg load "$load" --arg log "$LOG_LEVEL" \
    '. + {commit: $commit, at: $at, cores: ($cores | tonumber), loadBefore: ($load | tonumber), logLevel: $log}' "$work/report" |
    tee -a bench/results/backlog.jsonl
exit "${status:-0}"
