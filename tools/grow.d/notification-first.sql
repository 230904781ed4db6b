SET synchronous_commit = off;
INSERT INTO contacts (user_id, email, name, told_at, named_at)
SELECT grow.user_id(u), 'grown' || u || '@souk.example', 'Grown ' || u, to_timestamp(:now - 731 * 86400), to_timestamp(:now - 731 * 86400)
FROM generate_series(1, :users::bigint) u;
