#include "auth/auth.h"

#define USER_COLUMNS                                                                               \
    "u.id, u.email, u.name, u.phone, to_json(u.roles), u.status, "                                 \
    "u.email_verified_at IS NOT NULL, u.created_at, u.updated_at, u.password_hash, u.version "

#define ADDRESS_COLUMNS                                                                            \
    "a.id, a.name, a.line1, a.line2, a.city, a.region, a.postal_code, a.country, a.is_default, "   \
    "a.created_at, a.updated_at "

#define AUDIT_SELECT(whose)                                                                        \
    "SELECT id, type, at, user_id, actor_id, session_id, "                                         \
    "CASE WHEN $7::bool OR actor_id IS NOT DISTINCT FROM user_id OR actor_id IS NULL "             \
    "THEN address END, "                                                                           \
    "CASE WHEN $7::bool OR actor_id IS NOT DISTINCT FROM user_id OR actor_id IS NULL "             \
    "THEN user_agent END, detail, correlation_id FROM audit_log "                                  \
    "WHERE " whose " AND ($2::text IS NULL OR type = $2) "                                         \
    "AND ($3::timestamptz IS NULL OR at >= $3) "                                                   \
    "AND ($4::timestamptz IS NULL OR (at, id) < ($4, $5::uuid)) "                                  \
    "ORDER BY at DESC, id DESC LIMIT $6"

/* A refresh token's new owner: the session, then the columns of its user. */
static const struct field refreshed_fields[] = {
    FIELD_UUID(struct refreshed, session_id, "sessionId"),
    FIELD_UUID(struct refreshed, user.id, "userId"),
    FIELD_TEXT(struct refreshed, user.email, "email"),
    FIELD_TEXT(struct refreshed, user.name, "name"),
    FIELD_TEXT(struct refreshed, user.phone, "phone"),
    FIELD_TEXTS(struct refreshed, user.roles, "roles"),
    FIELD_TEXT(struct refreshed, user.status, "status"),
    FIELD_BOOL(struct refreshed, user.email_verified, "emailVerified"),
    FIELD_TIME(struct refreshed, user.created_at, "createdAt"),
    FIELD_TIME(struct refreshed, user.updated_at, "updatedAt"),
    FIELD_TEXT(struct refreshed, user.password_hash, "passwordHash", .secret = true),
    FIELD_I64(struct refreshed, user.version, "version"),
};
static const struct table refreshed_table = TABLE("Refreshed", struct refreshed, refreshed_fields);

static const struct field refresh_state_fields[] = {
    FIELD_TIME(struct refresh_state, spent_at, "spentAt"),
    FIELD_TIME(struct refresh_state, session_expires_at, "sessionExpiresAt"),
    FIELD_BOOL(struct refresh_state, session_live, "sessionLive"),
    FIELD_BOOL(struct refresh_state, successor_spent, "successorSpent"),
    FIELD_TEXT(struct refresh_state, client, "client"),
    FIELD_UUID(struct refresh_state, session_id, "sessionId"),
    FIELD_UUID(struct refresh_state, user_id, "userId"),
};
static const struct table refresh_state_table =
    TABLE("RefreshState", struct refresh_state, refresh_state_fields);

struct yes {
    bool value;
};
static const struct field yes_fields[] = {FIELD_BOOL(struct yes, value, "value")};
static const struct table yes_table = TABLE("Yes", struct yes, yes_fields);

