-- migrate:up
-- What sold in the seven days up to `today`, kept beside daily_counts and always its sum: what sells now is read from the top,
-- however much was sold. Learning counts it up, and turn_week() takes off the days that are over.
CREATE TABLE week (
    today date NOT NULL,
    one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
INSERT INTO week (today) VALUES ((now() AT TIME ZONE 'UTC')::date);
CREATE TABLE week_counts (
    sku text PRIMARY KEY,
    orders bigint NOT NULL CHECK (orders >= 0)
);
INSERT INTO week_counts (sku, orders)
    SELECT sku, sum(orders) FROM daily_counts WHERE day > (SELECT today - 7 FROM week) GROUP BY sku;
CREATE INDEX week_counts_strongest ON week_counts (orders DESC, sku);

-- What is off the shelves, for who looks for something else at each of many pairs.
CREATE INDEX items_off_the_shelves ON items (sku) WHERE NOT active;

-- Whoever comes first on a new day does it, a learner or a reader. Who can't at once leaves it to the one that is learning, or to
-- the next: nobody waits for it, and until then the week is yesterday's, for counting as well. A clock that went back changes nothing.
CREATE FUNCTION turn_week() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    today_now date := (now() AT TIME ZONE 'UTC')::date;
    was date := (SELECT today FROM week);
BEGIN
    IF was >= today_now OR NOT pg_try_advisory_xact_lock(hashtext('aibuddy learns')) THEN
        RETURN;
    END IF;
    was := (SELECT today FROM week); -- somebody else may have been first
    UPDATE week_counts w SET orders = w.orders - d.orders
        FROM (SELECT sku, sum(orders) AS orders FROM daily_counts WHERE day > was - 7 AND day <= today_now - 7 GROUP BY sku) d
        WHERE w.sku = d.sku;
    DELETE FROM week_counts WHERE orders = 0;
    UPDATE week SET today = today_now WHERE today < today_now;
END $$;

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
    UPDATE week_counts w SET orders = w.orders - 1
        FROM known_orders k, week WHERE k.order_id = the_order AND k.day > week.today - 7 AND w.sku = ANY (k.skus);
    DELETE FROM week_counts w USING known_orders k WHERE k.order_id = the_order AND w.sku = ANY (k.skus) AND w.orders = 0;
    UPDATE user_items u SET orders = u.orders - 1
        FROM known_orders k WHERE k.order_id = the_order AND u.user_id = k.user_id AND u.sku = ANY (k.skus);
    DELETE FROM user_items u
        USING known_orders k WHERE k.order_id = the_order AND u.user_id = k.user_id AND u.sku = ANY (k.skus) AND u.orders = 0;
END $$;

CREATE OR REPLACE FUNCTION forget_since(since timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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
    DELETE FROM week_counts;
    INSERT INTO week_counts (sku, orders)
        SELECT sku, sum(orders) FROM daily_counts WHERE day > (SELECT today - 7 FROM week) GROUP BY sku;
    DELETE FROM user_items;
    INSERT INTO user_items (user_id, sku, orders)
        SELECT k.user_id, i.sku, count(*) FROM known_orders k, unnest(k.skus) i (sku)
        WHERE k.counted AND k.user_id IS NOT NULL GROUP BY 1, 2;
END $$;

-- migrate:down
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

CREATE OR REPLACE FUNCTION forget_since(since timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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

DROP FUNCTION turn_week();
DROP INDEX items_off_the_shelves;
DROP TABLE week_counts, week;
