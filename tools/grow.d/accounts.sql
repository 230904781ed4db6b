-- The accounts, with the demo's password.
SET synchronous_commit = off;
INSERT INTO users (id, email, password_hash, name, roles, created_at, updated_at)
SELECT grow.user_id(u), 'grown' || u || '@souk.example',
    '$argon2id$v=19$m=19456,t=2,p=1$onTXRGy/4qVKz2WFV6X0UQ$hxDlYHYSWQvfEu2nLHzY3n1gCLMXuMo9bCLIoq/cqcE', 'Grown ' || u, '{user}',
    to_timestamp(:now - 731 * 86400), to_timestamp(:now - 731 * 86400)
FROM generate_series(1, :users::bigint) u;
