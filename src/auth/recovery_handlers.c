/* Links by mail: one that verifies an address, one that sets a new password.
 *
 * A token is 256 random bits. The database keeps its digest; the token itself leaves the process
 * sealed for the notification service, so that no outbox, queue, stream or dump holds it. It is
 * good once, for a while, and only for the address it was sent to.
 *
 * A forgotten password must not tell who has an account. The request is therefore the same for any
 * address: it is written down and answered; whether there is an account is looked up afterwards, by
 * a background task, which a crash in between only delays. It keeps its own time and is not nudged:
 * what it does for an account must not fall together with the request's answer. Who asks too often
 * is answered the same and nothing is written. */

#include "auth/auth.h"
#include "common/base/uuid.h"

#define RESETS    "password resets"
#define RESETS_US (500 * USEC_PER_MS)
#define PURGE_US  (600 * USEC_PER_SEC)

static const char *fresh_token(void)
{
    char *token = arena_alloc(fiber_arena(), CRYPTO_TOKEN_SIZE);
    crypto_token(token);
    return token;
}

/* Stores a token and sends it off; queued. */
static int link_add(struct pg_tx *tx, const char *purpose, const struct event_kind *kind,
    const struct user *u, int64_t lifetime_s)
{
    const char *token = fresh_token();
    TRY(store_mail_token_insert(tx, purpose, u, token, lifetime_s));
    return publish_link(tx, kind, u, token, clock_wall_us() + lifetime_s * USEC_PER_SEC);
}

/* ---- verification ---- */

int verification_add(struct request *req, struct pg_tx *tx, const struct user *u)
{
    TRY(store_mail_tokens_end(tx, PURPOSE_VERIFY, u->id));
    TRY(link_add(tx, PURPOSE_VERIFY, &EVENT_USER_VERIFICATION_REQUESTED, u,
        config_i64("VERIFICATION_TTL_S")));
    return audit(req, tx,
        (struct audit_entry){
            .type = "verification_requested", .user_id = u->id, .actor_id = u->id});
}

int post_email_verification(struct request *req)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct user *u;
    TRY(require_live(req));
    TRY(throttle(req, THROTTLE_VERIFICATION, req->caller.user_id));
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_user_lock(tx, req->caller.user_id, &u));
    if (!u)
        return refuse(req, OUTCOME_UNAUTHENTICATED, "This login has ended");
    if (u->email_verified)
        return refuse(req, AUTH_EMAIL_VERIFIED, "There is nothing left to do");
    TRY(verification_add(req, tx, u));
    TRY(pg_commit(tx));
    return reply_empty(req, 202);
}

static int refuse_link(struct request *req)
{
    return refuse(req, AUTH_INVALID_LINK, "Ask for another one");
}

int verify_email(struct request *req, const char *token)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct user *found, *u;
    TRY(throttle(req, THROTTLE_LINK, NULL));
    TRY(store_mail_token_user(PURPOSE_VERIFY, token, &found));
    if (!found)
        return refuse_link(req);
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_user_lock(tx, found->id, &u));
    TRY(store_mail_token_spend(tx, PURPOSE_VERIFY, token));
    int r = store_email_verify(tx, found->id, found->email, &u);
    if (r == AUTH_INVALID_LINK || (r == 0 && !u))
        return refuse_link(req);
    TRY(r);
    TRY(publish_user(tx, &EVENT_USER_UPDATED, u));
    TRY(audit(req, tx,
        (struct audit_entry){.type = "email_verified", .user_id = u->id, .actor_id = u->id}));
    TRY(pg_commit(tx));
    log_info("address verified", LF_TEXT("user", u->id));
    return 0;
}

int post_email_verification_confirm(struct request *req)
{
    const struct link_body *body = req->body;
    TRY(verify_email(req, body->token));
    return reply_empty(req, 204);
}

/* ---- a forgotten password ---- */

