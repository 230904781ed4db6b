/* One request from the door to its handler: correlation, route, caller, parameters, body,
 * idempotency key, handler, answer. Deny by default: no service starts with a route that has no
 * roles. The only place that knows HTTP status numbers of outcomes and errors. */

#include "common/app/dispatch.h"

#include "common/app/front.h"
#include "common/app/idempotency.h"
#include "common/app/metrics.h"
#include "common/app/pace.h"
#include "common/app/params.h"
#include "common/app/revocation.h"
#include "common/app/token.h"
#include "common/app/work.h"
#include "common/base/uuid.h"

#define STATUS_CLIENT_LEFT 499 /* in metrics and logs only: nobody reads the answer */

static struct metric requests = {.name = "http_server_request_duration_seconds",
    .help = "Time from the last byte of a request to its answer.",
    .kind = METRIC_HISTOGRAM,
    .labels = "route,method,status"};

#define OUTCOME(name, status, code, title) {OUTCOME_##name, status, code, title},
const struct outcome_row common_outcomes[] = {
#include "common/app/outcomes.def"
};
#undef OUTCOME
const size_t common_outcomes_count = ARRAY_SIZE(common_outcomes);

const struct outcome_row *outcome_find(int outcome)
{
    const struct service *s = app()->service;
    for (size_t i = 0; i < common_outcomes_count; i++)
        if (common_outcomes[i].outcome == outcome)
            return &common_outcomes[i];
    for (size_t i = 0; i < s->outcomes_count; i++)
        if (s->outcomes[i].outcome == outcome)
            return &s->outcomes[i];
    return NULL;
}

/* ---- routes ---- */

bool route_matches(const char *pattern, struct span path,
    void (*on_variable)(void *ctx, struct span name, struct span value), void *ctx)
{
    struct span want = span_of(pattern), want_piece, piece;
    size_t same = 0; /* nearly all of a table's rows differ before their first variable */
    for (; pattern[same] && pattern[same] != '{'; same++)
        if (same == path.len || pattern[same] != path.ptr[same])
            return false;
    if (!pattern[same])
        return same == path.len;
    for (;;) {
        bool more = span_cut(&want, '/', &want_piece), has = span_cut(&path, '/', &piece);
        if (!more || !has)
            return more == has;
        bool variable = want_piece.len > 2 && want_piece.ptr[0] == '{';
        if (variable && piece.len == 0)
            return false;
        if (variable && on_variable)
            on_variable(ctx, span_make(want_piece.ptr + 1, want_piece.len - 2), piece);
        if (!variable && !span_equal(want_piece, piece))
            return false;
    }
}

struct route_search {
    const struct route *found;
    unsigned methods; /* bits of the methods that the path has */
};

static void search_in(struct route_search *s, const struct route *routes, size_t count,
    enum http_method m, struct span path)
{
    for (size_t i = 0; i < count; i++) {
        if (!route_matches(routes[i].path, path, NULL, NULL))
            continue;
        s->methods |= 1u << routes[i].method;
        if (routes[i].method == HTTP_GET)
            s->methods |= 1u << HTTP_HEAD;
        bool same = routes[i].method == m || (m == HTTP_HEAD && routes[i].method == HTTP_GET);
        if (same && !s->found)
            s->found = &routes[i];
    }
}

static struct route_search route_search(enum http_method m, struct span path)
{
    struct route_search s = {0};
    const struct service *service = app()->service;
    search_in(&s, service->routes, service->routes_count, m, path);
    if (!s.methods)
        search_in(&s, builtin_routes, builtin_routes_count, m, path);
    return s;
}

const struct route *dispatch_route(enum http_method method, struct span path)
{
    return route_search(method, path).found;
}

static const char *methods_text(struct arena *a, unsigned methods)
{
    const char *text = "";
    for (int m = 0; m < HTTP_METHODS; m++)
        if (methods & (1u << m))
            text = arena_printf(
                a, "%s%s%s", text, *text ? ", " : "", http_method_name((enum http_method)m));
    return *text ? arena_printf(a, "%s, OPTIONS", text) : "OPTIONS";
}

/* The header that a guest shows at this service, or NULL. */
static const char *guests_header(void)
{
    const struct service *s = app()->service;
    for (size_t i = 0; i < s->routes_count; i++)
        if (s->routes[i].token_header)
            return s->routes[i].token_header;
    return NULL;
}

/* What a page of another origin may send. */
static const char *headers_text(struct arena *a)
{
    const char *token = guests_header();
    return arena_printf(a,
        "Authorization, Content-Type, Idempotency-Key, If-Match, Prefer, %s%s"
        "X-Correlation-ID, traceparent",
        token ? token : "", token ? ", " : "");
}

/* ---- the caller ---- */

#define ROLES_KNOWN (ROLE_SIGNED_IN | ROLE_SERVICE | ROLE_ANYONE)

