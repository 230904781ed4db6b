-- migrate:up
-- A kept answer has its ETag: who repeats a request may go on with If-Match. Answers from before have
-- none.
ALTER TABLE idempotency_keys ADD COLUMN etag text;

-- migrate:down
ALTER TABLE idempotency_keys DROP COLUMN etag;
