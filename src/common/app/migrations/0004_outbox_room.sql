-- migrate:up
-- Each event is written twice: when it happens, and when it is out. With room for the second time on
-- its page the WAL gets what has changed and not the whole event again. For new pages only: nothing
-- is rewritten, and nobody waits.
ALTER TABLE outbox SET (fillfactor = 50);

-- migrate:down
ALTER TABLE outbox RESET (fillfactor);
