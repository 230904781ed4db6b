-- migrate:up
-- Who somebody is and what they want to hear. Preferences may be there before the account's event is.
CREATE TABLE contacts (
    user_id uuid PRIMARY KEY,
    email text,
    name text,
    active boolean NOT NULL DEFAULT true,
    told_at timestamptz NOT NULL DEFAULT '-infinity',
    email_orders boolean NOT NULL DEFAULT true,
    email_payments boolean NOT NULL DEFAULT true,
    email_marketing boolean NOT NULL DEFAULT false,
    sms_enabled boolean NOT NULL DEFAULT false,
    sms_phone text,
    push_enabled boolean NOT NULL DEFAULT false,
    push_topic text,
    CHECK (NOT sms_enabled OR sms_phone IS NOT NULL),
    CHECK (NOT push_enabled OR push_topic IS NOT NULL)
);

-- One row for each message to one recipient, rendered when its event came. While it is being sent,
-- next_attempt_at is the end of the sender's lease: then somebody else sends it.
CREATE TABLE deliveries (
    id uuid PRIMARY KEY,
    event_id uuid NOT NULL,
    template text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('account', 'orders', 'payments', 'marketing')),
    channel text NOT NULL CHECK (channel IN ('email', 'sms', 'push')),
    recipient text NOT NULL,
    user_id uuid NOT NULL,
    subject text NOT NULL,
    body_text text NOT NULL,
    body_html text,
    message_id text,
    correlation_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'suppressed')),
    attempts bigint NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    sent_at timestamptz,
    UNIQUE (event_id, template, channel, recipient),
    CHECK ((status = 'sent') <= (sent_at IS NOT NULL))
);
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE status IN ('pending', 'sending');
CREATE INDEX deliveries_of_user ON deliveries (user_id, created_at DESC, id DESC);
CREATE INDEX deliveries_by_age ON deliveries (created_at DESC, id DESC);

-- migrate:down
DROP TABLE deliveries, contacts;
