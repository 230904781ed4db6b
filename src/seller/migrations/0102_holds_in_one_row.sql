-- migrate:up
-- A hold is one row with its lines in it, as they are written and read together only; the view
-- hold_lines shows them one by one. States and kinds are enum types and the checks of the levels are
-- one: PostgreSQL reads a table's check constraints anew at each statement that writes to it. A
-- movement is found by its product only, so its key begins with that and is its one index.

CREATE TYPE hold_state AS ENUM ('held', 'committed', 'released', 'restocked', 'shipped');
CREATE TYPE hold_end AS ENUM ('checkout', 'expired', 'order_cancelled', 'no_stock');
CREATE TYPE movement_kind AS ENUM ('initial', 'held', 'committed', 'released', 'restocked',
    'shipped', 'adjusted');

ALTER TABLE holds ADD COLUMN lines json NOT NULL DEFAULT '[]';
UPDATE holds h SET lines = l.lines FROM (SELECT order_id, json_agg(json_build_object('sku', sku,
    'name', name, 'sellerId', seller_id, 'quantity', quantity, 'unitPrice',
    json_build_object('amount', unit_price, 'currency', currency)) ORDER BY sku) AS lines
    FROM hold_lines GROUP BY order_id) l WHERE l.order_id = h.order_id;
DROP TABLE hold_lines;
CREATE VIEW hold_lines AS SELECT h.order_id, l.sku, l.quantity, l.name, l."sellerId" AS seller_id,
    (l."unitPrice"->>'amount')::bigint AS unit_price, l."unitPrice"->>'currency' AS currency
    FROM holds h, json_to_recordset(h.lines)
        AS l (sku text, quantity bigint, name text, "sellerId" uuid, "unitPrice" json);

DROP INDEX holds_expiry;
ALTER TABLE holds
    DROP CONSTRAINT holds_state_check, DROP CONSTRAINT holds_ended_by_check,
    ALTER COLUMN state TYPE hold_state USING state::hold_state,
    ALTER COLUMN ended_by TYPE hold_end USING ended_by::hold_end;
CREATE INDEX holds_expiry ON holds (expires_at) WHERE state = 'held';

DROP INDEX stock_movements_of_product;
ALTER TABLE stock_movements
    DROP CONSTRAINT stock_movements_kind_check,
    ALTER COLUMN kind TYPE movement_kind USING kind::movement_kind,
    DROP CONSTRAINT stock_movements_pkey, ADD PRIMARY KEY (sku, id);

-- What is on hand is the sum of the three buckets: who shows it adds them up.
ALTER TABLE stock
    DROP CONSTRAINT stock_available, DROP CONSTRAINT stock_held, DROP CONSTRAINT stock_committed,
    DROP CONSTRAINT stock_threshold_check, DROP COLUMN on_hand,
    ADD CONSTRAINT stock_not_negative CHECK (least(available, held, committed, threshold) >= 0);

-- migrate:down
ALTER TABLE stock
    DROP CONSTRAINT stock_not_negative,
    ADD CONSTRAINT stock_available CHECK (available >= 0),
    ADD CONSTRAINT stock_held CHECK (held >= 0),
    ADD CONSTRAINT stock_committed CHECK (committed >= 0),
    ADD CONSTRAINT stock_threshold_check CHECK (threshold >= 0),
    ADD COLUMN on_hand bigint NOT NULL GENERATED ALWAYS AS (available + held + committed) STORED;

ALTER TABLE stock_movements
    DROP CONSTRAINT stock_movements_pkey, ADD PRIMARY KEY (id),
    ALTER COLUMN kind TYPE text USING kind::text,
    ADD CONSTRAINT stock_movements_kind_check CHECK (kind IN ('initial', 'held', 'committed',
        'released', 'restocked', 'shipped', 'adjusted'));
CREATE INDEX stock_movements_of_product ON stock_movements (sku, id);

DROP INDEX holds_expiry;
ALTER TABLE holds
    ALTER COLUMN state TYPE text USING state::text,
    ALTER COLUMN ended_by TYPE text USING ended_by::text,
    ADD CONSTRAINT holds_state_check
        CHECK (state IN ('held', 'committed', 'released', 'restocked', 'shipped')),
    ADD CONSTRAINT holds_ended_by_check
        CHECK (ended_by IN ('checkout', 'expired', 'order_cancelled', 'no_stock'));
CREATE INDEX holds_expiry ON holds (expires_at) WHERE state = 'held';

ALTER VIEW hold_lines RENAME TO lines_of_holds;
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
INSERT INTO hold_lines SELECT order_id, sku, quantity, name, seller_id, unit_price, currency
    FROM lines_of_holds;
DROP VIEW lines_of_holds;
ALTER TABLE holds DROP COLUMN lines;
DROP TYPE hold_state, hold_end, movement_kind;
