-- migrate:up
-- An event that the broker has no place for is set aside: parked_at is set while it is, parks counts
-- how often it was. A parked event is not published.

ALTER TABLE outbox
    ADD COLUMN parked_at timestamptz,
    ADD COLUMN parked_reason text,
    ADD COLUMN parks integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT outbox_parked_is_pending CHECK (parked_at IS NULL OR published_at IS NULL);
CREATE INDEX outbox_parked ON outbox (aggregate_id) WHERE parked_at IS NOT NULL;
DROP INDEX outbox_pending;
CREATE INDEX outbox_pending ON outbox (seq) WHERE published_at IS NULL AND parked_at IS NULL;

-- migrate:down
DROP INDEX outbox_parked;
DROP INDEX outbox_pending;
CREATE INDEX outbox_pending ON outbox (seq) WHERE published_at IS NULL;
ALTER TABLE outbox DROP COLUMN parked_at, DROP COLUMN parked_reason, DROP COLUMN parks;
