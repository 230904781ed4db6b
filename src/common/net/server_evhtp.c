#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <evhtp/evhtp.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/net/server_private.h"

/* libevhtp accepts, dispatches and writes replies, but the socket is not its own: after the accept
 * it gets one end of a bufferevent pair in the socket's place, with its callbacks carried over, and
 * the door (server_door.c) keeps the socket and the other end.
 *
 * What libevhtp is given is one canonical request at a time: method and path as the door has judged
 * them, no query, no fields, no body. Those stay with the exchange, which outlives libevhtp's own
 * request object when the client leaves. So its URI, header, chunk and form code never meets bytes
 * that somebody chose, and all its requests are keep-alive: the end of a connection is the door's
 * decision.
 *
 * The quirks of 1.2.18 this relies on or steps around:
 *  - A request may stay unanswered after its callback returned, without pausing the connection, as
 *    long as nobody sends the next one; the door doesn't. (Resuming goes through an event that may
 *    run after the next request was begun; not pausing has no such race.)
 *  - A reply is one write, and a pair moves a write to the other end at once. So the whole reply is
 *    in the door's hands when evhtp_send_reply() returns.
 *  - The request is freed in the write callback, a turn later; only then, told by the hook
 *    on_request_fini, may the next one be sent. The hook runs inside of libevhtp: free nothing
 * there.
 *  - A missing Content-Type becomes text/plain, a missing Content-Length 0 unless the request is
 *    marked as chunked. So all are marked, and the length is ours to say.
 *  - A header costs it three allocations or four, and as many pieces of a buffer. It sends a value
 *    as it is, so all our lines go as the value of one header, the first.
 *  - Its reason phrases end in 2012; the door rewrites the status line. */

static struct door *door_of(const evhtp_connection_t *c)
{
    return c->hooks->on_request_fini_arg;
}

static void on_request(evhtp_request_t *request, void *arg)
{
    door_on_request(door_of(request->conn), request);
}

static evhtp_res on_request_fini(evhtp_request_t *request, void *arg)
{
    door_on_request_done(arg);
    return EVHTP_RES_OK;
}

static evhtp_res on_connection_fini(evhtp_connection_t *c, void *arg)
{
    door_on_engine_gone(arg);
    return EVHTP_RES_OK;
}

/* Swaps the pair in. What evhtp's bufferevent was is returned: the socket. */
static struct bufferevent *pair_swap(evhtp_connection_t *c, struct bufferevent **ret_inner)
{
    struct bufferevent *socket = evhtp_connection_get_bev(c), *pair[2];
    bufferevent_data_cb on_read, on_write;
    bufferevent_event_cb on_event;
    void *arg;

    if (bufferevent_pair_new(c->evbase, 0, pair) != 0)
        return NULL;
    bufferevent_getcb(socket, &on_read, &on_write, &on_event, &arg);
    bufferevent_setcb(pair[1], on_read, on_write, on_event, arg);
    bufferevent_enable(pair[0], EV_READ | EV_WRITE);
    bufferevent_enable(pair[1], EV_READ | EV_WRITE);
    evhtp_connection_set_bev(c, pair[1]);
    *ret_inner = pair[0];
    return socket;
}

/* Beyond the limit a connection still gets its 503, beyond limit and this many it gets nothing. */
enum { REFUSED_CONNECTIONS_LIMIT = 64 };

static evhtp_res on_accepted(evhtp_connection_t *c, void *arg)
{
    struct http_server *s = arg;
    struct bufferevent *inner;
    bool full = s->connections >= s->config.connections_limit;

    if (s->connections >= s->config.connections_limit + REFUSED_CONNECTIONS_LIMIT)
        return EVHTP_RES_ERROR;
    struct bufferevent *socket = pair_swap(c, &inner);
    if (!socket)
        return EVHTP_RES_ERROR;
    evutil_make_socket_closeonexec(c->sock);

    struct door *d = door_new(s, socket, inner, c, c->saddr);
    evhtp_connection_set_hook(c, evhtp_hook_on_request_fini, (evhtp_hook)on_request_fini, d);
    evhtp_connection_set_hook(c, evhtp_hook_on_connection_fini, (evhtp_hook)on_connection_fini, d);
    if (full)
        door_refuse(d, 503, "There are too many connections.");
    return EVHTP_RES_OK;
}

