SELECT count(*), 'checkouts under way' FROM checkouts WHERE finished_at IS NULL
    HAVING count(*) > 0;
\if :rest
\o :out.checkouts
COPY (SELECT order_id, state, extract(epoch FROM now() - created_at)::bigint, total, user_id FROM checkouts)
    TO STDOUT WITH (DELIMITER ' ');
-- The key of a checkout is its row, and its answer is made of the row: an order, or a refusal.
\o :out.unlike
SELECT 'key', idempotency_key, 'of', user_id, 'has', count(*), 'checkouts' FROM checkouts
    GROUP BY user_id, idempotency_key HAVING count(*) > 1;
SELECT 'order', order_id, 'is the answer of', count(*), 'keys' FROM checkouts WHERE state = 'completed'
    GROUP BY order_id HAVING count(*) > 1;
SELECT 'checkout', id, 'of', order_id, 'failed, but has no answer' FROM checkouts WHERE state = 'failed' AND outcome IS NULL;
\o :out.answers
SELECT count(*) FROM checkouts WHERE state = 'completed' OR kept;
\endif
