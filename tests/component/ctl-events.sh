#!/usr/bin/env bash
# soukctl events on real servers, with the events of auth and one running subscriber (cart): what is
# handled, on its way, dead or lost is told apart; the tail shows each event once, whatever becomes
# of the broker.
set -euo pipefail
. tests/component-lib.sh

SINCE=$(date -u +%Y-%m-%dT%H:%M:%S.%6NZ)
export SOUK_CTL_AUDIT=$SCRATCH/audit.log
tails=()

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    [ ${#tails[@]} = 0 ] || kill -KILL "${tails[@]}" || true
    service_stop
    sql order "DELETE FROM outbox WHERE correlation_id = 'ctl-events'" || true
    sql payment "DELETE FROM outbox WHERE correlation_id = 'ctl-events'" || true
    rabbitmq_empty
    (exit "$status")
}
trap 'clean_up >/dev/null 2>&1; _end' EXIT

# proof WORDS...: of what was made since this script began
proof() { ctl events proof --since "$SINCE" --json "$@"; }
# state SERVICE: a jq expression, of the event in ID
state() { printf '(.unhandled[] | select(.eventId == "%s") | .subscribers[] | select(.service == "%s") | .state)' "$ID" "$1"; }
# depth QUEUE COUNT: so many lie there; get looks and puts back.
depth() {
    [ "$(management POST "/api/queues/%2f/$1/get" -d '{"count":100,"ackmode":"ack_requeue_true","encoding":"auto"}' | jq length)" = "$2" ]
}
empty() { management DELETE "/api/queues/%2f/$1/contents"; }
# copy EXCHANGE KEY QUEUE: a message of the event in ID, as a consumer of QUEUE would send it on.
copy() {
    jq -n --arg key "$2" --arg id "$ID" --arg queue "$3" '{routing_key: $key, payload: "{}", payload_encoding: "string",
        properties: {delivery_mode: 2, message_id: $id, type: "user.registered", headers: {"souk-error-code": "no_such_thing",
        "souk-origin-queue": $queue, "souk-origin-key": "user.registered"}}}' |
        management POST "/api/exchanges/%2f/$1/publish" --data-binary @/dev/fd/9 9<&0 | jq -e .routed >/dev/null
}
# plant SERVICE TYPE AGGREGATE PAYLOAD SECONDS: into its outbox, published so long ago; sets ID.
plant() {
    ID=$(uuid)
    sql "$1" "INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, body, created_at, published_at) VALUES
        ('$ID', '$2', '$3', 'ctl-events', '{\"eventId\":\"$ID\",\"type\":\"$2\",\"payload\":$4}', now(), now() + interval '$5 ms')"
}
handle() { sql "$1" "INSERT INTO inbox (event_id, type) VALUES ('$ID', 'test') ON CONFLICT DO NOTHING"; }
inbox_has() { [ "$(sql "$1" "SELECT count(*) FROM inbox WHERE event_id = '$ID'")" = 1 ]; }
# registered NAME: an account is made; ID becomes its event's. What else auth tells of it is not looked for.
registered() {
    account "$1" user
    sql auth "DELETE FROM outbox WHERE type <> 'user.registered' AND aggregate_id = '$ID'"
    ID=$(sql auth "SELECT event_id FROM outbox WHERE type = 'user.registered' AND aggregate_id = '$ID'")
}

rabbitmq_empty
service_start auth
service_start cart

# ---- usage ----

for command in proof tail; do
    ctl events $command --help
    check "events $command has help with examples" grep -q "^  soukctl events $command" <<<"$OUT"
done
check 'completion offers the commands' grep -qx proof <("$CTL" --complete events)
for words in '--since yesterday' '--order 12' "--order $(uuid) --since 2h" '--grace soon' '--until 2h'; do
    # shellcheck disable=SC2086 # several words
    ctl events proof $words
    gives "a proof $words is a usage error" 2
done
for words in '--since yesterday' '--service sofa' '--count 0'; do
    # shellcheck disable=SC2086 # several words
    ctl events tail $words
    gives "a tail $words is a usage error" 2
