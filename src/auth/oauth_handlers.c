/* OAuth 2.0 for libraries that speak it: the token endpoint (RFC 6749: refresh_token and
 * client_credentials), revocation (RFC 7009), introspection (RFC 7662), metadata (RFC 8414). There
 * are two kinds of clients. `souk-app` is everybody's: it has no secret, and a refresh token is its
 * own proof. The services are the others, known by name, each with a secret of its own; with it a
 * service gets tokens for one callee at a time.
 *
 * Forms come in, and refusals are OAuth's: {"error","error_description"} instead of a problem
 * document. The steps return outcomes like everywhere else; answer() at the end of each handler
 * writes those of OAuth (their codes are the RFCs') and leaves the rest (too many requests, 5xx) to
 * the common way. */

#include "auth/auth.h"
#include "common/app/form.h"

#define BASIC_LIMIT     1024
#define RESOURCE_PREFIX "urn:souk:"

struct client {
    const char *id;
    bool is_service; /* and has shown its secret */
};

/* ---- answers ---- */

static int answer(struct request *req, int r)
{
    if (r == AUTH_INVALID_REFRESH_TOKEN || r == AUTH_REFRESH_TOKEN_REUSED)
        r = AUTH_OAUTH_INVALID_GRANT;
    if (r < AUTH_OAUTH_INVALID_REQUEST || r > AUTH_OAUTH_UNSUPPORTED_TOKEN_TYPE)
        return r < 0 ? ERR(r) : r;
    const struct outcome_row *row = outcome_find(r);
    if (row->status == 401)
        reply_header(req, "WWW-Authenticate", "Basic realm=\"souk\", charset=\"UTF-8\"");
    return reply(req, row->status, &oauth_error_table,
        &(struct oauth_error){
            .error = row->code, .error_description = req->detail ? req->detail : row->title});
}

/* The body as a struct of the route's table. */
static int read_form(struct request *req)
{
    const struct table *t = req->route->body;
    void *value = arena_alloc(req->arena, t->size);
    struct json_errors errors;
    if (!form_type_fits(request_header(req, "Content-Type")))
        return refuse(req, AUTH_OAUTH_INVALID_REQUEST,
            "Send Content-Type: application/x-www-form-urlencoded");
    if (form_read(req->arena, req->http->body, t, value, &errors) != 0)
        return refuse(req, AUTH_OAUTH_INVALID_REQUEST, "%s %s",
            errors.at[0].pointer + (*errors.at[0].pointer == '/'), errors.at[0].detail);
    req->body = value;
    return 0;
}

/* ---- clients ---- */

/* RFC 6749, 2.3.1: both halves are form-encoded before they are joined and put into base64. */
static bool read_basic(
    struct request *req, struct span credentials, const char **ret_id, const char **ret_secret)
{
    char text[BASIC_LIMIT], *plain = arena_alloc(req->arena, BASIC_LIMIT);
    struct span secret, raw_id, id, decoded;
    if (credentials.len >= sizeof(text))
        return false;
    memcpy(text, credentials.ptr, credentials.len);
    size_t len = credentials.len;
    for (int padding = 0; padding < 2 && len > 0 && text[len - 1] == '='; padding++)
        len--;
    for (size_t i = 0; i < len; i++)
        text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    ssize_t n = crypto_base64url_decode(span_make(text, len), (uint8_t *)plain, BASIC_LIMIT);
    if (n <= 0)
        return false;
    secret = span_make(plain, (size_t)n);
    if (!span_cut(&secret, ':', &raw_id) || !secret.ptr ||
        !http_percent_decode(req->arena, raw_id, true, &id) ||
        !http_percent_decode(req->arena, secret, true, &decoded))
        return false;
    *ret_id = arena_strndup(req->arena, id.ptr, id.len);
    *ret_secret = arena_strndup(req->arena, decoded.ptr, decoded.len);
    return true;
}

/* A guess costs a token of the address's bucket; who knows the secret is never held up by others'
 * guesses. */
static int refuse_client(struct request *req, const char *id)
{
    log_warn("client refused", LF_TEXT("client", id), LF_TEXT("address", request_address(req)));
    TRY(throttle(req, THROTTLE_CLIENT, NULL));
    return refuse(
        req, AUTH_OAUTH_INVALID_CLIENT, "This client is not known, or its secret is wrong");
}

