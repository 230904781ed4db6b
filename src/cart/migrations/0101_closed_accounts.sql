-- migrate:up
-- Accounts that are closed: a registration that is heard of later, or again, must not bring their carts back.
CREATE TABLE closed_accounts (
    user_id uuid PRIMARY KEY,
    closed_at timestamptz NOT NULL
);

-- migrate:down
DROP TABLE closed_accounts;
