-- migrate:up
-- Tokens of the provider only; a card number has no place here.
CREATE TABLE payment_methods (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL,
    provider text NOT NULL,
    token text NOT NULL CONSTRAINT payment_methods_no_card_number CHECK (token !~ '^[0-9]{12,19}$'),
    label text,
    created_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz
);
CREATE INDEX payment_methods_of_user ON payment_methods (user_id, created_at DESC, id DESC)
    WHERE deleted_at IS NULL;

-- One payment for each order. ordered: what the order asked to capture, null until it exists;
-- cancelled: everything is to be given back; next_at: when the worker looks at it, or until when
-- whoever claimed it may work on it. A tombstone (an order voided before it was authorized) has
-- amount 0 and belongs to nobody.
CREATE TABLE payments (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL CONSTRAINT payments_one_per_order UNIQUE,
    user_id uuid,
    user_email text,
    method_id uuid,
    token text,
    status text NOT NULL CONSTRAINT payments_status CHECK (status IN ('pending', 'unknown',
        'authorized', 'captured', 'partially_refunded', 'refunded', 'voided', 'failed')),
    amount bigint NOT NULL CHECK (amount >= 0),
    currency text NOT NULL,
    captured bigint NOT NULL DEFAULT 0,
    refunded bigint NOT NULL DEFAULT 0,
    refunding bigint NOT NULL DEFAULT 0,
    ordered bigint,
    cancelled boolean NOT NULL DEFAULT false,
    reference text,
    reason text,
    correlation_id text NOT NULL,
    next_at timestamptz,
    attempts bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payments_captured CHECK (captured >= 0 AND captured <= amount),
    CONSTRAINT payments_refunded CHECK (refunded >= 0 AND refunding >= 0
        AND refunded + refunding <= captured)
);
CREATE INDEX payments_due ON payments (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE refunds (
    id uuid PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    status text NOT NULL CONSTRAINT refunds_status CHECK (status IN ('pending', 'done', 'failed')),
    reason text,
    requested_by text NOT NULL,
    correlation_id text NOT NULL,
    next_at timestamptz,
    attempts bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
);
CREATE INDEX refunds_of_payment ON refunds (payment_id);
CREATE INDEX refunds_due ON refunds (next_at) WHERE next_at IS NOT NULL;

-- Double entry, append-only. An operation ("capture:<payment>", "refund:<refund>") has one entry an
-- account, and its debits are its credits.
CREATE TABLE ledger_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id uuid NOT NULL REFERENCES payments,
    operation text NOT NULL,
    account text NOT NULL CHECK (account IN ('provider_receivable', 'order_clearing')),
    debit bigint NOT NULL CHECK (debit >= 0),
    credit bigint NOT NULL CHECK (credit >= 0),
    currency text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ledger_entries_once UNIQUE (operation, account),
    CHECK ((debit = 0) <> (credit = 0))
);
CREATE INDEX ledger_entries_of_payment ON ledger_entries (payment_id);

-- migrate:down
DROP TABLE ledger_entries, refunds, payments, payment_methods;
