/* Coming in and going out: registration, login, refresh, sessions, passwords. */

#include <stdio.h>

#include "auth/auth.h"
#include "common/app/metrics.h"
#include "common/base/uuid.h"

#define USER_AGENT_LIMIT 200

static struct metric logins = {.name = "souk_auth_logins_total",
    .help = "Attempts to come in, by how they ended.",
    .labels = "result"};

static const char *fresh_id(struct request *req)
{
    char *id = arena_alloc(req->arena, UUID_TEXT_SIZE);
    uuid_make(id);
    return id;
}

const char *request_address(const struct request *req)
{
    return text_tame(req->arena, req->http->client_address, 64);
}

const char *request_user_agent(const struct request *req)
{
    return text_tame(req->arena, request_header(req, "User-Agent"), USER_AGENT_LIMIT);
}

const char *request_network(const struct request *req)
{
    return address_network(req->arena, request_address(req));
}

const char *request_client(const struct request *req)
{
    char digest[SHA256_HEX_SIZE];
    crypto_sha256_hex(
        span_of(arena_printf(req->arena, "%s\n%s", request_network(req), request_user_agent(req))),
        digest);
    return arena_strdup(req->arena, digest);
}

/* ---- who is asking ---- */

int require_live(struct request *req)
{
    struct user *u = NULL;
    if (!req->caller.user_id)
        return 0;
    if (req->caller.session_id)
        TRY(store_session_user(req->caller.session_id, req->caller.user_id, &u));
    if (!u)
        return refuse(req, OUTCOME_UNAUTHENTICATED, "This login has ended");
    req->caller.roles = roles_of(u->roles);
    return 0;
}

int require_own(struct request *req, const char *user_id)
{
    TRY(require_live(req));
    bool own = req->caller.user_id && strcmp(req->caller.user_id, user_id) == 0;
    if (!own && !caller_is(req, ROLE_ADMIN | ROLE_SERVICE))
        return refuse(req, OUTCOME_NOT_FOUND, "There is no user %s for you", user_id);
    return 0;
}

/* ---- tokens ---- */

static int sign_for(const struct user *u, const char *session_id, const char **ret_token)
{
    return signing_sign(&(struct token_claims){.subject = u->id,
                            .audience = TOKEN_AUDIENCE_USER,
                            .email = u->email,
                            .name = u->name,
                            .session_id = session_id,
                            .roles = roles_of(u->roles),
                            .issued_s = clock_wall_us() / USEC_PER_SEC,
                            .lifetime_s = config_i64("ACCESS_TOKEN_TTL_S")},
        ret_token);
}

static int reply_tokens(
    struct request *req, int status, struct user *u, const char *access, const char *refresh)
{
    return reply(req, status, &token_pair_table,
        &(struct token_pair){.user = u,
            .access_token = access,
            .refresh_token = refresh,
            .token_type = "Bearer",
            .expires_in = config_i64("ACCESS_TOKEN_TTL_S")});
}

static struct session_new session_for(struct request *req, const struct user *u)
{
    char *refresh = arena_alloc(req->arena, CRYPTO_TOKEN_SIZE);
    crypto_token(refresh);
    return (struct session_new){.id = fresh_id(req),
        .user_id = u->id,
        .user_agent = request_user_agent(req),
        .address = request_address(req),
        .client = request_client(req),
        .lifetime_s = config_i64("REFRESH_TOKEN_TTL_S"),
        .refresh_token = refresh,
        .password_hash = u->password_hash,
        .roles = roles_of(u->roles)};
}

/* ---- coming in ---- */

static struct list initial_roles(struct request *req, const char *role)
{
    const char **names = arena_array(req->arena, 2, sizeof(*names));
    bool sells = role && strcmp(role, "seller") == 0;
    names[0] = "user";
    names[1] = "seller";
    return (struct list){.len = sells ? 2 : 1, .items = names};
}

static struct audit_entry about_session(
    const char *type, const char *user_id, const char *session_id)
{
    return (struct audit_entry){
        .type = type, .user_id = user_id, .actor_id = user_id, .session_id = session_id};
}

/* The account, its first session, the events and the first link are one transaction. */
static int save_registration(struct request *req, const struct user *u, const struct session_new *s)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    bool is_new;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_user_insert(tx, u));
    TRY(store_session_insert(tx, s));
    TRY(publish_user(tx, &EVENT_USER_REGISTERED, u));
    TRY(verification_add(req, tx, u));
    TRY(audit(req, tx, about_session("registered", u->id, s->id)));
    TRY(store_client_seen(tx, u->id, s->client, &is_new));
    FAULT("register_before_commit");
    TRY(pg_commit(tx));
    FAULT("register_after_commit");
    return 0;
}

