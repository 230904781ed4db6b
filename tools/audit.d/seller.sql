\o :out.holds
SELECT order_id, state, extract(epoch FROM now() - updated_at)::bigint FROM holds;
\o :out.lines
SELECT h.order_id, l.sku, l.quantity FROM holds h JOIN hold_lines l USING (order_id)
    WHERE h.state IN ('committed', 'shipped');
-- Each level is the sum of its movements, and what is held or committed is somebody's.
\o :out.stock
SELECT 'level of', sku, 'is', s.available, s.held, s.committed, 'its movements',
    coalesce(m.available, 0), coalesce(m.held, 0), coalesce(m.committed, 0)
    FROM stock s LEFT JOIN (SELECT sku, sum(available) AS available, sum(held) AS held,
        sum(committed) AS committed FROM stock_movements GROUP BY sku) m USING (sku)
    WHERE (s.available, s.held, s.committed)
        <> (coalesce(m.available, 0), coalesce(m.held, 0), coalesce(m.committed, 0));
SELECT 'level of', sku, 'has', s.held, s.committed, 'its orders', coalesce(o.held, 0), coalesce(o.committed, 0)
    FROM stock s LEFT JOIN (SELECT sku, sum(quantity) FILTER (WHERE state = 'held') AS held,
        sum(quantity) FILTER (WHERE state = 'committed') AS committed
        FROM hold_lines JOIN holds USING (order_id) GROUP BY sku) o USING (sku)
    WHERE (s.held, s.committed) <> (coalesce(o.held, 0), coalesce(o.committed, 0));
SELECT 'level of', sku, 'is wrong:', available, held, committed, on_hand FROM stock
    WHERE on_hand <> available + held + committed OR least(available, held, committed) < 0;
\o :out.levels
SELECT count(*) FROM stock;
COMMIT;
