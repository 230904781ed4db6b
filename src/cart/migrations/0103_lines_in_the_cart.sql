-- migrate:up
-- A cart's lines are written and read as a whole, so they are one value of its row: {sku, name, sellerId, quantity,
-- unitPrice}, in the order in which they were put in. What held for the lines' own columns (1 to 999 pieces, no negative
-- price, a sku once) is the service's rule now.
ALTER TABLE carts ADD COLUMN lines json NOT NULL DEFAULT '[]';
UPDATE carts c SET lines = i.lines
    FROM (SELECT cart_id, json_agg(json_build_object('sku', sku, 'name', name, 'sellerId', seller_id, 'quantity', quantity,
        'unitPrice', json_build_object('amount', unit_price, 'currency', currency)) ORDER BY added_at, sku) AS lines
        FROM cart_items GROUP BY cart_id) i WHERE c.id = i.cart_id;
DROP TABLE cart_items;
-- Room for the next version of a row beside it: no index entry is written then.
ALTER TABLE carts SET (fillfactor = 70);

-- So are a checkout's steps. Its answer is made of its row. An order id is a fresh one at each attempt and asked for by
-- nobody here: order and payment, which take it, see that it is unique.
ALTER TABLE checkouts ADD COLUMN steps json NOT NULL DEFAULT '[]';
UPDATE checkouts c SET steps = s.steps
    FROM (SELECT checkout_id, json_agg(json_build_object('step', step, 'outcome', outcome, 'downstreamId', downstream_id,
        'attempt', attempt, 'durationUs', duration_us,
        'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) ORDER BY id) AS steps
        FROM checkout_steps GROUP BY checkout_id) s WHERE c.id = s.checkout_id;
DROP TABLE checkout_steps;
DROP INDEX checkouts_one_live_per_cart, checkouts_live;
CREATE TYPE checkout_state AS ENUM ('running', 'compensating', 'completed', 'failed');
ALTER TABLE checkouts
    DROP CONSTRAINT checkouts_order_id_key,
    DROP CONSTRAINT checkouts_state_check,
    DROP COLUMN response,
    ALTER COLUMN items TYPE json USING items::json,
    ALTER COLUMN state DROP DEFAULT,
    ALTER COLUMN state TYPE checkout_state USING state::checkout_state,
    ALTER COLUMN state SET DEFAULT 'running';
-- Live is what is not finished. The one index says that a cart has one of them, and finds all.
CREATE UNIQUE INDEX checkouts_one_live_per_cart ON checkouts (cart_id) WHERE finished_at IS NULL;

-- migrate:down
DROP INDEX checkouts_one_live_per_cart;
ALTER TABLE checkouts
    ALTER COLUMN state DROP DEFAULT,
    ALTER COLUMN state TYPE text USING state::text,
    ALTER COLUMN state SET DEFAULT 'running',
    ADD CONSTRAINT checkouts_state_check CHECK (state IN ('running', 'compensating', 'completed', 'failed')),
    ALTER COLUMN items TYPE jsonb USING items::jsonb,
    ADD COLUMN response text,
    ADD CONSTRAINT checkouts_order_id_key UNIQUE (order_id);
DROP TYPE checkout_state;
UPDATE checkouts SET response = jsonb_build_object('orderId', order_id, 'checkoutId', id, 'status', 'created',
    'total', jsonb_build_object('amount', total, 'currency', currency), 'items', items)::text WHERE state = 'completed';
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
INSERT INTO checkout_steps (checkout_id, attempt, step, outcome, downstream_id, duration_us, at)
    SELECT c.id, (s->>'attempt')::bigint, s->>'step', s->>'outcome', s->>'downstreamId', (s->>'durationUs')::bigint,
        (s->>'at')::timestamptz
    FROM checkouts c CROSS JOIN json_array_elements(c.steps) WITH ORDINALITY AS l (s, n) ORDER BY c.id, n;
ALTER TABLE checkouts DROP COLUMN steps;
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
INSERT INTO cart_items (cart_id, sku, name, seller_id, quantity, unit_price, currency, added_at)
    SELECT c.id, l->>'sku', l->>'name', (l->>'sellerId')::uuid, (l->>'quantity')::bigint, (l->'unitPrice'->>'amount')::bigint,
        l->'unitPrice'->>'currency', c.updated_at + n * interval '1 microsecond'
    FROM carts c CROSS JOIN json_array_elements(c.lines) WITH ORDINALITY AS i (l, n);
ALTER TABLE carts RESET (fillfactor);
ALTER TABLE carts DROP COLUMN lines;
