#!/usr/bin/env bash
# How long the audit takes when there are many orders. One order is bought; then each of its rows, in every database, is
# copied so many times by SQL under ids of its own (with its events, holds, payments, mails and ledger entries), so that
# the books balance. Then the audit runs. One line of JSON, appended to bench/results/audit.jsonl with commit and conditions.
#   bench/audit.sh [ORDERS]
# Runs on a suite of its own (folder .souk-bench, ports from 17080) and ends it afterwards.
orders=${1:-100000}
# shellcheck source=bench/suite.sh
. "$(dirname "${BASH_SOURCE[0]}")/suite.sh"

"$SOUK_BUILD/src/souk-load" buy --users 1 --items 1 --warmup 0 --duration 200ms --quiet --no-watch --log "$work/log" >/dev/null
order=$(awk '$5 != "-" { print $5; exit }' "$work/log")
tools/audit >/dev/null || die "the books of the one order don't balance (./souk audit)"

ask() { admin_psql -At -d "souk_$1" -c "$2"; }
payment=$(ask payment "SELECT id FROM payments WHERE order_id = '$order'")
for svc in "${SERVICES[@]}"; do ask "$svc" "SELECT event_id FROM outbox WHERE body LIKE '%$order%'"; done >"$work/events"
events="'{$(paste -sd, "$work/events")}'::uuid[]"

# copy SERVICE SQL: with own(id, n), the id of the n-th copy, and `copies`, their numbers
copy() {
    admin_psql -q -v ON_ERROR_STOP=1 -d "souk_$1" >/dev/null <<SQL
BEGIN;
SET LOCAL session_replication_role = replica;
CREATE FUNCTION pg_temp.own(id uuid, n integer) RETURNS uuid LANGUAGE sql IMMUTABLE AS 'SELECT md5(id::text || n)::uuid';
CREATE TEMP VIEW copies AS SELECT n FROM generate_series(1, $orders) n;
INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, body, created_at, published_at)
    SELECT pg_temp.own(event_id, n), type, aggregate_id, correlation_id, '{}', created_at, published_at
    FROM copies, outbox WHERE event_id = ANY ($events);
INSERT INTO inbox (event_id, type, handled_at)
    SELECT pg_temp.own(event_id, n), type, handled_at FROM copies, inbox WHERE event_id = ANY ($events);
$2
COMMIT;
ANALYZE;
SQL
}

for svc in auth aibuddy; do copy "$svc" ''; done
copy cart "INSERT INTO checkouts (id, user_id, cart_id, idempotency_key, fingerprint, order_id, state, lease_until, items, total, currency,
        created_at, finished_at)
    SELECT pg_temp.own(id, n), user_id, cart_id, idempotency_key || n, fingerprint, pg_temp.own(order_id, n), state, lease_until,
        items, total, currency, created_at, finished_at
    FROM copies, checkouts WHERE order_id = '$order';"
copy order "INSERT INTO orders (id, user_id, user_email, status, total, currency, payment_id, created_at, items, history)
    SELECT pg_temp.own(id, n), user_id, user_email, status, total, currency, pg_temp.own(payment_id, n), created_at, items, history
    FROM copies, orders WHERE id = '$order';"
copy payment "INSERT INTO payments (id, order_id, user_id, method_id, token, status, amount, currency, captured, correlation_id, created_at)
    SELECT pg_temp.own(id, n), pg_temp.own(order_id, n), user_id, method_id, token, status, amount, currency, captured,
        correlation_id, created_at FROM copies, payments WHERE id = '$payment';
INSERT INTO ledger_entries (payment_id, operation, account, debit, credit, currency)
    SELECT pg_temp.own(payment_id, n), 'capture:' || pg_temp.own(payment_id, n), account, debit, credit, currency
    FROM copies, ledger_entries WHERE payment_id = '$payment';
INSERT INTO sandbox_charges (key, token, amount, currency, state, captured)
    SELECT pg_temp.own(key::uuid, n), token, amount, currency, state, captured FROM copies, sandbox_charges WHERE key = '$payment';
INSERT INTO sandbox_operations (key, charge, kind, amount)
    SELECT key || n, pg_temp.own(charge::uuid, n), kind, amount FROM copies, sandbox_operations WHERE charge = '$payment';"
copy seller "INSERT INTO holds (order_id, user_id, state, expires_at, created_at, updated_at, lines)
    SELECT pg_temp.own(order_id, n), user_id, state, expires_at, created_at, updated_at, lines
    FROM copies, holds WHERE order_id = '$order';
INSERT INTO stock_movements (sku, kind, order_id, available, held, committed)
    SELECT sku, kind, pg_temp.own(order_id, n), available, held, committed FROM copies, stock_movements WHERE order_id = '$order';
UPDATE stock s SET available = s.available + m.available, held = s.held + m.held, committed = s.committed + m.committed
    FROM (SELECT sku, sum(available) * $orders AS available, sum(held) * $orders AS held, sum(committed) * $orders AS committed
        FROM stock_movements WHERE order_id = '$order' GROUP BY sku) m WHERE s.sku = m.sku;"
copy notification "INSERT INTO deliveries (id, event_id, template, kind, channel, recipient, user_id, subject, body_text, message_id,
        correlation_id, status, attempts, next_attempt_at, created_at, sent_at)
    SELECT pg_temp.own(id, n), pg_temp.own(event_id, n), template, kind, channel, recipient, user_id, subject, '', n || message_id,
        correlation_id, status, attempts, next_attempt_at, '2000-01-01', '2000-01-01'
    FROM copies, deliveries WHERE event_id = ANY ($events);"

began=${EPOCHREALTIME/[.,]/}
tools/audit --json >"$work/audit" || { cat "$work/audit" && die "the copies don't balance"; }
took=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
jq -cn --argjson orders "$orders" --argjson took $took --slurpfile lines "$work/audit" \
    '{orders: $orders, events: ($lines[] | select(.invariant == "C6").count), auditMs: $took}' | result audit