static int identify(
    struct request *req, const char *body_id, const char *body_secret, struct client *ret_client)
{
    struct span header = request_header(req, "Authorization");
    const char *id = body_id, *secret = body_secret;
    if (header.len > 6 && span_equal_nocase(span_make(header.ptr, 6), SPAN("Basic "))) {
        if (!read_basic(req, span_trim(span_make(header.ptr + 6, header.len - 6)), &id, &secret))
            return refuse_client(req, NULL);
        if (body_secret || (body_id && strcmp(body_id, id) != 0))
            return refuse(req, AUTH_OAUTH_INVALID_REQUEST, "The client is named twice");
    }
    if (!id)
        return refuse_client(req, NULL);
    if (strcmp(id, OAUTH_PUBLIC_CLIENT) == 0 && (!secret || !*secret)) {
        *ret_client = (struct client){.id = OAUTH_PUBLIC_CLIENT};
        return 0;
    }
    if (!secret || !service_known(id) || !service_key_fits(id, secret))
        return refuse_client(req, id);
    *ret_client = (struct client){.id = id, .is_service = true};
    return 0;
}

/* ---- tokens ---- */

static int audience_of(struct request *req, const struct oauth_token_form *form, const char **ret)
{
    struct span resource = span_of(form->resource);
    const char *audience = form->audience;
    if (form->resource) {
        if (!span_starts(resource, SPAN(RESOURCE_PREFIX)))
            return refuse(
                req, AUTH_OAUTH_INVALID_TARGET, "resource is " RESOURCE_PREFIX "<service>");
        const char *named = form->resource + sizeof(RESOURCE_PREFIX) - 1;
        if (audience && strcmp(audience, named) != 0)
            return refuse(req, AUTH_OAUTH_INVALID_TARGET, "resource and audience are not the same");
        audience = named;
    }
    if (!audience || !service_known(audience))
        return refuse(req, AUTH_OAUTH_INVALID_TARGET, "Name one service in audience");
    *ret = audience;
    return 0;
}

static int grant_client_credentials(
    struct request *req, const struct oauth_token_form *form, const struct client *client)
{
    const char *audience, *token;
    int64_t lifetime_s = config_i64("SERVICE_TOKEN_TTL_S");
    if (!client->is_service)
        return refuse(req, AUTH_OAUTH_UNAUTHORIZED_CLIENT, "Only services have this grant");
    TRY(audience_of(req, form, &audience));
    TRY(signing_sign(&(struct token_claims){.subject = client->id,
                         .audience = audience,
                         .roles = ROLE_SERVICE,
                         .issued_s = clock_wall_us() / USEC_PER_SEC,
                         .lifetime_s = lifetime_s},
        &token));
    return reply(req, 200, &oauth_token_table,
        &(struct oauth_token){
            .access_token = token, .token_type = "Bearer", .expires_in = lifetime_s});
}

static int grant_refresh_token(
    struct request *req, const struct oauth_token_form *form, const struct client *client)
{
    struct session_grant grant;
    if (client->is_service)
        return refuse(req, AUTH_OAUTH_UNAUTHORIZED_CLIENT, "Services have no sessions");
    if (!form->refresh_token)
        return refuse(req, AUTH_OAUTH_INVALID_REQUEST, "refresh_token is required");
    TRY(session_refresh(req, form->refresh_token, &grant));
    return reply(req, 200, &oauth_token_table,
        &(struct oauth_token){.access_token = grant.access_token,
            .token_type = "Bearer",
            .expires_in = config_i64("ACCESS_TOKEN_TTL_S"),
            .refresh_token = grant.refresh_token});
}

static int give_token(struct request *req)
{
    struct client client;
    TRY(read_form(req));
    const struct oauth_token_form *form = req->body;
    TRY(identify(req, form->client_id, form->client_secret, &client));
    if (form->scope)
        return refuse(req, AUTH_OAUTH_INVALID_SCOPE, "There are no scopes");
    if (strcmp(form->grant_type, "client_credentials") == 0)
        return grant_client_credentials(req, form, &client);
    if (strcmp(form->grant_type, "refresh_token") == 0)
        return grant_refresh_token(req, form, &client);
    return refuse(req, AUTH_OAUTH_UNSUPPORTED_GRANT_TYPE,
        "grant_type is refresh_token or client_credentials");
}

int post_oauth_token(struct request *req)
{
    return answer(req, give_token(req));
}

/* ---- revocation ---- */

/* Whose login a token belongs to; NULL: no live one. */
struct login {
    const char *session_id, *user_id;
};

static int find_login(struct request *req, const char *token, struct login *ret_login)
{
    struct refresh_state *state;
    struct caller caller = {0};
    struct login login = {0};
    if (strchr(token, '.')) {
        int r = token_verify(req->arena, span_of(token), NULL, &caller);
        if (r < 0)
            return ERR(r);
        if (r == 0)
            login = (struct login){caller.session_id, caller.user_id};
    } else {
        TRY(store_refresh_state(token, &state));
        if (state && state->session_live)
            login = (struct login){state->session_id, state->user_id};
    }
    *ret_login = login;
    return 0;
}

