#!/usr/bin/env bash
# soukctl on a real broker with one real consumer (order): what dies can be seen, mended, sent back to
# its one queue and thrown away, and nothing is lost or takes effect twice on the way.
set -euo pipefail
. tests/component-lib.sh

AUDIT=$SCRATCH/audit.log
Q='order-queue'
export SOUK_CTL_AUDIT=$AUDIT
broken=''

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    [ -z "$broken" ] || mend
    management DELETE /api/policies/%2f/ctl-test || true
    management DELETE /api/parameters/shovel/%2f/ctl-test || true
    service_stop order
    rabbitmq_empty
    (exit "$status")
}
trap 'clean_up >/dev/null 2>&1; _end' EXIT

dead() { [ "$("$CTL" dlq list --json "${@:2}" | jq .total)" = "$1" ]; }
# ids QUEUE: the message ids in it, in their order; they stay.
ids() {
    management POST "/api/queues/%2f/$1/get" -d '{"count":500,"ackmode":"ack_requeue_true","encoding":"auto"}' |
        jq -r '.[].properties.message_id'
}
uuid() { sed 's/^\(.\{14\}\)./\17/' /proc/sys/kernel/random/uuid; }
inbox_has() { [ "$(sql order "SELECT count(*) FROM inbox WHERE event_id IN ('${1//,/\',\'}')")" = "$2" ]; }

# send TYPE BODY ID: as an event of ours, under the key KEY or its type
send() {
    jq -n --arg key "${KEY:-$1}" --arg type "$1" --arg body "$2" --arg id "$3" '{routing_key: $key, payload: $body, payload_encoding: "string",
        properties: {delivery_mode: 2, message_id: $id, type: $type, user_id: "ops", content_type: "application/json"}}' |
        management POST /api/exchanges/%2f/order-events/publish --data-binary @/dev/fd/9 9<&0 | jq -e .routed >/dev/null
}
# event TYPE VERSION ORDER [PAYLOAD FILTER]: sends one, sets ID and BODY.
event() {
    ID=$(uuid)
    BODY=$(jq -cn --arg id "$ID" --arg type "$1" --arg version "$2" --arg order "$3" --arg user "$(uuid)" '{eventId: $id,
        eventType: $type, type: $type, eventVersion: $version, timestamp: "2026-01-02T03:04:05Z", source: "payment",
        aggregateId: $order, correlationId: $id, payload: ({paymentId: $user, orderId: $order, userId: $user, amount: 1200,
        currency: "USD"} | '"${4:-.}"')}')
    send "$1" "$BODY" "$ID"
}

# The handler fails until it is mended, in a way that may pass: all tiers are tried.
break_it() { broken=yes && sql order 'ALTER TABLE orders RENAME TO orders_away'; }
mend() { broken='' && sql order 'ALTER TABLE orders_away RENAME TO orders'; }

rabbitmq_empty
management PUT /api/policies/%2f/ctl-test -d '{"pattern":"^order-events\\.retry\\.","apply-to":"queues","priority":10,
    "definition":{"message-ttl":30,"dead-letter-exchange":"order-events.return","dead-letter-strategy":"at-least-once","overflow":"reject-publish"}}'
service_start auth
service_start order

# ---- usage ----

ctl dlq list --json
gives 'no letters at first' 0 '.total == 0 and .groups == []'
ctl dlq lst
gives 'an unknown command is a usage error' 2
ctl dlq list --queue sofa
gives 'an unknown queue is a usage error' 2
ctl dlq redrive
gives 'a redrive says what it is about' 2
ctl dlq redrive --canary none --all
gives 'a count is a number' 2
ctl dlq
gives 'a group alone is a usage error' 2
check 'and named' grep -q 'dlq alone' <<<"$ERR"
ctl dlq list --newer-than 0s
gives 'no age at all is a usage error, not every letter' 2
# shellcheck disable=SC2016 # the inner shell's
check 'a reader that has seen enough is no failure' \
    bash -o pipefail -c '"$0" dlq redrive --all --dry-run 2>"$1" | true && [ ! -s "$1" ]' "$CTL" "$SCRATCH/pipe"
