-- migrate:up
-- The cart of a closed account stays, empty, as its tombstone: its key puts the account's end in turn with
-- whatever is told or done late, which opens it no more.
ALTER TABLE carts ADD COLUMN closed boolean NOT NULL DEFAULT false;
INSERT INTO carts (id, user_id, closed) SELECT gen_random_uuid(), user_id, true FROM closed_accounts
    ON CONFLICT (user_id) DO UPDATE SET closed = true, last_order_at = NULL;
DELETE FROM cart_items i USING carts c WHERE c.id = i.cart_id AND c.closed;
DROP TABLE closed_accounts;

-- migrate:down
CREATE TABLE closed_accounts (user_id uuid PRIMARY KEY, closed_at timestamptz NOT NULL);
INSERT INTO closed_accounts SELECT user_id, updated_at FROM carts WHERE closed;
DELETE FROM carts WHERE closed;
ALTER TABLE carts DROP COLUMN closed;
