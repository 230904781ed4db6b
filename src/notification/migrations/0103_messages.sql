-- migrate:up
-- A mail is kept as what its template names, and rendered when it goes out: that is a third of its texts, and a row is written
-- twice. Texts that were rendered before stay.
ALTER TABLE deliveries ADD COLUMN message text, ALTER COLUMN body_text DROP NOT NULL, SET (fillfactor = 80);

-- migrate:down
UPDATE deliveries SET status = 'failed', last_error = 'what it says can''t be read any more'
    WHERE body_text IS NULL AND status IN ('pending', 'sending');
UPDATE deliveries SET body_text = subject WHERE body_text IS NULL;
ALTER TABLE deliveries DROP COLUMN message, ALTER COLUMN body_text SET NOT NULL, RESET (fillfactor);
