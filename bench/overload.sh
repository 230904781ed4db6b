#!/usr/bin/env bash
# What an overload does to the shop: the peak (16 shoppers in a closed loop), 80 % of it, three times it, and what follows; a line of JSON,
# appended to bench/results/overload.jsonl with commit and conditions.   bench/overload.sh [SECONDS] [SHOPPERS]
# Runs on a suite of its own and ends it afterwards, or on a running one (suite.sh).
seconds=${1:-15} shoppers=${2:-96} after=10
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

# drive NAME ARGS...: JSON in $work/NAME, the answers in $work/NAME.log; refusals are no failure here, wrong answers are.
drive() {
    local name=$1
    shift
    # shellcheck disable=SC2086 # an option or none
    ./souk load checkout --quiet $audit --fail-if 'wrong>0' --fail-if 'lost>0' --json "$work/$name" --log "$work/$name.log" "$@" >"$work/words" 2>&1 ||
        { cat "$work/words" >&2 && exit 1; }
    echo "$name: $(tail -n 1 "$work/words")" >&2
}

# times FILE SERIES STATUS FROM_MS TO_MS: count and percentiles in ms of the answers that were due then.
times() {
    awk -v series="$2" -v status="$3" -v from="$4" -v to="$5" \
        '(series == "" || $1 == series) && $4 == status && $2 >= from && $2 < to { print $3 }' "$1" | sort -n |
        awk '{ t[NR] = $1 / 1000 }
            function at(p,  i) { i = int(NR * p + 0.999999); return NR ? t[i < 1 ? 1 : i] : 0 }
            END { printf "{\"count\":%d,\"p50Ms\":%.2f,\"p90Ms\":%.2f,\"p99Ms\":%.2f,\"maxMs\":%.2f}\n", NR, at(.5), at(.9), at(.99), at(1) }'
}

# wakes MS SECONDS: how much later than it asked for a process that sleeps comes to run: what this machine adds to any answer,
# once for each process on its way.
wakes() {
    perl -MTime::HiRes=time,sleep -e '
        my ($pause, $end, @late) = ($ARGV[0] / 1000, time + $ARGV[1]);
        while ((my $t = time) < $end) { sleep $pause; push @late, (time - $t - $pause) * 1000 }
        @late = sort { $a <=> $b } @late;
        printf "{\"p50Ms\":%.2f,\"p99Ms\":%.2f}\n", $late[@late / 2], $late[@late * .99]' "$1" "$2"
}

audit=--no-audit # but after the last run, for all of them
# The machine is not the same from minute to minute: the peak is measured before and after, and the mean counts.
drive before --users 16 --duration "${seconds}s"
peak=$(jq .series.checkout.perSecond "$work/before")
usual=$(jq -n --argjson peak "$peak" '$peak * 0.8 | floor') high=$(jq -n --argjson peak "$peak" '$peak * 3 | floor')

drive usual --rate "$usual" --poisson --duration "${seconds}s" --shoppers "$shoppers"
# The overload and what follows are one run. The first stage is the warm-up's rate, too: the calm before.
wakes 20 "$((seconds + after))" >"$work/wakes" &
drive over --rate "$usual@2s,$high@${seconds}s,$usual@${after}s" --poisson --shoppers "$shoppers" --warmup 1s
wait $!
audit=''
drive after --users 16 --duration "${seconds}s"
peaks=$(jq -s 'map(.series.checkout.perSecond)' "$work/before" "$work/after")

calm=$(times "$work/usual.log" checkout 201 0 9e15)
calm_p99=$(jq .p99Ms <<<"$calm")
zero=$(date -d "$(jq -r .startedAt "$work/over")" +%s%3N) # the end of the warm-up
from=$((zero + 2000)) to=$((zero + 2000 + seconds * 1000))
over=$(times "$work/over.log" checkout 201 "$from" "$to")
refused=$(times "$work/over.log" '' 503 "$from" "$to")
# Normal again: the first half second after which no tenth checkout takes longer than the hundredth at 80 %.
recovery=null
for ((ms = to + (after - 1) * 1000; ms >= to; ms -= 500)); do
    jq -e --argjson p99 "$calm_p99" '.p90Ms <= $p99' <<<"$(times "$work/over.log" checkout 201 "$ms" $((ms + 500)))" >/dev/null || break
    recovery=$((ms - to))
done
by() { awk -v from="$from" -v to="$to" -v series="$1" '$1 == series && $4 == 503 && $2 >= from && $2 < to' "$work/over.log" | wc -l; }

jq -cn --argjson peaks "$peaks" --argjson usual "$usual" --argjson high "$high" --argjson calm "$calm" --argjson over "$over" \
    --argjson wakes "$(cat "$work/wakes")" --argjson refused "$refused" --argjson recovery "$recovery" --argjson seconds "$seconds" --argjson shoppers "$shoppers" \
    --argjson browse "$(by browse)" --argjson add "$(by add)" --argjson checkout "$(by checkout)" \
    --argjson least "${ADMISSION_LIMIT_MIN:-null}" \
    --argjson calmShed "$(jq '[.series[].shed // 0] | add' "$work/usual")" --argjson own "$(jq '.ownCpuSeconds / .seconds' "$work/over")" \
    '($peaks | add / 2) as $peak | {peakPerSecond: $peak, peaks: $peaks, usualPerSecond: $usual, offeredPerSecond: $high,
      usual: ($calm + {shed: $calmShed}), overload: $over, goodputOfPeak: ($over.count / $seconds / $peak), p99OfUsual: ($over.p99Ms / $calm.p99Ms),
      refused: $refused, wakeUpLate: $wakes, refusedBySeries: {browse: $browse, add: $add, checkout: $checkout}, recoveryMs: $recovery,
      generatorCores: $own, shoppers: $shoppers, seconds: $seconds, admissionLimitMin: $least}' | result overload
