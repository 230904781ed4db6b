-- Carts and how checkouts ended. Left out: a cart's id (made anew with a cart), versions and times of change (how often and when
-- something was written), leases and durations of checkouts.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT 'cart', user_id, token_hash, last_order_at FROM carts WHERE NOT closed;
SELECT 'line', user_id, token_hash, l->>'sku', l->>'quantity', l->'unitPrice'->>'amount', l->'unitPrice'->>'currency'
    FROM carts CROSS JOIN json_array_elements(lines) l;
SELECT 'closed', user_id FROM carts WHERE closed;
SELECT 'checkout', order_id, user_id, state, total, currency, outcome FROM checkouts;
COMMIT;
