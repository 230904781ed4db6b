# shellcheck shell=bash
# What stories share:   . tests/lib.sh   (from the root of the tree, on the servers of tests/env.sh)
#
#   that SENTENCE COMMAND...        one test; so are  is SENTENCE GOT WANT  and
#   soon SECONDS SENTENCE COMMAND   which asks again until the deadline; nothing here sleeps for luck. What must be done
#                                   in a time that was promised is measured beside it
#   quiet                           nothing is under way, and the books balance; for  soon
#   audit                           the last line of every story: the books must balance
#   call METHOD PATH [BODY] [CURL ARGS]   sets STATUS; the answer's parts by  field .a.b  and  header NAME
#   shopper NAME, card TOKEN, product STOCK [PRICE], put SKU [QUANTITY], checkout [KEY]
#   arm SERVICE FAULT, off SERVICE..., on SERVICE..., crash NAME, freeze NAME, thaw NAME, broker_killed, broker_back
#   aim METHOD PATH [BODY] [HEADER...], then fire PARALLEL: many requests at once
#   load_begin SCENARIO ARGS..., load_end     a steady open load beside the story (souk-load); load_count, load_refused, load_percentile
#   metric SERVICE SERIES            the sum of its series that match
#   proof SINCE                      what was told is in the audit stream, and was heard; gapless: it was heard
#   ctl GROUP COMMAND..., dead COUNT [FILTER...]   soukctl, and how many letters are dead
#   report JSON                      figures with their conditions, a line in the file SOUK_STORY_REPORT, if there is one
#   at_end COMMAND                   to be undone, whatever comes
set -euo pipefail
export LC_ALL=C.UTF-8
# shellcheck source=tests/env.sh
. tests/env.sh

WORK=$(mktemp -d)
RUN_ID=$(date +%s%N | tail -c 13)
tests=0 failures=0 finished=''
LOAD='' HEARING='' undone=()
STATUS='' TOKEN='' CARD='' SKU='' ORDER='' USER_ID='' EMAIL='' KEEPER=''
declare -A TOKENS USERS EMAILS CARDS

# shellcheck disable=SC2317 # called by the trap
leave() {
    local status=$?
    [ -n "$finished" ] || echo "Bail out! The script ended early (status $status)"
    local name
    [ -z "$LOAD" ] || kill -KILL "$LOAD" 2>/dev/null || true
    for name in "${SERVICES[@]}" rabbitmq postgres redis; do
        if running "$name"; then kill -CONT "$PID" 2>/dev/null || true; fi
    done
    [ -z "$HEARING" ] || hear_end
    for name in "${undone[@]}"; do eval "$name" || true; done
    rm -rf "$WORK"
}
trap leave EXIT

# at_end COMMAND: also when the story fails
at_end() { undone+=("$1"); }

# ---- tests ----

ok() { tests=$((tests + 1)) && echo "ok $tests - $1"; }

# Whatever failed, the last answer is often why.
not_ok() {
    tests=$((tests + 1)) failures=$((failures + 1))
    echo "not ok $tests - $1"
    shift
    printf '    %s\n' "$@"
    [ -z "$STATUS" ] || printf '    last answer: %s %s\n' "$STATUS" "$(head -c 300 "$WORK/answer" 2>/dev/null | tr -d '\0' | tr '\n' ' ')"
}

is() { if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "got:      $2" "expected: $3"; fi; }

that() {
    local sentence=$1
    shift
    if "$@"; then ok "$sentence"; else not_ok "$sentence" "failed: $*"; fi
}

# wait_until SECONDS COMMAND...
wait_until() {
    local until=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        [ ${EPOCHREALTIME/[.,]/} -lt $until ] || return 1
        sleep 0.05
    done
}

# The seconds are a machine's that has nothing else to do; a busy one has longer, for what never comes is told all the same.
soon() {
    local seconds=$((2 * $1 + 30)) sentence=$2 began=${EPOCHREALTIME/[.,]/} took
    shift 2
    if wait_until "$seconds" "$@"; then
        took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
        ok "$sentence ($took ms)"
    else
        not_ok "$sentence" "not within $seconds s: $*"
    fi
}

