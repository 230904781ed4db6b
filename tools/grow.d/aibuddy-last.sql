-- The week is what its days say.
SET synchronous_commit = off;
SET work_mem = '256MB';
INSERT INTO week_counts (sku, orders)
SELECT sku, sum(orders) FROM daily_counts WHERE sku LIKE 'GROWN-%' AND day > (SELECT today - 7 FROM week) GROUP BY sku ORDER BY sku;