const struct pg_statement auth_statements[] = {
    [SQL_USER_INSERT] = {"user_insert",
        "INSERT INTO users (id, email, password_hash, name, phone, roles, created_at, updated_at) "
        "VALUES ($1, $2, $3, $4, $5, $6::text[], $7, $7)"},
    [SQL_USER_GET] = {"user_get", "SELECT " USER_COLUMNS "FROM users u WHERE u.id = $1",
        &user_table},
    [SQL_USER_LOCK] = {"user_lock",
        "SELECT " USER_COLUMNS "FROM users u WHERE u.id = $1 FOR UPDATE", &user_table},
    /* In the order of their ids, so that two who lock the same pair don't wait for each other. */
    [SQL_USERS_LOCK] = {"users_lock",
        "SELECT " USER_COLUMNS "FROM users u WHERE u.id IN ($1, $2) ORDER BY u.id FOR UPDATE",
        &user_table},
    [SQL_USER_BY_EMAIL] = {"user_by_email",
        "SELECT " USER_COLUMNS "FROM users u WHERE u.email = $1", &user_table},
    [SQL_USER_SAVE] = {"user_save",
        "UPDATE users SET name = $2, phone = $3, roles = $4::text[], status = $5, updated_at = $6, "
        "version = $7 WHERE id = $1"},
    [SQL_PASSWORD_SAVE] = {"password_save",
        "UPDATE users SET password_hash = $3, updated_at = now() "
        "WHERE id = $1 AND password_hash = $2 AND status = 'active'"},
    /* Only while it is still the hash that was checked: a password change may have come between. */
    [SQL_REHASH] = {"rehash",
        "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2"},
    [SQL_SESSION_INSERT] = {"session_insert",
        "INSERT INTO sessions (id, user_id, user_agent, address, expires_at) "
        "SELECT $1::uuid, u.id, $3, $4, now() + make_interval(secs => least($5, $8::bigint)) "
        "FROM users u WHERE u.id = $2 AND u.status = 'active' AND u.password_hash = $6 "
        "AND u.roles @> $7::text[] AND u.roles <@ $7::text[] FOR SHARE"},
    [SQL_SESSION_USER] = {"session_user",
        "SELECT " USER_COLUMNS "FROM sessions s JOIN users u ON u.id = s.user_id "
        "WHERE s.id = $1 AND s.user_id = $2 AND s.ended_at IS NULL AND s.expires_at > now() "
        "AND u.status = 'active'",
        &user_table},
    [SQL_SESSIONS] = {"sessions",
        "SELECT s.id, s.created_at, s.last_used_at, s.expires_at, s.user_agent, s.address, "
        "s.id = $2 FROM sessions s "
        "WHERE s.user_id = $1 AND s.ended_at IS NULL AND s.expires_at > now() "
        "AND ($3::timestamptz IS NULL OR (s.created_at, s.id) < ($3, $4::uuid)) "
        "ORDER BY s.created_at DESC, s.id DESC LIMIT $5",
        &session_table},
    [SQL_SESSION_END] = {"session_end", "UPDATE sessions SET ended_at = now(), end_reason = $3 "
                                        "WHERE id = $1 AND user_id = $2 AND ended_at IS NULL"},
    [SQL_SESSIONS_END] = {"sessions_end",
        "UPDATE sessions SET ended_at = now(), end_reason = $3 "
        "WHERE user_id = $1 AND ended_at IS NULL AND ($2::uuid IS NULL OR id <> $2)"},
    [SQL_TOKEN_INSERT] = {"token_insert",
        "INSERT INTO refresh_tokens (digest, session_id) VALUES ($1, $2)"},
    [SQL_REFRESH] = {"refresh",
        "WITH spent AS ("
        "UPDATE refresh_tokens t SET spent_at = now(), spent_by = $3, successor = $2 "
        "FROM sessions s JOIN users u ON u.id = s.user_id "
        "WHERE t.digest = $1 AND t.spent_at IS NULL AND s.id = t.session_id "
        "AND s.ended_at IS NULL AND s.expires_at > now() AND u.status = 'active' "
        "RETURNING t.session_id, s.user_id), "
        "next AS (INSERT INTO refresh_tokens (digest, session_id) "
        "SELECT $2, session_id FROM spent), "
        "used AS (UPDATE sessions SET last_used_at = now(), "
        "expires_at = least(now() + make_interval(secs => $4), "
        "created_at + make_interval(secs => $5)) "
        "WHERE id IN (SELECT session_id FROM spent)) "
        "SELECT spent.session_id, " USER_COLUMNS "FROM spent JOIN users u ON u.id = spent.user_id",
        &refreshed_table},
    [SQL_REFRESH_STATE] = {"refresh_state",
        "SELECT t.spent_at, s.expires_at, s.ended_at IS NULL AND u.status = 'active', "
        "n.spent_at IS NOT NULL, t.spent_by, s.id, s.user_id "
        "FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id "
        "JOIN users u ON u.id = s.user_id LEFT JOIN refresh_tokens n ON n.digest = t.successor "
        "WHERE t.digest = $1",
        &refresh_state_table},
    [SQL_ADDRESSES] = {"addresses",
        "SELECT " ADDRESS_COLUMNS "FROM addresses a WHERE a.user_id = $1 "
        "AND ($2::timestamptz IS NULL OR (a.created_at, a.id) < ($2, $3::uuid)) "
        "ORDER BY a.created_at DESC, a.id DESC LIMIT $4",
        &user_address_table},
    [SQL_ADDRESS_GET] = {"address_get",
        "SELECT " ADDRESS_COLUMNS "FROM addresses a WHERE a.user_id = $1 AND a.id = $2",
        &user_address_table},
    [SQL_ADDRESS_UNDEFAULT] = {"address_undefault",
        "UPDATE addresses SET is_default = false WHERE user_id = $1 AND is_default AND $2::bool "
        "AND id <> $3"},
    [SQL_ADDRESS_INSERT] = {"address_insert",
        "INSERT INTO addresses AS a (id, user_id, name, line1, line2, city, region, postal_code, "
        "country, is_default) SELECT $2, $1, $3, $4, $5, $6, $7, $8, $9, $10::bool OR NOT EXISTS "
        "(SELECT 1 FROM addresses WHERE user_id = $1 AND is_default) "
        "WHERE (SELECT count(*) FROM addresses WHERE user_id = $1) < $11 "
        "RETURNING " ADDRESS_COLUMNS,
        &user_address_table},
    [SQL_ADDRESS_SAVE] = {"address_save",
        "UPDATE addresses a SET name = $3, line1 = $4, line2 = $5, city = $6, region = $7, "
        "postal_code = $8, country = $9, is_default = a.is_default OR $10, updated_at = now() "
        "WHERE a.user_id = $1 AND a.id = $2 RETURNING " ADDRESS_COLUMNS,
        &user_address_table},
    [SQL_ADDRESS_DELETE] = {"address_delete",
        "DELETE FROM addresses WHERE user_id = $1 AND id = $2"},
    [SQL_ADDRESS_DEFAULT] = {"address_default",
        "UPDATE addresses SET is_default = true WHERE id = (SELECT id FROM addresses "
        "WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1) "
        "AND NOT EXISTS (SELECT 1 FROM addresses WHERE user_id = $1 AND is_default)"},
    [SQL_REVOCATIONS] = {"revocations",
        "SELECT s.id, s.ended_at FROM sessions s WHERE s.ended_at >= $1 "
        "AND ($2::timestamptz IS NULL OR (s.ended_at, s.id) > ($2, $3::uuid)) "
        "ORDER BY s.ended_at, s.id LIMIT $4",
        &revocation_table},
    [SQL_PURGE] = {"session_purge",
        "DELETE FROM sessions WHERE expires_at < now() - interval '1 day' "
        "OR ended_at < now() - interval '30 days'"},
    [SQL_CLIENT_SEEN] = {"client_seen",
        "WITH others AS (SELECT 1 FROM known_clients WHERE user_id = $1 LIMIT 1), "
        "seen AS (INSERT INTO known_clients (user_id, client) VALUES ($1, $2) "
        "ON CONFLICT (user_id, client) DO UPDATE SET last_seen_at = now() "
        "RETURNING xmax = 0 AS is_new) "
        "SELECT is_new AND EXISTS (SELECT 1 FROM others) FROM seen",
        &yes_table},
    [SQL_CLIENT_KNOWN] = {"client_known",
        "SELECT EXISTS (SELECT FROM known_clients k JOIN users u ON u.id = k.user_id "
        "WHERE u.email = $1 AND k.client = $2)",
        &yes_table},
    [SQL_MAIL_TOKEN_INSERT] = {"mail_token_insert",
        "INSERT INTO mail_tokens (digest, purpose, user_id, email, expires_at) "
        "VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))"},
    [SQL_MAIL_TOKENS_END] = {"mail_tokens_end",
        "UPDATE mail_tokens SET ended_at = now() WHERE user_id = $2 AND purpose = $1 "
        "AND ended_at IS NULL"},
    [SQL_MAIL_TOKEN_USER] = {"mail_token_user",
        "SELECT " USER_COLUMNS "FROM mail_tokens t JOIN users u ON u.id = t.user_id "
        "WHERE t.digest = $2 AND t.purpose = $1 AND t.ended_at IS NULL AND t.expires_at > now() "
        "AND u.email = t.email AND u.status = 'active'",
        &user_table},
    [SQL_MAIL_TOKEN_SPEND] = {"mail_token_spend",
        "UPDATE mail_tokens SET ended_at = now() WHERE digest = $2 AND purpose = $1 "
        "AND ended_at IS NULL AND expires_at > now()"},
    [SQL_EMAIL_VERIFY] = {"email_verify",
        "UPDATE users u SET email_verified_at = coalesce(email_verified_at, now()), "
        "updated_at = now(), version = version + 1 "
        "WHERE u.id = $1 AND u.email = $2 AND u.status = 'active' RETURNING " USER_COLUMNS,
        &user_table},
    [SQL_RESET_REQUEST] = {"reset_request",
        "INSERT INTO reset_requests (id, email, address, user_agent, correlation_id) "
        "VALUES ($1, $2, $3, $4, $5)"},
    [SQL_RESET_TAKE] = {"reset_take",
        "DELETE FROM reset_requests WHERE id = (SELECT id FROM reset_requests "
        "ORDER BY created_at LIMIT 1 FOR UPDATE SKIP LOCKED) "
        "RETURNING id, email, address, user_agent, correlation_id",
        &reset_request_table},
    [SQL_AUDIT_ADD] = {"audit_add",
        "INSERT INTO audit_log (id, type, user_id, actor_id, session_id, address, user_agent, "
        "detail, correlation_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"},
    /* Two statements, for each has its index: with one, a plan made for both might read the whole
     * log to find the few entries of an account. */
    [SQL_AUDIT] = {"audit", AUDIT_SELECT("$1::uuid IS NULL"), &audit_entry_table},
    [SQL_AUDIT_OF_USER] = {"audit_of_user", AUDIT_SELECT("user_id = $1"), &audit_entry_table},
    [SQL_AUDIT_PURGE] = {"audit_purge", "SELECT audit_log_purge($1)"},
    [SQL_MAIL_TOKENS_PURGE] = {"mail_tokens_purge",
        "DELETE FROM mail_tokens WHERE expires_at < now() - interval '7 days'"},
    [SQL_CLIENTS_PURGE] = {"clients_purge",
        "DELETE FROM known_clients WHERE last_seen_at < now() - interval '180 days'"},
};
const size_t auth_statements_count = ARRAY_SIZE(auth_statements);

