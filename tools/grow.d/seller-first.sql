-- The catalogue and what was bought in: enough of everything for what chance will sell of it.
SET synchronous_commit = off;
SET session_replication_role = replica;
BEGIN;
INSERT INTO sellers (id, name, description, created_at, updated_at)
SELECT grow.seller_id(s), 'Grown Shop ' || s, 'One of many.', to_timestamp(:now - 800 * 86400), to_timestamp(:now - 800 * 86400)
FROM generate_series(0, :sellers::bigint - 1) s;
CREATE TEMPORARY TABLE shelf ON COMMIT DROP AS
SELECT p, grow.sku(p) AS sku, to_timestamp(:now - 790 * 86400 + p * (780 * 86400.0::float8 / :products)) AS at,
    200 + ceil(8 * :orders * (power((p / 3 + 1)::float8 / (:products / 3), 1 / 3.0) - power((p / 3)::float8 / (:products / 3), 1 / 3.0)))::bigint
        AS bought
FROM generate_series(0, :products::bigint - 1) p;
-- The index of words is made when they are all there: word by word it takes several times as long.
SELECT pg_get_indexdef('products_search'::regclass) AS words_index \gset
DROP INDEX products_search;
INSERT INTO products (sku, seller_id, name, description, category, price, currency, created_at, updated_at)
SELECT sku, grow.seller_id(grow.seller(p)), grow.name(p), 'A ' || grow.noun(p) || ' for every day, made to last and easy to mend; number ' || p || ' of a large catalogue.',
    grow.category(p), grow.price(p), 'USD', at, at
FROM shelf ORDER BY p;
INSERT INTO stock_movements (sku, kind, available, reason, correlation_id, at)
SELECT sku, 'initial', bought, 'opening stock', 'grow', at FROM shelf ORDER BY p;
SET LOCAL maintenance_work_mem = '256MB';
:words_index;
COMMIT;