int post_password_reset(struct request *req)
{
    const struct reset_body *body = req->body;
    const char *email = email_normal(req->arena, body->email);
    char id[UUID_TEXT_SIZE];
    int r = throttle(req, THROTTLE_RESET, email);
    if (r == OUTCOME_TOO_MANY_REQUESTS) {
        log_info("password reset throttled", LF_TEXT("address", request_address(req)));
        return reply_empty(req, 202);
    }
    TRY(r);
    uuid_make(id);
    TRY(store_reset_request(&(struct reset_request){.id = id,
        .email = email,
        .address = request_address(req),
        .user_agent = request_user_agent(req),
        .correlation_id = req->correlation_id}));
    return reply_empty(req, 202);
}

static int reset_add(struct pg_tx *tx, const struct reset_request *request)
{
    struct user *u;
    TRY(store_user_by_email(tx, request->email, &u));
    if (!u || strcmp(u->status, "active") != 0)
        return 0;
    TRY(link_add(tx, PURPOSE_RESET, &EVENT_USER_RESET_REQUESTED, u, config_i64("RESET_TTL_S")));
    return store_audit_add(tx, &(struct audit_entry){.type = "reset_requested",
                                   .user_id = u->id,
                                   .address = request->address,
                                   .user_agent = request->user_agent,
                                   .correlation_id = request->correlation_id});
}

static int reset_next(bool *ret_more)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct reset_request *request;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_reset_take(tx, &request));
    *ret_more = request != NULL;
    if (!request)
        return 0;
    correlation_adopt(request->correlation_id);
    TRY(reset_add(tx, request));
    FAULT("reset_before_commit");
    return pg_commit(tx);
}

static int resets_tick(void)
{
    bool more = true;
    while (more && !app()->draining)
        TRY(reset_next(&more));
    return 0;
}

static int save_reset(
    struct request *req, const struct user *u, const char *token, const char *hash)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct user *now;
    bool is_new;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_user_lock(tx, u->id, &now));
    if (!now || strcmp(now->status, "active") != 0)
        return AUTH_INVALID_LINK;
    TRY(store_mail_token_spend(tx, PURPOSE_RESET, token));
    TRY(store_mail_tokens_end(tx, PURPOSE_RESET, u->id));
    TRY(store_password_save(tx, u->id, now->password_hash, hash));
    TRY(store_sessions_end(tx, u->id, NULL, "password"));
    TRY(publish_session(tx, &EVENT_USER_PASSWORD_CHANGED, u, NULL, req));
    TRY(audit(req, tx,
        (struct audit_entry){.type = "password_reset", .user_id = u->id, .actor_id = u->id}));
    TRY(store_client_seen(tx, u->id, request_client(req), &is_new));
    return pg_commit(tx);
}

int reset_password(struct request *req, const char *token, const char *new_password)
{
    const char *normal, *hash;
    struct user *u;
    TRY(passwords_admit(req));
    TRY(throttle(req, THROTTLE_LINK, NULL));
    TRY(store_mail_token_user(PURPOSE_RESET, token, &u));
    if (!u)
        return refuse_link(req);
    TRY(check_new_password(req, "/newPassword", new_password, u->email, &normal));
    TRY(password_hash(normal, &hash));
    int r = save_reset(req, u, token, hash);
    if (r == AUTH_INVALID_LINK)
        return refuse_link(req);
    TRY(r);
    log_info("password reset", LF_TEXT("user", u->id));
    return 0;
}

int post_password_reset_confirm(struct request *req)
{
    const struct reset_confirm_body *body = req->body;
    TRY(reset_password(req, body->token, body->new_password));
    return reply_empty(req, 204);
}

int recovery_start(void)
{
    if (strlen(config_text("MAIL_TOKEN_KEY")) < MAIL_TOKEN_KEY_MIN) {
        error_note("MAIL_TOKEN_KEY has less than %d characters", MAIL_TOKEN_KEY_MIN);
        return ERR(ERR_INVALID);
    }
    TRY(app_every(RESETS, RESETS_US, resets_tick));
    return app_every("recovery purge", PURGE_US, store_recovery_purge);
}