/* Either of a login's tokens ends the whole login. What is unknown needs no revocation, so it is
 * answered alike. */
static int revoke(struct request *req)
{
    struct client client;
    struct login login;
    bool ended;
    TRY(read_form(req));
    const struct oauth_presented_form *form = req->body;
    TRY(identify(req, form->client_id, form->client_secret, &client));
    if (client.is_service)
        return refuse(req, AUTH_OAUTH_UNSUPPORTED_TOKEN_TYPE,
            "A service's tokens live for minutes; replace its key to stop it");
    TRY(find_login(req, form->token, &login));
    if (login.session_id)
        TRY(session_end(req, login.user_id, login.session_id, "logout", "logout", &ended));
    return reply_empty(req, 200);
}

int post_oauth_revoke(struct request *req)
{
    return answer(req, revoke(req));
}

/* ---- introspection ---- */

/* The asking service shows its secret, or a token of its own for auth. */
static int identify_asker(
    struct request *req, const struct oauth_presented_form *form, const char **ret_service)
{
    struct client client;
    if (req->caller.service) {
        *ret_service = req->caller.service;
        return 0;
    }
    TRY(identify(req, form->client_id, form->client_secret, &client));
    if (!client.is_service)
        return refuse_client(req, client.id);
    *ret_service = client.id;
    return 0;
}

static int reply_inactive(struct request *req)
{
    return reply_text(req, 200, NULL, SPAN("{\"active\":false}"));
}

/* A user's token, or a service's for the one that asks: what was presented to somebody else is
 * nobody's business. Refresh tokens are shown to auth alone, so they are not active here. */
static int introspect(struct request *req)
{
    struct caller caller = {0};
    const char *asker;
    struct user *u = NULL;
    TRY(read_form(req));
    const struct oauth_presented_form *form = req->body;
    TRY(identify_asker(req, form, &asker));
    int r = token_verify(req->arena, span_of(form->token), asker, &caller);
    if (r != 0)
        return r < 0 ? ERR(r) : reply_inactive(req);
    struct oauth_introspection found = {.active = true,
        .iss = config_text("PUBLIC_URL"),
        .sub = caller.service,
        .aud = caller.service ? asker : TOKEN_AUDIENCE_USER,
        .client_id = caller.service ? caller.service : OAUTH_PUBLIC_CLIENT,
        .token_type = "Bearer",
        .exp = caller.expires_s};
    if (!caller.service) {
        if (caller.user_id && caller.session_id)
            TRY(store_session_user(caller.session_id, caller.user_id, &u));
        if (!u)
            return reply_inactive(req);
        found.sub = u->id;
        found.username = u->email;
        found.sid = caller.session_id;
        found.roles = u->roles;
    }
    return reply(req, 200, &oauth_introspection_table, &found);
}

int post_oauth_introspect(struct request *req)
{
    return answer(req, introspect(req));
}

/* ---- metadata ---- */

static void put_texts(struct json_writer *w, const char *name, const char *const *texts)
{
    json_key(w, name);
    json_array_begin(w);
    for (; *texts; texts++)
        json_text(w, *texts);
    json_array_end(w);
}

static void put_url(struct request *req, struct json_writer *w, const char *name, const char *path)
{
    json_put_text(w, name, arena_printf(req->arena, "%s%s", config_text("PUBLIC_URL"), path));
}

int get_oauth_metadata(struct request *req)
{
    static const char *const grants[] = {"refresh_token", "client_credentials", NULL};
    static const char *const any_client[] = {
        "none", "client_secret_basic", "client_secret_post", NULL};
    static const char *const none[] = {NULL};
    struct buf text = {0};
    struct json_writer w = json_writer_on(&text);
    json_object_begin(&w);
    json_put_text(&w, "issuer", config_text("PUBLIC_URL"));
    put_url(req, &w, "token_endpoint", "/oauth2/token");
    put_url(req, &w, "revocation_endpoint", "/oauth2/revoke");
    put_url(req, &w, "introspection_endpoint", "/oauth2/introspect");
    put_url(req, &w, "jwks_uri", "/.well-known/jwks.json");
    put_texts(&w, "grant_types_supported", grants);
    put_texts(&w, "response_types_supported", none); /* there is no authorization endpoint */
    put_texts(&w, "token_endpoint_auth_methods_supported", any_client);
    put_texts(
        &w, "revocation_endpoint_auth_methods_supported", (const char *const[]){"none", NULL});
    put_texts(&w, "introspection_endpoint_auth_methods_supported", &any_client[1]);
    json_object_end(&w);
    reply_cache(req, "public, max-age=300");
    int r = reply_text(req, 200, "application/json", buf_span(&text));
    buf_deinit(&text);
    return r;
}
