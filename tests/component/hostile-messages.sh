#!/usr/bin/env bash
# Messages nobody should send, into each of the six queues: header bombs, bodies that are no events,
# events that lie. Each becomes one dead letter with a fitting code, or is handled; the good event
# right behind it is handled; the process is still the same one, and not fatter for it.
set -euo pipefail
. tests/component-lib.sh

BOUND_KB=12288 # growth from the first to the second volley
if grep -qa __asan_init "$SOUK_BUILD/src/souk-order"; then BOUND_KB=409600; fi # freed memory is in quarantine
trap 'service_stop >/dev/null 2>&1; rabbitmq_empty >/dev/null 2>&1; _end' EXIT

declare -A QUEUE=([cart]=cart-queue [order]=order-queue [payment]=payment-settlement-queue
    [seller]=seller-updates-queue [notification]=notification-queue [aibuddy]=ai-events-queue)
# What a publisher may send that reaches the queue, to say something that is another's: its key, and
# the type that it claims.
declare -A LIAR=([cart]='auth user.registered order.completed' [order]='seller inventory.updated payment.completed'
    [payment]='auth user.deactivated order.created' [seller]='auth user.deactivated order.created'
    [notification]='payment payment.completed order.created' [aibuddy]='auth user.deactivated order.created')

# fresh: FRESH is a new UUID, without a process for each.
fresh() { read -r FRESH </proc/sys/kernel/random/uuid && FRESH=${FRESH:0:14}7${FRESH:15}; }

# template TYPE: an event of that type as the service knows it; its id is @ID@.
template() {
    jq -cn --arg t "$1" --arg id "$(uuid)" '({userId: $id} + ($t | if startswith("user.") then {email: "a@people.example"}
        elif startswith("payment.") then {paymentId: $id, orderId: $id, amount: 100, currency: "USD"}
        elif . == "product.updated" then {sku: "SKU-1", sellerId: $id, name: "Thing", price: {amount: 1, currency: "USD"}}
        elif . == "order.created" then {orderId: $id, userEmail: "a@people.example", totalAmount: 100, currency: "USD",
            items: [{sku: "SKU-1", name: "Thing", sellerId: $id, quantity: 1, unitPrice: {amount: 100, currency: "USD"}}]}
        else {orderId: $id, status: "completed"} end)) as $payload
        | {eventId: "@ID@", eventType: $t, type: $t, eventVersion: "1.0", source: "test", aggregateId: $id,
        timestamp: (now | todate), correlationId: $id, payload: $payload}'
}

# event [JQ FILTER] [TYPE]: one as the service knows it, changed; into $BODY. Its id is FRESH.
event() {
    local text=$TEMPLATE
    fresh
    [ -z "${2:-}" ] || text=$(template "$2")
    text=${text/@ID@/$FRESH}
    if [ -z "${1:-}" ]; then printf '%s' "$text" >"$BODY"; else jq -c "$1" <<<"$text" >"$BODY"; fi
}

# strange CODE NAME [HEADERS] [PROPERTIES]: what is in $BODY, and a good event behind it. CODE is that
# of the dead letter, or "handled", or "refused" by the broker.
strange() {
    local id=strange-$N
    printf '%s\n' "send - $Q - ${3:--} id=$id${4:+,$4} $BODY" >>"$SCRATCH/acts"
    if [ "$1" = refused ]; then echo 406 >>"$SCRATCH/wanted"; else echo ok >>"$SCRATCH/wanted"; fi
    case $1 in
    handled) EXPECTED_IDS+=("$FRESH") ;;
    refused) ;;
    *) printf '%s %s %s\n' "$id" "$1" "$2" >>"$SCRATCH/letters" ;;
    esac
    next
    event
    EXPECTED_IDS+=("$FRESH")
    printf '%s\n' "send - $Q - - id=$FRESH,type=$TYPE $BODY" >>"$SCRATCH/acts"
    echo ok >>"$SCRATCH/wanted"
    next
}
next() { N=$((N + 1)) && BODY=$SCRATCH/body.$N; }

headers() {
    local bomb
    for bomb in hundreds deep50 deep4500 long arrays types forged; do
        event && strange handled "a good event with headers: $bomb" $bomb
        echo '{"no": "event"}' >"$BODY" && strange unreadable_event "a bad one with headers: $bomb" $bomb
    done
}

