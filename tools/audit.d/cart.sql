SELECT count(*), 'checkouts under way' FROM checkouts WHERE finished_at IS NULL
    HAVING count(*) > 0;
\o :out.checkouts
SELECT order_id, state, extract(epoch FROM now() - created_at)::bigint FROM checkouts;
COMMIT;
