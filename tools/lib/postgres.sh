# shellcheck shell=bash
# A private PostgreSQL cluster: one database and two roles for each service.
#   souk_<svc>_owner  owns the database and runs the migrations
#   souk_<svc>        what the service runs as: rows only, no DDL, with time limits
#   souk_audit        reads everything, changes nothing

PG_BIN=${SOUK_PG_BIN:-/usr/lib/postgresql/15/bin}

postgres_external() {
    local svc
    for svc in "${SERVICES[@]}"; do
        [ -n "$(external "$(upper "$svc")_DATABASE_URL")" ] || return 1
    done
}

# admin_psql [ARGS]: psql as the cluster's superuser, stopping at the first error.
admin_psql() {
    PGPASSWORD=$(secret pg-admin) psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 \
        -p "${PORTS[postgres]}" -U souk_admin "$@"
}

# The folder of its Unix socket, which costs services and server less than TCP; nothing where the path
# can't be one (107 bytes with the file's name) or would have to be escaped in a URL.
postgres_socket() {
    local folder=$DATA/postgres/socket
    [[ ${#folder} -gt 88 || $folder == *[!A-Za-z0-9/._-]* ]] || printf %s "$folder"
}

# database_url SVC [owner]
database_url() {
    local role=souk_$1${2:+_$2} url socket
    url=$(external "$(upper "$1")${2:+_MIGRATE}_DATABASE_URL")
    [ -n "$url" ] || url=$(external "$(upper "$1")_DATABASE_URL")
    [ -z "$url" ] || { printf %s "$url" && return; }
    socket=$(postgres_socket)
    [ -S "$socket/.s.PGSQL.${PORTS[postgres]}" ] || socket=''
    printf 'postgresql://%s:%s@' "$role" "$(secret "pg-$role")"
    if [ -n "$socket" ]; then
        printf '/souk_%s?host=%s&port=%s' "$1" "$socket" "${PORTS[postgres]}"
    else
        printf '127.0.0.1:%s/souk_%s' "${PORTS[postgres]}" "$1"
    fi
}

postgres_init() {
    local data=$DATA/postgres
    owned_folder "$data" postgres
    # What an interrupted initdb left behind is worth nothing.
    rm -rf "$data/new"
    # The server's account cannot read our secrets, so initdb gets a copy of its own.
    (umask 077 && secret pg-admin >"$data/password")
    if is_root; then chown postgres "$data/password"; fi
    (as_account postgres "$PG_BIN/initdb" -D "$data/new" -U souk_admin -A scram-sha-256 \
        --pwfile="$data/password" --no-locale -E UTF8 --no-sync >/dev/null)
    rm "$data/password"
    (as_account postgres mv "$data/new" "$data/cluster")
}

postgres_run() {
    as_account postgres "$PG_BIN/postgres" -D "$DATA/postgres/cluster" -p "${PORTS[postgres]}" \
        -c listen_addresses=127.0.0.1 -c "unix_socket_directories=$(postgres_socket)" -c max_connections=200 \
        -c shared_buffers=256MB -c random_page_cost=1.1 -c fsync=on -c max_wal_size=2GB -c timezone=UTC \
        -c log_timezone=UTC -c update_process_title=off -c log_min_messages=warning -c password_encryption=scram-sha-256
}

# What PostgreSQL keeps of a password (RFC 5803), made with one round of hashing instead of 4,096 (RFC 7677): rounds slow down who
# guesses passwords that people think of, ours are 192 random bits. A service that connects is spared 5 ms, in which it does nothing else.
postgres_scram() {
    cat <<'SQL'
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE FUNCTION pg_temp.scram(password text) RETURNS text LANGUAGE plpgsql AS $scram$
DECLARE
    salt CONSTANT bytea := gen_random_bytes(16);
    salted CONSTANT bytea := hmac(salt || '\x00000001', convert_to(password, 'UTF8'), 'sha256');
BEGIN
    RETURN format('SCRAM-SHA-256$1:%s$%s:%s', encode(salt, 'base64'),
        encode(sha256(hmac('Client Key', salted, 'sha256')), 'base64'), encode(hmac('Server Key', salted, 'sha256'), 'base64'));
END $scram$;
SQL
}

# postgres_role NAME: the SQL that makes it unless it is there already.
postgres_role() {
    printf "SELECT format('CREATE ROLE %s LOGIN PASSWORD %%L', pg_temp.scram('%s')) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '%s')\n\\\\gexec\n" \
        "$1" "$(secret "pg-$1")" "$1"
}

# All roles and databases in one script that may have been cut short before; passwords travel on
# standard input, never in argv.
postgres_roles() {
    local svc
    say "SET client_min_messages = warning;"
    postgres_scram
    postgres_role souk_audit
    say "GRANT pg_read_all_data TO souk_audit;"
    for svc in "${SERVICES[@]}"; do
        postgres_role "souk_${svc}_owner"
        postgres_role "souk_$svc"
        printf "SELECT 'CREATE DATABASE souk_%s OWNER souk_%s_owner' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'souk_%s')\n\\\\gexec\n" \
            "$svc" "$svc" "$svc"
        cat <<SQL
ALTER ROLE souk_$svc SET statement_timeout = '5s';
ALTER ROLE souk_$svc SET lock_timeout = '2s';
ALTER ROLE souk_$svc SET idle_in_transaction_session_timeout = '10s';
REVOKE CONNECT, TEMPORARY ON DATABASE souk_$svc FROM PUBLIC;
GRANT CONNECT ON DATABASE souk_$svc TO souk_$svc, souk_audit;
SQL
    done
    for svc in "${SERVICES[@]}"; do
        say "\\connect souk_$svc"
        postgres_grants "$svc"
    done
}

# What the runtime role may do with everything its owner makes in schema public.
postgres_grants() {
    cat <<SQL
GRANT USAGE ON SCHEMA public TO souk_$1;
ALTER DEFAULT PRIVILEGES FOR ROLE souk_${1}_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO souk_$1;
ALTER DEFAULT PRIVILEGES FOR ROLE souk_${1}_owner IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO souk_$1;
SQL
}

postgres_answers() { "$PG_BIN/pg_isready" -q -h 127.0.0.1 -p "${PORTS[postgres]}"; }

# When it was killed, its children hold its memory for a moment longer, and its own pid, until init has collected it, its lock; a new
# one takes them for a server that runs, and ends.
postgres_begin() {
    local log=$LOG/postgres.log until=$((SECONDS + 20)) told
    while :; do
        told=$(stat -c %s "$log" 2>/dev/null || echo 0)
        spawn postgres postgres_run
        until postgres_answers || ! running postgres; do sleep 0.05; done
        if running postgres || [ $SECONDS -ge $until ]; then return; fi
        tail -c +$((told + 1)) "$log" | grep -Eq 'lock file ".*" already exists|pre-existing shared memory block' || return 0
        sleep 0.1
    done
}

postgres_up() {
    if ! running postgres; then
        [ -x "$PG_BIN/postgres" ] || die "PostgreSQL 15 is not in $PG_BIN (SOUK_PG_BIN)"
        port_free postgres
        [ -s "$DATA/postgres/cluster/PG_VERSION" ] || postgres_init
        owned_folder "$DATA/postgres/socket" postgres
        postgres_begin
    fi
    await postgres 60 postgres_answers
    if [ ! -e "$DATA/postgres/roles-made" ]; then
        postgres_roles | admin_psql -d postgres >/dev/null
        : >"$DATA/postgres/roles-made"
    fi
}

# INT is PostgreSQL's "fast": roll back what is open, write everything, end.
postgres_down() { stop postgres INT 60; }

# Empties one service's database, keeping the database itself, its roles and its connections' rights.
postgres_empty() {
    {
        say "SET client_min_messages = warning;"
        say "DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;"
        postgres_grants "$1"
    } | admin_psql -d "souk_$1" >/dev/null
}
