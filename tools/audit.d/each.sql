-- What is asked of every service's database: its events, and what is still on its way out.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
\o :out.outbox
SELECT event_id, type FROM outbox;
\o :out.inbox
SELECT event_id FROM inbox;
\o :out.busy
SELECT count(*), 'events to publish' FROM outbox WHERE published_at IS NULL HAVING count(*) > 0;
