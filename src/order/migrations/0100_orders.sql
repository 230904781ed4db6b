-- migrate:up
CREATE TABLE orders (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    user_email text NOT NULL,
    user_name text,
    status text NOT NULL CHECK (status IN ('created', 'paid', 'confirmed', 'shipped', 'completed',
        'cancelled', 'payment_failed', 'refunded', 'partially_refunded')),
    total bigint NOT NULL CHECK (total >= 0),
    currency text NOT NULL,
    payment_id uuid,
    shipping_address jsonb,
    paid_at timestamptz,
    stock_committed_at timestamptz,
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0 AND refunded <= total),
    reason text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_of_user ON orders (user_id, created_at DESC, id DESC);
CREATE INDEX orders_by_age ON orders (created_at DESC, id DESC);

CREATE TABLE order_items (
    order_id uuid NOT NULL REFERENCES orders,
    line integer NOT NULL,
    sku text NOT NULL,
    name text NOT NULL,
    seller_id uuid NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    currency text NOT NULL,
    PRIMARY KEY (order_id, line)
);
CREATE INDEX order_items_of_seller ON order_items (seller_id, order_id);

-- One row for each change of status: who, why, by which event. Append-only.
CREATE TABLE order_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES orders,
    from_status text,
    to_status text NOT NULL,
    actor text NOT NULL,
    reason text,
    event_id uuid,
    correlation_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX order_history_of_order ON order_history (order_id, id);

-- Ids that a checkout has given up: a late create with one of them is refused.
CREATE TABLE abandoned_orders (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
);

-- migrate:down
DROP TABLE abandoned_orders, order_history, order_items, orders;
