-- migrate:up
-- The orders of a batch are counted in the statement that makes them known (learn_orders in store.c).
DROP FUNCTION count_order(uuid);

-- The same few rows are counted up again and again: with room on their page no index is touched.
ALTER TABLE daily_counts SET (fillfactor = 50);
ALTER TABLE pair_counts SET (fillfactor = 70);

-- migrate:down
ALTER TABLE pair_counts RESET (fillfactor);
ALTER TABLE daily_counts RESET (fillfactor);

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
