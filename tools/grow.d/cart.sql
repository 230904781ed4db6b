CREATE TEMPORARY TABLE bought ON COMMIT DROP AS
SELECT n, sum(quantity * price)::bigint AS total, json_agg(json_build_object('sku', sku, 'name', name, 'sellerId', seller_id, 'quantity', quantity,
    'unitPrice', json_build_object('amount', price, 'currency', 'USD')) ORDER BY line) AS items
FROM line GROUP BY n;
INSERT INTO checkouts (id, user_id, cart_id, idempotency_key, fingerprint, order_id, state, lease_until, items, total, currency, response,
    created_at, finished_at)
SELECT grow.id(5, n, second), user_id, grow.id(4, u, :now - 731 * 86400), 'grown-' || n, md5(n::text) || md5(n::text), order_id, 'completed', at,
    items::jsonb, total, 'USD', json_build_object('orderId', order_id, 'checkoutId', grow.id(5, n, second), 'status', 'created', 'total',
    json_build_object('amount', total, 'currency', 'USD'), 'items', items)::text, at, at
FROM sale JOIN bought USING (n) ORDER BY n;
INSERT INTO checkout_steps (checkout_id, attempt, step, outcome, downstream_id, duration_us, at)
SELECT grow.id(5, n, second), 1, t.step, 'ok', CASE t.step WHEN 'auth' THEN NULL WHEN 'payment' THEN payment_id::text ELSE order_id::text END,
    2000, at
FROM sale, (VALUES (1, 'auth'), (2, 'payment'), (3, 'stock'), (4, 'order')) t (place, step) ORDER BY n, place;
INSERT INTO inbox (event_id, type, handled_at)
SELECT grow.id(24, n, second), 'order.completed', at FROM sale WHERE at > to_timestamp(:now - 29 * 86400) AND ending = 'completed'
ORDER BY n;
COMMIT;
