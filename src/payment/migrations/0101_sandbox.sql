-- migrate:up
-- The books of the sandbox bank. They stand for a system outside of this house: written in commits
-- of their own, never joined with our tables.
CREATE TABLE sandbox_charges (
    key text PRIMARY KEY,
    token text NOT NULL,
    amount bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL CHECK (state IN ('authorized', 'refused', 'captured', 'voided')),
    reason text,
    capture_failures bigint NOT NULL DEFAULT 0,
    captured bigint NOT NULL DEFAULT 0 CHECK (captured >= 0 AND captured <= amount),
    refunded bigint NOT NULL DEFAULT 0 CHECK (refunded >= 0 AND refunded <= captured),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sandbox_operations (
    key text PRIMARY KEY,
    charge text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('capture', 'refund')),
    amount bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- migrate:down
DROP TABLE sandbox_operations, sandbox_charges;
