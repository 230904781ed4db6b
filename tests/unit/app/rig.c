#include "rig.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/app/dispatch.h"
#include "common/app/form.h"
#include "common/app/front.h"
#include "common/app/migrations.h"
#include "common/app/peers.h"
#include "common/app/settings.h"
#include "common/app/token.h"
#include "common/base/crypto.h"

/* ---- the service ---- */

unsigned makes, token_asks;
bool waiting;
int wait_result, token_status;
int64_t token_life_s = 300;
const char *refused_bearer;

struct thing {
    const char *name, *how;
};
static const struct field thing_fields[] = {
    FIELD_TEXT(struct thing, name, "name", .required = true, .max = 20),
    FIELD_TEXT(struct thing, how, "how"),
};
static const struct table thing_table = TABLE("Thing", struct thing, thing_fields);

struct thing_params {
    const char *id, *colour;
    int64_t limit, at_least;
    bool flag;
};
static const char *const colours[] = {"red", "blue", NULL};
static const struct field thing_params_fields[] = {
    FIELD_UUID(struct thing_params, id, "id", .required = true),
    FIELD_TEXT(struct thing_params, colour, "colour", .choices = colours),
    FIELD_I64(struct thing_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
    FIELD_I64(struct thing_params, at_least, "atLeast", .min = 1),
    FIELD_BOOL(struct thing_params, flag, "flag", .fallback = 1),
};
static const struct table thing_params_table =
    TABLE("ThingParams", struct thing_params, thing_params_fields);

enum { SQL_MAKE };
static const struct pg_statement statements[] = {
    [SQL_MAKE] = {"make", "INSERT INTO things (name) VALUES ($1)"},
};

static int get_thing(struct request *req)
{
    const struct thing_params *p = req->params;
    reply_cache(req, "public, max-age=5");
    return reply_text(req, 200, "text/plain",
        span_of(arena_printf(req->arena, "%s %s %lld %lld %d", p->id,
            p->colour ? p->colour : "none", (long long)p->limit, (long long)p->at_least, p->flag)));
}

static int wait_for_ever(void)
{
    waiting = true;
    wait_result = fiber_sleep(30 * USEC_PER_SEC);
    return wait_result < 0 ? ERR(wait_result) : 0;
}

/* "stored": answer and effect commit together; "apart": the answer is kept afterwards. */
static int make_thing(struct request *req, const struct thing *t, bool stored)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    TRY(pg_begin(app()->pg, &tx));
    TRY(pg_queue(tx, &statements[SQL_MAKE], PG_ARGS(PG_TEXT(t->name))));
    reply_header(req, "Location", arena_printf(req->arena, "/things/%s", t->name));
    reply_etag(req, 1);
    if (stored)
        TRY(reply_stored(req, tx, 201, &thing_table, t));
    int r = pg_commit(tx);
    if (r == PG_UNIQUE)
        return refuse(req, OUTCOME_CONFLICT, "There is a %s", t->name);
    TRY(r);
    return stored ? 0 : reply(req, 201, &thing_table, t);
}

static int post_thing(struct request *req)
{
    const struct thing *t = req->body;
    const char *how = t->how ? t->how : "stored";
    makes++;
    if (strcmp(how, "broken") == 0)
        return error_note("a secret of ours"), ERR(ERR_PROTOCOL);
    if (strcmp(how, "busy") == 0)
        return ERR(ERR_BUSY);
    if (strcmp(how, "away") == 0)
        return OUTCOME_UNAVAILABLE;
    if (strcmp(how, "unlisted") == 0)
        return 4711;
    if (strcmp(how, "picky") == 0)
        return refuse_field(req, "/name", "is not %s enough", "nice");
    if (strcmp(how, "wait") == 0)
        return wait_for_ever();
    if (strcmp(how, "silent") == 0)
        return 0;
    return make_thing(req, t, strcmp(how, "stored") == 0);
}

