-- migrate:up
-- A name is as new as the event that had one: not each tells it.
ALTER TABLE contacts ADD COLUMN named_at timestamptz NOT NULL DEFAULT '-infinity';
UPDATE contacts SET named_at = told_at WHERE name IS NOT NULL;

-- migrate:down
ALTER TABLE contacts DROP COLUMN named_at;
