#include <assert.h>

#include "common/base/mem.h"
#include "common/base/uuid.h"
#include "common/json/problem.h"
#include "common/net/server_private.h"

/* An exchange begins when a head has passed the door and ends when both the door and the fiber have
 * let go of it:
 *
 *     head passed -> (body read) -> handed to libevhtp -> fiber runs the handler -> reply -> end
 *
 * The client may leave at any point, the server may be freed at any point; whoever goes clears its
 * pointer here and cancels the fiber, which finds nobody to answer when it is through. Everything
 * happens on the loop's thread, the reply on the fiber's stack. */

static struct span rebase(struct span s, const char *from, const char *to)
{
    return span_make(to + (s.ptr - from), s.len);
}

struct exchange *exchange_new(
    struct http_server *s, const struct door_head *head, const char *bytes, size_t size)
{
    struct exchange *x = mem_alloc(sizeof(*x) + size);
    struct door_head *h = &x->head;

    x->refs = 1;
    x->server = s;
    x->received_us = clock_mono_us();
    *h = (struct door_head){
        .method = head->method,
        .target = rebase(head->target, bytes, x->bytes),
        .path = rebase(head->path, bytes, x->bytes),
        .query = rebase(head->query, bytes, x->bytes),
        .http11 = head->http11,
        .keep_alive = head->keep_alive,
        .expect_continue = head->expect_continue,
        .content_length = head->content_length,
        .size = head->size,
    };
    h->headers.count = head->headers.count;
    for (size_t i = 0; i < h->headers.count; i++) {
        h->headers.at[i].name = rebase(head->headers.at[i].name, bytes, x->bytes);
        h->headers.at[i].value = rebase(head->headers.at[i].value, bytes, x->bytes);
    }
    LIST_INSERT_HEAD(&s->exchanges, x, link);
    return x;
}

void exchange_unref(struct exchange *x)
{
    assert(x->refs > 0);
    if (--x->refs > 0)
        return;
    if (x->server) {
        const struct http_server_config *c = &x->server->config;
        if (x->admitted_us && c->leave)
            c->leave(c->ctx, x->route, clock_mono_us() - x->admitted_us, x->status);
        LIST_REMOVE(x, link);
    }
    mem_free(x->body_block);
    mem_free(x);
}

void exchange_abandon(struct exchange *x)
{
    x->door = NULL;
    x->request = NULL;
    if (x->fiber)
        fiber_cancel(x->fiber);
}

/* ---- what the handler is told ---------------------------------------------------------------- */

/* The last hop's word counts only when the last hop is on this machine: our gateway. */
static struct span client_address(const struct exchange *x)
{
    const struct http_headers *h = &x->head.headers;

    for (size_t i = x->peer_loopback ? h->count : 0; i-- > 0;) {
        if (!span_equal_nocase(h->at[i].name, SPAN("X-Forwarded-For")))
            continue;
        struct span rest = h->at[i].value, hop, last = {NULL, 0};
        while (span_cut(&rest, ',', &hop))
            last = span_trim(hop);
        if (last.len > 0)
            return last;
        break;
    }
    return span_of(x->peer);
}

/* X-Deadline-Ms can only shrink what is allowed here. */
static int64_t deadline_of(const struct exchange *x)
{
    int64_t timeout_us = x->server->config.request_timeout_us, ms;
    struct span text = http_header_get(&x->head.headers, "X-Deadline-Ms");

    if (text.ptr && span_to_i64(text, &ms) && ms >= 0 && ms < timeout_us / USEC_PER_MS)
        timeout_us = ms * USEC_PER_MS;
    return x->received_us + timeout_us;
}

/* ---- may it come in? ------------------------------------------------------------------------- */

bool exchange_admit(struct exchange *x, struct http_refusal *ret_refusal)
{
    const struct http_server_config *c = &x->server->config;
    struct http_knock knock = {
        .route = x->route,
        .headers = &x->head.headers,
        .client_address = client_address(x),
        .now_us = clock_mono_us(),
    };

    if (c->admit && !c->admit(c->ctx, &knock, ret_refusal))
        return false;
    x->admitted_us = knock.now_us;
    return true;
}

/* ---- the reply ------------------------------------------------------------------------------- */

static const char *connection_option(const struct exchange *x)
{
    if (door_closes(x->door))
        return "close";
    return x->head.http11 ? NULL : "keep-alive";
}

static void reply(struct exchange *x, struct http_response *res)
{
    x->status = res->status;
    engine_send(
        x->request, &(struct engine_reply){
                        .status = res->status,
                        .content_type = res->content_type ? res->content_type : "application/json",
                        .headers = &res->headers,
                        .connection = connection_option(x),
                        .date = http_server_date(x->server),
                        .head_only = x->head.method == HTTP_HEAD,
                        .body = &res->body,
                    });
    door_forward(x->door, res->status);
}

/* A reply of the server's own; the connection lives on. */
static void reply_problem(struct exchange *x, int status, const char *detail)
{
    char correlation_id[UUID_TEXT_SIZE];
    struct buf body = {0};

    x->status = status;
    door_problem(x->server, status, detail, correlation_id, &body);
    engine_send(x->request, &(struct engine_reply){
                                .status = status,
                                .content_type = PROBLEM_CONTENT_TYPE,
                                .correlation_id = correlation_id,
                                .retry_later = status == 503,
                                .connection = connection_option(x),
                                .date = http_server_date(x->server),
                                .head_only = x->head.method == HTTP_HEAD,
                                .body = &body,
                            });
    buf_deinit(&body);
    door_forward(x->door, status);
}

/* ---- the fiber ------------------------------------------------------------------------------- */

static void handle(struct exchange *x)
{
    struct arena *a = fiber_arena();
    struct http_request req = {
        .method = x->head.method,
        .query = x->head.query,
        .headers = &x->head.headers,
        .body = x->body,
        .client_address = client_address(x),
        .received_us = x->received_us,
        .arena = a,
    };
    struct http_response res = {.status = 200};

    bool decoded = http_percent_decode(a, x->head.path, false, &req.path);
    assert(decoded && "the door has judged the path");
    (void)decoded;
    req.route = req.path.len == x->head.path.len ? x->route : NULL;
    fiber_deadline_push(deadline_of(x));
    x->server->config.handler(x->server->config.ctx, &req, &res);

    if (x->door && (res.status < 200 || res.status > 599)) {
        log_error("a handler left no valid status", LF_I64("status", res.status));
        reply_problem(x, 500, NULL);
    } else if (x->door) {
        reply(x, &res);
    }
    buf_deinit(&res.body);
}

static void exchange_run(void *arg)
{
    struct exchange *x = arg;

    if (x->door) /* otherwise the client left before the work began */
        handle(x);
    x->fiber = NULL;
    if (x->server)
        x->server->active--;
    exchange_unref(x);
}

bool exchange_start(struct exchange *x)
{
    struct buf *name = &x->server->scratch;
    size_t path_len = x->head.path.len < 40 ? x->head.path.len : 40;

    buf_reset(name);
    buf_put_text(name, http_method_name(x->head.method));
    buf_put_char(name, ' ');
    buf_put(name, x->head.path.ptr, path_len);
    int r = fiber_spawn(x->server->loop, name->ptr, exchange_run, x, &x->fiber);
    if (r < 0) {
        x->fiber = NULL;
        log_warn("no fiber for a request", LF_TEXT("error", error_name(r)));
        reply_problem(x, 503, "There are too many requests at once.");
        return false;
    }
    x->refs++;
    x->server->active++;
    return true;
}
