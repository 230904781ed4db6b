-- Stock, products, and what became of each order's hold. A hold that is released and one that is committed and restocked are both
-- "given back". Left out: versions and times of change, the movements (the way, whose sums are the stock), `alerted` (what was
-- last told about a level, which depends on the levels in between).
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT 'stock', sku, available, held, committed FROM stock;
SELECT 'product', sku, seller_id, name, price, currency, status FROM products;
SELECT 'seller', id, name, status FROM sellers;
SELECT 'hold', order_id, CASE WHEN state IN ('released', 'restocked') THEN 'given back' ELSE state::text END FROM holds;
COMMIT;
