\if :rest
\o :out.holds
COPY (SELECT order_id, state, extract(epoch FROM now() - updated_at)::bigint FROM holds) TO STDOUT WITH (DELIMITER ' ');
\o :out.lines
COPY (SELECT h.order_id, l.sku, l.quantity FROM holds h JOIN hold_lines l USING (order_id)
    WHERE h.state IN ('committed', 'shipped') ORDER BY h.order_id, l.sku COLLATE "C") TO STDOUT WITH (DELIMITER ' ');
-- Each level is the sum of its movements, and what is held or committed is somebody's; and the trigger that keeps movements
-- as they are is on.
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
SELECT 'level of', sku, 'is wrong:', available, held, committed FROM stock
    WHERE least(available, held, committed) < 0;
SELECT 'stock_movements can be changed: the trigger stock_movements_stay is off or gone' WHERE NOT EXISTS (SELECT FROM pg_trigger
    WHERE tgrelid = 'stock_movements'::regclass AND tgname = 'stock_movements_stay' AND tgenabled IN ('O', 'A'));
\o :out.levels
SELECT count(*) FROM stock;
-- Each step of an order's hold is done once for an item, and so is what takes it back.
\o :out.twice
SELECT 'hold of', order_id, 'was', kind, count(*), 'times for', sku FROM stock_movements
    WHERE order_id IS NOT NULL GROUP BY order_id, sku, kind HAVING count(*) > 1;
\endif
