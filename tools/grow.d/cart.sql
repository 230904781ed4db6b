CREATE TEMPORARY TABLE bought ON COMMIT DROP AS
SELECT n, sum(quantity * price)::bigint AS total, json_agg(json_build_object('sku', sku, 'name', name, 'sellerId', seller_id, 'quantity', quantity,
    'unitPrice', json_build_object('amount', price, 'currency', 'USD')) ORDER BY line) AS items
FROM line GROUP BY n;
INSERT INTO checkouts (id, user_id, cart_id, idempotency_key, fingerprint, order_id, state, lease_until, items, total, currency, steps,
    created_at, finished_at)
SELECT grow.id(5, n, second), user_id, grow.id(4, u, :now - 731 * 86400), 'grown-' || n, md5(n::text) || md5(n::text), order_id, 'completed', at,
    items, total, 'USD', (SELECT json_agg(json_build_object('step', step, 'outcome', 'ok', 'downstreamId', downstream, 'attempt', 1,
        'durationUs', 2000, 'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) ORDER BY place)
        FROM (VALUES (1, 'auth', NULL), (2, 'payment', payment_id), (3, 'stock', order_id), (4, 'order', order_id)) t (place, step, downstream)),
    at, at
FROM sale JOIN bought USING (n) ORDER BY n;
INSERT INTO inbox (event_id, type, handled_at)
SELECT grow.id(24, n, second), 'order.completed', at FROM sale WHERE at > to_timestamp(:now - 29 * 86400) AND ending = 'completed'
ORDER BY n;
COMMIT;
