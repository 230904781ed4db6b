-- Orders and what is known about them; paid_at and stock_committed_at are the events' own times. Left out: version and updated_at
-- (how often and when the row was written) and the history: the way, not where it led. Facts that come in another order take
-- another way (refunded without having been partially_refunded).
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT 'order', id, user_id, status, total, currency, payment_id, paid_at, stock_committed_at, refunded, reason FROM orders;
SELECT 'line', order_id, line, sku, quantity, unit_price, currency FROM order_items;
SELECT 'abandoned', id FROM abandoned_orders;
COMMIT;