/* Out of descriptors: the listening socket stays readable, so look away for a moment. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct http_server *s = ((evhtp_t *)arg)->arg;

    log_warn("accept failed", LF_TEXT("error", strerror(EVUTIL_SOCKET_ERROR())));
    evconnlistener_disable(listener);
    event_add(s->accept_pause, &(struct timeval){.tv_usec = 100 * 1000});
}

static void on_accept_again(evutil_socket_t fd, short what, void *arg)
{
    struct http_server *s = arg;

    if (s->evhtp->server)
        evconnlistener_enable(s->evhtp->server);
}

static void require(bool fine)
{
    if (!fine) {
        log_error("out of memory for the HTTP server");
        abort();
    }
}

void engine_init(struct http_server *s)
{
    struct event_base *base = loop_base(s->loop);

    s->evhtp = evhtp_new(base, s);
    s->accept_pause = event_new(base, -1, 0, on_accept_again, s);
    require(s->evhtp && s->accept_pause);
    evhtp_set_bev_flags(s->evhtp, BEV_OPT_CLOSE_ON_FREE);
    s->evhtp->flags &= (uint16_t)~EVHTP_FLAG_ENABLE_100_CONT;
    evhtp_set_gencb(s->evhtp, on_request, s);
    evhtp_set_post_accept_cb(s->evhtp, on_accepted, s);
}

int engine_listen(struct http_server *s, int fd)
{
    if (evhtp_accept_socket(s->evhtp, fd, SOMAXCONN) != 0)
        return -errno;
    evconnlistener_set_error_cb(s->evhtp->server, on_accept_error);
    return 0;
}

void engine_unlisten(struct http_server *s)
{
    event_del(s->accept_pause);
    evhtp_unbind_socket(s->evhtp);
}

void engine_deinit(struct http_server *s)
{
    engine_unlisten(s);
    event_free(s->accept_pause);
    evhtp_free(s->evhtp);
}

void engine_connection_free(struct evhtp_connection *c)
{
    evhtp_connection_free(c);
}

/* ---- replies --------------------------------------------------------------------------------- */

static void line_put(struct buf *lines, const char *name, const char *value)
{
    buf_put_text(lines, "\r\n");
    buf_put_text(lines, name);
    buf_put_text(lines, ": ");
    buf_put_text(lines, value);
}

/* Framing and what the server sets itself is not the handler's to set. */
static bool header_reserved(struct span name)
{
    static const struct span reserved[] = {SPAN("Connection"), SPAN("Content-Length"),
        SPAN("Content-Type"), SPAN("Date"), SPAN("Keep-Alive"), SPAN("Trailer"),
        SPAN("Transfer-Encoding"), SPAN("X-Content-Type-Options")};

    for (size_t i = 0; i < ARRAY_SIZE(reserved); i++) {
        if (span_equal_nocase(name, reserved[i]))
            return true;
    }
    return false;
}

/* A handler may put a client's words into a header; they cannot end it. */
static bool header_safe(const struct http_header *h)
{
    for (size_t i = 0; i < h->name.len; i++) {
        unsigned char c = (unsigned char)h->name.ptr[i];
        if (c <= ' ' || c >= 0x7f || c == ':')
            return false;
    }
    return h->name.len > 0 && span_text_run(h->value) == h->value.len;
}

static void headers_put(struct buf *lines, const struct http_headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        const struct http_header *h = &headers->at[i];
        if (header_reserved(h->name) || !header_safe(h)) {
            log_warn("a reply's header was dropped",
                LF_TEXT("name", arena_strndup(fiber_arena(), h->name.ptr, h->name.len)));
            continue;
        }
        buf_put_text(lines, "\r\n");
        buf_put_span(lines, h->name);
        buf_put_text(lines, ": ");
        buf_put_span(lines, h->value);
    }
}

static void on_body_sent(const void *data, size_t len, void *ptr)
{
    mem_free(ptr);
}

/* Short bodies are copied next to their head and go out with it; long ones are handed over. */
static void body_put(evhtp_request_t *request, struct buf *body)
{
    if (body->len <= 4096) {
        evbuffer_add(request->buffer_out, body->ptr, body->len);
        return;
    }
    require(evbuffer_add_reference(
                request->buffer_out, body->ptr, body->len, on_body_sent, body->ptr) == 0);
    *body = (struct buf){0};
}

void engine_send(struct evhtp_request *request, const struct engine_reply *reply)
{
    struct buf *lines = &((struct http_server *)request->htp->arg)->scratch;
    bool bodiless = reply->status == 204 || reply->status == 304;

    buf_reset(lines);
    buf_put_text(lines, reply->content_type);
    if (!bodiless) {
        buf_put_text(lines, "\r\nContent-Length: ");
        buf_put_i64(lines, (int64_t)reply->body->len);
    }
    line_put(lines, "Date", reply->date);
    line_put(lines, "X-Content-Type-Options", "nosniff");
    if (reply->connection)
        line_put(lines, "Connection", reply->connection);
    if (reply->retry_later)
        line_put(lines, "Retry-After", "1");
    if (reply->correlation_id)
        line_put(lines, "X-Correlation-ID", reply->correlation_id);
    if (reply->headers)
        headers_put(lines, reply->headers);

    evhtp_header_t *header = evhtp_header_new("Content-Type", lines->ptr, 0, 0);
    require(header);
    evhtp_headers_add_header(request->headers_out, header);
    request->flags |= EVHTP_REQ_FLAG_CHUNKED; /* "no Content-Length of yours, please" */
    if (!bodiless && !reply->head_only && reply->body->len > 0)
        body_put(request, reply->body);
    evhtp_send_reply(request, (evhtp_res)reply->status);
}
