-- migrate:up
-- A seller is a user's profile: it has the user's id.
CREATE TABLE sellers (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    description text,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'closed')),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE products (
    sku text PRIMARY KEY,
    seller_id uuid NOT NULL REFERENCES sellers,
    name text NOT NULL,
    description text,
    category text NOT NULL,
    price bigint NOT NULL CHECK (price > 0),
    currency text NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    search tsvector NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('english', name), 'A') ||
        setweight(to_tsvector('english', category), 'B') ||
        setweight(to_tsvector('english', coalesce(description, '')), 'C')) STORED
);
CREATE INDEX products_search ON products USING gin (search);
CREATE INDEX products_by_age ON products (created_at DESC, sku DESC);
CREATE INDEX products_by_category ON products (category, created_at DESC, sku DESC);
CREATE INDEX products_of_seller ON products (seller_id, sku);

-- What is there of each product. on_hand counts units physically there, those of orders that are not
-- shipped yet included; that it is the sum of the three is so by construction. The row is written at
-- every sale: nothing of it is indexed but the key, so that those writes stay within the page.
CREATE TABLE stock (
    sku text PRIMARY KEY REFERENCES products,
    available bigint NOT NULL DEFAULT 0 CONSTRAINT stock_available CHECK (available >= 0),
    held bigint NOT NULL DEFAULT 0 CONSTRAINT stock_held CHECK (held >= 0),
    committed bigint NOT NULL DEFAULT 0 CONSTRAINT stock_committed CHECK (committed >= 0),
    on_hand bigint NOT NULL GENERATED ALWAYS AS (available + held + committed) STORED,
    threshold bigint NOT NULL DEFAULT 5 CHECK (threshold >= 0),
    alerted boolean NOT NULL DEFAULT false,
    version bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

-- Stock put aside for an order. A released hold without lines is a tombstone: the order id was given
-- up before its hold arrived. ended_by tells why a hold was released.
CREATE TABLE holds (
    order_id uuid PRIMARY KEY,
    user_id uuid,
    state text NOT NULL
        CHECK (state IN ('held', 'committed', 'released', 'restocked', 'shipped')),
    ended_by text CHECK (ended_by IN ('checkout', 'expired', 'order_cancelled', 'no_stock')),
    expires_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX holds_expiry ON holds (expires_at) WHERE state = 'held';

-- Written together with their hold in one statement, with the names and prices of that moment. No
-- foreign keys: this is the hottest path, and only that statement writes here.
CREATE TABLE hold_lines (
    order_id uuid NOT NULL,
    sku text NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    name text NOT NULL,
    seller_id uuid NOT NULL,
    unit_price bigint NOT NULL,
    currency text NOT NULL,
    PRIMARY KEY (order_id, sku)
);

-- Every change of every level: the sums over a product's movements are its levels. Append-only.
CREATE TABLE stock_movements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sku text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('initial', 'held', 'committed', 'released', 'restocked',
        'shipped', 'adjusted')),
    order_id uuid,
    available bigint NOT NULL,
    held bigint NOT NULL DEFAULT 0,
    committed bigint NOT NULL DEFAULT 0,
    reason text,
    note text,
    actor text,
    correlation_id text,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX stock_movements_of_product ON stock_movements (sku, id);

CREATE FUNCTION stock_movements_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'stock movements are append-only';
END $$;
CREATE TRIGGER stock_movements_stay BEFORE UPDATE OR DELETE ON stock_movements
    FOR EACH STATEMENT EXECUTE FUNCTION stock_movements_stay();

-- migrate:down
DROP TABLE stock_movements, hold_lines, holds, stock, products, sellers;
DROP FUNCTION stock_movements_stay;
