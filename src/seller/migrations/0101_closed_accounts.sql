-- migrate:up
-- Tombstones: what is told or done late about a closed account does not bring anything of it back.
CREATE TABLE closed_accounts (
    user_id uuid PRIMARY KEY,
    closed_at timestamptz NOT NULL DEFAULT now()
);

-- migrate:down
DROP TABLE closed_accounts;
