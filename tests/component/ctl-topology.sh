#!/usr/bin/env bash
# soukctl topology and outbox: each kind of drift is named with its object, apply mends what can be
# mended and never takes a queue away, and who can't be reached is said.
set -euo pipefail
. tests/component-lib.sh

AUDIT=$SCRATCH/audit.log
export SOUK_CTL_AUDIT=$AUDIT SOUK_DEFINITIONS=$PWD/rabbitmq/definitions.json SOUK_SERVICES=$SOUK_BUILD/src

# names SENTENCE LINE: the last check was wrong, in this one thing
names() {
    local wrong
    wrong=$(grep -v '^idle: ' <<<"$OUT" | sed '$d')
    if [ "$EXIT" = 1 ] && [ "$wrong" = "$2" ]; then ok "$1"; else not_ok "$1" "exit $EXIT: $OUT $ERR"; fi
}
# broker METHOD PATH [BODY]
broker() { management "$1" "/api/$2" -H 'content-type: application/json' -d "${3:-}" -f >/dev/null; }
# drift SENTENCE LINE METHOD PATH [BODY]: plants it, sees it named, and mends it with apply --prune.
drift() {
    local sentence=$1 line=$2
    shift 2
    broker "$@"
    ctl topology check
    names "$sentence is named" "$line"
    ctl topology apply --prune
    gives '... and mended' 0
    ctl topology check
    gives '... wholly' 0
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    broker DELETE queues/%2f/sofa-queue || true
    broker DELETE exchanges/%2f/sofas || true
    "$CTL" topology apply --prune || true
    (exit "$status")
}
trap 'clean_up >/dev/null 2>&1; _end' EXIT

# ---- as it should be ----

ctl topology check
gives 'the broker is as it should be' 0
is 'that takes one line' "$(grep -vc '^idle: ' <<<"$OUT")" 1
ctl topology check --json
gives 'machines read it too' 0 '.ok and .wrong == 0 and all(.deviations[]; .deviation == "idle")'
ctl topology apply
gives 'nothing is to be done' 0
check '... so nothing is noted' test ! -e "$AUDIT"

# ---- drift, one kind after the other ----

drift 'a missing binding' 'missing: binding order-events -> cart-queue (order.completed)' \
    DELETE bindings/%2f/e/order-events/q/cart-queue/order.completed
drift 'a missing binding between exchanges' 'missing: binding order-events.retry -> exchange order-events.return (*.0)' \
    DELETE bindings/%2f/e/order-events.retry/e/order-events.return/%252A.0
drift 'an extra binding' 'extra: binding order-events -> cart-queue (a/b %c {"x":1})' \
    POST bindings/%2f/e/order-events/q/cart-queue '{"routing_key":"a/b %c","arguments":{"x":1}}'
drift 'an extra binding with an empty key' 'extra: binding order-events -> cart-queue ()' \
    POST bindings/%2f/e/order-events/q/cart-queue '{"routing_key":""}'
drift 'a changed policy' 'differs: policy order-events.retry.1s: definition is {"message-ttl":1}, should be {"dead-letter-exchange":"order-events.return","dead-letter-strategy":"at-least-once","message-ttl":1000,"overflow":"reject-publish"}' \
    PUT policies/%2f/order-events.retry.1s '{"pattern":"^order-events\\.retry\\.1s$","apply-to":"queues","priority":0,"definition":{"message-ttl":1}}'
drift 'a missing policy' 'missing: policy cart-queue' DELETE policies/%2f/cart-queue
drift 'an extra policy' 'extra: policy sofa' PUT policies/%2f/sofa '{"pattern":"^sofa","definition":{"max-length":5}}'
drift 'an operator policy' 'extra: operator policy sofa' \
    PUT operator-policies/%2f/sofa '{"pattern":"^sofa","apply-to":"queues","definition":{"expires":1000000}}'
drift 'a wider permission' 'differs: permission of cart: read is ".*", should be "^cart-queue$"' \
    PUT permissions/%2f/cart '{"configure":"^$","write":"^order-events(\\.(retry|dlx))?$","read":".*"}'
drift 'a wider topic permission' 'differs: topic permission of order on order-events: write is ".*", should be "^order\."' \
    PUT topic-permissions/%2f/order '{"exchange":"order-events","write":".*","read":"^$"}'
drift 'an extra topic permission' 'extra: topic permission of auth on order-events.dlx' \
    PUT topic-permissions/%2f/auth '{"exchange":"order-events.dlx","write":".*","read":".*"}'

broker DELETE topic-permissions/%2f/order
ctl topology check
gives 'missing topic permissions' 1
check '... are each named' grep -qx 'missing: topic permission of order on order-events.retry' <<<"$OUT"
ctl topology apply
gives '... and mended' 0

