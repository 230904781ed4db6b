INSERT INTO known_orders (order_id, user_id, day, told_at, skus, quantities, counted, cancelled, cancelled_at)
SELECT order_id, user_id, (at AT TIME ZONE 'UTC')::date, at, skus, quantities, ending <> 'cancelled', ending = 'cancelled',
    CASE ending WHEN 'cancelled' THEN at END
FROM sale JOIN (SELECT n, array_agg(sku ORDER BY sku) AS skus, array_agg(quantity ORDER BY sku) AS quantities FROM line GROUP BY n) l USING (n)
ORDER BY n;
INSERT INTO daily_counts AS d (day, sku, orders, units)
SELECT (at AT TIME ZONE 'UTC')::date, sku, count(*), sum(quantity) FROM line WHERE ending <> 'cancelled' GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (day, sku) DO UPDATE SET orders = d.orders + excluded.orders, units = d.units + excluded.units;
INSERT INTO user_items AS u (user_id, sku, orders)
SELECT s.user_id, l.sku, count(*) FROM line l JOIN sale s USING (n) WHERE l.ending <> 'cancelled' GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (user_id, sku) DO UPDATE SET orders = u.orders + excluded.orders;
INSERT INTO pair_counts AS p (sku_a, sku_b, orders)
SELECT a.sku, b.sku, count(*) FROM line a JOIN line b USING (n) WHERE a.sku < b.sku AND a.ending <> 'cancelled' GROUP BY 1, 2 ORDER BY 1, 2
ON CONFLICT (sku_a, sku_b) DO UPDATE SET orders = p.orders + excluded.orders;
INSERT INTO inbox (event_id, type, handled_at)
SELECT grow.id(21, n, second), 'order.created', at FROM sale WHERE at > to_timestamp(:now - 29 * 86400) ORDER BY n;
COMMIT;
