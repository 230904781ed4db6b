\if :rest
\o :out.orders
COPY (SELECT id, status, total, refunded, coalesce(payment_id::text, '-'), user_id FROM orders) TO STDOUT WITH (DELIMITER ' ');
\o :out.sold
COPY (SELECT i.order_id, i.sku, sum(i.quantity) FROM order_items i JOIN orders o ON o.id = i.order_id
    WHERE o.status IN ('confirmed', 'shipped', 'completed', 'refunded', 'partially_refunded')
    GROUP BY 1, 2 ORDER BY i.order_id, i.sku COLLATE "C") TO STDOUT WITH (DELIMITER ' ');
-- An order comes to each of these once, if ever.
\o :out.twice
SELECT 'order', order_id, 'became', to_status, count(*), 'times' FROM order_history
    WHERE to_status <> 'partially_refunded' GROUP BY order_id, to_status HAVING count(*) > 1;
\endif
