#!/usr/bin/env bash
# The events of several people's stories are told once and in order; then, to the same beginning,
# each of them three times and shuffled. Every consumer ends in the same state.
#
# The same beginning: while the actions are taken, nothing leaves the outboxes; then the databases are
# copied. The first telling is the relays' own. What the consumers publish in it belongs to the events
# of the second one, in which the outboxes keep everything to themselves.
. tests/lib.sh

publishers=(auth order payment seller)
consumers=(cart order payment seller notification aibuddy)
declare -A queue=([cart]=cart-queue [order]=order-queue [payment]=payment-settlement-queue
    [seller]=seller-updates-queue [notification]=notification-queue [aibuddy]=ai-events-queue)
seed=${SEED:-$RUN_ID}
copies=''

write() {
    local url
    url=$(upper "$1")_MIGRATE_DATABASE_URL
    psql -X -q -At -v ON_ERROR_STOP=1 -d "${!url}" -c "SET client_min_messages = warning; $2"
}
# What is told from now on counts as told.
keep() {
    write "$1" "CREATE OR REPLACE FUNCTION keep_event() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN NEW.published_at := now(); RETURN NEW; END';
        CREATE OR REPLACE TRIGGER keep_event BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION keep_event()"
}
tell() { write "$1" "DROP TRIGGER keep_event ON outbox; UPDATE outbox SET published_at = NULL WHERE seq > ${mark[$1]}"; }
quiet() { tools/audit >/dev/null 2>&1; }

rename() { admin_psql -d postgres -c "ALTER DATABASE $1 RENAME TO $2" >/dev/null; }
exists() { [ "$(admin_psql -d postgres -At -c "SELECT count(*) FROM pg_database WHERE datname = '$1'")" = 1 ]; }
# The databases as they were, whatever happened.
restore() {
    local svc
    for svc in "${consumers[@]}"; do
        exists "souk_${svc}_kept" || continue
        admin_psql -d postgres -c "DROP DATABASE IF EXISTS souk_$svc WITH (FORCE)" >/dev/null
        rename "souk_${svc}_kept" "souk_$svc"
    done
    for svc in "${consumers[@]}"; do admin_psql -d postgres -c "DROP DATABASE IF EXISTS souk_${svc}_copy WITH (FORCE)" >/dev/null 2>&1; done
    for svc in "${publishers[@]}"; do write "$svc" "DROP TRIGGER IF EXISTS keep_event ON outbox; DROP FUNCTION IF EXISTS keep_event" 2>/dev/null; done
    copies=''
}
trap '[ -z "$copies" ] || { off "${consumers[@]}"; restore; on "${consumers[@]}"; } >/dev/null 2>&1; leave' EXIT

# ---- stories ----

product 1000 && thing=$SKU
product 1000
for name in ann ben cid dee; do
    shopper $name
    put "$thing" 2
    put "$SKU"
    checkout
    must 201
    declare "order_$name=$ORDER"
done
soon 10 "the orders are confirmed" order_is "$ORDER" confirmed
soon 20 "everything has settled" quiet

declare -A mark
copies=yes
for svc in "${publishers[@]}"; do
    mark[$svc]=$(sql "$svc" "SELECT coalesce(max(seq), 0) FROM outbox")
    keep "$svc"
done
move() { call PATCH "/api/v1/orders/$1/status" "{\"status\":\"$2\"}" && must 200; }
as ann
checkout_of() { put "$thing" && put "$SKU" 3 && checkout && must 201; }
checkout_of
as ben
checkout_of
call POST "/api/v1/orders/$ORDER/cancellation" '{"reason":"at once"}'
must 200
as cid
call POST "/api/v1/orders/${order_cid:?}/cancellation" '{"reason":"later"}'
must 200
as dee
checkout_of
call PATCH "/api/v1/users/$USER_ID" '{"name":"Dee the Second"}'
must 200
call DELETE "/api/v1/users/$USER_ID"
register eve user
keeper
move "${order_ann:?}" shipped
move "${order_ann:?}" completed
reprice "$thing" 1900
reprice "$thing" 1800
call POST /api/v1/auth/login '{"email":"admin@souk.example","password":"souk-demo-2026"}'
must 200
TOKEN=$(field .accessToken)
payment=$(sql payment "SELECT id FROM payments WHERE order_id = '${order_ben:?}'")
for amount in 700 500; do
    call POST "/api/v1/payments/$payment/refunds" "{\"amount\":{\"amount\":$amount,\"currency\":\"USD\"},\"reason\":\"scratch $amount\"}" -H "idempotency-key: $(fresh_key)"
    that "$amount are paid back" test "$STATUS" -lt 300
