-- migrate:up
-- The other services ask every few seconds which sessions have ended lately.
CREATE INDEX sessions_by_ended_at ON sessions (ended_at, id) WHERE ended_at IS NOT NULL;

-- migrate:down
DROP INDEX sessions_by_ended_at;
