-- migrate:up
-- When a fact happened, by its event: what is told late is not newer for it, and a rebuild knows what the audit stream brings back.
ALTER TABLE known_orders ADD COLUMN told_at timestamptz, ADD COLUMN cancelled_at timestamptz;
UPDATE known_orders SET told_at = day::timestamp AT TIME ZONE 'UTC',
    cancelled_at = CASE WHEN cancelled THEN coalesce(day::timestamp AT TIME ZONE 'UTC', now()) END;
ALTER TABLE known_orders ADD CHECK (cancelled = (cancelled_at IS NOT NULL)), ADD CHECK ((day IS NULL) = (told_at IS NULL));
-- A name from the newest order that has the item, until the catalogue has told of it.
ALTER TABLE items ADD COLUMN named_at timestamptz NOT NULL DEFAULT to_timestamp(0);

-- A count of none is no row, so that what came and went leaves the same as what never was.
DELETE FROM pair_counts WHERE orders = 0;
DELETE FROM daily_counts WHERE orders = 0;
DELETE FROM user_items WHERE orders = 0;

CREATE OR REPLACE FUNCTION uncount_order(the_order uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pair_counts p SET orders = p.orders - 1
        FROM known_orders k WHERE k.order_id = the_order AND p.sku_a = ANY (k.skus) AND p.sku_b = ANY (k.skus);
    DELETE FROM pair_counts p
        USING known_orders k WHERE k.order_id = the_order AND p.sku_a = ANY (k.skus) AND p.sku_b = ANY (k.skus) AND p.orders = 0;
    UPDATE daily_counts d SET orders = d.orders - 1, units = d.units - i.quantity
        FROM known_orders k, unnest(k.skus, k.quantities) i (sku, quantity)
        WHERE k.order_id = the_order AND d.day = k.day AND d.sku = i.sku;
    DELETE FROM daily_counts d
        USING known_orders k WHERE k.order_id = the_order AND d.day = k.day AND d.sku = ANY (k.skus) AND d.orders = 0;
    UPDATE user_items u SET orders = u.orders - 1
        FROM known_orders k WHERE k.order_id = the_order AND u.user_id = k.user_id AND u.sku = ANY (k.skus);
    DELETE FROM user_items u
        USING known_orders k WHERE k.order_id = the_order AND u.user_id = k.user_id AND u.sku = ANY (k.skus) AND u.orders = 0;
END $$;

-- Replays of the audit stream into this service: how far each has come. One at a time; it is unfinished while ended_at is null,
-- and an unfinished rebuild means that what is known is incomplete.
CREATE TABLE replays (
    id uuid PRIMARY KEY,
    who text NOT NULL,
    what text NOT NULL, -- as it was asked for
    rebuild boolean NOT NULL,
    since_at timestamptz, -- null: all
    until_at timestamptz NOT NULL,
    next_offset bigint, -- null: nothing yet
    last_event text, -- the one before next_offset
    sent bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);
CREATE UNIQUE INDEX replays_unfinished ON replays ((true)) WHERE ended_at IS NULL;

-- Forgets what was learned from events that happened since, and that they were handled, so that they may be told again. What
-- people chose (profiles) was not learned, and who left stays forgotten.
CREATE FUNCTION forget_since(since timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('aibuddy learns'));
    DELETE FROM inbox WHERE handled_at >= since;
    DELETE FROM items WHERE greatest(told_at, named_at) >= since;
    UPDATE known_orders SET cancelled = false, cancelled_at = NULL WHERE cancelled_at >= since;
    UPDATE known_orders SET told_at = NULL, day = NULL, user_id = NULL, skus = '{}', quantities = '{}' WHERE told_at >= since;
    DELETE FROM known_orders WHERE told_at IS NULL AND NOT cancelled;
    UPDATE known_orders SET counted = NOT cancelled WHERE counted = cancelled;
    DELETE FROM pair_counts;
    INSERT INTO pair_counts (sku_a, sku_b, orders)
        SELECT x.sku, y.sku, count(*) FROM known_orders k, unnest(k.skus) x (sku), unnest(k.skus) y (sku)
        WHERE k.counted AND x.sku < y.sku GROUP BY 1, 2;
    DELETE FROM daily_counts;
    INSERT INTO daily_counts (day, sku, orders, units)
        SELECT k.day, i.sku, count(*), sum(i.quantity) FROM known_orders k, unnest(k.skus, k.quantities) i (sku, quantity)
        WHERE k.counted GROUP BY 1, 2;
    DELETE FROM user_items;
    INSERT INTO user_items (user_id, sku, orders)
        SELECT k.user_id, i.sku, count(*) FROM known_orders k, unnest(k.skus) i (sku)
        WHERE k.counted AND k.user_id IS NOT NULL GROUP BY 1, 2;
END $$;

-- migrate:down
DROP FUNCTION forget_since(timestamptz);
DROP TABLE replays;
ALTER TABLE items DROP COLUMN named_at;
ALTER TABLE known_orders DROP COLUMN told_at, DROP COLUMN cancelled_at;