const char *token_digest(const char *token)
{
    char *digest = arena_alloc(fiber_arena(), SHA256_HEX_SIZE);
    crypto_sha256_hex(span_of(token), digest);
    return digest;
}

/* ---- users ---- */

static const char *roles_text(const struct user *u)
{
    return roles_array(fiber_arena(), roles_of(u->roles));
}

int store_user_insert(struct pg_tx *tx, const struct user *u)
{
    return pg_queue(tx, &auth_statements[SQL_USER_INSERT],
        PG_ARGS(PG_TEXT(u->id), PG_TEXT(u->email), PG_TEXT(u->password_hash), PG_TEXT(u->name),
            PG_TEXT(u->phone), PG_TEXT(roles_text(u)), PG_TIME(u->created_at)));
}

static int find_user(int statement, struct pg_args args, struct user **ret_user)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[statement], args, &result));
    *ret_user = PG_FIRST(result, struct user);
    return 0;
}

int store_user_find(const char *user_id, struct user **ret_user)
{
    return find_user(SQL_USER_GET, PG_ARGS(PG_TEXT(user_id)), ret_user);
}

int store_user_find_by_email(const char *email, struct user **ret_user)
{
    return find_user(SQL_USER_BY_EMAIL, PG_ARGS(PG_TEXT(email)), ret_user);
}

