SET synchronous_commit = off;
INSERT INTO items (sku, name, category, told_at)
SELECT grow.sku(p), grow.name(p), grow.category(p), to_timestamp(:now - 790 * 86400) FROM generate_series(0, :products::bigint - 1) p;
INSERT INTO profiles (user_id) SELECT grow.user_id(u) FROM generate_series(1, :users::bigint) u;
