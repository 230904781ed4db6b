-- What each order has paid in the end, and the balance of each account. An order that was cancelled before its creation was heard
-- of is voided, the other way round it is captured and paid back: both are "given back", with nothing left. Left out: attempts,
-- leases and times (how often and when the bank was asked), and the bank's references.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT 'payment', order_id, user_id, CASE WHEN cancelled AND captured = refunded AND status IN ('voided', 'refunded') THEN 'given back'
    ELSE status::text END, amount, currency, captured - refunded, cancelled FROM payments;
SELECT 'refund', p.order_id, r.amount, r.currency, r.status FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE NOT p.cancelled;
SELECT 'account', payment_id, account, sum(debit) - sum(credit), currency FROM ledger_entries GROUP BY payment_id, account, currency
    HAVING sum(debit) <> sum(credit);
SELECT 'method', user_id, id, deleted_at IS NOT NULL FROM payment_methods;
COMMIT;