int store_user_lock(struct pg_tx *tx, const char *user_id, struct user **ret_user)
{
    struct pg_result result;
    TRY(pg_run(tx, &auth_statements[SQL_USER_LOCK], PG_ARGS(PG_TEXT(user_id)), &result));
    *ret_user = PG_FIRST(result, struct user);
    return 0;
}

int store_user_save(struct pg_tx *tx, const struct user *u)
{
    return pg_queue(tx, &auth_statements[SQL_USER_SAVE],
        PG_ARGS(PG_TEXT(u->id), PG_TEXT(u->name), PG_TEXT(u->phone), PG_TEXT(roles_text(u)),
            PG_TEXT(u->status), PG_TIME(u->updated_at), PG_I64(u->version)));
}

int store_users_lock(
    struct pg_tx *tx, const char *a_id, const char *b_id, struct user **ret_a, struct user **ret_b)
{
    struct pg_result result;
    TRY(pg_run(
        tx, &auth_statements[SQL_USERS_LOCK], PG_ARGS(PG_TEXT(a_id), PG_TEXT(b_id)), &result));
    *ret_a = *ret_b = NULL;
    for (size_t i = 0; i < result.rows.len; i++) {
        struct user *u = PG_ROW(result, struct user, i);
        if (strcmp(u->id, a_id) == 0)
            *ret_a = u;
        if (strcmp(u->id, b_id) == 0)
            *ret_b = u;
    }
    return 0;
}

