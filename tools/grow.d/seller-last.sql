-- The levels are what the movements say.
SET synchronous_commit = off;
SET session_replication_role = replica;
SET work_mem = '256MB';
INSERT INTO stock (sku, available, held, committed, threshold)
SELECT sku, sum(available), sum(held), sum(committed), 5 FROM stock_movements WHERE sku LIKE 'GROWN-%' GROUP BY sku ORDER BY sku;