finish() {
    finished=yes
    echo "1..$tests"
    exit $((failures > 0))
}

audit() {
    local log=$WORK/audit
    if tools/audit "$@" >"$log" 2>&1; then ok "the books balance"; else not_ok "the books balance" "$(grep -v '^ok' "$log")"; fi
    finish
}

# ---- requests ----

call() {
    local method=$1 path=$2 body=${3:-}
    local -a more=()
    shift 2
    [ $# = 0 ] || shift
    [ -z "$body" ] || more=(-H 'content-type: application/json' --data-binary "$body")
    [ -z "$TOKEN" ] || more+=(-H "authorization: Bearer $TOKEN")
    : >"$WORK/answer"
    STATUS=$(curl -sS --max-time 20 -X "$method" -D "$WORK/headers" -o "$WORK/answer" -w '%{http_code}' \
        "${more[@]}" "$@" "$PUBLIC_URL$path") || STATUS="${STATUS:-000}"
}

field() { jq -r "$1" "$WORK/answer" 2>/dev/null; }
header() { tr -d '\r' <"$WORK/headers" | awk -v name="$1:" 'tolower($1) == name { $1 = ""; print substr($0, 2) }'; }

# must STATUS: for the steps before the one that is tested.
must() {
    [ "$STATUS" = "$1" ] && return
    not_ok "a step that should end with $1" "ended with $STATUS"
    finish
}

# answered STATUS [CODE]
answered() { [ "$STATUS" = "$1" ] && { [ -z "${2:-}" ] || [ "$(field .code)" = "$2" ]; }; }

# sql SERVICE QUERY: reads that service's database; columns are parted by a blank.
sql() {
    local url
    url=$(upper "$1")_AUDIT_DATABASE_URL
    psql -X -q -At -F ' ' -v ON_ERROR_STOP=1 -d "${!url}" -c "$2"
}

# quiet: nothing is under way any more, and the books balance.
quiet() { tools/audit --wait 1 >/dev/null 2>&1; }

sql_is() { [ "$(sql "$1" "$2" 2>/dev/null)" = "$3" ]; }

# ---- people and things ----

as() {
    TOKEN=${TOKENS[$1]} USER_ID=${USERS[$1]} EMAIL=${EMAILS[$1]} CARD=${CARDS[$1]:-}
}

# register NAME ROLE
register() {
    EMAILS[$1]=$1.$RUN_ID@people.example TOKEN=''
    call POST /api/v1/auth/register "{\"email\":\"${EMAILS[$1]}\",\"password\":\"quite long $RUN_ID\",\"name\":\"${1^}\",\"role\":\"$2\"}"
    must 201
    TOKENS[$1]=$(field .accessToken) USERS[$1]=$(field .user.userId)
    as "$1"
}

# shopper NAME [CARD TOKEN]: a new account, logged in, with a card.
shopper() {
    register "$1" user
    card "${2:-tok_visa}"
    CARDS[$1]=$CARD
}

card() {
    call POST /api/v1/payment-methods "{\"token\":\"$1\",\"label\":\"my $1\"}"
    must 201
    CARD=$(field .paymentMethodId)
}

# Whoever owns the story's products.
keeper() {
    if [ -z "$KEEPER" ]; then
        register keeper seller
        call POST /api/v1/sellers "{\"name\":\"Keeper $RUN_ID\"}"
        must 201
        KEEPER=$TOKEN
    fi
    TOKEN=$KEEPER
}

# product STOCK [PRICE]: a new product; SKU is its number.
product() {
    local before=$TOKEN
    keeper
    SKU=T-$RUN_ID-$((RANDOM))$((RANDOM))
    call POST /api/v1/products "{\"sku\":\"$SKU\",\"name\":\"Thing $SKU\",\"category\":\"things\",\"price\":{\"amount\":${2:-1500},\"currency\":\"USD\"},\"initialStock\":$1}"
    must 201
    TOKEN=$before
}

# reprice SKU PRICE
reprice() {
    local before=$TOKEN
    keeper
    call GET "/api/v1/products/$1"
    call PATCH "/api/v1/products/$1" "{\"price\":{\"amount\":$2,\"currency\":\"USD\"}}" -H "if-match: $(header etag)"
    must 200
    TOKEN=$before
}

put() {
    call POST /api/v1/cart/items "{\"sku\":\"$1\",\"quantity\":${2:-1}}"
    must 200
}

fresh_key() { printf 'key-%s-%s%s' "$RUN_ID" $RANDOM $RANDOM; }
checkout_body() { printf '{"paymentMethodId":"%s","shippingAddress":{"name":"Ann","line1":"1 High Street","city":"Ulm","postalCode":"89073","country":"DE"}}' "$CARD"; }

# checkout [KEY]: sets ORDER when it made one.
checkout() {
    call POST /api/v1/cart/checkout "$(checkout_body)" -H "idempotency-key: ${1:-$(fresh_key)}"
    ORDER=''
    [ "$STATUS" != 201 ] || ORDER=$(field .orderId)
}

order_is() { sql_is order "SELECT status FROM orders WHERE id = '$1'" "$2"; }
# stock_is SKU "AVAILABLE HELD COMMITTED"
stock_is() { sql_is seller "SELECT available, held, committed FROM stock WHERE sku = '$1'" "$2"; }
# payment_is ORDER "STATUS CAPTURED REFUNDED"
payment_is() { sql_is payment "SELECT status, captured, refunded FROM payments WHERE order_id = '$1'" "$2"; }
# orders_of USER: how many
orders_of() { sql order "SELECT count(*) FROM orders WHERE user_id = '$1'"; }
has_orders() { [ "$(orders_of "$1")" = "$2" ]; }
# mail_to ADDRESS TEXT: a mail to that address whose subject or body has the text.
mail_to() {
    curl -sS --max-time 30 "$MAIL_URL/email?to.address=$1" |
        jq -e --arg to "$1" --arg text "$2" 'any(.[]; any(.to[]; .address == $to) and ((.subject // "") + (.text // "") | contains($text)))' >/dev/null
}
no_live_checkouts() { sql_is cart "SELECT count(*) FROM checkouts WHERE state IN ('running', 'compensating')" 0; }

# Who can't be served soon is told so at once, and comes back: the answers are in login.1 and so on.
crowd_logs_in() {
    local -a left later
    local n status until=$((SECONDS + 180))
    mapfile -t left < <(seq "$1")
    while [ ${#left[@]} -gt 0 ]; do
        for n in "${left[@]}"; do
            aim POST /api/v1/auth/login "{\"email\":\"crowd$n@people.example\",\"password\":\"souk-demo-2026\"}"
        done
        fire 8
        later=()
        while read -r n status; do
            case $status in
            200) mv "$WORK/shot.$n" "$WORK/login.${left[n - 1]}" ;;
            503) later+=("${left[n - 1]}") ;;
            *) not_ok "the crowd logs in" "$(codes)" && finish ;;
            esac
        done <"$WORK/codes"
        [ ${#later[@]} = 0 ] || [ $SECONDS -lt $until ] || { not_ok "the crowd logs in" "$(codes)" && finish; }
        left=("${later[@]}")
    done
}

# crowd N: N shoppers with cards, in the arrays CROWD_TOKENS and CROWD_CARDS. They are written into
# the databases, for a password's hash costs 16 ms, and log in once.
crowd() {
    local i file=$SOUK_STATE/crowd
    if ! { [ -s "$file" ] && [ "$(wc -l <"$file")" -ge "$1" ] && [ -n "$(find "$file" -mmin -6)" ]; }; then
        psql -X -q -v ON_ERROR_STOP=1 -d "$AUTH_MIGRATE_DATABASE_URL" <<SQL
INSERT INTO users (id, email, password_hash, name, roles)
SELECT ('01900000-0000-7000-9000-' || lpad(n::text, 12, '0'))::uuid, 'crowd' || n || '@people.example',
    (SELECT password_hash FROM users WHERE email = 'shopper1@souk.example'), 'Crowd ' || n, '{user}'
FROM generate_series(1, $1) n ON CONFLICT DO NOTHING
SQL
        psql -X -q -v ON_ERROR_STOP=1 -d "$PAYMENT_MIGRATE_DATABASE_URL" <<SQL
INSERT INTO payment_methods (id, user_id, provider, token)
SELECT ('01900000-0000-7000-a000-' || lpad(n::text, 12, '0'))::uuid, ('01900000-0000-7000-9000-' || lpad(n::text, 12, '0'))::uuid,
    'sandbox', 'tok_visa' FROM generate_series(1, $1) n ON CONFLICT DO NOTHING
SQL
        crowd_logs_in "$1"
        jq -r .accessToken $(seq -f "$WORK/login.%.0f" "$1") >"$file"
    fi
    mapfile -t CROWD_TOKENS <"$file"
    CROWD_CARDS=()
    for ((i = 1; i <= $1; i++)); do CROWD_CARDS+=("$(printf '01900000-0000-7000-a000-%012d' $i)"); done
}

# ---- many requests at once ----

shots=0
aim() {
    local method=$1 path=$2 body=${3:-} extra
    [ $shots -gt 0 ] || : >"$WORK/volley"
    shots=$((shots + 1))
    {
        [ $shots = 1 ] || echo next
        printf 'url = "%s%s"\nrequest = "%s"\noutput = "%s/shot.%d"\n' "$PUBLIC_URL" "$path" "$method" "$WORK" $shots
        printf 'write-out = "%d %%{http_code}\\n"\nmax-time = 20\nsilent\n' $shots
        if [ -n "$body" ]; then
            printf 'header = "content-type: application/json"\ndata-binary = "%s"\n' "${body//\"/\\\"}"
        fi
        [ -z "$TOKEN" ] || printf 'header = "authorization: Bearer %s"\n' "$TOKEN"
        shift $(($# < 3 ? $# : 3))
        for extra in "$@"; do printf 'header = "%s"\n' "$extra"; done
    } >>"$WORK/volley"
}

# fire PARALLEL: sends what was aimed; "$WORK/codes" has "number status" in order, shot.N the answers.
fire() {
    rm -f "$WORK"/shot.*
    curl -Z --parallel-immediate --parallel-max "$1" -K "$WORK/volley" 2>/dev/null | sort -n >"$WORK/codes" || true
    shots=0
}

# codes: how many of which status, "1 201 49 409".
codes() { cut -d' ' -f2 "$WORK/codes" | sort | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = " " }'; }
# problems: the same of the problems' codes.
problems() { cat "$WORK"/shot.* | jq -r '.code? // empty' | sort | uniq -c | awk '{ printf "%s%s %s", sep, $1, $2; sep = " " }'; }

# ---- a load beside the story ----

# shellcheck disable=SC2317 # called through wait_until
load_began() { [ -s "$WORK/load" ] || ! kill -0 "$LOAD" 2>/dev/null; }

# load_begin SCENARIO ARGS...: for souk-load; returns when its first request has been answered. What it was answered is
# for the story to judge.
load_begin() {
    : >"$WORK/load"
    "$SOUK_BUILD/src/souk-load" --direct --no-watch --quiet --warmup 0 --items 20 --fail-if 'errors>100%' --log "$WORK/load" "$@" >"$WORK/load.report" 2>"$WORK/load.err" &
    LOAD=$!
    wait_until 150 load_began || true
    [ -s "$WORK/load" ] || die "no load: $(cat "$WORK/load.err")"
}

# load_end: what is under way is answered first. Then $WORK/load has a line for each request.
load_end() {
    kill -TERM "$LOAD" 2>/dev/null || true
    wait "$LOAD" || die "the load ended badly: $(cat "$WORK/load.err")"
    LOAD=''
}

# wall: now, in the load's ms.
wall() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }
# load_count WHAT STATUS
load_count() { awk -v what="$1" -v status="$2" '$1 == what && $4 == status { n++ } END { print n + 0 }' "$WORK/load"; }
# load_refused: the first lines of what was not answered with what was asked for
load_refused() { awk '$4 !~ /^20/' "$WORK/load" | head -n 5; }
# load_percentile WHAT FROM TO PERCENT: "MS REQUESTS" of those due then; one that failed is not among them.
load_percentile() {
    awk -v what="$1" -v from="$2" -v to="$3" '$1 == what && $2 >= from && $2 < to && $4 ~ /^20/ { print $3 }' "$WORK/load" |
        sort -n | awk -v part="$4" '{ v[NR] = $1 } END { at = int((NR - 1) * part / 100) + 1; printf "%.1f %d\n", v[at] / 1000, NR }'
}

# report JSON
load_before=$(cut -d' ' -f1 /proc/loadavg)
report() {
    [ -z "${SOUK_STORY_REPORT:-}" ] || jq -c --arg story "$(basename "$0" .sh)" --arg commit "$(git describe --always --dirty 2>/dev/null || echo unknown)" \
        --arg at "$(date -u +%FT%TZ)" --argjson cores "$(nproc)" --argjson load "$load_before" \
        '{story: $story} + . + {commit: $commit, at: $at, cores: $cores, loadBefore: $load}' <<<"$1" >>"$SOUK_STORY_REPORT"
}

# ---- events ----

# metric SERVICE SERIES: the sum of the series whose name and labels match the expression.
metric() { curl -sS --max-time 30 "$(service_url "$1")/metrics" | awk -v series="^$2" '$0 ~ series { n += $NF } END { printf "%.0f", n }'; }
# handled SERVICE [RESULT]: events that this process has dealt with
handled() { metric "$1" "souk_events_handled_total.*result=\"${2:-handled}\""; }
listeners() { printf '%s\n' cart order payment seller notification aibuddy; }

ctl() { SOUK_CTL_AUDIT=$WORK/ctl.audit "$SOUK_BUILD/src/soukctl" "$@"; }
# dead COUNT [FILTER...]: dead letters, as  soukctl dlq list  filters them
dead() { [ "$(ctl dlq list --json "${@:2}" | jq .total)" = "$1" ]; }

# The RabbitMQ page can't look into a stream, so a shovel copies it from its beginning to a queue of ours.
hear_begin() {
    HEARING=heard-$RUN_ID
    management PUT "/api/queues/%2f/$HEARING" -f -d '{"durable":true,"arguments":{"x-queue-type":"classic"}}' -o /dev/null
    management PUT "/api/parameters/shovel/%2f/$HEARING" -f -o /dev/null -d "{\"value\":{\"src-protocol\":\"amqp091\",
        \"src-uri\":\"amqp:///%2f\",\"src-queue\":\"order-events.audit\",\"src-consumer-args\":{\"x-stream-offset\":\"first\"},
        \"src-prefetch-count\":1000,\"src-delete-after\":\"never\",\"dest-protocol\":\"amqp091\",\"dest-uri\":\"amqp:///%2f\",
        \"dest-queue\":\"$HEARING\",\"dest-add-forward-headers\":false,\"ack-mode\":\"on-confirm\"}}"
}

# shellcheck disable=SC2317 # called by the trap, too
hear_end() {
    management DELETE "/api/parameters/shovel/%2f/$HEARING" -o /dev/null || true
    management DELETE "/api/queues/%2f/$HEARING" -o /dev/null || true
    HEARING=''
}

# hear FILE: appends "event seconds" of what has come by now; false when that is nothing.
hear() {
    management POST "/api/queues/%2f/$HEARING/get" -d '{"count":5000,"ackmode":"ack_requeue_false","encoding":"auto","truncate":1}' |
        jq -r '.[].properties | "\(.message_id) \(.timestamp)"' >"$WORK/hear"
    cat "$WORK/hear" >>"$1"
    [ -s "$WORK/hear" ]
}

# heard FILE: "event seconds" of each message of the stream, as often as it is there. The stream is at its end when
# nothing more has come for a second and what the file TOLD ("event ..." a line) names is there, or 60 s are over.
heard() {
    local file=$1 told=$2 quiet=0 until=$((SECONDS + 60))
    : >"$file"
    hear_begin
    while [ $SECONDS -lt $until ]; do
        if hear "$file"; then
            quiet=0
        elif [ $((quiet += 1)) -ge 5 ] && [ -z "$(comm -23 <(cut -d' ' -f1 "$told" | sort -u) <(cut -d' ' -f1 "$file" | sort -u) | head -n 1)" ]; then
            break
        else
            sleep 0.2
        fi
    done
    hear_end
}

# told FILE: "event seconds type" of every event in the outboxes.
told() {
    local svc
    for svc in "${SERVICES[@]}"; do
        sql "$svc" "SELECT event_id, floor(extract(epoch FROM created_at)), type FROM outbox"
    done >"$1"
}

# proof SINCE [LOST]: every event in an outbox is in the audit stream (but for LOST of them), and was handled or lies
# dead with each who asked for it.
proof() {
    local since=$1 lost=${2:-0} strangers missing # also told in $WORK/missing
    told "$WORK/told"
    heard "$WORK/heard" "$WORK/told"
    cut -d' ' -f1 "$WORK/told" | sort >"$WORK/told.ids"
    missing=$(comm -23 "$WORK/told.ids" <(cut -d' ' -f1 "$WORK/heard" | sort -u) | tee "$WORK/missing")
    strangers=$(awk -v since="$since" '$2 >= since { print $1 }' "$WORK/heard" | sort -u | comm -23 - "$WORK/told.ids")
    if [ "$(grep -c . <<<"$missing")" -le "$lost" ]; then
        ok "every event of the outboxes is in the audit stream but for $(grep -c . <<<"$missing") ($(wc -l <"$WORK/told.ids") events, $(wc -l <"$WORK/heard") messages)"
    else
        not_ok "every event of the outboxes is in the audit stream" "missing: $missing"
    fi
    is "and nothing else has come into it" "$strangers" ''
    gapless
}

# tell_again ID...: publishes these events once more, as docs/RUNBOOK.md says.
tell_again() {
    local svc
    for svc in "${SERVICES[@]}"; do
        admin_psql -d "souk_$svc" -c "UPDATE outbox SET published_at = NULL WHERE event_id = ANY ('{$(tr ' ' , <<<"$*")}')" >/dev/null
    done
}

# gapless: every event was handled by each who asked for it, or lies dead; soukctl says so.
gapless() {
    if ctl events proof --wait 60s --grace 0s >"$WORK/proof" 2>&1; then
        ok "soukctl events proof: $(head -n 1 "$WORK/proof"), $(tail -n 1 "$WORK/proof")"
    else
        not_ok "soukctl events proof finds no gap" "$(head -n 20 "$WORK/proof")"
    fi
}

# ---- pulling plugs ----

off() { service_down "$@"; }

on() {
    local svc
    for svc in "$@"; do service_up "$svc"; done
    services_await "$@" >/dev/null
}

# arm SERVICE FAULT[:N]: the service dies at the N-th pass of that point, once; its watcher brings it back.
arm() {
    grep -q "^FAULT_POINT(${2%:*}," src/common/app/faults.def || die "no fault point is called $2"
    off "$1"
    SOUK_FAULT=$2 on "$1"
}

# struck SERVICE: it has died since it was started, and is back.
struck() { [ "$(cat "$RUN/$1.crashes" 2>/dev/null || echo 0)" -ge 1 ] && service_ready "$1" 2>/dev/null; }

signal() { if running "$2"; then kill "-$1" "$PID"; else die "$2 does not run"; fi; }
crash() { signal KILL "$1"; }
freeze() { signal STOP "$1"; }
thaw() { signal CONT "$1"; }

# broker_killed: it is gone, with its sockets; then  broker_back
# shellcheck disable=SC2317 # called through wait_until
broker_gone() { ! running rabbitmq && ! port_open "${PORTS[amqp]}" 2>/dev/null; }
broker_killed() {
    crash rabbitmq
    wait_until 60 broker_gone || die "the broker survives SIGKILL"
}
broker_back() { (rabbitmq_up) >/dev/null; }