static int get_admin(struct request *req)
{
    return reply_text(req, 200, "text/plain", span_of(req->caller.user_id));
}

struct token_ask {
    const char *grant_type, *client_id, *client_secret, *audience;
};
static const struct field token_ask_fields[] = {
    FIELD_TEXT(struct token_ask, grant_type, "grant_type", .required = true),
    FIELD_TEXT(struct token_ask, client_id, "client_id", .required = true),
    FIELD_TEXT(struct token_ask, client_secret, "client_secret", .required = true),
    FIELD_TEXT(struct token_ask, audience, "audience", .required = true),
};
static const struct table token_ask_table = TABLE("TokenAsk", struct token_ask, token_ask_fields);

static int post_token(struct request *req)
{
    struct token_ask ask;
    struct json_errors errors;
    unsigned number = ++token_asks;
    (void)fiber_sleep(30 * USEC_PER_MS);
    if (token_status)
        return token_status;
    cr_assert(form_type_fits(request_header(req, "Content-Type")));
    cr_assert_eq(form_read(req->arena, req->http->body, &token_ask_table, &ask, &errors), 0);
    cr_assert_str_eq(ask.grant_type, "client_credentials");
    cr_assert_str_eq(ask.client_id, "rig");
    cr_assert_str_eq(ask.client_secret, "key");
    cr_assert_str_eq(ask.audience, "self");
    return reply_text(req, 200, NULL,
        span_of(arena_printf(req->arena,
            "{\"access_token\":\"t%u\",\"token_type\":\"Bearer\",\"expires_in\":%lld}", number,
            (long long)token_life_s)));
}

static int get_whoami(struct request *req)
{
    struct span bearer = request_header(req, "Authorization");
    if (refused_bearer && span_equal(bearer, span_of(refused_bearer)))
        return OUTCOME_UNAUTHENTICATED;
    return reply_text(req, 200, NULL,
        span_of(arena_printf(req->arena, "{\"name\":\"%.*s\",\"how\":\"%s\"}", SPAN_ARG(bearer),
            req->correlation_id)));
}

static const struct route routes[] = {
    {HTTP_GET, "/things/{id}", ROLE_ANYONE, get_thing, .params = &thing_params_table},
    {HTTP_POST, "/things", ROLE_USER, post_thing, .body = &thing_table,
        .idempotency = IDEMPOTENCY_ACCEPTED, .match = MATCH_ACCEPTED,
        .token_header = "X-Thing-Token"},
    {HTTP_POST, "/whoami", ROLE_ANYONE, get_whoami, .idempotency = IDEMPOTENCY_ACCEPTED,
        .token_header = "X-Thing-Token"},
    {HTTP_POST, "/required", ROLE_USER, post_thing, .body = &thing_table,
        .idempotency = IDEMPOTENCY_REQUIRED},
    {HTTP_GET, "/admin", ROLE_ADMIN, get_admin},
    {HTTP_POST, "/oauth2/token", ROLE_ANYONE, post_token, .body = &token_ask_table, .form = true},
    {HTTP_GET, "/whoami", ROLE_ANYONE, get_whoami},
};
static const struct service rig_service = {
    .name = "rig", .routes = routes, .routes_count = ARRAY_SIZE(routes)};

/* ---- its life ---- */

struct http_server *rig_server;
struct http_peer *rig_peer;
static char *private_pem, *public_pem;

const char *rig_base_url(void)
{
    static char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", http_server_port(rig_server));
    return url;
}

