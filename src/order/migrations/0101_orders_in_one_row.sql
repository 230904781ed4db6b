-- migrate:up
-- An order is one row, with its lines and its history in it: they are written with it, and nobody
-- looks for one of them by anything but the order. The views order_items and order_history show
-- them one by one. History is appended to only. The status is an enum type and the checks are one:
-- PostgreSQL reads a table's check constraints anew at each statement that writes to it. Each order
-- is written to twice within a second or so; there is room for that in its page.

CREATE TYPE order_status AS ENUM ('created', 'paid', 'confirmed', 'shipped', 'completed',
    'cancelled', 'payment_failed', 'refunded', 'partially_refunded');

ALTER TABLE orders
    DROP CONSTRAINT orders_status_check, DROP CONSTRAINT orders_total_check,
    DROP CONSTRAINT orders_check,
    ALTER COLUMN status TYPE order_status USING status::order_status,
    ADD COLUMN items json NOT NULL DEFAULT '[]',
    ADD COLUMN history jsonb NOT NULL DEFAULT '[]',
    ADD CONSTRAINT orders_refunded CHECK (refunded BETWEEN 0 AND total);
ALTER TABLE orders SET (fillfactor = 70);

UPDATE orders o SET items = coalesce((SELECT json_agg(json_build_object('sku', i.sku,
        'name', i.name, 'sellerId', i.seller_id, 'quantity', i.quantity, 'unitPrice',
        json_build_object('amount', i.unit_price, 'currency', i.currency)) ORDER BY i.line)
        FROM order_items i WHERE i.order_id = o.id), '[]'),
    history = coalesce((SELECT jsonb_agg(jsonb_build_object('from', h.from_status,
        'to', h.to_status, 'actor', h.actor, 'reason', h.reason, 'eventId', h.event_id,
        'correlationId', h.correlation_id, 'at', h.at) ORDER BY h.id)
        FROM order_history h WHERE h.order_id = o.id), '[]');
DROP TABLE order_items, order_history;

CREATE VIEW order_items AS SELECT o.id AS order_id, i.line::integer AS line, i.sku, i.name,
    i."sellerId" AS seller_id, i.quantity, (i."unitPrice"->>'amount')::bigint AS unit_price,
    i."unitPrice"->>'currency' AS currency
    FROM orders o, ROWS FROM (json_to_recordset(o.items)
        AS (sku text, name text, "sellerId" uuid, quantity bigint, "unitPrice" json))
        WITH ORDINALITY AS i (sku, name, "sellerId", quantity, "unitPrice", line);
CREATE VIEW order_history AS SELECT o.id AS order_id, h.id, h."from" AS from_status,
    h."to" AS to_status, h.actor, h.reason, h."eventId" AS event_id,
    h."correlationId" AS correlation_id, h.at
    FROM orders o, ROWS FROM (jsonb_to_recordset(o.history) AS ("from" text, "to" text,
        actor text, reason text, "eventId" uuid, "correlationId" text, at timestamptz))
        WITH ORDINALITY AS h ("from", "to", actor, reason, "eventId", "correlationId", at, id);

-- migrate:down
ALTER VIEW order_items RENAME TO items_of_orders;
ALTER VIEW order_history RENAME TO history_of_orders;
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
INSERT INTO order_items SELECT order_id, line, sku, name, seller_id, quantity, unit_price, currency
    FROM items_of_orders;
INSERT INTO order_history (order_id, from_status, to_status, actor, reason, event_id,
        correlation_id, at)
    SELECT order_id, from_status, to_status, actor, reason, event_id, correlation_id, at
    FROM history_of_orders ORDER BY at, order_id, id;
DROP VIEW items_of_orders, history_of_orders;
ALTER TABLE orders
    DROP CONSTRAINT orders_refunded, DROP COLUMN items, DROP COLUMN history,
    ALTER COLUMN status TYPE text USING status::text,
    ADD CONSTRAINT orders_status_check CHECK (status IN ('created', 'paid', 'confirmed', 'shipped',
        'completed', 'cancelled', 'payment_failed', 'refunded', 'partially_refunded')),
    ADD CONSTRAINT orders_total_check CHECK (total >= 0),
    ADD CONSTRAINT orders_check CHECK (refunded >= 0 AND refunded <= total);
ALTER TABLE orders RESET (fillfactor);
DROP TYPE order_status;
