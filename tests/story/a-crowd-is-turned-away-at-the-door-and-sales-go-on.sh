#!/usr/bin/env bash
# More come than the shop can serve: browsing is turned away first, sales go on at the rate that they had, everybody who
# is turned away learns it at once and when to come again, and when the crowd has gone all is as before.
. tests/lib.sh
front=(auth cart order payment seller)

# limited MIN MAX: the front starts anew with these limits.
limited() {
    off "${front[@]}"
    ADMISSION_LIMIT_MIN=$1 ADMISSION_LIMIT_MAX=$2 on "${front[@]}"
}
back() { off "${front[@]}" && on "${front[@]}"; }
at_end back

# ---- one who is turned away ----

# Two stand inside for as long as cart waits for payment, some 3 s. A crowd that stands for two tenths of a second is an
# overload, whoever looks at it.
limited 2 2
product 10
for name in ann bob cay; do
    shopper $name
    put "$SKU"
done
key=$(fresh_key)
looked_in() { call GET /api/v1/cart; }
two_inside() { [ "$(metric cart souk_admission_in_flight)" -ge 3 ]; } # and who asks
turned_away() { looked_in && answered 503 overloaded; }
freeze payment
for name in ann bob; do
    as $name
    aim POST /api/v1/cart/checkout "$(checkout_body)" "idempotency-key: key-$name-$RUN_ID"
done
fire 2 &
soon 5 "two sales are under way, as many as may" two_inside
as cay
soon 1 "who looks into his cart is 503 overloaded" turned_away
checkout "$key"
that "so is who would buy, the third" answered 503 overloaded
is "and told when to come again" "$(header retry-after)" 1
that "health is not" http_ok "$(service_url cart)/readyz"
thaw payment
wait $!
# Whether they bought depends on how long payment was frozen; turned away they were not.
is "the two who were inside were served" "$(grep -l overloaded "$WORK"/shot.* || true)" ''
bought() { checkout "$key" && [ "$STATUS" = 201 ]; }
soon 10 "the same key buys, once there is room" bought
is "one order" "$(orders_of "$USER_ID")" 1

# ---- a crowd ----

line=64 # the longest that may stand inside
limited 20 $line
# drive NAME ARGS...: JSON in $WORK/NAME; refusals are expected, wrong answers and lost ones are not.
drive() {
    local name=$1
    shift
    "$SOUK_BUILD/src/souk-load" checkout --quiet --no-watch --no-audit --items 10 --warmup 1s --fail-if 'errors>100%' \
        --json "$WORK/$name" --log "$WORK/$name.log" "$@" >"$WORK/words" 2>&1 || not_ok "the load runs" "$(tail -n 5 "$WORK/words")"
}
# times FILE SERIES STATUS FROM TO PERCENT: "MS COUNT" of the answers that were due then
times() {
    awk -v series="$2" -v status="$3" -v from="$4" -v to="$5" '(series == "" || $1 == series) && $4 == status && $2 >= from && $2 < to { print $3 }' \
        "$WORK/$1.log" | sort -n | awk -v part="$6" '{ v[NR] = $1 } END { printf "%.0f %d\n", v[int((NR - 1) * part / 100) + 1] / 1000, NR }'
}
about() { jq -r "$@" "$WORK/over"; }
begun() { date -d "$(jq -r .startedAt "$WORK/$1")" +%s%3N; }

drive peak --users 12 --duration 4s
peak=$(jq '.series.checkout.good / .seconds' "$WORK/peak")
usual=$(jq -n --argjson p "$peak" '$p / 2 | ceil') high=$(jq -n --argjson p "$peak" '$p * 4 | ceil')
drive over --rate "$usual@3s,$high@5s,$usual@8s" --shoppers 32
t0=$(begun over) t1=$((t0 + 3000)) t2=$((t0 + 8000)) t3=$((t0 + 16000))
read -r calm _ <<<"$(times over checkout 201 "$t0" "$t1" 50)"
read -r crowded sold <<<"$(times over checkout 201 "$t1" "$t2" 50)"
read -r refusal refused <<<"$(times over '' 503 "$t1" "$t2" 50)"
read -r after again <<<"$(times over checkout 201 $((t2 + 5000)) "$t3" 50)"
read -r _ still <<<"$(times over '' 503 $((t2 + 5000)) "$t3" 50)"
figures="peak $peak/s, offered $high/s: $sold sold ($crowded ms), $refused refused ($refusal ms); before $calm ms, after $after ms, $again sold and $still refused"

is "everybody is answered, and whoever is refused is told when to come again" \
    "$(about '[.series | to_entries[] | select(.key | startswith("visit") | not) | .value | .wrong + .lost] | add')" 0
that "some are refused ($figures)" test "$refused" -gt 0
# Little's law: who comes last into a full line waits for all before him. Three lines' time has room for a machine that stumbles; without
# a door the line would grow for five seconds, and its middle wait for two.
three_lines=$((3 * line * 5000 / (sold + 1)))
that "soon ($refusal ms of $three_lines)" test "$refusal" -le "$three_lines"
quietly() { "$@" >/dev/null; }
that "of those most would have browsed, fewer bought" \
    quietly jq -e '.series.browse.shed > (.series.add.shed // 0) + (.series.checkout.shed // 0)' "$WORK/over"
that "a sale is hardly ever refused" test "$(about '(.series.checkout.shed // 0) * 5')" -le "$sold"
that "sales go on" awk -v sold="$sold" -v peak="$peak" 'BEGIN { exit !(sold / 5 >= peak / 2) }'
that "and nobody else waits for long" test "$crowded" -le "$three_lines"
that "five seconds after the crowd all is as before" awk -v now="$after" -v calm="$calm" 'BEGIN { exit !(now <= 2 * calm + 50) }'
that "and hardly anybody is refused" test $((still * 10)) -le "$again"
report "$(jq -cn --argjson peak "$peak" --argjson high "$high" --arg figures "$figures" '{peakPerSecond: $peak, offeredPerSecond: $high, figures: $figures}')"
audit
