/* Calls between services. Each peer has one http_peer (pool, breaker, budget) and one cached
 * service token, got from auth with this service's own key by one fiber while the others wait. */

#include "common/app/peer.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/app/form.h"
#include "common/app/front.h"
#include "common/app/pace.h"
#include "common/app/peers.h"
#include "common/app/service.h"
#include "common/app/work.h"
#include "common/base/mem.h"
#include "common/fiber/sync.h"

#define PEERS_LIMIT       8
#define TOKEN_MARGIN_US   (60 * USEC_PER_SEC) /* or a quarter of its life, when that is less */
#define TOKEN_SLACK_US    (5 * USEC_PER_SEC)
#define TOKEN_PATIENCE_US (2 * USEC_PER_SEC)
#define TOKEN_ENDPOINT    "/oauth2/token"

struct peer {
    char name[32];
    struct http_peer *http;
    char *bearer;                             /* "Bearer " and the token, or NULL */
    int64_t token_renew_us, token_expires_us; /* monotonic */
    struct latch *token_fetching;
};

static struct peer peers[PEERS_LIMIT];
static size_t peers_count;

void peer_add(struct http_client *client, const char *name, const char *base_url)
{
    assert(peers_count < PEERS_LIMIT && strlen(name) < sizeof(peers[0].name));
    struct peer *p = &peers[peers_count++];
    snprintf(p->name, sizeof(p->name), "%s", name);
    p->http =
        http_peer_new(client, &(struct http_peer_config){.name = p->name, .base_url = base_url});
}

size_t peers_list(struct http_peer **list, size_t capacity)
{
    size_t n = 0;
    for (; n < peers_count && n < capacity; n++)
        list[n] = peers[n].http;
    return n;
}

static struct peer *peer_find(const char *name)
{
    for (size_t i = 0; i < peers_count; i++)
        if (strcmp(peers[i].name, name) == 0)
            return &peers[i];
    log_error("call to a peer that is not in the service's list", LF_TEXT("peer", name));
    abort();
}

struct http_peer *peer_get(const char *name)
{
    return peer_find(name)->http;
}

/* ---- service tokens ---- */

struct token_answer {
    const char *access_token;
    int64_t expires_in;
};
static const struct field token_answer_fields[] = {
    FIELD_TEXT(struct token_answer, access_token, "access_token", .required = true, .max = 4096),
    FIELD_I64(
        struct token_answer, expires_in, "expires_in", .required = true, .min = 1, .max = 3600),
};
static const struct table token_answer_table =
    TABLE("TokenAnswer", struct token_answer, token_answer_fields);

static int token_fetch_now(struct peer *p)
{
    struct buf body = {0};
    form_put(&body, "grant_type", "client_credentials");
    form_put(&body, "audience", p->name);
    form_put(&body, "client_id", app()->service->name);
    form_put(&body, "client_secret", config_text("AUTH_SERVICE_API_KEY"));
    struct http_answer answer;
    int r = http_call(peer_get("auth"),
        &(struct http_call){.method = HTTP_POST,
            .path = TOKEN_ENDPOINT,
            .body = buf_span(&body),
            .content_type = "application/x-www-form-urlencoded",
            .idempotent = true},
        &answer);
    buf_deinit(&body);
    TRY(r);
    struct token_answer fresh;
    struct json_errors errors;
    if (answer.status != 200 && answer.status != 201) {
        error_note("auth refused a service token for %s with %d", p->name, answer.status);
        return ERR(answer.status >= 500 ? ERR_UNAVAILABLE : ERR_PROTOCOL);
    }
    if (json_read(fiber_arena(), answer.body, &token_answer_table, JSON_LENIENT, &fresh, &errors) !=
        0)
        return ERR(ERR_PROTOCOL);
    struct buf bearer = {0};
    buf_put_text(&bearer, "Bearer ");
    buf_put_text(&bearer, fresh.access_token);
    mem_free(p->bearer);
    p->bearer = bearer.ptr;
    int64_t life_us = fresh.expires_in * USEC_PER_SEC;
    p->token_expires_us = clock_mono_us() + life_us;
    p->token_renew_us =
        p->token_expires_us - (life_us / 4 < TOKEN_MARGIN_US ? life_us / 4 : TOKEN_MARGIN_US);
    return 0;
}

/* One fiber asks auth, the others wait for it: so its own client's leaving must not end the call.
 */
static int token_renew(struct peer *p)
{
    int r = 0;
    if (p->token_fetching) {
        TRY(latch_wait(p->token_fetching, "service token", USEC_NEVER, &r));
        return r < 0 ? ERR(r) : r;
    }
    struct latch done = LATCH_INIT;
    p->token_fetching = &done;
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + TOKEN_PATIENCE_US);
    r = token_fetch_now(p);
    fiber_shield_end(shield);
    p->token_fetching = NULL;
    latch_set(&done, r);
    return r < 0 ? ERR(r) : r;
}

