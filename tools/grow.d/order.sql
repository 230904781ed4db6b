INSERT INTO orders (id, user_id, user_email, user_name, status, total, currency, payment_id, paid_at, stock_committed_at, version,
    created_at, updated_at, items, history)
SELECT order_id, user_id, 'grown' || u || '@souk.example', 'Grown ' || u, ending::order_status, t.total, 'USD', payment_id,
    CASE WHEN ending <> 'cancelled' THEN at END, CASE WHEN ending <> 'cancelled' THEN at END, 3, at, at, t.items,
    (SELECT jsonb_agg(jsonb_build_object('from', h.f, 'to', h.t, 'actor', h.a, 'reason', NULL, 'eventId', NULL,
        'correlationId', correlation_id, 'at', at + h.after) ORDER BY h.step)
    FROM (VALUES (1, '{confirmed,completed,cancelled}'::text[], NULL, 'created', 'cart', interval '0'),
        (2, '{confirmed,completed}', 'created', 'paid', 'payment-service', '1 s'),
        (3, '{confirmed,completed}', 'paid', 'confirmed', 'seller-service', '1 s'),
        (4, '{completed}', 'confirmed', 'shipped', 'seller', '1 day'),
        (5, '{completed}', 'shipped', 'completed', 'seller', '2 days'),
        (6, '{cancelled}', 'created', 'cancelled', 'customer', '1 s')) h (step, whose, f, t, a, after)
    WHERE ending = ANY (h.whose))
FROM sale JOIN (SELECT n, sum(quantity * price) AS total, json_agg(json_build_object('sku', sku, 'name', name, 'sellerId', seller_id,
    'quantity', quantity, 'unitPrice', json_build_object('amount', price, 'currency', 'USD')) ORDER BY line) AS items
    FROM line GROUP BY n) t USING (n) ORDER BY n;
INSERT INTO inbox (event_id, type, handled_at)
SELECT grow.id(kind, n, second), type, at
FROM sale, (VALUES (22, 'payment.completed'), (23, 'inventory.updated')) e (kind, type)
WHERE at > to_timestamp(:now - 29 * 86400) AND ending <> 'cancelled' ORDER BY n, kind;
COMMIT;