int post_register(struct request *req)
{
    const struct register_body *body = req->body;
    const char *email = email_normal(req->arena, body->email), *password, *hash, *access;
    TRY(passwords_admit(req));
    TRY(throttle(req, THROTTLE_REGISTER, NULL));
    TRY(check_new_password(req, "/password", body->password, email, &password));
    TRY(password_hash(password, &hash));
    int64_t now_us = clock_wall_us();
    struct user u = {.id = fresh_id(req),
        .email = email,
        .name = body->name,
        .phone = body->phone,
        .roles = initial_roles(req, body->role),
        .status = "active",
        .created_at = now_us,
        .updated_at = now_us,
        .password_hash = hash};
    struct session_new s = session_for(req, &u);
    TRY(sign_for(&u, s.id, &access));
    int r = save_registration(req, &u, &s);
    if (r == PG_UNIQUE && strcmp(pg_constraint(), "users_email_key") == 0)
        return refuse(req, AUTH_EMAIL_TAKEN, "Log in, or use another e-mail address");
    TRY(r);
    metric_add(&logins, 1, "registered");
    reply_header(req, "Location", arena_printf(req->arena, "/api/v1/users/%s", u.id));
    return reply_tokens(req, 201, &u, access, s.refresh_token);
}

/* An account that was always used from elsewhere tells its owner; the first client is no news. */
static int save_login(struct request *req, const struct user *u, const struct session_new *s)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    bool is_new;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_session_insert(tx, s));
    TRY(audit(req, tx, about_session("login", u->id, s->id)));
    TRY(store_client_seen(tx, u->id, s->client, &is_new));
    if (is_new)
        TRY(publish_session(tx, &EVENT_USER_CLIENT_ADDED, u, s->id, req));
    return pg_commit(tx);
}

static int refuse_login(struct request *req, const struct user *u)
{
    metric_add(&logins, 1, "refused");
    log_info("login refused", LF_TEXT("user", u ? u->id : NULL),
        LF_TEXT("address", request_address(req)));
    TRY(audit(
        req, NULL, (struct audit_entry){.type = "login_failed", .user_id = u ? u->id : NULL}));
    return refuse(req, AUTH_INVALID_CREDENTIALS, "Check both and try again");
}

/* Unknown address, closed account and wrong password look alike and cost alike. */
int post_login(struct request *req)
{
    const struct login_body *body = req->body;
    const char *email = email_normal(req->arena, body->email), *fresh_hash, *access;
    const char *password = password_normal(req->arena, body->password);
    struct user *u;
    bool right;
    TRY(passwords_admit(req));
    TRY(throttle(req, THROTTLE_LOGIN, email));
    TRY(store_user_find_by_email(email, &u));
    bool active = u && strcmp(u->status, "active") == 0;
    TRY(password_check(
        active ? u->password_hash : NULL, password ? password : "", &right, &fresh_hash));
    if (!right)
        return refuse_login(req, u);
    struct session_new s = session_for(req, u);
    TRY(sign_for(u, s.id, &access));
    int r = save_login(req, u, &s);
    if (r == AUTH_INVALID_CREDENTIALS) /* closed, other password or roles, since it was looked up */
        return refuse_login(req, u);
    TRY(r);
    if (fresh_hash)
        TRY(store_rehash(u->id, u->password_hash, fresh_hash));
    metric_add(&logins, 1, "accepted");
    log_info("login", LF_TEXT("user", u->id), LF_TEXT("session", s.id));
    return reply_tokens(req, 200, u, access, s.refresh_token);
}

/* ---- staying in ---- */

/* Ends the family, once, and lets the owner know. */
static int end_reused(struct request *req, const struct refresh_state *state)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct audit_entry entry = {
        .type = "token_reused", .user_id = state->user_id, .session_id = state->session_id};
    struct user *u;
    bool ended;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_user_lock(tx, state->user_id, &u));
    TRY(store_session_end(tx, state->session_id, state->user_id, "reuse", &ended));
    if (!ended)
        return 0;
    if (u)
        TRY(publish_session(tx, &EVENT_USER_REUSE_DETECTED, u, state->session_id, req));
    TRY(audit(req, tx, entry));
    TRY(pg_commit(tx));
    log_warn("refresh token used twice: session ended", LF_TEXT("user", state->user_id),
        LF_TEXT("session", state->session_id), LF_TEXT("address", request_address(req)));
    metric_add(&logins, 1, "reused");
    return 0;
}

/* The token could not be spent: the answer to its first use got lost, or something is wrong. */
static int refresh_again(
    struct request *req, const char *token, const char *client, struct session_grant *grant)
{
    struct refresh_state *state;
    TRY(store_refresh_state(token, &state));
    switch (refresh_judge(state, client, clock_wall_us())) {
    case REFRESH_REPEAT:
        grant->session_id = state->session_id;
        TRY(store_session_user(state->session_id, state->user_id, &grant->user));
        if (grant->user)
            return 0;
        break;
    case REFRESH_REUSED:
        TRY(end_reused(req, state));
        return refuse(req, AUTH_REFRESH_TOKEN_REUSED, "The session was ended for safety");
    case REFRESH_UNKNOWN:
        break;
    }
    return refuse(req, AUTH_INVALID_REFRESH_TOKEN, "This refresh token is not good (any more)");
}

