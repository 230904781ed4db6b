/* What other services ask: keys, whether a shopper's token still counts, who a user is. */

#include "auth/auth.h"

int get_jwks(struct request *req)
{
    reply_cache(req,
        arena_printf(req->arena, "public, max-age=%lld", (long long)config_i64("JWKS_MAX_AGE_S")));
    return reply_text(req, 200, "application/json", signing_jwks());
}

/* The signature, then the session and its user as they are now: one round trip. */
int post_introspect(struct request *req)
{
    const struct introspect_body *body = req->body;
    struct caller caller = {0};
    struct introspection answer = {0};
    struct user *u = NULL;
    int r = token_verify(req->arena, span_of(body->token), app()->service->name, &caller);
    if (r < 0)
        return ERR(r);
    if (r == 0 && caller.user_id && caller.session_id)
        TRY(store_session_user(caller.session_id, caller.user_id, &u));
    if (u)
        answer = (struct introspection){.active = true,
            .user_id = u->id,
            .email = u->email,
            .name = u->name,
            .roles = u->roles,
            .session_id = caller.session_id,
            .expires_at = caller.expires_s * USEC_PER_SEC};
    return reply(req, 200, &introspection_table, &answer);
}

/* Of everybody's sessions: an access token names its own. */
int get_revocations(struct request *req)
{
    const struct revocation_params *p = req->params;
    struct place after;
    const char *next = NULL;
    struct list rows;
    TRY(place_read(req, p->cursor, true, &after));
    TRY(store_revocations(p->since, &after, p->limit, &rows));
    if ((int64_t)rows.len > p->limit) {
        rows.len = (size_t)p->limit;
        const struct revocation *last = LIST_AT(rows, struct revocation, rows.len - 1);
        next = place_cursor(req->arena, last->ended_at, last->session_id);
    }
    return reply_page(req, &revocation_table, rows, next);
}

int get_internal_user(struct request *req)
{
    const struct user_params *p = req->params;
    struct user *u;
    TRY(store_user_find(p->user_id, &u));
    if (!u)
        return refuse(req, OUTCOME_NOT_FOUND, "There is no user %s", p->user_id);
    return reply(req, 200, &internal_user_table, u);
}

int get_internal_address(struct request *req)
{
    const struct user_params *p = req->params;
    struct user_address *a;
    TRY(store_address_find(p->user_id, p->address_id, &a));
    if (!a)
        return refuse(req, OUTCOME_NOT_FOUND, "There is no address %s", p->address_id);
    return reply(req, 200, &internal_address_table, a);
}