hash=$(management GET /api/users/aibuddy | jq -r .password_hash)
drift 'a changed tag' 'differs: user aibuddy: tags is ["management"], should be []' \
    PUT users/aibuddy "{\"password_hash\":\"$hash\",\"hashing_algorithm\":\"rabbit_password_hashing_sha256\",\"tags\":\"management\"}"
is '... with the password as it was' "$(management GET /api/users/aibuddy | jq -r .password_hash)" "$hash"

broker DELETE users/aibuddy
ctl topology check --json
gives 'a missing user takes its permissions along' 1 '[.deviations[] | select(.deviation == "missing") | .object] | unique == ["permission", "topic permission", "user"]'
AIBUDDY_AMQP_URL='' ctl topology apply
gives 'without a password it can not be made' 2
check '... and that is said' grep -q AIBUDDY_AMQP_URL <<<"$ERR"
ctl topology apply
gives 'with one it can' 0
knows_password() {
    management PUT /api/users/aibuddy -H 'content-type: application/json' -f -d "{\"password_hash\":\"$(management GET /api/users/aibuddy |
        jq -r .password_hash)\",\"tags\":\"management\"}" &&
        curl -sSf -K - "http://127.0.0.1:${PORTS[ui]}/api/whoami" <<<"user = \"aibuddy:$(secret amqp-aibuddy)\""
}
check '... the one of the environment' knows_password
ctl topology apply

# ---- queues and exchanges: named, added, never removed ----

broker DELETE queues/%2f/order-events.retry.30m
ctl topology check --json
gives 'a missing queue is named with its bindings' 1 '[.deviations[] | select(.deviation == "missing") | "\(.object) \(.name)"] == ["queue order-events.retry.30m", "binding order-events.retry -> order-events.retry.30m (*.5)"]'
ctl topology apply --dry-run --json
gives 'a dry run tells what would be done' 0 '.dryRun and (.changes | length) == 2'
ctl topology check
gives '... and does nothing' 1
ctl topology apply
gives 'apply makes it' 0

broker DELETE queues/%2f/order-events.retry.30m
broker PUT queues/%2f/order-events.retry.30m '{"durable":true,"arguments":{"x-queue-type":"classic"}}'
ctl topology apply
gives 'a queue of another type can not be mended' 1
check '... and is named' grep -qx 'differs: queue order-events.retry.30m: arguments is {"x-queue-type":"classic"}, should be {"x-queue-type":"quorum"}' <<<"$OUT"
check '... while what could be done is done' jq -se '.[-1].result == "partial" and (.[-1].changes | length) == 1' "$AUDIT"
broker DELETE queues/%2f/order-events.retry.30m
ctl topology apply
gives 'once it is deleted, it can' 0

broker PUT queues/%2f/sofa-queue '{"durable":true}'
broker PUT exchanges/%2f/sofas '{"type":"fanout"}'
ctl topology check
names 'extra queues and exchanges are named' 'extra: exchange sofas
extra: queue sofa-queue'
ctl topology apply --prune
gives 'they are not removed' 1
check '... even with --prune' management GET /api/queues/%2f/sofa-queue -f
ctl topology check --topology-only
gives 'on a broker of many they do not matter' 0
broker DELETE queues/%2f/sofa-queue
broker DELETE exchanges/%2f/sofas

broker POST bindings/%2f/e/order-events/q/cart-queue '{"routing_key":"sofa.#"}'
ctl topology apply
gives 'without --prune an extra binding stays' 1
check '... and is named' grep -qx 'extra: binding order-events -> cart-queue (sofa.#)' <<<"$OUT"
SOUK_CTL_AUDIT=/dev/full ctl topology apply --prune
gives 'without an audit line nothing is done' 1
ctl topology check
gives '... so it is still there' 1
ctl topology apply --prune
gives 'with it, it goes' 0
ctl topology apply --prune
gives 'a second time does no harm' 0

# ---- the services' own tables ----

