-- migrate:up
ALTER TABLE users ADD COLUMN email_verified_at timestamptz;
ALTER TABLE users ADD COLUMN version bigint NOT NULL DEFAULT 1;

-- What a mailed link carries: only its digest. One use, and the address it was sent to must still be
-- the account's.
CREATE TABLE mail_tokens (
    digest text PRIMARY KEY,
    purpose text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
    user_id uuid NOT NULL REFERENCES users,
    email text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX mail_tokens_of_user ON mail_tokens (user_id, purpose) WHERE ended_at IS NULL;
CREATE INDEX mail_tokens_by_end ON mail_tokens (expires_at);

-- A forgotten password's request, for any address whatever: whether there is an account is looked up
-- after the answer. Gone as soon as that is done.
CREATE TABLE reset_requests (
    id uuid PRIMARY KEY,
    email text NOT NULL,
    address text NOT NULL,
    user_agent text NOT NULL,
    correlation_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX reset_requests_by_age ON reset_requests (created_at);

-- The clients that an account was used from, as digests of address and user agent.
CREATE TABLE known_clients (
    user_id uuid NOT NULL REFERENCES users,
    client text NOT NULL,
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, client)
);
CREATE INDEX known_clients_by_age ON known_clients (last_seen_at);

-- Of an account's addresses exactly one is the default.
ALTER TABLE addresses ADD COLUMN is_default boolean NOT NULL DEFAULT false;
UPDATE addresses a SET is_default = true WHERE id = (SELECT id FROM addresses
    WHERE user_id = a.user_id ORDER BY created_at DESC, id DESC LIMIT 1);
CREATE UNIQUE INDEX addresses_one_default ON addresses (user_id) WHERE is_default;

-- migrate:down
ALTER TABLE addresses DROP COLUMN is_default;
DROP TABLE known_clients, reset_requests, mail_tokens;
ALTER TABLE users DROP COLUMN version, DROP COLUMN email_verified_at;