EXIT=0
"$CTL" dlq list --json >/dev/full 2>"$SCRATCH/err" || EXIT=$?
is 'a full disk is' "$EXIT $(cat "$SCRATCH/err")" '1 soukctl: the output could not be written'
ctl --amqp-url amqp://ops:x@127.0.0.1:1/ dlq list
gives 'a broker that is not there is named' 3
check 'with the way to start it' grep -q 'souk up' <<<"$ERR"
ctl --amqp-url "amqp://ops:wrong@127.0.0.1:${PORTS[amqp]}/" dlq list
gives 'so is one that refuses us' 3
for command in list show redrive edit drop; do
    ctl dlq $command --help
    check "dlq $command has help with examples" grep -q "^  soukctl dlq $command" <<<"$OUT"
done
check 'completion offers commands' grep -qx redrive <("$CTL" --complete dlq)
check 'completion offers options' grep -qx -- --canary <("$CTL" --complete dlq redrive)
# shellcheck disable=SC2016 # jq's
check 'dead letter queues have no delivery limit' \
    jq -e '[.policies[].pattern as $p | .queues[].name | select(endswith(".dlq")) | select(test($p))] == []' rabbitmq/definitions.json

# ---- looking ----

for _ in 1 2 3; do event payment.completed 1.0 "$(uuid)" 'del(.amount)'; done
incomplete=$ID
for _ in 1 2; do event payment.failed 2.0 "$(uuid)"; done
event payment.refunded 2.0 "$(uuid)" '. + {cardToken: "hush"}'
secret=$ID
KEY=payment.failed event payment.teleported 1.0 "$(uuid)"
send payment.completed 'not { json' broken-1
check 'eight poison events are dead letters' until_true 10 dead 8
ctl dlq list --json
gives 'they are grouped by queue, code and type' 0 '[.groups[] | [.queue, .code, .type, .count]] | sort == [
    ["order-queue","invalid_payload","payment.completed",3], ["order-queue","unknown_event_type","payment.teleported",1],
    ["order-queue","unknown_event_version","payment.failed",2], ["order-queue","unknown_event_version","payment.refunded",1],
    ["order-queue","unreadable_event","payment.completed",1]]'
gives 'each group has its ages' 0 'all(.groups[]; .oldestAt != null and .oldestAt <= .newestAt)'
group=$(jq -r '.groups[] | select(.code == "invalid_payload") | .group' <<<"$OUT")
before=$(ids $Q.dlq)
for _ in 1 2 3 4 5; do "$CTL" dlq list >/dev/null; done
is 'looking changes neither the letters nor their order' "$(ids $Q.dlq)" "$before"
ctl dlq list
check 'people get a table' grep -Eq '^GROUP +QUEUE +CODE +TYPE +COUNT' <<<"$OUT"
is 'without colours' "${OUT//$'\033'/}" "$OUT"
ctl dlq list --json --older-than 1h
gives 'nothing is an hour old' 0 '.total == 0'
ctl dlq list --json --newer-than 1h --code unknown_event_version --type payment.failed
gives 'filters narrow together' 0 '.total == 2'
ctl dlq show "$secret" --json
gives 'a letter tells its story' 0 '.[0].headers["souk-error-code"] == "unknown_event_version" and .[0].headers["souk-origin-queue"] == "order-queue"
    and (.[0].headers["souk-error"] | contains("2.0"))'
gives 'secrets are masked' 0 '.[0].body.payload.cardToken == "***" and .[0].body.payload.amount == 1200'
ctl dlq show "$secret"
check 'in the text for people too' grep -q '"cardToken": "\*\*\*"' <<<"$OUT"
is '... everywhere' "${OUT/hush/}" "$OUT"
ctl dlq show broken-1
gives 'what is no JSON is shown as it is' 0
check '... whole' grep -q 'not { json' <<<"$OUT"
ctl dlq show "$(uuid)"
gives 'what is not there is wrong' 1

# ---- dry run, edit, drop ----

ctl dlq redrive --group "$group" --dry-run --json
gives 'a dry run counts' 0 '.matched == 3 and .redriven == 0 and .dryRun'
is 'and moves nothing' "$(ids $Q.dlq)" "$before"
check 'and leaves no trace' test ! -e "$AUDIT"