/* What is wrong with a row; NULL: nothing. People have no business on an internal path. */
static const char *route_fault(const struct route *r)
{
    bool internal = strncmp(r->path, "/internal/", 10) == 0;
    if (!r->roles || (r->roles & ~(unsigned)ROLES_KNOWN))
        return "has no roles";
    if (internal && (r->roles & ROLE_SIGNED_IN))
        return "is internal, and open to people";
    if (!(r->roles & ROLE_ANYONE) && (r->others & ~r->roles))
        return "shows others' things to who may not come";
    return r->handle ? NULL : "has no handler";
}

int routes_check(const struct route *routes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *fault = route_fault(&routes[i]);
        if (!fault)
            continue;
        error_note("the route %s %s %s", http_method_name(routes[i].method), routes[i].path, fault);
        return ERR(ERR_INVALID);
    }
    return 0;
}

static int read_caller(struct request *req)
{
    struct span header = request_header(req, "Authorization");
    unsigned roles = req->route->roles;
    bool bearer = header.len > 7 && span_equal_nocase(span_make(header.ptr, 7), SPAN("Bearer "));
    if (!bearer)
        return (roles & ROLE_ANYONE) ? 0
                                     : refuse(req, OUTCOME_UNAUTHENTICATED,
                                           "Send Authorization: Bearer with an access token");
    struct span token = span_trim(span_make(header.ptr + 7, header.len - 7));
    int r = token_verify(req->arena, token, app()->service->name, &req->caller);
    if (r == 0 && revocations_have(req->caller.session_id))
        r = OUTCOME_UNAUTHENTICATED;
    if (r != 0) {
        req->caller = (struct caller){0};
        if ((roles & ROLE_ANYONE))
            return 0;
        return r < 0 ? ERR(r) : refuse(req, r, "The access token is not valid");
    }
    if (!(roles & ROLE_ANYONE) && !(req->caller.roles & roles))
        return refuse(req, OUTCOME_FORBIDDEN, "This needs another role");
    if (req->caller.service) {
        front_told(request_header(req, PRESSURE_HEADER));
        reply_header(req, LAG_HEADER, pace_tells());
    }
    return 0;
}

/* ---- the body ---- */

/* Where nothing is asked for, some clients send an empty object all the same. */
static const struct table nothing_table = {.name = "Nothing", .size = 1};

static int read_body(struct request *req)
{
    const struct route *route = req->route;
    struct span body = req->http->body;
    const struct table *table = route->body ? route->body : &nothing_table;
    if (route->raw_body || route->form)
        return 0;
    if (!route->body && body.len == 0)
        return 0;
    struct span type = request_header(req, "Content-Type"), media = type;
    if (type.ptr) {
        span_cut(&type, ';', &media);
        if (!span_equal_nocase(span_trim(media), SPAN("application/json")))
            return refuse(req, OUTCOME_UNSUPPORTED_MEDIA, "Send Content-Type: application/json");
    }
    void *value = arena_alloc(req->arena, table->size);
    req->body = value;
    int r = json_read(req->arena, body, table, JSON_STRICT, value, &req->errors);
    if (r <= 0)
        return r;
    bool syntax = req->errors.count == 1 && *req->errors.at[0].pointer == 0;
    return syntax ? refuse(req, OUTCOME_MALFORMED, "The body %s", req->errors.at[0].detail)
                  : OUTCOME_INVALID;
}

/* ---- answers for what did not work ---- */

static int outcome_of_error(int r)
{
    switch (r) {
    case ERR_UNAVAILABLE:
    case ERR_BUSY:
    case ERR_TIMEOUT:
    case ERR_UNKNOWN:
    case ERR_RETRY:
    case ERR_CANCELED:
        return OUTCOME_UNAVAILABLE;
    default:
        return OUTCOME_INTERNAL;
    }
}

/* A negative code as an outcome, told to the log. A client that left is nobody's failure. */
static int unplanned(struct request *req, int r)
{
    if (r == ERR_CANCELED && fiber_cancelled())
        log_info("client left", LF_TEXT("trace", error_text()));
    else
        log_error(
            "request failed", LF_TEXT("error", error_name(r)), LF_TEXT("trace", error_text()));
    int outcome = outcome_of_error(r);
    req->detail = outcome == OUTCOME_UNAVAILABLE ? "Try again in a moment" : NULL;
    return outcome;
}

static bool wants_retry_after(const struct request *req, int status)
{
    return (status == 503 || status == 429) &&
           !http_header_get(&req->response->headers, "Retry-After").ptr;
}

static void answer_problem(struct request *req, int r)
{
    if (r < 0)
        r = unplanned(req, r);
    const struct outcome_row *row = outcome_find(r);
    if (!row) {
        log_error("handler returned an outcome that is in no table", LF_I64("outcome", r));
        row = outcome_find(OUTCOME_INTERNAL);
        req->detail = NULL;
    }
    /* The handler may have told of a thing whose commit failed then. */
    http_header_remove(&req->response->headers, "Location");
    if (req->replied)
        http_header_remove(&req->response->headers, "ETag");
    if (row->status == 401)
        reply_header(req, "WWW-Authenticate", "Bearer");
    if (wants_retry_after(req, row->status))
        refuse_retry_after(req, 1);
    req->response->status = row->status;
    req->response->content_type = PROBLEM_CONTENT_TYPE;
    buf_reset(&req->response->body);
    problem_write(&req->response->body, &(struct problem){.status = row->status,
                                            .code = row->code,
                                            .title = row->title,
                                            .detail = req->detail,
                                            .correlation_id = req->correlation_id,
                                            .errors = req->errors.count ? &req->errors : NULL,
                                            .extensions = buf_span(&req->extensions)});
}

