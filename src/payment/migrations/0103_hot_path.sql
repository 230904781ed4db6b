-- migrate:up
-- A CHECK is read anew from its text by each statement that writes; the values of a type are not. A status that may not be is
-- null then, and refused as such.
CREATE TYPE payment_status AS ENUM ('pending', 'unknown', 'authorized', 'captured', 'partially_refunded', 'refunded', 'voided', 'failed');
CREATE TYPE ledger_account AS ENUM ('provider_receivable', 'order_clearing');
CREATE TYPE sandbox_state AS ENUM ('authorized', 'refused', 'captured', 'voided');
CREATE TYPE sandbox_kind AS ENUM ('capture', 'refund');

-- 0 <= refunded + refunding <= captured <= amount. There is room for a row's next versions on its page, and next_at (which is in
-- an index) changes only when the row comes to rest.
ALTER TABLE payments
    DROP CONSTRAINT payments_status,
    DROP CONSTRAINT payments_amount_check,
    DROP CONSTRAINT payments_captured,
    DROP CONSTRAINT payments_refunded,
    ALTER COLUMN status TYPE payment_status USING status::payment_status,
    ADD CONSTRAINT payments_sums CHECK (captured <= amount AND refunded >= 0 AND refunding >= 0
        AND refunded + refunding <= captured),
    SET (fillfactor = 60);

-- An entry is only written out of its payment's own UPDATE, and payments are never deleted; the audit looks for strays. What an
-- entry is known by is its operation and account; nobody asks by payment or by number.
ALTER TABLE ledger_entries
    DROP CONSTRAINT ledger_entries_payment_id_fkey,
    DROP CONSTRAINT ledger_entries_account_check,
    DROP CONSTRAINT ledger_entries_debit_check,
    DROP CONSTRAINT ledger_entries_credit_check,
    DROP CONSTRAINT ledger_entries_check,
    DROP CONSTRAINT ledger_entries_pkey,
    DROP CONSTRAINT ledger_entries_once,
    ALTER COLUMN account TYPE ledger_account USING account::ledger_account,
    ADD CONSTRAINT ledger_entries_once PRIMARY KEY (operation, account),
    ADD CONSTRAINT ledger_entries_one_side CHECK (debit >= 0 AND credit >= 0 AND (debit = 0) <> (credit = 0));
DROP INDEX ledger_entries_of_payment;

ALTER TABLE sandbox_charges
    DROP CONSTRAINT sandbox_charges_state_check,
    DROP CONSTRAINT sandbox_charges_check,
    DROP CONSTRAINT sandbox_charges_check1,
    ALTER COLUMN state TYPE sandbox_state USING state::sandbox_state,
    ADD CONSTRAINT sandbox_charges_sums CHECK (captured <= amount AND refunded >= 0 AND refunded <= captured),
    SET (fillfactor = 70);
ALTER TABLE sandbox_operations
    DROP CONSTRAINT sandbox_operations_kind_check,
    ALTER COLUMN kind TYPE sandbox_kind USING kind::sandbox_kind;

-- migrate:down
ALTER TABLE sandbox_operations
    ALTER COLUMN kind TYPE text,
    ADD CONSTRAINT sandbox_operations_kind_check CHECK (kind IN ('capture', 'refund'));
ALTER TABLE sandbox_charges
    DROP CONSTRAINT sandbox_charges_sums,
    ALTER COLUMN state TYPE text,
    ADD CONSTRAINT sandbox_charges_state_check CHECK (state IN ('authorized', 'refused', 'captured', 'voided')),
    ADD CONSTRAINT sandbox_charges_check CHECK (captured >= 0 AND captured <= amount),
    ADD CONSTRAINT sandbox_charges_check1 CHECK (refunded >= 0 AND refunded <= captured),
    RESET (fillfactor);

ALTER TABLE ledger_entries
    DROP CONSTRAINT ledger_entries_one_side,
    DROP CONSTRAINT ledger_entries_once,
    ALTER COLUMN account TYPE text,
    ADD PRIMARY KEY (id),
    ADD CONSTRAINT ledger_entries_once UNIQUE (operation, account),
    ADD CONSTRAINT ledger_entries_account_check CHECK (account IN ('provider_receivable', 'order_clearing')),
    ADD CONSTRAINT ledger_entries_debit_check CHECK (debit >= 0),
    ADD CONSTRAINT ledger_entries_credit_check CHECK (credit >= 0),
    ADD CONSTRAINT ledger_entries_check CHECK ((debit = 0) <> (credit = 0)),
    ADD CONSTRAINT ledger_entries_payment_id_fkey FOREIGN KEY (payment_id) REFERENCES payments;
CREATE INDEX ledger_entries_of_payment ON ledger_entries (payment_id);

ALTER TABLE payments
    DROP CONSTRAINT payments_sums,
    ALTER COLUMN status TYPE text,
    ADD CONSTRAINT payments_status CHECK (status IN ('pending', 'unknown',
        'authorized', 'captured', 'partially_refunded', 'refunded', 'voided', 'failed')),
    ADD CONSTRAINT payments_amount_check CHECK (amount >= 0),
    ADD CONSTRAINT payments_captured CHECK (captured >= 0 AND captured <= amount),
    ADD CONSTRAINT payments_refunded CHECK (refunded >= 0 AND refunding >= 0
        AND refunded + refunding <= captured),
    RESET (fillfactor);

DROP TYPE sandbox_kind, sandbox_state, ledger_account, payment_status;
