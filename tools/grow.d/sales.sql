-- The sales of one part: :first to :last.
SET client_min_messages = warning;
SET synchronous_commit = off;
SET session_replication_role = replica; -- no triggers: keys to other tables are right by construction
SET work_mem = '128MB';
SET jit = off;
BEGIN;
CREATE TEMPORARY TABLE sale ON COMMIT DROP AS
SELECT n, second, to_timestamp(second) AS at, grow.id(1, n, second) AS order_id, grow.id(2, n, second) AS payment_id, grow.buyer(n) AS u,
    grow.user_id(grow.buyer(n)) AS user_id, grow.ending(n) AS ending, md5(n::text) AS correlation_id
FROM (SELECT n, grow.sold_at(n) AS second FROM generate_series(:first::bigint, :last::bigint) n) x;
CREATE TEMPORARY TABLE line ON COMMIT DROP AS
SELECT s.n, s.order_id, s.at, s.ending, s.correlation_id, k + 1 AS line, grow.sku(p) AS sku, grow.name(p) AS name,
    grow.seller_id(grow.seller(p)) AS seller_id, grow.quantity(s.n, k) AS quantity, grow.price(p) AS price
FROM sale s, generate_series(0, grow.lines(s.n) - 1) k, LATERAL (SELECT grow.product(s.n, k) AS p) x;
ANALYZE sale, line;