mended=$SCRATCH/event.json
"$CTL" dlq show "$incomplete" --body | jq '.payload.amount = 1200' >"$mended"
jq '.eventId = "01900000-0000-7000-8000-000000000001"' "$mended" >"$mended.id"
ctl dlq edit "$incomplete" --payload "$mended.id"
gives 'an edit may not change which event it is' 1
check '... and says so' grep -q 'eventId is locked' <<<"$ERR"
for member in type aggregateId correlationId; do
    jq --arg m $member '.[$m] = (if $m == "type" then "payment.failed" else "x" end)' "$mended" >"$mended.id"
    ctl dlq edit "$incomplete" --payload "$mended.id"
    gives "nor its $member" 1
done
jq '.payload.amount = "much"' "$mended" >"$mended.bad"
ctl dlq edit "$incomplete" --payload "$mended.bad"
gives 'an edit must fit the contract' 1
check '... and names the member' grep -q '/payload/amount' <<<"$ERR"
ctl dlq edit "$incomplete" --payload "$mended" --dry-run
gives 'a good edit shows what changes' 0
check '... line by line' grep -Eq '^\+ +"amount": 1200' <<<"$OUT"
EDITOR="sed -i 's/\"currency\": \"USD\"/\"currency\": \"EUR\", \"amount\": 7/'" ctl dlq edit "$incomplete"
gives 'the editor works on the whole event' 0
ctl dlq show "$incomplete" --json
gives 'and the letter stays among the dead' 0 'length == 1 and .[0].body.payload.amount == 7 and .[0].headers["souk-edited-by"] != null and .[0].code == "invalid_payload"'
"$CTL" dlq show "$incomplete" --body | jq '.payload.amount = 1200' >"$mended"
ctl dlq edit "$incomplete" --payload "$mended" --redrive
gives 'an edit goes back at once when asked' 0
check '... and is handled' until_true 5 inbox_has "$incomplete" 1
check '... and is dead no more' dead 7

ctl dlq drop --group "$group"
gives 'to drop needs a reason' 2
ctl dlq drop --group "$group" --reason ' '
gives 'a blank one is none' 2
ctl dlq drop --reason 'away'
gives 'and says what' 2
ctl dlq drop --group "$group" --reason 'made by the test' --json
gives 'dropped is dropped' 0 '.dropped == 2'
check '... and only that' dead 5
check 'the audit log keeps what was dropped, and why' jq -se 'any(.[]; .action == "drop" and .phase == "intent" and .reason == "made by the test"
    and (.letters | length) == 2 and .letters[0].body.payload.currency == "USD") and any(.[]; .action == "drop" and .phase == "outcome" and .result == "dropped")' "$AUDIT"
ctl dlq drop --all --reason 'the rest' --json
gives 'all can go' 0 '.dropped == 5'
# The broker takes 32 acks at once and may forget the others when the channel is closed.
for i in {1..60}; do send payment.completed "no event $i" "broken-$i"; done
check 'sixty more are dead' until_true 10 dead 60
ctl dlq drop --code unreadable_event --reason 'many at once' --json
gives 'many can go at once' 0 '.dropped == 60'
check '... none of them is forgotten' dead 0
SOUK_CTL_AUDIT=/dev/full ctl dlq drop --all --reason x
gives 'nothing there, nothing to log' 0

# ---- redrive ----

order=$(uuid)
sql order "INSERT INTO orders (id, user_id, user_email, status, total, currency) VALUES ('$order', '$order', 'a@b.example', 'created', 1200, 'USD')"
others=(notification-queue ai-events-queue payment-settlement-queue)
# told: how many of these events lie in the others' queues (order's own events lie there too)
told() {
    local q
    for q in "${others[@]}"; do printf '%s %s ' "$q" "$(ids "$q" | grep -cFxf <(tr , '\n' <<<"$all"))"; done
}
break_it
event payment.completed 1.0 "$order"
paid=$ID all=$ID
for _ in {1..44}; do
    event payment.completed 1.0 "$(uuid)"
    all=$all,$ID
done
check 'what fails in every tier is dead' until_true 20 dead 45
told_before=$(told)
ctl dlq show "$paid" --json
gives 'after five attempts' 0 '.[0].headers["souk-attempts"] == 5'