done
register fay user
call DELETE "/api/v1/users/$USER_ID"

off "${consumers[@]}"
for svc in "${consumers[@]}"; do
    admin_psql -d postgres -c "CREATE DATABASE souk_${svc}_copy TEMPLATE souk_$svc OWNER souk_${svc}_owner" >/dev/null &
done
wait
ok "the beginning is copied"

# ---- once and in order ----

for svc in "${publishers[@]}"; do tell "$svc"; done
on "${consumers[@]}"
soon 30 "all is told once and has settled" quiet
tools/state-hash --rows >"$WORK/once"
for svc in "${publishers[@]}"; do
    sql "$svc" "SELECT type || ' ' || body FROM outbox WHERE seq > ${mark[$svc]} ORDER BY seq"
done >"$WORK/told"
is "there is something of each kind" "$(cut -d' ' -f1 "$WORK/told" | sort -u | grep -cE '^(order.(created|cancelled|shipped|completed)|payment.(completed|refunded)|user.(registered|updated|deactivated)|inventory.updated|product.updated)$')" 11

# ---- three times and shuffled ----

off "${consumers[@]}"
for svc in "${consumers[@]}"; do
    rename "souk_$svc" "souk_${svc}_kept"
    rename "souk_${svc}_copy" "souk_$svc"
    admin_psql -d postgres -c "REVOKE CONNECT, TEMPORARY ON DATABASE souk_$svc FROM PUBLIC;
        GRANT CONNECT ON DATABASE souk_$svc TO souk_$svc, souk_audit" >/dev/null
done
redis_empty

# shuffled SERVICE: puts what it has handlers for into its queue.
shuffled() {
    local message
    "$(service_binary "$1")" --describe | jq -r '.consumes[]' >"$WORK/$1.types"
    awk 'FNR == NR { wanted[$1]; next } $1 in wanted' "$WORK/$1.types" "$WORK/told" >"$WORK/$1.told"
    cat "$WORK/$1.told" "$WORK/$1.told" "$WORK/$1.told" | shuf --random-source=<(yes "$seed$1") |
        jq -R -c --arg queue "${queue[$1]}" 'capture("(?<type>[^ ]*) (?<payload>.*)")
            | {routing_key: $queue, payload, payload_encoding: "string",
                properties: {type, delivery_mode: 2, content_type: "application/json"}}' |
        while read -r message; do
            management POST /api/exchanges/%2f/amq.default/publish -H 'content-type: application/json' \
                --data-binary @/dev/fd/9 -o /dev/null 9<<<"$message"
        done
}
for svc in "${consumers[@]}"; do shuffled "$svc" & done
wait
deliveries=$(cat "$WORK"/*.told | wc -l)
ok "$deliveries deliveries, each three times, lie shuffled in the queues (SEED=$seed)"
on "${consumers[@]}"

ids_of() { cut -d' ' -f2- "$WORK/$1.told" | jq -r .eventId | sort -u | paste -sd ,; }
heard() {
    local svc
    for svc in "${consumers[@]}"; do
        sql_is "$svc" "SELECT count(*) FROM unnest('{$(ids_of "$svc")}'::uuid[]) id WHERE id NOT IN (SELECT event_id FROM inbox)" 0 || return
    done
}
# The services count anew from their start.
handled() {
    local svc
    for svc in "${consumers[@]}"; do curl -sS --max-time 30 "$(service_url "$svc")/metrics"; done |
        awk '/^souk_events_handled_total/ { n += $NF } END { print n + 0 }'
}
thrice() { [ "$(handled)" -ge $((deliveries * 3)) ]; }
soon 30 "all of them are heard" heard
soon 20 "each three times" thrice
paid() { sql_is payment "SELECT (SELECT count(*) FROM payments WHERE next_at IS NOT NULL) + (SELECT count(*) FROM refunds WHERE next_at IS NOT NULL)" 0; }
soon 20 "and the bank has been asked" paid
tools/state-hash --rows >"$WORK/shuffled"
for svc in "${consumers[@]}"; do
    is "$svc ends in the same state" "$(diff <(grep "^$svc:" "$WORK/once") <(grep "^$svc:" "$WORK/shuffled") | head -20)" ''
done
off "${consumers[@]}"
restore
# The mails of both tellings went out; the deliveries as they were know nothing of them.
curl -fsS --max-time 30 -o /dev/null -X DELETE "$MAIL_URL/email/all"
on "${consumers[@]}"
soon 20 "the databases are as they were" quiet
audit
