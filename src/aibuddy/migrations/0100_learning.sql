-- migrate:up
-- Every order that was heard of. `counted` says whether it is in the counts below, so created and cancelled may arrive in
-- either order and more than once.
CREATE TABLE known_orders (
    order_id uuid PRIMARY KEY,
    user_id uuid,
    day date,
    skus text[] NOT NULL DEFAULT '{}',
    quantities bigint[] NOT NULL DEFAULT '{}',
    counted boolean NOT NULL,
    cancelled boolean NOT NULL DEFAULT false
);
CREATE INDEX known_orders_of_user ON known_orders (user_id);

-- In how many orders two items stood together; sku_a < sku_b.
CREATE TABLE pair_counts (
    sku_a text NOT NULL,
    sku_b text NOT NULL,
    orders bigint NOT NULL CHECK (orders >= 0),
    PRIMARY KEY (sku_a, sku_b),
    CHECK (sku_a < sku_b)
);
CREATE INDEX pair_counts_reverse ON pair_counts (sku_b, sku_a);

CREATE TABLE daily_counts (
    day date NOT NULL,
    sku text NOT NULL,
    orders bigint NOT NULL CHECK (orders >= 0),
    units bigint NOT NULL CHECK (units >= 0),
    PRIMARY KEY (day, sku)
);

CREATE TABLE user_items (
    user_id uuid NOT NULL,
    sku text NOT NULL,
    orders bigint NOT NULL CHECK (orders >= 0),
    PRIMARY KEY (user_id, sku)
);

CREATE TABLE profiles (
    user_id uuid PRIMARY KEY,
    opted_out boolean NOT NULL DEFAULT false,
    forgotten boolean NOT NULL DEFAULT false -- deactivated; late orders must not bring it back
);

-- What is known of an item, from the catalogue's events and from orders.
CREATE TABLE items (
    sku text PRIMARY KEY,
    name text NOT NULL,
    category text,
    active boolean NOT NULL DEFAULT true,
    told_at timestamptz NOT NULL
);

-- The counts of one known order go in and out as a whole. (plpgsql keeps its plans; a function in sql plans anew at each call.)
CREATE FUNCTION count_order(the_order uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pair_counts AS p (sku_a, sku_b, orders)
        SELECT x.sku, y.sku, 1
        FROM known_orders k, unnest(k.skus) x (sku), unnest(k.skus) y (sku)
        WHERE k.order_id = the_order AND x.sku < y.sku ORDER BY 1, 2
        ON CONFLICT (sku_a, sku_b) DO UPDATE SET orders = p.orders + 1;
    INSERT INTO daily_counts AS d (day, sku, orders, units)
        SELECT k.day, i.sku, 1, i.quantity
        FROM known_orders k, unnest(k.skus, k.quantities) i (sku, quantity)
        WHERE k.order_id = the_order ORDER BY 1, 2
        ON CONFLICT (day, sku) DO UPDATE SET orders = d.orders + 1, units = d.units + excluded.units;
    INSERT INTO user_items AS u (user_id, sku, orders)
        SELECT k.user_id, i.sku, 1 FROM known_orders k, unnest(k.skus) i (sku)
        WHERE k.order_id = the_order AND k.user_id IS NOT NULL ORDER BY 1, 2
        ON CONFLICT (user_id, sku) DO UPDATE SET orders = u.orders + 1;
END $$;

CREATE FUNCTION uncount_order(the_order uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE pair_counts p SET orders = p.orders - 1
        FROM known_orders k WHERE k.order_id = the_order AND p.sku_a = ANY (k.skus) AND p.sku_b = ANY (k.skus);
    UPDATE daily_counts d SET orders = d.orders - 1, units = d.units - i.quantity
        FROM known_orders k, unnest(k.skus, k.quantities) i (sku, quantity)
        WHERE k.order_id = the_order AND d.day = k.day AND d.sku = i.sku;
    UPDATE user_items u SET orders = u.orders - 1
        FROM known_orders k WHERE k.order_id = the_order AND u.user_id = k.user_id AND u.sku = ANY (k.skus);
END $$;

-- migrate:down
DROP FUNCTION count_order(uuid), uncount_order(uuid);
DROP TABLE items, profiles, user_items, daily_counts, pair_counts, known_orders;