bodies() {
    local text
    : >"$BODY" && strange unreadable_event 'nothing at all'
    head -c 1048577 /dev/zero >"$BODY" && strange refused 'one byte over a MiB'
    head -c 1048576 /dev/urandom >"$BODY" && strange unreadable_event 'a MiB of noise'
    event '.more = "x" * 1040000' && strange handled 'an event of nearly a MiB'
    event '.payload = {"x": ("\"" * 500000)}' && strange invalid_payload 'a bad one of nearly a MiB'
    event '.type = "frob" | .payload = [range(150000) | 1234]' && strange unknown_event_type 'one that is too big when laid out'
    event && printf '\xff\xfe' >>"$BODY" && strange unreadable_event 'no UTF-8 behind it'
    event && sed -i 's/"source":"test"/"source":"\xc3\x28"/' "$BODY" && strange unreadable_event 'no UTF-8 within'
    event && sed -i '1s/^/\xef\xbb\xbf/' "$BODY" && strange unreadable_event 'a byte order mark'
    event && sed -i 's/"source":"test"/"source":"te\x00st"/' "$BODY" && strange unreadable_event 'a NUL'
    event && sed -i 's/"source":"test"/"source":"te\\u0000st"/' "$BODY" && strange unreadable_event 'an escaped NUL'
    printf '%10000s' '' | tr ' ' '[' >"$BODY" && strange unreadable_event '10,000 brackets'
    event && sed -i "s/\"source\":\"test\"/\"more\":$(printf '%5000s' '' | tr ' ' '[')$(printf '%5000s' '' | tr ' ' ']')/" "$BODY" &&
        strange unreadable_event 'an event with 5,000 brackets in it'
    event && sed -i 's/"source":"test"/"source":"a","source":"b"/' "$BODY" && strange unreadable_event 'a member twice'
    event && sed -i 's/"source":"test"/"more":1e400/' "$BODY" && strange unreadable_event 'a number beyond all doubles'
    event && sed -i 's/"source":"test"/"more":123456789012345678901234567890/' "$BODY" && strange unreadable_event 'a number beyond 64 bits'
    for text in '[]' null '"text"' 42 '{}' '{"eventId":' 'eventId=1' '<event/>'; do
        printf '%s' "$text" >"$BODY" && strange unreadable_event "$text"
    done
    event && gzip -n "$BODY" && mv "$BODY.gz" "$BODY" && strange unreadable_event 'compressed' - encoding=gzip
}

envelopes() {
    local member
    for member in eventId type eventVersion aggregateId timestamp payload; do
        event "del(.$member)" && strange unreadable_event "without $member"
        event ".$member = null" && strange unreadable_event "$member null"
        [ $member = payload ] || { event ".$member = {}" && strange unreadable_event "$member an object"; }
    done
    event '.eventId = "1"' && strange unreadable_event 'an id that is none'
    event ".eventId += \"'; DROP TABLE inbox\"" && strange unreadable_event 'an id with more behind it'
    event '.type = "x" * 200' && strange unreadable_event 'a type of 200 characters'
    event '.type = "order.teleported"' && strange unknown_event_type 'an unknown type'
    event '.type = "a{b}c,\"d\\"' && strange unknown_event_type 'a type that looks like an array'
    event '.eventVersion = "9.0"' && strange unknown_event_version 'an unknown version'
    event '.eventVersion = ""' && strange unknown_event_version 'an empty version'
    event '.timestamp = "yesterday"' && strange unreadable_event 'a time that is none'
    event '.timestamp = "9999-12-31T23:59:59Z"' && strange implausible_timestamp 'a time 8,000 years ahead'
    event '.timestamp = "1970-01-01T00:00:00Z"' && strange handled 'a time long gone'
    event '.payload = "text"' && strange invalid_payload 'a payload that is a text'
    event '.payload = []' && strange invalid_payload 'a payload that is an array'
    event '.payload.userId = 5' && strange invalid_payload 'a number for a user'
    event '.payload.userId = "nobody"' && strange invalid_payload 'a user that is none'
    event '.payload.more = {"userId": 1} | .more = [1, 2]' && strange handled 'more than is known'
    case $SVC in
    notification | order) event '.payload.amount = -1' payment.completed ;;
    cart) event '.payload.price.amount = -1' product.updated ;;
    *) event '.payload.totalAmount = -1' order.created ;;
    esac
    strange invalid_payload 'a negative amount'
}

