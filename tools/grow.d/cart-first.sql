SET synchronous_commit = off;
INSERT INTO carts (id, user_id, last_order_at, created_at, updated_at)
SELECT grow.id(4, u, :now - 731 * 86400), grow.user_id(u), to_timestamp(:now - 86400), to_timestamp(:now - 731 * 86400),
    to_timestamp(:now - 86400)
FROM generate_series(1, :users::bigint) u;
