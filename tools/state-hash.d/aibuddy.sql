-- Everything that aibuddy knows. All of its times are those of the events. Left out: how far replays have come, and the outbox
-- and inbox (which events were told, not what they taught), and the week's counts, which are the sums of its days.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT 'order', order_id, user_id, day, told_at, skus, quantities, counted, cancelled, cancelled_at FROM known_orders;
SELECT 'pair', sku_a, sku_b, orders FROM pair_counts;
SELECT 'day', day, sku, orders, units FROM daily_counts;
SELECT 'user', user_id, sku, orders FROM user_items;
SELECT 'profile', user_id, opted_out, forgotten FROM profiles;
SELECT 'item', sku, name, category, active, told_at, named_at FROM items;
COMMIT;