int store_password_save(
    struct pg_tx *tx, const char *user_id, const char *old_hash, const char *hash)
{
    return pg_queue_expect(tx, &auth_statements[SQL_PASSWORD_SAVE],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(old_hash), PG_TEXT(hash)), 1, AUTH_INVALID_CREDENTIALS);
}

int store_rehash(const char *user_id, const char *old_hash, const char *new_hash)
{
    return pg_query(app()->pg, &auth_statements[SQL_REHASH],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(old_hash), PG_TEXT(new_hash)), NULL);
}

/* ---- sessions ---- */

int store_session_insert(struct pg_tx *tx, const struct session_new *s)
{
    TRY(pg_queue_expect(tx, &auth_statements[SQL_SESSION_INSERT],
        PG_ARGS(PG_TEXT(s->id), PG_TEXT(s->user_id), PG_TEXT(s->user_agent), PG_TEXT(s->address),
            PG_I64(s->lifetime_s), PG_TEXT(s->password_hash),
            PG_TEXT(roles_array(fiber_arena(), s->roles)), PG_I64(config_i64("SESSION_MAX_S"))),
        1, AUTH_INVALID_CREDENTIALS));
    return pg_queue(tx, &auth_statements[SQL_TOKEN_INSERT],
        PG_ARGS(PG_TEXT(token_digest(s->refresh_token)), PG_TEXT(s->id)));
}

int store_session_user(const char *session_id, const char *user_id, struct user **ret_user)
{
    return find_user(SQL_SESSION_USER, PG_ARGS(PG_TEXT(session_id), PG_TEXT(user_id)), ret_user);
}

int store_refresh(const char *token, const char *successor, const char *client, int64_t lifetime_s,
    struct refreshed **ret_refreshed)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[SQL_REFRESH],
        PG_ARGS(PG_TEXT(token_digest(token)), PG_TEXT(token_digest(successor)), PG_TEXT(client),
            PG_I64(lifetime_s), PG_I64(config_i64("SESSION_MAX_S"))),
        &result));
    *ret_refreshed = PG_FIRST(result, struct refreshed);
    return 0;
}

int store_refresh_state(const char *token, struct refresh_state **ret_state)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[SQL_REFRESH_STATE],
        PG_ARGS(PG_TEXT(token_digest(token))), &result));
    *ret_state = PG_FIRST(result, struct refresh_state);
    return 0;
}

int store_sessions(const char *user_id, const char *current_id, int64_t before_us,
    const char *before_id, int64_t limit, struct list *ret_sessions)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[SQL_SESSIONS],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(current_id), PG_TIME(before_us), PG_TEXT(before_id),
            PG_I64(limit + 1)),
        &result));
    *ret_sessions = result.rows;
    return 0;
}

int store_session_end(struct pg_tx *tx, const char *session_id, const char *user_id,
    const char *reason, bool *ret_ended)
{
    struct pg_result result;
    TRY(pg_run(tx, &auth_statements[SQL_SESSION_END],
        PG_ARGS(PG_TEXT(session_id), PG_TEXT(user_id), PG_TEXT(reason)), &result));
    *ret_ended = result.affected > 0;
    return 0;
}

