-- migrate:up
-- A cart belongs to a user or to the bearer of a token (kept as its SHA-256).
CREATE TABLE carts (
    id uuid PRIMARY KEY,
    user_id uuid UNIQUE,
    token_hash text UNIQUE,
    version bigint NOT NULL DEFAULT 1,
    last_order_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((user_id IS NULL) <> (token_hash IS NULL))
);

-- Name, seller and price as they were when the line was put in: a later rise needs the shopper's consent.
CREATE TABLE cart_items (
    cart_id uuid NOT NULL REFERENCES carts ON DELETE CASCADE,
    sku text NOT NULL,
    name text NOT NULL,
    seller_id uuid NOT NULL,
    quantity bigint NOT NULL,
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    currency text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cart_id, sku),
    CONSTRAINT cart_items_quantity CHECK (quantity BETWEEN 1 AND 999)
);

-- The saga. The row is committed before its first side effect; it is also the idempotency key of the request.
--   running -> completed
--   running -> compensating -> failed
CREATE TABLE checkouts (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    cart_id uuid NOT NULL,
    idempotency_key text NOT NULL,
    fingerprint text NOT NULL,
    attempt bigint NOT NULL DEFAULT 1,
    order_id uuid NOT NULL UNIQUE,
    state text NOT NULL DEFAULT 'running'
        CHECK (state IN ('running', 'compensating', 'completed', 'failed')),
    lease_until timestamptz NOT NULL,
    items jsonb NOT NULL,
    total bigint NOT NULL,
    currency text NOT NULL,
    outcome text,
    detail text,
    extensions text,
    kept boolean NOT NULL DEFAULT false,
    response text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    UNIQUE (user_id, idempotency_key)
);
CREATE UNIQUE INDEX checkouts_one_live_per_cart ON checkouts (cart_id)
    WHERE state IN ('running', 'compensating');
CREATE INDEX checkouts_live ON checkouts (lease_until) WHERE state IN ('running', 'compensating');

CREATE TABLE checkout_steps (
    checkout_id uuid NOT NULL REFERENCES checkouts ON DELETE CASCADE,
    id bigint GENERATED ALWAYS AS IDENTITY,
    attempt bigint NOT NULL,
    step text NOT NULL,
    outcome text NOT NULL,
    downstream_id text,
    duration_us bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (checkout_id, id)
);

-- migrate:down
DROP TABLE checkout_steps, checkouts, cart_items, carts;
