-- migrate:up
-- What every service has: events to publish, events handled, answers given.

CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    aggregate_id text NOT NULL,
    correlation_id text NOT NULL,
    trace_parent text,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz
);
CREATE INDEX outbox_pending ON outbox (seq) WHERE published_at IS NULL;

CREATE TABLE inbox (
    event_id uuid PRIMARY KEY,
    type text NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT now()
);

-- status is null while the first request runs; claimed_at lets a later one take over after a crash.
CREATE TABLE idempotency_keys (
    caller text NOT NULL,
    route text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    status integer,
    content_type text,
    location text,
    body text,
    PRIMARY KEY (caller, route, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- migrate:down
DROP TABLE outbox, inbox, idempotency_keys;
