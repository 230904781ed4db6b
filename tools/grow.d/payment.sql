CREATE TEMPORARY TABLE paid ON COMMIT DROP AS
SELECT s.*, t.total, ending <> 'cancelled' AS kept
FROM sale s JOIN (SELECT n, sum(quantity * price)::bigint AS total FROM line GROUP BY n) t USING (n) ORDER BY n;
INSERT INTO payments (id, order_id, user_id, user_email, method_id, token, status, amount, currency, captured, ordered, cancelled,
    reference, reason, correlation_id, created_at, updated_at)
SELECT payment_id, order_id, user_id, 'grown' || u || '@souk.example', grow.id(3, u, :now - 731 * 86400), 'tok_visa',
    (CASE WHEN kept THEN 'captured' ELSE 'voided' END)::payment_status, total, 'USD', CASE WHEN kept THEN total ELSE 0 END,
    CASE WHEN kept THEN total END, NOT kept, 'sbx_' || payment_id, CASE WHEN NOT kept THEN 'cancelled' END, correlation_id, at, at
FROM paid ORDER BY n;
INSERT INTO ledger_entries (payment_id, operation, account, debit, credit, currency, created_at)
SELECT payment_id, 'capture:' || payment_id, account::ledger_account, total * debit, total * (1 - debit), 'USD', at
FROM paid, (VALUES ('provider_receivable', 1), ('order_clearing', 0)) a (account, debit) WHERE kept ORDER BY n, debit DESC;
INSERT INTO sandbox_charges (key, token, amount, currency, state, captured, created_at)
SELECT payment_id, 'tok_visa', total, 'USD', (CASE WHEN kept THEN 'captured' ELSE 'voided' END)::sandbox_state, CASE WHEN kept THEN total ELSE 0 END, at
FROM paid ORDER BY n;
INSERT INTO sandbox_operations (key, charge, kind, amount, created_at)
SELECT 'capture:' || payment_id, payment_id, 'capture', total, at FROM paid WHERE kept ORDER BY n;
INSERT INTO inbox (event_id, type, handled_at)
SELECT grow.id(21, n, second), 'order.created', at FROM sale WHERE at > to_timestamp(:now - 29 * 86400) ORDER BY n;
COMMIT;
