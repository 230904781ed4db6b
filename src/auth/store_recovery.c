#include "auth/auth.h"
#include "common/base/uuid.h"

static const struct field reset_request_fields[] = {
    FIELD_UUID(struct reset_request, id, "id"),
    FIELD_TEXT(struct reset_request, email, "email"),
    FIELD_TEXT(struct reset_request, address, "address"),
    FIELD_TEXT(struct reset_request, user_agent, "userAgent"),
    FIELD_TEXT(struct reset_request, correlation_id, "correlationId"),
};
const struct table reset_request_table =
    TABLE("ResetRequest", struct reset_request, reset_request_fields);

/* ---- links ---- */

int store_mail_token_insert(struct pg_tx *tx, const char *purpose, const struct user *u,
    const char *token, int64_t lifetime_s)
{
    return pg_queue(tx, &auth_statements[SQL_MAIL_TOKEN_INSERT],
        PG_ARGS(PG_TEXT(token_digest(token)), PG_TEXT(purpose), PG_TEXT(u->id), PG_TEXT(u->email),
            PG_I64(lifetime_s)));
}

int store_mail_tokens_end(struct pg_tx *tx, const char *purpose, const char *user_id)
{
    return pg_queue(
        tx, &auth_statements[SQL_MAIL_TOKENS_END], PG_ARGS(PG_TEXT(purpose), PG_TEXT(user_id)));
}

int store_mail_token_user(const char *purpose, const char *token, struct user **ret_user)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[SQL_MAIL_TOKEN_USER],
        PG_ARGS(PG_TEXT(purpose), PG_TEXT(token_digest(token))), &result));
    *ret_user = PG_FIRST(result, struct user);
    return 0;
}

int store_mail_token_spend(struct pg_tx *tx, const char *purpose, const char *token)
{
    return pg_queue_expect(tx, &auth_statements[SQL_MAIL_TOKEN_SPEND],
        PG_ARGS(PG_TEXT(purpose), PG_TEXT(token_digest(token))), 1, AUTH_INVALID_LINK);
}

int store_email_verify(
    struct pg_tx *tx, const char *user_id, const char *email, struct user **ret_user)
{
    struct pg_result result;
    TRY(pg_run(tx, &auth_statements[SQL_EMAIL_VERIFY], PG_ARGS(PG_TEXT(user_id), PG_TEXT(email)),
        &result));
    *ret_user = PG_FIRST(result, struct user);
    return 0;
}

/* ---- requests for a reset ---- */

int store_reset_request(const struct reset_request *r)
{
    return pg_query(app()->pg, &auth_statements[SQL_RESET_REQUEST],
        PG_ARGS(PG_TEXT(r->id), PG_TEXT(r->email), PG_TEXT(r->address), PG_TEXT(r->user_agent),
            PG_TEXT(r->correlation_id)),
        NULL);
}

int store_reset_take(struct pg_tx *tx, struct reset_request **ret_request)
{
    struct pg_result result;
    TRY(pg_run(tx, &auth_statements[SQL_RESET_TAKE], PG_NO_ARGS, &result));
    *ret_request = PG_FIRST(result, struct reset_request);
    return 0;
}

int store_user_by_email(struct pg_tx *tx, const char *email, struct user **ret_user)
{
    struct pg_result result;
    TRY(pg_run(tx, &auth_statements[SQL_USER_BY_EMAIL], PG_ARGS(PG_TEXT(email)), &result));
    *ret_user = PG_FIRST(result, struct user);
    return 0;
}

/* ---- audit ---- */

int store_audit_add(struct pg_tx *tx, const struct audit_entry *e)
{
    char id[UUID_TEXT_SIZE];
    uuid_make(id);
    const struct pg_args args = PG_ARGS(PG_TEXT(id), PG_TEXT(e->type), PG_TEXT(e->user_id),
        PG_TEXT(e->actor_id), PG_TEXT(e->session_id), PG_TEXT(e->address), PG_TEXT(e->user_agent),
        PG_TEXT(e->detail), PG_TEXT(e->correlation_id));
    return tx ? pg_queue(tx, &auth_statements[SQL_AUDIT_ADD], args)
              : pg_query(app()->pg, &auth_statements[SQL_AUDIT_ADD], args, NULL);
}

int store_audit(const struct audit_params *p, const char *user_id, bool whole,
    const struct place *before, struct list *ret_entries)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &auth_statements[user_id ? SQL_AUDIT_OF_USER : SQL_AUDIT],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(p->type), PG_TIME(p->since), PG_TIME(before->number),
            PG_TEXT(before->id), PG_I64(p->limit + 1), PG_BOOL(whole)),
        &result));
    *ret_entries = result.rows;
    return 0;
}

int store_recovery_purge(void)
{
    TRY(pg_query(app()->pg, &auth_statements[SQL_MAIL_TOKENS_PURGE], PG_NO_ARGS, NULL));
    TRY(pg_query(app()->pg, &auth_statements[SQL_CLIENTS_PURGE], PG_NO_ARGS, NULL));
    return pg_query(app()->pg, &auth_statements[SQL_AUDIT_PURGE],
        PG_ARGS(PG_I64(config_i64("AUDIT_KEEP_DAYS"))), NULL);
}
