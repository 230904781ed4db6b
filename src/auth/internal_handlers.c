/* What other services ask: keys, their own tokens, whether a shopper's token still counts, who a
 * user is. */

#include "auth/auth.h"

int get_jwks(struct request *req)
{
    reply_cache(req,
        arena_printf(req->arena, "public, max-age=%lld", (long long)config_i64("JWKS_MAX_AGE_S")));
    return reply_text(req, 200, "application/json", signing_jwks());
}

int post_service_token(struct request *req)
{
    const struct service_token_body *body = req->body;
    const char *token;
    int64_t lifetime_s = config_i64("SERVICE_TOKEN_TTL_S");
    if (!service_key_fits(body->service, body->api_key)) {
        log_warn("service token refused", LF_TEXT("service", body->service));
        return refuse(req, AUTH_INVALID_API_KEY, "Check AUTH_SERVICE_API_KEY of %s", body->service);
    }
    TRY(signing_sign(&(struct token_claims){.subject = body->service,
                         .audience = body->audience,
                         .roles = ROLE_SERVICE,
                         .issued_s = clock_wall_us() / USEC_PER_SEC,
                         .lifetime_s = lifetime_s},
        &token));
    return reply(req, 200, &service_token_answer_table,
        &(struct service_token_answer){.access_token = token, .expires_in = lifetime_s});
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