done
ORDER_AUDIT_DATABASE_URL='' ORDER_DATABASE_URL='' ctl events proof
gives 'a database that nobody named is the environment' 2
check '... and says what to set' grep -q ORDER_DATABASE_URL <<<"$ERR"
ORDER_AUDIT_DATABASE_URL=postgresql://x@127.0.0.1:1/x ctl events proof
gives 'a database that is not there is named' 3
check '... by its service' grep -q 'database of order' <<<"$ERR"
ctl --amqp-url amqp://ops:x@127.0.0.1:1/ events tail
gives 'so is a broker that is not there' 3

# ---- what becomes of one event ----

proof
gives 'nothing has happened yet' 0 '.events == 0 and .gaps == 0 and .atRest'
registered ann
ann=$ID
check 'one of three subscribers hears of an account' until_true 10 inbox_has cart
check 'for the others it waits' until_true 10 depth ai-events-queue 1
proof --grace 0s
gives 'what waits in a queue is under way' 0 ".events == 1 and .gaps == 0 and (.atRest | not) and $(state notification) == \"underWay\"
    and $(state aibuddy) == \"underWay\" and $(state cart) == \"handled\""
proof --wait 1s
gives 'rest that does not come in time is wrong' 1 '.gaps == 0 and (.atRest | not)'

empty ai-events-queue
proof
gives 'what is lost is not called so before its time' 0 '.gaps == 0'
proof --grace 0s
gives 'what is lost is a gap' 1 ".gaps == 1 and $(state aibuddy) == \"gap\" and $(state notification) == \"underWay\""
ctl events proof --since "$SINCE" --grace 0s
gives 'people see it, too' 1
check '... the event, its type, who misses it' grep -Eq "^$ann +user.registered .*aibuddy" <<<"$OUT"
check '... and the sum' grep -qx '1 gap' <<<"$OUT"