int session_refresh(struct request *req, const char *refresh_token, struct session_grant *ret_grant)
{
    char *successor = arena_alloc(req->arena, CRYPTO_TOKEN_SIZE);
    const char *client = request_client(req);
    struct refreshed *refreshed;
    struct session_grant grant = {.refresh_token = successor};
    TRY(throttle(req, THROTTLE_REFRESH, NULL));
    refresh_successor(signing_refresh_secret(), refresh_token, successor);
    FAULT("refresh_before_commit");
    TRY(store_refresh(
        refresh_token, successor, client, config_i64("REFRESH_TOKEN_TTL_S"), &refreshed));
    FAULT("refresh_after_commit");
    if (refreshed) {
        grant.user = &refreshed->user;
        grant.session_id = refreshed->session_id;
    } else {
        TRY(refresh_again(req, refresh_token, client, &grant));
    }
    TRY(sign_for(grant.user, grant.session_id, &grant.access_token));
    *ret_grant = grant;
    return 0;
}

int post_refresh(struct request *req)
{
    const struct refresh_body *body = req->body;
    struct session_grant grant;
    TRY(session_refresh(req, body->refresh_token, &grant));
    return reply_tokens(req, 200, grant.user, grant.access_token, grant.refresh_token);
}

/* ---- going out ---- */

int session_end(struct request *req, const char *user_id, const char *session_id,
    const char *reason, const char *audit_type, bool *ret_ended)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    bool ended;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_session_end(tx, session_id, user_id, reason, &ended));
    if (ended)
        TRY(audit(req, tx, about_session(audit_type, user_id, session_id)));
    TRY(pg_commit(tx));
    *ret_ended = ended;
    return 0;
}

int post_logout(struct request *req)
{
    bool ended;
    if (req->caller.session_id)
        TRY(session_end(
            req, req->caller.user_id, req->caller.session_id, "logout", "logout", &ended));
    return reply_empty(req, 204); /* also when it had ended before */
}

int get_sessions(struct request *req)
{
    const struct user_params *p = req->params;
    struct place before;
    const char *next = NULL;
    struct list rows;
    TRY(require_live(req));
    TRY(place_read(req, p->cursor, true, &before));
    TRY(store_sessions(
        req->caller.user_id, req->caller.session_id, before.number, before.id, p->limit, &rows));
    if ((int64_t)rows.len > p->limit) {
        rows.len = (size_t)p->limit;
        const struct session *last = LIST_AT(rows, struct session, rows.len - 1);
        next = place_cursor(req->arena, last->created_at, last->id);
    }
    return reply_page(req, &session_table, rows, next);
}

int delete_session(struct request *req)
{
    const struct user_params *p = req->params;
    bool ended;
    TRY(require_live(req));
    TRY(session_end(req, req->caller.user_id, p->session_id, "revoked", "session_revoked", &ended));
    if (!ended)
        return refuse(req, OUTCOME_NOT_FOUND, "You have no session %s", p->session_id);
    return reply_empty(req, 204);
}

/* ---- passwords ---- */

static int save_password(struct request *req, const struct user *u, const char *hash)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_password_save(tx, u->id, u->password_hash, hash));
    TRY(store_sessions_end(tx, u->id, req->caller.session_id, "password"));
    TRY(store_mail_tokens_end(tx, PURPOSE_RESET, u->id));
    TRY(publish_session(tx, &EVENT_USER_PASSWORD_CHANGED, u, req->caller.session_id, req));
    TRY(audit(req, tx, about_session("password_changed", u->id, req->caller.session_id)));
    return pg_commit(tx);
}

int check_new_password(struct request *req, const char *pointer, const char *password,
    const char *email, const char **ret_normal)
{
    const char *normal = password_normal(req->arena, password);
    const char *problem = normal ? password_problem(normal, email) : "must be valid text";
    if (!problem && password_listed(req->arena, normal))
        problem = "is one of the first that anybody would try";
    if (problem)
        return refuse_field(req, pointer, "%s", problem);
    *ret_normal = normal;
    return 0;
}

int post_password(struct request *req)
{
    const struct password_body *body = req->body;
    const char *hash, *fresh, *current = password_normal(req->arena, body->current_password);
    struct user *u;
    bool right;
    TRY(passwords_admit(req));
    TRY(require_live(req));
    TRY(store_user_find(req->caller.user_id, &u));
    TRY(throttle(req, THROTTLE_PASSWORD, u->id));
    TRY(check_new_password(req, "/newPassword", body->new_password, u->email, &fresh));
    TRY(password_check(u->password_hash, current ? current : "", &right, NULL));
    if (!right)
        return refuse_field(req, "/currentPassword", "is not your password");
    TRY(password_hash(fresh, &hash));
    int r = save_password(req, u, hash);
    if (r == AUTH_INVALID_CREDENTIALS) /* a reset was faster: it wins */
        return refuse_field(req, "/currentPassword", "is not your password any more");
    TRY(r);
    log_info("password changed", LF_TEXT("user", u->id));
    return reply_empty(req, 204);
}