SOUK_CTL_AUDIT=/dev/full ctl dlq redrive --all
gives 'without an audit line nothing is done' 1
ctl dlq redrive --all --canary 1 --wait 10s --json
gives 'a canary that fails again stops the rest' 1 '.redriven == 1 and .failedAgain == 1 and .handled == 0'
check '... which are all still there' dead 45
ctl dlq list --json
gives '... each once' 0 '.total == 45'
is '... none was lost or doubled' "$(ids $Q.dlq | sort -u | wc -l)" 45

mend
if grep -qa redrive_before_ack "$CTL"; then
    SOUK_FAULT=redrive_before_ack ctl dlq redrive --id "$paid"
    gives 'killed between confirm and ack' 137
    check '... the event has gone back' until_true 5 inbox_has "$paid" 1
    check '... and is still among the dead' until_true 5 dead 1 --id "$paid"
fi
ctl dlq redrive --id "$paid" --canary 1 --json
gives 'a second redrive does no harm' 0 '.redriven == 1 and .handled == 1'
is 'and the event took effect once' "$(sql order "SELECT status, (SELECT count(*) FROM order_history WHERE order_id = o.id) FROM orders o WHERE id = '$order'")" 'paid|1'

begun() { jq -se 'any(.[]; .phase == "outcome" and (.letters | length) == 5)' "$AUDIT"; }
"$CTL" dlq redrive --all --rate 5 >/dev/null 2>&1 &
half=$!
until_true 5 begun || true
kill -KILL $half
wait $half 2>/dev/null || true
left=$("$CTL" dlq list --json | jq .total)
if [ "$left" -gt 0 ] && [ "$left" -lt 44 ]; then ok "killed half-way ($left of 44 left)"; else not_ok 'killed half-way' "$left left"; fi
ctl dlq redrive --all --stop-on-refail --json
gives 'run again, it does the rest' 0 ".redriven == $left and .handled == $left"
check 'nothing was lost' inbox_has "$all" 45
check 'nothing is left' dead 0
is 'three other queues, one of them bound to the event, saw nothing of it' "$(told)" "$told_before"
is '... and that one had each event once from the beginning' "$told_before" 'notification-queue 45 ai-events-queue 0 payment-settlement-queue 0 '

# ---- round and round ----

break_it
event payment.completed 1.0 "$(uuid)"
round=$ID
check 'an event dies' until_true 10 dead 1
first_failed=$("$CTL" dlq show "$round" --json | jq -r '.[0].headers["souk-first-failed-at"]')
again() { "$CTL" dlq show "$round" --json | jq -e --arg f "$first_failed" --arg l "$1" 'length == 1 and (.[0].headers
    | .["souk-attempts"] == 5 and .["souk-first-failed-at"] == $f and .["souk-last-failed-at"] > $l)'; }
last() { "$CTL" dlq show "$round" --json | jq -r '.[0].headers["souk-last-failed-at"]'; }
was=$(last)
ctl dlq redrive --id "$round"
gives 'it is redriven' 0
check 'fails through all tiers and is dead again' until_true 10 again "$was"
ctl dlq show "$round" --json
gives 'with a note of who had tried' 0 '.[0].headers["souk-replayed-by"] != null'
for turn in first second; do
    was=$(last)
    # What the page's "Move messages" does.
    management PUT /api/parameters/shovel/%2f/ctl-test -d '{"value":{"src-protocol":"amqp091","src-uri":"amqp:///%2f","src-queue":"order-queue.dlq",
        "src-prefetch-count":1000,"src-delete-after":"queue-length","dest-protocol":"amqp091","dest-uri":"amqp:///%2f","dest-queue":"order-queue",
        "dest-add-forward-headers":false,"ack-mode":"on-confirm"}}'
    check "moved by the RabbitMQ page, it fails through all tiers and is dead again ($turn time)" until_true 15 again "$was"
done
mend
ctl dlq redrive --id "$round" --canary 1 --json
gives 'and once what broke is mended, it is handled' 0 '.handled == 1'
check 'and gone' dead 0

check 'every action has its audit lines: who, when, what, which' jq -se 'length > 10 and all(.[]; (.who | length > 0) and (.at | length > 0) and (.run | length == 36)
    and (.action | IN("redrive", "edit", "drop")) and (.phase | IN("intent", "outcome")))
    and ([.[] | select(.phase == "intent") | .run] - [.[] | select(.phase == "outcome") | .run] | unique | length) <= 2' "$AUDIT"
