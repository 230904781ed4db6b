#!/usr/bin/env bash
# What the seven services have in memory, by what is mapped: ready for two seconds, and after a load, KiB of all seven together. One line
# of JSON, appended to bench/results/memory.jsonl.
#   bench/memory.sh [--users N] [--seconds N]      (64 users, 8 s)
#   bench/memory.sh --now                          of the suite that runs (SOUK_STATE), without a load and without a line
# Runs on a suite of its own (folder .souk-bench, ports from 17080; SOUK_BUILD: its build). What the columns mean: docs/PERFORMANCE.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
users=64 seconds=8 now=''
while [ $# -gt 0 ]; do
    case $1 in
    --users) users=$2 && shift ;;
    --seconds) seconds=$2 && shift ;;
    --now) now=yes ;;
    *) sed -n '4,5p' "$0" >&2 && exit 2 ;;
    esac
    shift
done

# mappings: lines "service mapping rss pss dirty", in KiB
mappings() {
    local svc
    for svc in "${SERVICES[@]}"; do
        running "$svc" || { echo "$svc does not run" >&2 && return 1; }
        awk -v svc="$svc" '
            /^[0-9a-f]+-[0-9a-f]+ / {
                name = $6
                sub(/.*\//, "", name)
                if (name ~ /^souk-/) name = "program"
                else if (name == "") name = "anonymous"
                names[name]
            }
            /^Rss:/ { rss[name] += $2 }
            /^Pss:/ { pss[name] += $2 }
            /^Private_Dirty:/ { dirty[name] += $2 }
            END { for (name in names) print svc, name, rss[name] + 0, pss[name] + 0, dirty[name] + 0 }' "/proc/$PID/smaps"
    done
}

as_json() {
    jq -cRn 'def sum(f): map(f) | add; def mib: . / 102.4 | round / 10;
        [inputs | split(" ") | {service: .[0], mapping: .[1], rss: (.[2] | tonumber), pss: (.[3] | tonumber), dirty: (.[4] | tonumber)}]
        | {rssMb: (sum(.rss) | mib), pssMb: (sum(.pss) | mib), dirtyMb: (sum(.dirty) | mib),
           services: (group_by(.service) | map({key: .[0].service, value: [sum(.rss), sum(.pss), sum(.dirty)]}) | from_entries),
           mappings: (group_by(.mapping) | map({name: .[0].mapping, kib: [sum(.rss), sum(.pss), sum(.dirty)]})
               | sort_by(-.kib[0]) | .[:24] | map({key: .name, value: .kib}) | from_entries)}'
}

# table TITLE: of the JSON on the standard input
table() {
    printf '%-26s %8s %8s %8s\n' "$1, KiB" rss pss dirty
    jq -r '(.mappings, .services | to_entries[] | [.key, .value[]]), ["all, MiB", .rssMb, .pssMb, .dirtyMb] | @tsv' |
        awk -F '\t' '{ printf "%-26s %8s %8s %8s\n", $1, $2, $3, $4 }'
}

if [ -n "$now" ]; then
    # shellcheck source=tests/env.sh
    . tests/env.sh
    mappings | as_json | table 'now'
    exit
fi

# 64 shoppers at once are a crowd that would be turned away; what it costs to serve it is the question here.
export ADMISSION_LIMIT_MIN=${ADMISSION_LIMIT_MIN:-256}
# shellcheck source=bench/suite.sh
. bench/suite.sh
./souk restart "${SERVICES[@]}" >/dev/null
sleep 2
mappings | as_json >"$work/ready"
./souk load buy --direct --users "$users" --duration "${seconds}s" --quiet --json "$work/load" >&2
sleep 2
mappings | as_json >"$work/loaded"
table 'ready' <"$work/ready"
echo
table "after ${seconds} s with $users users" <"$work/loaded"

jq -cn --argjson users "$users" --argjson seconds "$seconds" \
    --slurpfile shop "$work/load" --slurpfile ready "$work/ready" --slurpfile loaded "$work/loaded" \
    '{users: $users, seconds: $seconds, checkoutsPerSecond: $shop[0].series.checkout.perSecond, ready: $ready[0], loaded: $loaded[0]}' | result memory >/dev/null
