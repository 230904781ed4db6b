-- Demo payment methods (README.md): every shopper has a card that is approved; shopper 2 also has one
-- that the bank declines. The tokens are the sandbox provider's.

INSERT INTO payment_methods (id, user_id, provider, token, label, created_at)
SELECT ('01900000-0000-7000-8000-0000000002' || lpad(n::text, 2, '0'))::uuid,
    ('01900000-0000-7000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid,
    'sandbox', 'tok_visa', 'Visa', '2026-01-05 09:10:00+00'::timestamptz + n * interval '1 day'
FROM generate_series(1, 20) AS shopper (n)
ON CONFLICT DO NOTHING;

INSERT INTO payment_methods (id, user_id, provider, token, label, created_at)
VALUES ('01900000-0000-7000-8000-000000000302', '01900000-0000-7000-8000-000000000102',
    'sandbox', 'tok_declined', 'Visa that is declined', '2026-01-07 09:20:00+00')
ON CONFLICT DO NOTHING;
