# shellcheck shell=bash
# How the measurements beside it begin and end: sourcing it brings up a suite of their own (folder .souk-bench, ports from 17080; the
# environment may say otherwise) and tells where everything is (tests/env.sh). Whatever ends the script ends the suite, too, unless
# KEEP=1. With SOUK_BENCH_RUNNING=1 the suite that SOUK_STATE and SOUK_PORT_BASE name is taken as it is, and left running.
#   $work         a folder for what is written meanwhile
#   at_end        a function of the script's own, called first at the end
#   result NAME   a JSON object on the standard input, with commit and conditions, becomes a line of bench/results/NAME.jsonl
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SOUK_STATE=${SOUK_STATE:-$PWD/.souk-bench} SOUK_PORT_BASE=${SOUK_PORT_BASE:-17080} SOUK_BUILD=${SOUK_BUILD:-$PWD/build}
export SOUK_DEMO_DATA=0 LOG_LEVEL=${LOG_LEVEL:-warn}

work=$(mktemp -d)
mkdir -p bench/results
bench_leave() {
    trap - EXIT
    if declare -F at_end >/dev/null; then at_end; fi
    [ -n "${KEEP:-}${SOUK_BENCH_RUNNING:-}" ] || ./souk down >/dev/null
    rm -rf "$work"
}
trap bench_leave EXIT
trap 'exit 130' INT TERM
bench_load=$(cut -d' ' -f1 /proc/loadavg)
[ -n "${SOUK_BENCH_RUNNING:-}" ] || ./souk up >/dev/null
# shellcheck source=tests/env.sh
. tests/env.sh

result() {
    jq -c --arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" --arg at "$(date -u +%FT%TZ)" --arg log "$LOG_LEVEL" \
        --argjson cores "$(nproc)" --argjson before "$bench_load" --argjson after "$(cut -d' ' -f1 /proc/loadavg)" \
        --arg build "$(meson introspect "$SOUK_BUILD" --buildoptions | jq -r '.[] | select(.name == "buildtype").value')" \
        '. + {commit: $commit, at: $at, cores: $cores, loadBefore: $before, loadAfter: $after, buildtype: $build, logLevel: $log}' |
        tee -a "bench/results/$1.jsonl"
}
