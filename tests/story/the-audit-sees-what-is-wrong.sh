#!/usr/bin/env bash
# Each book is falsified in turn, as its owner could; the audit must name the id, and be content again
# when it is put right.
. tests/lib.sh

product 20 1000
shopper ned
put "$SKU" 2
checkout
must 201
soon 5 "there is a confirmed order" order_is "$ORDER" confirmed
wait_until 20 tools/audit >/dev/null || die "the suite does not come to rest"

# write SERVICE SQL: as the superuser, past every trigger.
write() { admin_psql -d "souk_$1" -c "SET session_replication_role = replica" -c "$2" >/dev/null; }

# falsified INVARIANT ID SERVICE WRONG RIGHT
falsified() {
    write "$3" "$4"
    tools/audit --wait 1 >"$WORK/audit" 2>&1 && status=0 || status=$?
    write "$3" "$5"
    is "$1 sees: $4" "$status $(awk -v name="$1" '$1 == "FAIL" { on = $2 == name; next } /^ok/ { on = 0 } on' "$WORK/audit" | grep -cF "$2" | sed 's/[1-9][0-9]*/named/')" "1 named"
}

event=$(sql order "SELECT event_id FROM outbox WHERE type = 'order.created' AND aggregate_id = '$ORDER'")
payment=$(sql payment "SELECT id FROM payments WHERE order_id = '$ORDER'")
checkout_id=$(sql cart "SELECT id FROM checkouts WHERE order_id = '$ORDER'")
falsified C1 "$ORDER" order "UPDATE orders SET total = total + 1 WHERE id = '$ORDER'" "UPDATE orders SET total = total - 1 WHERE id = '$ORDER'"
falsified C1 "$ORDER" order "UPDATE orders SET status = 'cancelled' WHERE id = '$ORDER'" "UPDATE orders SET status = 'confirmed' WHERE id = '$ORDER'"
falsified C2 "$payment" payment "UPDATE payments SET captured = captured - 1 WHERE id = '$payment'" "UPDATE payments SET captured = captured + 1 WHERE id = '$payment'"
falsified C3 "$SKU" seller "UPDATE stock SET available = available + 1 WHERE sku = '$SKU'" "UPDATE stock SET available = available - 1 WHERE sku = '$SKU'"
falsified C4 "$ORDER" seller "UPDATE hold_lines SET quantity = 3 WHERE order_id = '$ORDER'" "UPDATE hold_lines SET quantity = 2 WHERE order_id = '$ORDER'"
falsified C5 "capture:$payment" payment "UPDATE ledger_entries SET debit = debit + 1 WHERE payment_id = '$payment' AND debit > 0" \
    "UPDATE ledger_entries SET debit = debit - 1 WHERE payment_id = '$payment' AND debit > 0"
falsified C6 "$event" seller "DELETE FROM inbox WHERE event_id = '$event'" "INSERT INTO inbox (event_id, type) VALUES ('$event', 'order.created')"
lost=01900000-0000-7000-b000-000000000001
falsified C8 "$lost" seller "INSERT INTO holds (order_id, state, expires_at, updated_at) VALUES ('$lost', 'held', now() + interval '1 h', now() - interval '3 min')" \
    "DELETE FROM holds WHERE order_id = '$lost'"
falsified C9 "$ORDER" cart "UPDATE checkouts SET state = 'failed' WHERE id = '$checkout_id'" "UPDATE checkouts SET state = 'completed' WHERE id = '$checkout_id'"
management POST /api/exchanges/%2f/order-events/publish -d '{"routing_key":"nobody.asked","payload":"x","payload_encoding":"string","properties":{"message_id":"astray-1"}}' -o /dev/null
tools/audit --wait 1 >"$WORK/audit" 2>&1 && status=0 || status=$?
is "C11 sees an event that nobody asked for" "$status $(grep -c astray-1 "$WORK/audit")" "1 1"
management DELETE /api/queues/%2f/order-events.unrouted/contents
audit
