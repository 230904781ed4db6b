#!/usr/bin/env bash
# Each book is falsified in turn, as its owner could; the audit must name the id under that invariant and no other, and be
# content again when it is put right.
. tests/lib.sh

product 20 1000
shopper ned
put "$SKU" 2
checkout
must 201
soon 5 "there is a confirmed order" order_is "$ORDER" confirmed
soon 20 "and its mails are in the inbox" mail_to "$EMAIL" Payment
wait_until 90 tools/audit >/dev/null || die "the suite does not come to rest"

# write SERVICE SQL...: as the superuser, past every trigger.
write() { admin_psql -d "souk_$1" -c "SET session_replication_role = replica" -c "$2" >/dev/null; }
look() { tools/audit --wait 1 "$@" >"$WORK/audit" 2>&1 && status=0 || status=$?; }

# sees INVARIANTS IDS SENTENCE: the last look's lines that fail are these, and name all of the ids.
sees() {
    local id missing=''
    for id in $2; do grep -qF "$id" <(awk '$1 == "FAIL" { on = 1; next } $1 == "ok" { on = 0 } on' "$WORK/audit") || missing+=" $id"; done
    is "$1 sees $3" "$status $(awk '$1 == "FAIL" { printf "%s ", $2 }' "$WORK/audit")${missing:+does not name$missing}" "1 $1 "
}

# falsified INVARIANTS IDS SENTENCE SERVICE WRONG RIGHT
falsified() {
    write "$4" "$5"
    look
    write "$4" "$6"
    sees "$1" "$2" "$3"
}

event=$(sql order "SELECT event_id FROM outbox WHERE type = 'order.created' AND aggregate_id = '$ORDER'")
payment=$(sql payment "SELECT id FROM payments WHERE order_id = '$ORDER'")
checkout_id=$(sql cart "SELECT id FROM checkouts WHERE order_id = '$ORDER'")
nobody=01900000-0000-7000-b000-000000000001

falsified C1 "$ORDER" "a refund that never was" order "UPDATE orders SET refunded = 1 WHERE id = '$ORDER'" "UPDATE orders SET refunded = 0 WHERE id = '$ORDER'"
falsified 'C1 C4' "$ORDER" "a cancelled order that was paid and is not given back" order \
    "UPDATE orders SET status = 'cancelled' WHERE id = '$ORDER'" "UPDATE orders SET status = 'confirmed' WHERE id = '$ORDER'"

falsified C2 "$payment" "a second capture at the bank" payment \
    "INSERT INTO sandbox_operations SELECT 'again', charge, kind, amount, now() FROM sandbox_operations WHERE charge = '$payment'" \
    "DELETE FROM sandbox_operations WHERE key = 'again'"
falsified C2 "$ORDER" "a foreign payment" order "UPDATE orders SET payment_id = '$nobody' WHERE id = '$ORDER'" "UPDATE orders SET payment_id = '$payment' WHERE id = '$ORDER'"

falsified C3 "$SKU" "a unit from nowhere" seller "UPDATE stock SET available = available + 1 WHERE sku = '$SKU'" "UPDATE stock SET available = available - 1 WHERE sku = '$SKU'"
falsified C3 stock_movements_stay "that movements could be changed" seller \
    "ALTER TABLE stock_movements DISABLE TRIGGER stock_movements_stay" "ALTER TABLE stock_movements ENABLE TRIGGER stock_movements_stay"

falsified C4 "$ORDER" "more sold than committed" order "UPDATE orders SET items = jsonb_set(items::jsonb, '{0,quantity}', '3') WHERE id = '$ORDER'" \
    "UPDATE orders SET items = jsonb_set(items::jsonb, '{0,quantity}', '2') WHERE id = '$ORDER'"

falsified C5 "capture:$payment" "a cent too much in the ledger" payment "UPDATE ledger_entries SET debit = debit + 1 WHERE payment_id = '$payment' AND debit > 0" \
    "UPDATE ledger_entries SET debit = debit - 1 WHERE payment_id = '$payment' AND debit > 0"
