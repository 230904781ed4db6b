-- migrate:up
-- The token of a message's links as it stands in its texts: sealed until it is sent.
ALTER TABLE deliveries ADD COLUMN sealed text;

-- migrate:down
ALTER TABLE deliveries DROP COLUMN sealed;