/* ---- the way through ---- */

/* 5xx, refused fields and "not now" are tried again with the same key; everything else is the
 * answer to it. */
static bool answer_is_final(int status)
{
    return status < 500 && status != 400 && status != 401 && status != 422 && status != 429;
}

static int run_handler(struct request *req)
{
    int r = req->route->handle(req);
    if (r == 0 && !req->replied)
        reply_empty(req, 204);
    if (r != 0) {
        req->answer_stored = false; /* not in a transaction that came to nothing */
        answer_problem(req, r);
    }
    idempotency_finish(req, answer_is_final(req->response->status));
    return 0;
}

static int route_request(struct request *req)
{
    struct route_search s = {.found = req->http->route, .methods = 1}; /* the front has found it */
    if (!s.found)
        s = route_search(req->http->method, req->http->path);
    req->route = s.found;
    if (!s.methods)
        return refuse(req, OUTCOME_NOT_FOUND, "No resource has this path");
    if (!s.found) {
        reply_header(req, "Allow", methods_text(req->arena, s.methods));
        if (req->http->method != HTTP_OPTIONS)
            return refuse(req, OUTCOME_METHOD_NOT_ALLOWED, "See the Allow header");
        reply_header(req, "Access-Control-Allow-Methods", methods_text(req->arena, s.methods));
        reply_header(req, "Access-Control-Allow-Headers", headers_text(req->arena));
        reply_header(req, "Access-Control-Max-Age", "600");
        return reply_empty(req, 204);
    }
    TRY(read_caller(req));
    TRY(params_read(req, s.found->path, s.found->params, &req->params));
    TRY(read_body(req));
    if (s.found->idempotency == IDEMPOTENCY_NONE)
        return run_handler(req);
    TRY(idempotency_read(req));
    if (req->idempotency_key && s.found->idempotency != IDEMPOTENCY_OWN) {
        int r = idempotency_claim(req);
        if (r == IDEMPOTENCY_REPLAYED)
            return 0;
        TRY(r);
    }
    return run_handler(req);
}

static void finish_headers(struct request *req)
{
    struct http_response *res = req->response;
    if (!http_header_get(&res->headers, "Cache-Control").ptr)
        reply_header(req, "Cache-Control", "no-store");
    reply_header(req, "Access-Control-Allow-Origin", "*");
    const char *token = req->route ? req->route->token_header : NULL;
    reply_header(req, "Access-Control-Expose-Headers",
        arena_printf(req->arena,
            "Allow, ETag, Idempotent-Replayed, Link, Location, RateLimit, RateLimit-Policy, "
            "Retry-After, WWW-Authenticate, X-Correlation-ID%s%s",
            token ? ", " : "", token ? token : ""));
}

static void observe(struct request *req)
{
    int64_t took_us = clock_mono_us() - req->http->received_us;
    char text[I64_TEXT_SIZE];
    int status = fiber_cancelled() ? STATUS_CLIENT_LEFT : req->response->status;
    i64_text(status, text);
    const char *path = req->route ? req->route->path : "none";
    const char *method = http_method_name(req->http->method);
    metric_observe_us(&requests, took_us, path, method, text);
    bool quiet = req->route >= builtin_routes && req->route < builtin_routes + builtin_routes_count;
    if (!quiet)
        log_info("request", LF_TEXT("method", method), LF_TEXT("route", path),
            LF_I64("status", status), LF_MS("durMs", took_us),
            LF_TEXT("user", req->caller.user_id ? req->caller.user_id : req->caller.service));
}

void dispatch(void *ctx, struct http_request *http, struct http_response *response)
{
    struct request *req = arena_alloc(http->arena, sizeof(*req));
    *req = (struct request){.http = http, .response = response, .arena = http->arena};
    char *trace_parent = arena_alloc(http->arena, TRACE_PARENT_SIZE);
    trace_parent_make(http_header_get(http->headers, "traceparent"), trace_parent);
    struct span correlation = http_header_get(http->headers, "X-Correlation-ID");
    char *fresh = arena_alloc(http->arena, UUID_TEXT_SIZE);
    uuid_make(fresh);
    req->correlation_id = correlation_valid(correlation)
                              ? arena_strndup(http->arena, correlation.ptr, correlation.len)
                              : fresh;
    req->trace_parent = trace_parent;
    struct work work = {.correlation_id = req->correlation_id, .trace_parent = trace_parent};
    work_begin(&work);
    reply_header(req, "X-Correlation-ID", req->correlation_id);
    reply_header(req, "traceparent", trace_parent);
    int r = route_request(req);
    if (r != 0)
        answer_problem(req, r);
    finish_headers(req);
    observe(req);
    buf_deinit(&req->extensions);
    work_end();
}