properties() {
    event && strange handled 'no type among the properties'
    event && strange handled 'another type among the properties' - type=order.teleported
    event && strange handled 'another content type' - 'content=text/xml'
    event && strange handled 'an encoding that it has not' - encoding=gzip
    event && strange handled 'a correlation id of 250 characters' - "correlation=$(printf '%250s' '' | tr ' ' x)"
}

handled() {
    local ids
    printf -v ids "'%s'," "${EXPECTED_IDS[@]}"
    [ "$(sql "$SVC" "SELECT count(*) FROM inbox WHERE event_id IN (${ids%,})")" = ${#EXPECTED_IDS[@]} ]
}
settled() { [ "$(depth "$Q.dlq")" = "$1" ] && [ "$(depth "$Q")" = 0 ] && handled; }
dead_now() {
    management POST "/api/queues/%2f/$Q.dlq/get" -d '{"count":500,"ackmode":"ack_requeue_false","encoding":"auto","truncate":200}' |
        jq -r '.[] | "\(.properties.message_id // "-") \(.properties.headers["souk-error-code"])"' | sort
}
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

# load: a volley, everything once.
load() {
    N=1 BODY=$SCRATCH/body.1 EXPECTED_IDS=()
    rm -f "$SCRATCH"/{acts,wanted,letters,body.*}
    headers
    bodies
    envelopes
    properties
}

volley() {
    "$SOUK_BUILD/tests/amqp-act" "$OPS_AMQP_URL" <"$SCRATCH/acts" | cut -d ' ' -f 1 >"$SCRATCH/answers"
    is "$SVC: the broker took what it should$1" "$(paste "$SCRATCH/answers" "$SCRATCH/wanted" "$SCRATCH/acts" | awk '$1 != $2')" ''
    check "$SVC: each good neighbour is handled ($((N - 1)) messages)$1" until_true 60 settled "$(wc -l <"$SCRATCH/letters")"
    is "$SVC: each of the others is one dead letter, with its code ($(wc -l <"$SCRATCH/letters") letters)$1" \
        "$(diff <(dead_now) <(cut -d ' ' -f 1,2 "$SCRATCH/letters" | sort) | grep '^[<>]' |
            while read -r side id code; do printf '%s %s (%s)\n' "$side" "$code" "$(sed -n "s/^$id [^ ]* //p" "$SCRATCH/letters")"; done)" ''
}

liar() {
    local user key type url
    read -r user key type <<<"${LIAR[$SVC]}"
    url=$(upper "$user")_AMQP_URL
    next
    event '' "$type"
    {
        echo "send order-events $key $user - id=named,type=$type $BODY"
        echo "send order-events $key - - id=unnamed,type=$type $BODY"
    } | "$SOUK_BUILD/tests/amqp-act" "${!url}" >"$SCRATCH/answers"
    is "$SVC: $user can send $type under $key" "$(paste -sd ' ' "$SCRATCH/answers")" 'ok ok'
    check '... named or unnamed' until_true 10 settled 2
    is '... and it is not believed' "$(dead_now | paste -sd ' ')" 'named wrong_publisher unnamed wrong_publisher'
}

service_start auth
for SVC in "${!QUEUE[@]}"; do
    Q=${QUEUE[$SVC]} TYPE=user.deactivated
    [ "$SVC" != order ] || TYPE=payment.completed
    rabbitmq_empty
    service_start "$SVC"
    running "test-$SVC"
    pid=$PID
    TEMPLATE=$(template "$TYPE")
    load
    volley ''
    first=$(rss_kb "$pid")
    volley ', again'
    second=$(rss_kb "$pid")
    liar
    if [ $((second - first)) -lt $BOUND_KB ]; then ok "$SVC: no fatter for it ($first, then $second kB)"; else not_ok "$SVC: no fatter for it" "$first, then $second kB"; fi
    running "test-$SVC" || true
    is "$SVC: the same process" "$PID" "$pid"
    service_stop "$SVC"
done
