-- migrate:up
-- Attempts before somebody had a message sent again, which counts anew: with `attempts`, how often it was tried at all.
ALTER TABLE deliveries ADD COLUMN earlier_attempts bigint NOT NULL DEFAULT 0;

-- migrate:down
ALTER TABLE deliveries DROP COLUMN earlier_attempts;