falsified C5 ledger_entries_stay "that entries could be changed" payment \
    "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_stay" "ALTER TABLE ledger_entries ENABLE TRIGGER ledger_entries_stay"
that "nobody can by themselves" grep -q append-only <(psql -X -d "$PAYMENT_DATABASE_URL" -c "DELETE FROM ledger_entries WHERE payment_id = '$payment'" 2>&1)

falsified '-- C6' "$event" "an event that was not heard" seller "DELETE FROM inbox WHERE event_id = '$event'" "INSERT INTO inbox (event_id, type) VALUES ('$event', 'order.created')"

mail=$(sql notification "SELECT id FROM deliveries WHERE event_id = '$event' AND channel = 'email'")
message=$(sql notification "SELECT message_id FROM deliveries WHERE id = '$mail'")
falsified C7 "$event $message" "a second mail about an event" notification \
    "INSERT INTO deliveries SELECT (jsonb_populate_record(d, jsonb_build_object('id', '$nobody', 'recipient', 'eve@people.example'))).* FROM deliveries d WHERE id = '$mail'" \
    "DELETE FROM deliveries WHERE id = '$nobody'"
falsified C7 "$message" "a mail that went out once too often" notification \
    "UPDATE deliveries SET attempts = attempts - 1 WHERE id = '$mail'" "UPDATE deliveries SET attempts = attempts + 1 WHERE id = '$mail'"
# A copy of the mail that lies in the inbox, as if it came while the books are read.
no_late_mail() { rm -f "$STATE/mail/late.eml"; }
at_end no_late_mail
printf 'Message-ID: %s\r\n\r\n' "$message" >"$STATE/mail/late.eml"
touch -d '+1 min' "$STATE/mail/late.eml"
look
is "a mail that goes out again meanwhile is not judged" "$status $(grep FAIL "$WORK/audit")" "0 "
touch "$STATE/mail/late.eml"
look
sees C7 "$message" "but a copy too many is, at the next look"
no_late_mail
falsified C7 "<lost@souk.example>" "a mail that never arrived" notification \
    "UPDATE deliveries SET message_id = '<lost@souk.example>', sent_at = sent_at + interval '1 min' WHERE id = '$mail'" \
    "UPDATE deliveries SET message_id = '$message', sent_at = sent_at - interval '1 min' WHERE id = '$mail'"

falsified C8 "$nobody" "stock that is held for nobody" seller \
    "INSERT INTO holds (order_id, state, expires_at, updated_at) VALUES ('$nobody', 'held', now() + interval '1 h', now() - interval '3 min')" \
    "DELETE FROM holds WHERE order_id = '$nobody'"
falsified C8 "$nobody" "money that is held for nobody" payment \
    "INSERT INTO payments (id, order_id, status, amount, currency, correlation_id, created_at) VALUES ('$nobody', '$nobody', 'authorized', 5, 'USD', '-', now() - interval '3 min')" \
    "DELETE FROM payments WHERE id = '$nobody'"

falsified 'C9 C10' "$ORDER" "a failed checkout with an order" cart "UPDATE checkouts SET state = 'failed' WHERE id = '$checkout_id'" "UPDATE checkouts SET state = 'completed' WHERE id = '$checkout_id'"
falsified C9 "$ORDER" "a step of a hold that was done twice" seller \
    "INSERT INTO stock_movements (sku, kind, order_id, available) VALUES ('$SKU', 'committed', '$ORDER', 0)" \
    "DELETE FROM stock_movements WHERE order_id = '$ORDER' AND kind = 'committed' AND committed = 0"
falsified C9 "$ORDER" "an order that was confirmed twice" order \
    "UPDATE orders SET history = history || '{\"to\": \"confirmed\", \"actor\": \"eve\"}' WHERE id = '$ORDER'" \
    "UPDATE orders SET history = history - -1 WHERE id = '$ORDER'"

falsified C10 "$ORDER" "an answer over another total" cart "UPDATE checkouts SET total = total + 1 WHERE id = '$checkout_id'" \
    "UPDATE checkouts SET total = total - 1 WHERE id = '$checkout_id'"
