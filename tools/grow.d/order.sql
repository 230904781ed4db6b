INSERT INTO orders (id, user_id, user_email, user_name, status, total, currency, payment_id, paid_at, stock_committed_at, version,
    created_at, updated_at)
SELECT order_id, user_id, 'grown' || u || '@souk.example', 'Grown ' || u, ending, t.total, 'USD', payment_id,
    CASE WHEN ending <> 'cancelled' THEN at END, CASE WHEN ending <> 'cancelled' THEN at END, 3, at, at
FROM sale JOIN (SELECT n, sum(quantity * price) AS total FROM line GROUP BY n) t USING (n) ORDER BY n;
INSERT INTO order_items (order_id, line, sku, name, seller_id, quantity, unit_price, currency)
SELECT order_id, line, sku, name, seller_id, quantity, price, 'USD' FROM line ORDER BY n, line;
INSERT INTO order_history (order_id, from_status, to_status, actor, correlation_id, at)
SELECT order_id, h.f, h.t, h.a, correlation_id, at + h.after
FROM sale, (VALUES (1, '{confirmed,completed,cancelled}'::text[], NULL, 'created', 'cart', interval '0'),
    (2, '{confirmed,completed}', 'created', 'paid', 'payment-service', '1 s'),
    (3, '{confirmed,completed}', 'paid', 'confirmed', 'seller-service', '1 s'),
    (4, '{completed}', 'confirmed', 'shipped', 'seller', '1 day'), (5, '{completed}', 'shipped', 'completed', 'seller', '2 days'),
    (6, '{cancelled}', 'created', 'cancelled', 'customer', '1 s')) h (step, whose, f, t, a, after)
WHERE ending = ANY (h.whose) ORDER BY n, step;
INSERT INTO inbox (event_id, type, handled_at)
SELECT grow.id(kind, n, second), type, at
FROM sale, (VALUES (22, 'payment.completed'), (23, 'inventory.updated')) e (kind, type)
WHERE at > to_timestamp(:now - 29 * 86400) AND ending <> 'cancelled' ORDER BY n, kind;
COMMIT;