copy order-events.dlx notification-queue.dlq notification-queue
empty notification-queue
proof --grace 0s
gives 'a dead letter is dead, not a gap' 1 ".gaps == 1 and .dead == 1 and $(state notification) == \"dead\"
    and any(.unhandled[].subscribers[]; .service == \"notification\" and .code == \"no_such_thing\")"
check '... and stays where it is' depth notification-queue.dlq 1

copy order-events.retry ai-events-queue.5 ai-events-queue
proof --grace 0s
gives 'what waits in a retry tier is under way' 0 ".gaps == 0 and $(state aibuddy) == \"underWay\" and .dead == 1"
check '... and stays there' depth order-events.retry.30m 1
empty order-events.retry.30m
copy order-events.retry ai-events-queue.2 ai-events-queue
proof --grace 0s
gives 'one that was looked at' 0 "$(state aibuddy) == \"underWay\""
check '... comes back from its tier in time' until_true 15 depth ai-events-queue 1

sql cart "DELETE FROM inbox WHERE event_id = '$ann'"
proof --grace 0s
gives 'an inbox that forgot is a gap' 1 ".gaps == 1 and $(state cart) == \"gap\""
sql auth "UPDATE outbox SET published_at = NULL WHERE event_id = '$ann'"
check 'what is published again' until_true 10 inbox_has cart
proof --grace 0s
gives '... is handled, as the runbook says' 0 "$(state cart) == \"handled\""
for svc in aibuddy notification; do handle $svc; done
empty ai-events-queue
empty notification-queue
proof --grace 0s
gives 'handled by all is proven' 0 '.gaps == 0 and .atRest and .dead == 0 and .unhandled == [] and (.subscribers | map(.handled) | add) == 3'
proof --wait 5s
gives '... at rest' 0 '.atRest'

# ---- what is not published ----

pending=$(uuid)
sql order "INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, body) VALUES ('$pending', 'order.updated', 'x', 'ctl-events', '{}')"
proof
gives 'what is just being published is under way' 0 '.unpublished == 1 and .gaps == 0 and (.atRest | not)'
proof --grace 0s
gives 'what is not published for long is a gap' 1 ".gaps == 1 and any(.unhandled[]; .eventId == \"$pending\" and .late)"
sql order "UPDATE outbox SET parked_at = now() WHERE event_id = '$pending'"
proof
gives 'so is what was set aside, at once' 1 '.gaps == 1 and .unhandled[0].parkedAt != null'
ctl events proof --since "$SINCE"
check '... and it says so' grep -q 'set aside' <<<"$OUT"
sql order "UPDATE outbox SET parked_at = NULL, published_at = now() WHERE event_id = '$pending'"
proof --grace 0s
gives 'what nobody is to hear needs no reader' 0 '.gaps == 0 and .atRest and .events == 2'
ctl events proof --since 30d --json
check 'a window beyond what is kept is noted' jq -e '.notes | any(contains("7 days"))' <<<"$OUT"

# ---- one order ----

order=$(uuid)
plant order order.created "$order" "{\"orderId\":\"$order\",\"totalAmount\":1200,\"currency\":\"USD\"}" 3
for svc in payment seller aibuddy notification; do handle $svc; done
plant payment payment.completed "$(uuid)" "{\"orderId\":\"$order\",\"amount\":1200,\"currency\":\"USD\"}" 4
handle order
plant order order.created "$(uuid)" "{\"orderId\":\"$(uuid)\"}" 3
ctl events proof --order "$order" --json
gives 'an order has its own events and those of its payment' 0 "([.timeline[].type] == [\"order.created\", \"payment.completed\"])
    and (.timeline[0].subscribers | map(.state) | unique) == [\"handled\"]"
ctl events proof --order "$order" --json --grace 0s
gives 'with who misses one' 1 '.gaps == 1 and any(.timeline[1].subscribers[]; .service == "notification" and .state == "gap")'
ctl events proof --order "$order"
check 'people get a timeline' grep -Eq '^[0-9T:.-]+Z +order.created +from order, published \+3 ms$' <<<"$OUT"
check '... with what it is about' grep -q 'total=12.00 USD' <<<"$OUT"
check '... and what became of it' grep -Eq '^ +seller +handled \+' <<<"$OUT"
ctl events proof --order "$(uuid)"
gives 'an order that nobody knows is wrong' 1

# ---- the tail ----

# tail_start NAME WORDS...
tail_start() {
    local name=$1
    shift
    "$CTL" events tail "$@" >"$SCRATCH/$name" 2>"$SCRATCH/$name.err" &
    tails+=($!)
}
shows() { grep -qs "$ID" "$SCRATCH/$1"; }
tail_start all --json --since 0s
tail_start users --type 'user.*' --since 0s
tail_start orders --service order --since 0s
tail_start one --count 1
registered bob
bob=$ID
check 'the tail shows an event at once' until_true 5 shows all
check '... in one line for people' until_true 5 grep -Eq '^[0-9T:.-]+Z  user.registered +auth ' "$SCRATCH/users"
counted() { ! kill -0 "${tails[3]}" 2>/dev/null || ! registered "more$((more += 1))"; }
more=0
check 'a count ends it, also where events come all the time' until_true 10 counted
kill -KILL "${tails[3]}" 2>/dev/null || true
status=0
wait "${tails[3]}" || status=$?
is '... with 0' "$status" 0
is '... after so many' "$(wc -l <"$SCRATCH/one")" 1
check '... none of which is old' grep -qv "$(sql auth "SELECT aggregate_id FROM outbox WHERE event_id = '$ann'")" "$SCRATCH/one"

running rabbitmq && kill -KILL "$PID"
registered cleo
cleo=$ID
rabbitmq_up >/dev/null 2>&1
check 'the tail goes on after the broker has died' until_true 30 shows all
check '... and told so' grep -q 'connected again' "$SCRATCH/all.err"
check 'a subscriber heard of it as well' until_true 30 inbox_has cart
want=$(sql auth "SELECT event_id FROM outbox WHERE created_at > (SELECT created_at FROM outbox WHERE event_id = '$bob') OR event_id = '$bob' ORDER BY 1")
published() { [ "$(sql auth 'SELECT count(*) FROM outbox WHERE published_at IS NULL')" = 0 ]; }
check 'all is published in the end' until_true 20 published
seen() { jq -r '.event.eventId' "$SCRATCH/all" | grep -Fx "$want" | sort; }
all_seen() { [ "$(seen | sort -u)" = "$(sort <<<"$want")" ]; }
check 'nothing was left out' until_true 10 all_seen
is 'nothing was shown twice' "$(jq .offset "$SCRATCH/all" | sort -n | uniq -d)" ''
kill -INT "${tails[0]}"
status=0
wait "${tails[0]}" || status=$?
is 'Ctrl-C ends it with 0' "$status" 0
is 'another publisher is not shown' "$(cat "$SCRATCH/orders")" ''
tail_start past --json --since "$SINCE" --type 'user.#'
ID=$ann
check 'a tail into the past finds what was first' until_true 5 shows past
ID=$cleo
check '... and what was last' until_true 5 shows past
