#!/usr/bin/env bash
# souk-load on a running suite: each scenario for a moment, its promises kept, every answer right; and what is wrong or
# too slow makes itself heard.
. tests/lib.sh

# load EXIT SENTENCE ARGS...: a run; JSON in $WORK/run, words in $WORK/load.text
load() {
    local want=$1 sentence=$2 status=0
    shift 2
    "$SOUK_BUILD/src/souk-load" --quiet --items 10 --warmup 0 --json "$WORK/run" "$@" >"$WORK/load.text" 2>&1 || status=$?
    if [ "$status" = "$want" ]; then ok "$sentence"; else not_ok "$sentence" "exit $status, not $want: $(tail -n 12 "$WORK/load.text")"; fi
}
judge() { jq -e "$1" "$WORK/run" >/dev/null; }
run_says() { that "$1" judge "$2"; }
short=(--users 4 --duration 1500ms --no-watch)

for scenario in checkout buy browse hot-sku double-click refresh-storm decline-then-retry; do
    load 0 "$scenario passes" "$scenario" "${short[@]}"
    run_says "with visits, and no answer wrong" ".errors == 0 and .series[\"visit.$scenario\"].good > 0 and (.promises | all(.broken == 0))"
done
run_says "a declined card is 402, and the next one buys" '.series.declined.outcomes[0].outcome == "402 payment_declined" and .series.retry.good > 0'

load 0 "a flash sale passes" flash-sale --users 40 --units 7
run_says "seven units are seven orders" '.series.checkout.outcomes | any(.outcome == "201" and .count == 7) and any(.outcome == "409 out_of_stock" and .count == 33)'
run_says "and each buyer got an answer" '.series["visit.flash-sale"].good == 40'
run_says "which is its promise" '.promises == [{promise: "exactly as many orders as there were units", kept: 1, broken: 0, sample: ""}]'

load 0 "a mix goes by a plan of steps and ramps" mixed --mix browse=3,buy=1 --rate 20@1s,20-40@1s --html "$WORK/page.html" --seed 5
run_says "exactly as many visits as the plan has are made" '[.series["visit.browse"].good, .series["visit.buy"].good] | add == 50'
visits=$(jq -c '[.series["visit.browse", "visit.buy"].good]' "$WORK/run")
run_says "processes are seen" '.cpuSeconds | has("cart") and has("postgres")'
run_says "and queues" '.queuesMost | has("order-queue")'
that "the page is complete in itself" test "$(grep -cE '<script|src=|href=|url\(|@import' "$WORK/page.html")" = 0
that "and has its plots" test "$(grep -c '<figure>' "$WORK/page.html")" = 6
load 0 "the same seed" mixed --mix browse=3,buy=1 --rate 20@1s,20-40@1s --no-watch --seed 5
is "makes the same visits" "$(jq -c '[.series["visit.browse", "visit.buy"].good]' "$WORK/run")" "$visits"

load 1 "a limit that is broken is exit 1" browse "${short[@]}" --fail-if 'browse.p50>1us' --fail-if 'errors>0'
run_says "and is named, with what was measured" '.thresholds[0].failed and (.thresholds[0].measured | endswith(" ms")) and (.thresholds[1].failed | not)'
is "the last line is for scripts" "$(tail -n 1 "$WORK/load.text" | sed -E 's/[0-9.]+/N/g')" \
    'souk-load browse: N visits in N s, N/s, pN N ms, pN N ms, N errors, N shed: FAILED'
load 2 "a limit that is none is exit 2" browse --fail-if 'browse.p50'
load 2 "so is a plan that is none" browse --rate 5@
load 3 "nobody at home is exit 3" browse --target http://127.0.0.1:1

# Through TLS: an nginx of our own before the gateway, with one certificate for its address and one for somebody else's.
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj "/CN=$1" -addext "subjectAltName=$2" \
        -keyout "$WORK/$1.key" -out "$WORK/$1.pem" 2>"$WORK/err" || die "no certificate: $(cat "$WORK/err")"
}
certificate right IP:127.0.0.1
certificate wrong DNS:another.example
right=$((PORT_BASE + 18)) wrong=$((PORT_BASE + 19))
server() {
    printf 'server { listen 127.0.0.1:%s ssl; ssl_certificate %s.pem; ssl_certificate_key %s.key; location / { proxy_pass %s; proxy_http_version 1.1; proxy_set_header Connection ""; } }\n' \
        "$2" "$WORK/$1" "$WORK/$1" "$(public_url)"
}
{
    echo "daemon off; master_process off; pid $WORK/tls.pid; events {} http { access_log off;"
    for kind in client_body proxy fastcgi uwsgi scgi; do echo "${kind}_temp_path $WORK/tls.$kind;"; done
    server right $right
    server wrong $wrong
    echo '}'
} >"$WORK/tls.conf"
PATH=$PATH:/usr/sbin nginx -c "$WORK/tls.conf" -e stderr 2>"$WORK/err" &
at_end "kill $! 2>/dev/null"
wait_until 100 port_open $wrong || die "no TLS: $(cat "$WORK/err")"
load 0 "a shop behind TLS passes" buy "${short[@]}" --target "https://127.0.0.1:$right" --ca "$WORK/right.pem"
run_says "with sales" '.errors == 0 and .series.checkout.good > 0'
load 3 "a certificate that nobody vouches for is exit 3" browse "${short[@]}" --target "https://127.0.0.1:$right"
that "and named" grep -q 'self-signed certificate' "$WORK/load.text"
load 3 "so is somebody else's" browse "${short[@]}" --target "https://127.0.0.1:$wrong" --ca "$WORK/wrong.pem"
that "and named" grep -q 'IP address mismatch' "$WORK/load.text"
load 0 "unless anything is believed" browse "${short[@]}" --target "https://127.0.0.1:$wrong" --insecure