falsified C10 "$ORDER" "two keys that are answered with one order" cart \
    "INSERT INTO checkouts SELECT (json_populate_record(c, json_build_object('id', '$nobody', 'idempotency_key', 'again'))).* FROM checkouts c WHERE id = '$checkout_id'" \
    "DELETE FROM checkouts WHERE id = '$nobody'"
falsified C10 "key-500 key-refund" "answers that must not be kept, or tell of what is not there" payment \
    "INSERT INTO idempotency_keys (caller, route, key, fingerprint, status, body) VALUES ('eve', 'POST /x', 'key-500', '-', 503, '{}'),
        ('eve', 'POST /api/v1/payments/$payment/refunds', 'key-refund', '-', 201, '{\"refundId\":\"$nobody\",\"amount\":{\"amount\":5,\"currency\":\"USD\"}}')" \
    "DELETE FROM idempotency_keys WHERE caller = 'eve'"

management POST /api/exchanges/%2f/order-events/publish -d '{"routing_key":"nobody.asked","payload":"x","payload_encoding":"string","properties":{"message_id":"astray-1"}}' -o /dev/null
management POST /api/exchanges/%2f/order-events.dlx/publish -d '{"routing_key":"order-queue.dlq","payload":"x","payload_encoding":"string","properties":{"message_id":"dead-1"}}' -o /dev/null
look
sees C11 "astray-1 dead-1" "an event that nobody asked for, and one that is dead"
look --dead 1
sees C11 astray-1 "only the first when one dead letter is known"
management DELETE /api/queues/%2f/order-events.unrouted/contents
management DELETE /api/queues/%2f/order-queue.dlq/contents
circle="Message dropped. Dead-letter queues cycle detected: [<<\"story-$RUN_ID\">>]"
printf '%s\n' "$circle" >>"$LOG/rabbitmq.log"
look
# Blanks in its place: the broker goes on writing to that file.
place=$(grep -abF "story-$RUN_ID" "$LOG/rabbitmq.log" | head -n 1 | cut -d: -f1)
printf '%*s' ${#circle} '' | dd of="$LOG/rabbitmq.log" bs=1 seek="$place" conv=notrunc status=none
sees C11 "story-$RUN_ID" "that the broker dropped a message"

sessions=()
for name in pat ray sam tom; do
    register $name user
    sessions+=("$(sql auth "SELECT id FROM sessions WHERE user_id = '$USER_ID'")")
done
digest() { printf '%064d' "$1"; }
falsified C12 "${sessions[*]}" "logins that live on a used token, twice, without a token, after their end" auth \
    "UPDATE sessions SET end_reason = 'reuse' WHERE id = '${sessions[0]}';
     INSERT INTO refresh_tokens (digest, session_id) VALUES ('$(digest 1)', '${sessions[1]}');
     UPDATE refresh_tokens SET spent_at = now() WHERE session_id = '${sessions[2]}';
     UPDATE sessions SET ended_at = now() - interval '1 min', end_reason = 'logout' WHERE id = '${sessions[3]}'" \
    "UPDATE sessions SET end_reason = NULL WHERE id = '${sessions[0]}';
     DELETE FROM refresh_tokens WHERE digest = '$(digest 1)';
     UPDATE refresh_tokens SET spent_at = NULL WHERE session_id = '${sessions[2]}';
     UPDATE sessions SET ended_at = NULL, end_reason = NULL WHERE id = '${sessions[3]}'"

falsified -- "1 payments to settle (payment)" "that something is still under way" payment "UPDATE payments SET next_at = 'infinity' WHERE id = '$payment'" "UPDATE payments SET next_at = NULL WHERE id = '$payment'"
tools/audit --json >"$WORK/audit.json" && status=0 || status=$?
is "for programs it is a document a line" "$status $(jq -rs 'map(.invariant // "all" | sub("C"; "")) | join(" ")' "$WORK/audit.json")" "0 1 2 3 4 5 6 7 8 9 10 11 12 all"
tools/audit --wait soon >/dev/null 2>&1 && status=0 || status=$?
is "a wait that is no number is refused" "$status" 2
audit