static void run_body(void *arg)
{
    void (**body)(void) = arg;
    size_t applied;
    cr_assert_eq(migrate_run(app()->pg, app_migrations, app_migrations_count, &applied), 0);
    front_init();
    cr_assert_eq(http_server_new(app()->loop,
                     &(struct http_server_config){.address = "127.0.0.1",
                         .handler = dispatch,
                         .route = front_route,
                         .admit = front_admit,
                         .leave = front_leave},
                     &rig_server),
        0);
    rig_peer = http_peer_new(app()->client, &(struct http_peer_config){.name = "rig",
                                                .base_url = rig_base_url(),
                                                .retry_limit = HTTP_RETRIES_NONE,
                                                .breaker_calls = 64,
                                                .timeout_us = 10 * USEC_PER_SEC});
    peer_add(app()->client, "auth", rig_base_url());
    peer_add(app()->client, "self", rig_base_url());
    (*body)();
    app()->draining = true;
    cr_assert_eq(http_server_drain(rig_server, in_ms(5000)), 0);
    loop_stop(app()->loop);
}

void rig_run(void (*body)(void))
{
    cr_assert_eq(crypto_init(), 0);
    setenv("DATABASE_URL", pg_server_url(), 1);
    setenv("AUTH_SERVICE_API_KEY", "key", 1);
    cr_assert_eq(config_load(settings, settings_count, NULL, 0), 0);
    pg_server_exec("CREATE TABLE things (name text UNIQUE)");
    cr_assert_eq(token_key_generate(&private_pem, &public_pem), 0);
    token_issuer_set(config_text("PUBLIC_URL"));
    token_keys_replace(&(struct token_key){"k", public_pem}, 1);
    *app() = (struct app){.service = &rig_service, .loop = loop_new()};
    app()->pg = pg_pool_new(app()->loop, &(struct pg_pool_config){.url = pg_server_url()});
    app()->redis = redis_new(app()->loop, NULL, "rig:");
    app()->client = http_client_new(app()->loop);
    cr_assert_eq(fiber_spawn(app()->loop, "test", run_body, &body, NULL), 0);
    loop_run(app()->loop, false);
}

/* ---- the client ---- */

const char *bearer(const char *user_id, unsigned roles)
{
    const char *token;
    struct token_claims claims = {.subject = user_id,
        .audience = TOKEN_AUDIENCE_USER,
        .email = "a@b.cd",
        .name = "A",
        .session_id = "s",
        .roles = roles,
        .issued_s = clock_wall_us() / USEC_PER_SEC,
        .lifetime_s = 600};
    cr_assert_eq(token_sign(fiber_arena(), &claims, "k", private_pem, &token), 0);
    return arena_printf(fiber_arena(), "Authorization: Bearer %s", token);
}

struct seen ask(enum http_method m, const char *path, const char *body, ...)
{
    struct http_header headers[8];
    struct http_answer *answer = ARENA_NEW(fiber_arena(), struct http_answer);
    size_t n = 0;
    va_list args;
    va_start(args, body);
    for (const char *text; (text = va_arg(args, const char *)); n++) {
        const char *colon = strchr(text, ':');
        headers[n].name = span_make(text, (size_t)(colon - text));
        headers[n].value = span_of(colon + 2);
    }
    va_end(args);
    error_clear();
    int r = http_call(rig_peer,
        &(struct http_call){.method = m,
            .path = path,
            .headers = headers,
            .headers_count = n,
            .body = span_of(body)},
        answer);
    cr_assert_eq(r, 0, "%s", error_text());
    return (struct seen){.status = answer->status,
        .body = arena_strndup(fiber_arena(), answer->body.ptr, answer->body.len),
        .headers = &answer->headers};
}

const char *header_of(const struct seen *s, const char *name)
{
    struct span value = http_header_get(s->headers, name);
    return value.ptr ? arena_strndup(fiber_arena(), value.ptr, value.len) : NULL;
}

void ask_and_leave(const char *path, const char *body, const char *key, const bool *left_when)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_port = htons(http_server_port(rig_server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    const char *text = arena_printf(fiber_arena(),
        "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\nIdempotency-Key: %s\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        path, bearer(USER_ID, ROLE_USER), key, strlen(body), body);
    cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert(EVENTUALLY(*left_when, 5000));
    close(fd);
}

int64_t in_ms(int64_t ms)
{
    return clock_mono_us() + ms * USEC_PER_MS;
}