int store_sessions_end(
    struct pg_tx *tx, const char *user_id, const char *except_id, const char *reason)
{
    return pg_queue(tx, &auth_statements[SQL_SESSIONS_END],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(except_id), PG_TEXT(reason)));
}

int store_revocations(
    int64_t since_us, const struct place *after, int64_t limit, struct list *ret_revocations)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[SQL_REVOCATIONS],
        PG_ARGS(PG_TIME(since_us), PG_TIME(after->number), PG_TEXT(after->id), PG_I64(limit + 1)),
        &result));
    *ret_revocations = result.rows;
    return 0;
}

int store_purge(void)
{
    return pg_query(app()->pg, &auth_statements[SQL_PURGE], PG_NO_ARGS, NULL);
}

/* ---- addresses ---- */

#define ADDRESS_ARGS(user_id, a)                                                                   \
    PG_TEXT(user_id), PG_TEXT((a)->id), PG_TEXT((a)->name), PG_TEXT((a)->line1),                   \
        PG_TEXT((a)->line2), PG_TEXT((a)->city), PG_TEXT((a)->region), PG_TEXT((a)->postal_code),  \
        PG_TEXT((a)->country), PG_BOOL((a)->is_default)

static struct user_address *first_address(struct pg_result result)
{
    return PG_FIRST(result, struct user_address);
}

int store_addresses(const char *user_id, int64_t before_us, const char *before_id, int64_t limit,
    struct list *ret_addresses)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[SQL_ADDRESSES],
        PG_ARGS(PG_TEXT(user_id), PG_TIME(before_us), PG_TEXT(before_id), PG_I64(limit + 1)),
        &result));
    *ret_addresses = result.rows;
    return 0;
}

int store_address_find(
    const char *user_id, const char *address_id, struct user_address **ret_address)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[SQL_ADDRESS_GET],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(address_id)), &result));
    *ret_address = first_address(result);
    return 0;
}

static int queue_undefault(struct pg_tx *tx, const char *user_id, const struct user_address *a)
{
    return pg_queue(tx, &auth_statements[SQL_ADDRESS_UNDEFAULT],
        PG_ARGS(PG_TEXT(user_id), PG_BOOL(a->is_default), PG_TEXT(a->id)));
}

int store_address_insert(struct pg_tx *tx, const char *user_id, const struct user_address *a,
    struct user_address **ret_address)
{
    struct pg_result result;
    TRY(queue_undefault(tx, user_id, a));
    TRY(pg_run(tx, &auth_statements[SQL_ADDRESS_INSERT],
        PG_ARGS(ADDRESS_ARGS(user_id, a), PG_I64(ADDRESSES_LIMIT)), &result));
    *ret_address = first_address(result);
    return 0;
}

int store_address_save(struct pg_tx *tx, const char *user_id, const struct user_address *a,
    struct user_address **ret_address)
{
    struct pg_result result;
    TRY(queue_undefault(tx, user_id, a));
    TRY(pg_run(tx, &auth_statements[SQL_ADDRESS_SAVE], PG_ARGS(ADDRESS_ARGS(user_id, a)), &result));
    *ret_address = first_address(result);
    return 0;
}

int store_address_delete(
    struct pg_tx *tx, const char *user_id, const char *address_id, bool *ret_deleted)
{
    struct pg_result result;
    TRY(pg_run(tx, &auth_statements[SQL_ADDRESS_DELETE],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(address_id)), &result));
    *ret_deleted = result.affected > 0;
    return pg_queue(tx, &auth_statements[SQL_ADDRESS_DEFAULT], PG_ARGS(PG_TEXT(user_id)));
}

/* ---- clients ---- */

int store_client_seen(struct pg_tx *tx, const char *user_id, const char *client, bool *ret_new)
{
    struct pg_result result;
    TRY(pg_run(tx, &auth_statements[SQL_CLIENT_SEEN], PG_ARGS(PG_TEXT(user_id), PG_TEXT(client)),
        &result));
    *ret_new = result.rows.len && PG_ROW(result, struct yes, 0)->value;
    return 0;
}
int store_client_known(const char *email, const char *client, bool *ret_known)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[SQL_CLIENT_KNOWN],
        PG_ARGS(PG_TEXT(email), PG_TEXT(client)), &result));
    *ret_known = PG_ROW(result, struct yes, 0)->value;
    return 0;
}
