-- migrate:up
-- Who did what to which account, from where. user_id: the account it is about, null when there is
-- none; actor_id: who did it. Nothing secret, no address that is not an account's.
CREATE TABLE audit_log (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    type text NOT NULL,
    user_id uuid,
    actor_id uuid,
    session_id uuid,
    address text NOT NULL,
    user_agent text NOT NULL,
    detail text,
    correlation_id text NOT NULL
);
CREATE INDEX audit_log_by_age ON audit_log (at DESC, id DESC);
CREATE INDEX audit_log_of_user ON audit_log (user_id, at DESC, id DESC);

-- Append-only, twice: the service's role may only add and read, and whoever may do more meets the
-- triggers. Only what is older than the shortest retention can go.
CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.at < now() - interval '90 days' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_stays();

-- The service's only way to remove entries, at most 5,000 a call; how many went.
CREATE FUNCTION audit_log_purge(keep_days bigint) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH gone AS (DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log
        WHERE at < now() - make_interval(days => greatest(keep_days, 90)::int)
        ORDER BY at LIMIT 5000) RETURNING 1)
    SELECT count(*) FROM gone;
$$;
REVOKE ALL ON FUNCTION audit_log_purge FROM PUBLIC;

DO $$
DECLARE r record;
BEGIN
    FOR r IN SELECT DISTINCT grantee FROM information_schema.role_table_grants
        WHERE table_schema = current_schema AND table_name = 'audit_log' AND grantee <> current_user
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON audit_log FROM %I', r.grantee);
        EXECUTE format('GRANT EXECUTE ON FUNCTION audit_log_purge TO %I', r.grantee);
    END LOOP;
END $$;

-- migrate:down
DROP FUNCTION audit_log_purge;
DROP TABLE audit_log;
DROP FUNCTION audit_log_stays;