# Shoppers that are kept.
people() { sql auth "SELECT count(*) FROM users WHERE email LIKE 'shopper-%@load.example'"; }
load 0 "shoppers are kept in a file" browse "${short[@]}" --keep "$WORK/kept"
is "for its owner alone, a line each" "$(stat -c %a "$WORK/kept") $(wc -l <"$WORK/kept")" "600 4"
cp "$WORK/kept" "$WORK/kept.old"
before=$(people)
load 0 "a later run takes them" decline-then-retry "${short[@]}" --keep "$WORK/kept"
is "and makes none" "$(people) $(cut -f1 "$WORK/kept" | paste -sd ' ')" "$before $(cut -f1 "$WORK/kept.old" | paste -sd ' ')"
is "each with the card that was missing, and a new token" "$(cut -f5 "$WORK/kept" | grep -c .) $(cut -f3 "$WORK/kept" "$WORK/kept.old" | sort -u | wc -l)" "4 8"
load 0 "whose token was spent logs in again" browse "${short[@]}" --keep "$WORK/kept.old" --users 5
is "and only who is missing is made" "$(people)" $((before + 1))
status=0
flock "$WORK/kept" "$SOUK_BUILD/src/souk-load" browse --keep "$WORK/kept" 2>"$WORK/err" || status=$?
is "two runs don't share a file" "$status $(grep -c 'another run is using it' "$WORK/err")" "3 1"
echo hello >"$WORK/diary"
status=0
"$SOUK_BUILD/src/souk-load" browse --keep "$WORK/diary" 2>"$WORK/err" || status=$?
is "and a file of something else stays as it is" "$status $(cat "$WORK/diary")" "3 hello"

# The books after a run.
SOUK_AUDIT=$PWD/tools/audit load 0 "a run ends with the audit" buy --users 2 --duration 500ms --no-watch
that "which is told" grep -q '^ok     audit: 12 of 12 invariants hold' "$WORK/load.text"
run_says "line by line" '[.audit[] | select(.holds)] | length == 12'
printf '%s\n' '#!/bin/sh' "echo '{\"invariant\":\"C1\",\"sentence\":\"money\",\"holds\":false,\"count\":1,\"differences\":1,\"first\":[\"order 7 owes 5\"]}'" 'exit 1' >"$WORK/auditor"
chmod +x "$WORK/auditor"
SOUK_AUDIT=$WORK/auditor load 1 "what it finds fails the run" browse "${short[@]}"
that "and is named" grep -q 'order 7 owes 5' "$WORK/load.text"
SOUK_AUDIT=$WORK/auditor load 0 "unless it is not wanted" browse "${short[@]}" --no-audit

# Without payment every checkout is refused, and that is not hidden.
at_end 'on payment'
off payment
load 3 "a shop without payment can't be prepared for" buy "${short[@]}"
on payment
load 0 "a run goes on with its shoppers" buy --users 4 --duration 1s --no-watch
(
    wait_until 150 test -s "$WORK/answers"
    off payment
) &
load 1 "wrong answers are exit 1" buy --users 4 --duration 4s --no-watch --log "$WORK/answers"
wait $!
run_says "counted by code" '.series.checkout.outcomes | any(.kind == "shed" and (.outcome | startswith("503 ")))'
on payment

# Ctrl-C: what ran is told.
: >"$WORK/answers"
"$SOUK_BUILD/src/souk-load" browse --rate 20 --duration 60s --warmup 0 --items 5 --no-watch --log "$WORK/answers" >"$WORK/load.text" 2>&1 &
LOAD=$!
wait_until 150 test -s "$WORK/answers" || die "no load: $(cat "$WORK/load.text")"
kill -INT "$LOAD" || true
status=0
wait "$LOAD" || status=$?
LOAD=''
that "an interrupted run tells what it saw" grep -q 'visits in .*, interrupted: passed$' "$WORK/load.text"
is "and passes" "$status" 0

# Late, for the shop is out of breath after it.
load 1 "visits that were never begun are errors" browse --rate 100000 --shoppers 10 --duration 500ms --no-watch --fail-if 'errors>1%'
run_says "by their number" '.series.unmade.lost > 1000 and .errors >= .series.unmade.lost'
audit
