SELECT count(*), 'checkouts under way' FROM checkouts WHERE finished_at IS NULL
    HAVING count(*) > 0;
\if :rest
\o :out.checkouts
COPY (SELECT order_id, state, extract(epoch FROM now() - created_at)::bigint, total FROM checkouts)
    TO STDOUT WITH (DELIMITER ' ');
-- The key of a checkout is its row. Its answer, as it will be given again, names what was done.
\o :out.unlike
SELECT 'key', idempotency_key, 'of', user_id, 'has', count(*), 'checkouts' FROM checkouts
    GROUP BY user_id, idempotency_key HAVING count(*) > 1;
SELECT 'checkout', id, 'of', order_id, 'is completed, but its answer names', coalesce(response::json ->> 'orderId', 'nothing'),
        'over', coalesce(response::json #>> '{total,amount}', 'nothing')
    FROM checkouts WHERE state = 'completed' AND (response::json ->> 'orderId', response::json #>> '{total,amount}')
        IS DISTINCT FROM (order_id::text, total::text);
SELECT 'checkout', id, 'of', order_id, 'failed, but its answer is', coalesce(outcome, 'none'), coalesce(response, '')
    FROM checkouts WHERE state = 'failed' AND (response IS NOT NULL OR outcome IS NULL);
\o :out.answers
SELECT count(*) FROM checkouts WHERE response IS NOT NULL OR kept;
\endif
