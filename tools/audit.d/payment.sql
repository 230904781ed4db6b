-- A lease on what is authorized and not ordered is nobody's work.
SELECT count(*), 'payments to settle' FROM payments WHERE next_at IS NOT NULL
    AND (status <> 'authorized' OR ordered IS NOT NULL OR cancelled) HAVING count(*) > 0;
SELECT count(*), 'refunds to make' FROM refunds WHERE status = 'pending' HAVING count(*) > 0;
\o :out.payments
SELECT order_id, id, status, captured, refunded, extract(epoch FROM now() - created_at)::bigint
    FROM payments;
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
-- The ledger: debits are credits in each operation, and its sums are what the payments say.
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
\o :out.entries
SELECT count(*) FROM ledger_entries;
COMMIT;
