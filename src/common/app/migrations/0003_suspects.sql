-- migrate:up
-- Deliveries that are handled alone because a consumer may have died of them, and how often one has.

CREATE TABLE suspects (
    message text PRIMARY KEY,
    begun integer NOT NULL DEFAULT 1,
    begun_at timestamptz NOT NULL DEFAULT now()
);

-- migrate:down
DROP TABLE suspects;
