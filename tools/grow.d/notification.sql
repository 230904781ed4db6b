-- Mails of the last month only: with their texts they would be most of all the data.
INSERT INTO deliveries (id, event_id, template, kind, channel, recipient, user_id, subject, body_text, body_html, message_id, correlation_id,
    status, attempts, next_attempt_at, created_at, sent_at)
SELECT grow.id(e.kind, n, second), grow.id(e.kind, n, second), e.template, e.about, 'email', 'grown' || u || '@souk.example', user_id,
    'Your order ' || order_id, repeat('A line of a mail about order ' || order_id || '. ', 7),
    repeat('<p>A line of a mail about order ' || order_id || '.</p> ', 12),
    format('<%s.%s@souk.example>', grow.id(e.kind, n, second), e.template), correlation_id, 'sent', 1, at, at, at
FROM sale, (VALUES (21, 'order_created', 'orders', '{confirmed,completed,cancelled}'::text[]),
    (22, 'payment_completed', 'payments', '{confirmed,completed}')) e (kind, template, about, whose)
WHERE at > to_timestamp(:now - 29 * 86400) AND ending = ANY (e.whose) ORDER BY n, e.kind;
INSERT INTO inbox (event_id, type, handled_at)
SELECT grow.id(kind, n, second), type, at
FROM sale, (VALUES (21, 'order.created', '{confirmed,completed,cancelled}'::text[]), (22, 'payment.completed', '{confirmed,completed}')) e (kind, type, whose)
WHERE at > to_timestamp(:now - 29 * 86400) AND ending = ANY (whose) ORDER BY n, kind;
COMMIT;