/* While auth can't be had, a token that is due for renewal is used for what is left of its life. */
static int bearer_get(struct peer *p, const char **ret_bearer)
{
    if (!p->bearer || clock_mono_us() >= p->token_renew_us) {
        int r = token_renew(p);
        bool usable = p->bearer && clock_mono_us() < p->token_expires_us - TOKEN_SLACK_US;
        if (r != 0 && (!usable || r == ERR_CANCELED))
            return r < 0 ? ERR(r) : r;
        if (!p->bearer) /* fetched, and refused already in somebody else's hand */
            return ERR(ERR_UNAVAILABLE);
        error_clear();
    }
    *ret_bearer = arena_strdup(fiber_arena(), p->bearer);
    return 0;
}

/* The callee did not like it: keys were rotated, or auth lost them. */
static void bearer_drop(struct peer *p, const char *used)
{
    if (!p->bearer || strcmp(p->bearer, used) != 0)
        return; /* a newer one is there */
    mem_free(p->bearer);
    p->bearer = NULL;
}

/* ---- calls ---- */

struct problem_answer {
    const char *code, *detail;
};
static const struct field problem_answer_fields[] = {
    FIELD_TEXT(struct problem_answer, code, "code"),
    FIELD_TEXT(struct problem_answer, detail, "detail"),
};
static const struct table problem_answer_table =
    TABLE("ProblemAnswer", struct problem_answer, problem_answer_fields);

static struct problem_answer problem_of(struct span body)
{
    struct problem_answer problem = {0};
    struct json_errors errors;
    if (json_read(fiber_arena(), body, &problem_answer_table, JSON_LENIENT, &problem, &errors) != 0)
        return (struct problem_answer){"", ""};
    return (struct problem_answer){
        problem.code ? problem.code : "", problem.detail ? problem.detail : ""};
}

static bool has_code(const struct http_answer *answer, const void *code)
{
    return strcmp(problem_of(answer->body).code, code) == 0;
}

static int send_call(struct peer *p, const struct peer_call *call, const char *bearer,
    struct http_answer *ret_answer)
{
    const struct work *work = work_current();
    struct http_header headers[4] = {
        {SPAN("Authorization"), span_of(bearer)},
        {SPAN("X-Correlation-ID"), span_of(arena_strdup(fiber_arena(), correlation_current()))},
    };
    size_t headers_count = 2;
    if (work && work->trace_parent)
        headers[headers_count++] =
            (struct http_header){SPAN("traceparent"), span_of(work->trace_parent)};
    const char *pressure = front_tells();
    if (pressure)
        headers[headers_count++] = (struct http_header){SPAN(PRESSURE_HEADER), span_of(pressure)};
    struct buf body = {0};
    struct json_writer w = json_writer_on(&body);
    if (call->body_table)
        json_struct(&w, call->body_table, call->body);
    int64_t outer =
        fiber_deadline_push(call->timeout_us ? clock_mono_us() + call->timeout_us : USEC_NEVER);
    int r = http_call(p->http,
        &(struct http_call){.method = call->method,
            .path = call->path,
            .headers = headers,
            .headers_count = headers_count,
            .body = buf_span(&body),
            .idempotent = call->idempotent,
            .is_own_affair = call->own_affair ? has_code : NULL,
            .own_affair_ctx = call->own_affair},
        ret_answer);
    fiber_deadline_pop(outer);
    buf_deinit(&body);
    return r < 0 ? ERR(r) : 0;
}

int peer_call(const struct peer_call *call, struct peer_answer *ret_answer)
{
    struct peer *p = peer_find(call->peer);
    struct http_answer http;
    struct json_errors errors;
    const char *bearer;
    TRY(bearer_get(p, &bearer));
    TRY(send_call(p, call, bearer, &http));
    if (http.status == 401) { /* one fresh token */
        bearer_drop(p, bearer);
        TRY(bearer_get(p, &bearer));
        TRY(send_call(p, call, bearer, &http));
    }
    pace_told(http_header_get(&http.headers, LAG_HEADER));
    struct peer_answer answer = {
        .status = http.status, .code = "", .detail = "", .body = http.body};
    if (http.status >= 200 && http.status < 300) {
        if (call->answer_table && json_read(fiber_arena(), http.body, call->answer_table,
                                      JSON_LENIENT, call->answer, &errors) != 0) {
            error_note("%s answered %s with an unreadable body", p->name, call->path);
            return ERR(ERR_PROTOCOL);
        }
    } else {
        struct problem_answer problem = problem_of(http.body);
        answer.code = problem.code;
        answer.detail = problem.detail;
    }
    *ret_answer = answer;
    return 0;
}
