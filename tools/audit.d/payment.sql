-- A lease on what is authorized and not ordered is nobody's work.
SELECT count(*), 'payments to settle' FROM payments WHERE next_at IS NOT NULL
    AND (status <> 'authorized' OR ordered IS NOT NULL OR cancelled) HAVING count(*) > 0;
SELECT count(*), 'refunds to make' FROM refunds WHERE status = 'pending' HAVING count(*) > 0;
\if :rest
\o :out.payments
COPY (SELECT order_id, id, status, captured, refunded, extract(epoch FROM now() - created_at)::bigint
    FROM payments) TO STDOUT WITH (DELIMITER ' ');
-- More than one payment for an order, or more than one capture of a payment, in our books and in
-- the bank's; and where the two disagree.
\o :out.twice
SELECT 'order', order_id, 'has', count(*), 'payments' FROM payments GROUP BY order_id HAVING count(*) > 1;
SELECT 'payment', payment_id, 'has', count(DISTINCT operation), 'captures' FROM ledger_entries
    WHERE operation LIKE 'capture:%' GROUP BY payment_id HAVING count(DISTINCT operation) > 1;
SELECT 'charge', charge, 'was captured', count(*), 'times' FROM sandbox_operations
    WHERE kind = 'capture' GROUP BY charge HAVING count(*) > 1;
SELECT 'payment', p.id, 'has captured', p.captured, 'and refunded', p.refunded, 'but the bank says',
    coalesce(c.captured, 0), coalesce(c.refunded, 0)
    FROM payments p LEFT JOIN sandbox_charges c ON c.key = p.id::text
    WHERE p.token IS NOT NULL
        AND (p.captured, p.refunded) <> (coalesce(c.captured, 0), coalesce(c.refunded, 0));
-- The ledger: debits are credits in each operation, its sums are what the payments say, and the trigger that keeps it as
-- it is is on.
\o :out.ledger
SELECT 'operation', operation, currency, 'has debits', sum(debit), 'credits', sum(credit)
    FROM ledger_entries GROUP BY operation, currency HAVING sum(debit) <> sum(credit);
SELECT 'payment', p.id, 'is', p.captured, p.refunded, 'its ledger', coalesce(l.captured, 0), coalesce(l.refunded, 0)
    FROM payments p LEFT JOIN (SELECT payment_id,
            sum(debit) FILTER (WHERE operation LIKE 'capture:%') AS captured,
            sum(debit) FILTER (WHERE operation LIKE 'refund:%') AS refunded
        FROM ledger_entries GROUP BY payment_id) l ON l.payment_id = p.id
    WHERE (p.captured, p.refunded) <> (coalesce(l.captured, 0), coalesce(l.refunded, 0));
SELECT 'ledger entry', l.operation, l.account, 'has no payment', l.payment_id FROM ledger_entries l
    WHERE NOT EXISTS (SELECT 1 FROM payments p WHERE p.id = l.payment_id);
SELECT 'ledger_entries can be changed: the trigger ledger_entries_stay is off or gone' WHERE NOT EXISTS (SELECT FROM pg_trigger
    WHERE tgrelid = 'ledger_entries'::regclass AND tgname = 'ledger_entries_stay' AND tgenabled IN ('O', 'A'));
\o :out.entries
SELECT count(*) FROM ledger_entries;
-- A refund that a kept answer names is there, with the amount it was answered with.
\o :out.unlike
SELECT 'key', k.key, 'of', k.caller, 'was answered with refund', k.body::json ->> 'refundId', 'over', k.body::json #>> '{amount,amount}',
        'which is over', coalesce(r.amount::text, 'nothing')
    FROM idempotency_keys k LEFT JOIN refunds r ON r.id::text = k.body::json ->> 'refundId'
    WHERE k.status = 201 AND k.route LIKE 'POST %/refunds' AND r.amount::text IS DISTINCT FROM k.body::json #>> '{amount,amount}';
\endif
