-- migrate:up
-- Append-only, whoever asks: what is wrong is put right by further entries.
CREATE FUNCTION ledger_entries_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries are append-only';
END $$;
CREATE TRIGGER ledger_entries_stay BEFORE UPDATE OR DELETE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_stay();

-- migrate:down
DROP TRIGGER ledger_entries_stay ON ledger_entries;
DROP FUNCTION ledger_entries_stay;