folder=$SCRATCH/services
mkdir "$folder"
for svc in auth cart order payment seller notification aibuddy; do ln -s "$(service_binary $svc)" "$folder/souk-$svc"; done
# says_of FILTER: cart describes itself otherwise
says_of() {
    rm "$folder/souk-cart"
    printf '#!/bin/sh\n%s --describe | jq -c %q\n' "$(service_binary cart)" "$1" >"$folder/souk-cart"
    chmod +x "$folder/souk-cart"
    SOUK_SERVICES=$folder ctl topology check
}
says_of '.consumes += ["payment.failed"]'
names 'a consumed type without a binding is named' 'unfit: service cart: consumes payment.failed, but cart-queue is not bound to it'
says_of '.consumes -= ["order.completed"]'
gives 'a binding that nobody handles is no harm' 0
check '... and is named' grep -qx 'idle: binding order-events -> cart-queue (order.completed): cart handles nothing of it' <<<"$OUT"
SOUK_SERVICES=$folder ctl topology check --strict
gives '... as wrong if that is wanted' 1
says_of '.publishes += [{type: "cart.sold", version: "1.0"}] | .consumes = [] | .queue = null'
gives 'a queue that nobody consumes is wrong' 1
check '... and named' grep -qx 'unfit: binding order-events -> cart-queue (user.registered): no service consumes this queue: it only grows' <<<"$OUT"
says_of '.publishes += [{type: "sofa.sold", version: "1.0"}]'
names 'an event that no queue gets is named, and that it may not be sent' 'unfit: service cart: may not publish sofa.sold to order-events
unfit: service cart: publishes sofa.sold, which gets into no queue'
rm "$folder/souk-cart"
SOUK_SERVICES=$folder ctl topology check
gives 'a service that is not there' 2
check '... is named' grep -q "$folder/souk-cart" <<<"$ERR"

# ---- who can't be reached ----

RABBITMQ_MANAGEMENT_URL=http://ops:secret@127.0.0.1:1 ctl topology check
gives 'a broker that is not there is named' 3
check '... with the way to start it' grep -q 'http://127.0.0.1:1 .*' <<<"$ERR"
check '... which is' grep -q './souk up' <<<"$ERR"
is '... without the password' "${ERR/secret/}" "$ERR"
RABBITMQ_MANAGEMENT_URL=http://ops:wrong@127.0.0.1:${PORTS[ui]} ctl topology apply
gives 'so is one that refuses us' 3
RABBITMQ_MANAGEMENT_URL='' ctl topology check
gives 'nobody told where' 2
SOUK_DEFINITIONS=$SCRATCH/none ctl topology check
gives 'no document' 2
RABBITMQ_MANAGEMENT_URL='' ctl topology check --offline
gives 'the document alone needs no broker' 0

# ---- the outbox ----

sql payment 'DELETE FROM outbox' # what earlier tests have left
row() { jq -e --arg s "$1" '.[] | select(.service == $s) | '"$2" <<<"$OUT" >/dev/null; }
ctl outbox status --json
gives 'the publishing services have an outbox' 0 'map(.service) == ["auth", "order", "payment", "seller"]'
sql payment "INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, body, created_at, parked_at, parked_reason, parks, published_at)
    SELECT gen_random_uuid(), 'payment.failed', 'ctl-topology', 'c', '{}', now() - i * interval '1 minute', CASE i WHEN 5 THEN now() END,
        CASE i WHEN 5 THEN 'unroutable' END, CASE i WHEN 5 THEN 3 ELSE 0 END, CASE WHEN i > 5 THEN now() END FROM generate_series(2, 7) AS i"
ctl outbox status --json
check 'what waits is counted, and how long' row payment '.pending == 3 and .oldestPendingSeconds >= 240 and .oldestPendingSeconds < 300'
check '... what is parked, and why' row payment '.parked == 1 and .attemptsOfParked == 3 and .parkedReasons == "unroutable" and .oldestParkedSeconds >= 300'
check '... what went lately' row payment '.publishedLastMinute == 2'
ctl outbox status --fail-older-than 1h
gives 'that is not late' 0
check 'people get a table' grep -Eq '^payment +3 +4m +2 +1 +5m +3 +unroutable$' <<<"$OUT"
ctl outbox status --fail-older-than 3m
gives 'that is' 1
sql payment "DELETE FROM outbox WHERE aggregate_id = 'ctl-topology'"
ctl outbox status --fail-older-than 1ms
gives 'an age has a unit' 2
PAYMENT_AUDIT_DATABASE_URL=postgresql://a:b@127.0.0.1:1/x ctl outbox status
gives 'a database that is not there is named' 3
check '... with its service' grep -q 'the database of payment' <<<"$ERR"

# ---- help ----

for command in 'topology check' 'topology apply' 'outbox status'; do
    # shellcheck disable=SC2086 # two words
    ctl $command --help
    check "$command has help with examples" grep -q "^  soukctl $command" <<<"$OUT"
done
check 'completion offers commands' grep -qx apply <("$CTL" --complete topology)
check 'completion offers options' grep -qx -- --prune <("$CTL" --complete topology apply)
check 'every change has its audit lines: who, when, what' jq -se 'length > 20 and all(.[]; (.who | length > 0) and (.at | length > 0)
    and (.run | length == 36) and .action == "topology apply" and (.phase | IN("intent", "outcome")) and (.changes | length) > 0)' "$AUDIT"
