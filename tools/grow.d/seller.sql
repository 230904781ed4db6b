INSERT INTO holds (order_id, user_id, state, ended_by, expires_at, created_at, updated_at, lines)
SELECT order_id, user_id,
    (CASE ending WHEN 'cancelled' THEN 'released' WHEN 'confirmed' THEN 'committed' ELSE 'shipped' END)::hold_state,
    (CASE ending WHEN 'cancelled' THEN 'order_cancelled' END)::hold_end, at + interval '10 minutes', at, at, l.lines
FROM sale JOIN (SELECT n, json_agg(json_build_object('sku', sku, 'name', name, 'sellerId', seller_id, 'quantity', quantity,
    'unitPrice', json_build_object('amount', price, 'currency', 'USD')) ORDER BY sku) AS lines FROM line GROUP BY n) l USING (n)
ORDER BY n;
INSERT INTO stock_movements (sku, kind, order_id, available, held, committed, reason, correlation_id, at)
SELECT sku, m.kind::movement_kind, order_id, quantity * m.available, quantity * m.held, quantity * m.committed, m.reason, correlation_id, at + m.after
FROM line, (VALUES (1, '{confirmed,completed,cancelled}'::text[], 'held', -1, 1, 0, NULL, interval '0'),
    (2, '{confirmed,completed}', 'committed', 0, -1, 1, NULL, '1 s'), (3, '{completed}', 'shipped', 0, 0, -1, NULL, '1 day'),
    (4, '{cancelled}', 'released', 1, -1, 0, 'order_cancelled', '1 s')) m (step, whose, kind, available, held, committed, reason, after)
WHERE ending = ANY (m.whose) ORDER BY n, step, line;
INSERT INTO inbox (event_id, type, handled_at)
SELECT grow.id(21, n, second), 'order.created', at FROM sale WHERE at > to_timestamp(:now - 29 * 86400) ORDER BY n;
COMMIT;
