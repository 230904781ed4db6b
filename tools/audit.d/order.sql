\o :out.orders
SELECT id, status, total, refunded, coalesce(payment_id::text, '-') FROM orders;
\o :out.lines
SELECT order_id, sku, sum(quantity) FROM order_items GROUP BY 1, 2;
COMMIT;
