SET synchronous_commit = off;
INSERT INTO payment_methods (id, user_id, provider, token, label, created_at)
SELECT grow.id(3, u, :now - 731 * 86400), grow.user_id(u), 'sandbox', 'tok_visa', 'Visa', to_timestamp(:now - 731 * 86400)
FROM generate_series(1, :users::bigint) u;
