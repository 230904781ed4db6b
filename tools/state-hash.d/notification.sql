-- Who is reached how, and which messages were written: one for each event, template and channel. Left out: ids, times, attempts;
-- whether it was sent already or held back, and to which address, as an account may change or close while a mail waits: both are
-- a matter of the moment, not of the events.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT 'contact', user_id, email, name, active, told_at, email_orders, email_payments, email_marketing, sms_enabled, sms_phone,
    push_enabled, push_topic FROM contacts;
SELECT 'message', event_id, template, channel, user_id, count(*) FROM deliveries GROUP BY event_id, template, channel, user_id;
COMMIT;
