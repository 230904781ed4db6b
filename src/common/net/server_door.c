/* A door is one connection. It owns the socket and one end of a pair whose other end libevhtp takes
 * for its socket (server_evhtp.c). Its phases:
 *
 *     READ_HEAD --passed--> READ_BODY --whole--> HANDLE --reply--> FLUSH --+--> READ_HEAD
 *         |                     |                                          |
 *         '------ refused ------'----------------------> FLUSH, closing ---'--> LINGER --> closed
 *
 * A whole request for which there is no room is declined between READ_BODY and HANDLE: a reply, and
 * the next one may come.
 *
 * At most one exchange is under way; what the client sends meanwhile waits in the socket's buffer,
 * which stops reading at a watermark, so pipelined requests are answered in order and nobody can
 * fill our memory.
 *
 * Time: every phase but HANDLE (which the handler's own deadline bounds) has an absolute deadline.
 * There is one timer, and it is only ever moved nearer: when it rings too early it is set again. On
 * a busy connection the deadline moves with every request, and the timer is hardly touched.
 *
 * Freeing: door_close() frees libevhtp's connection, so it must not run inside of libevhtp. All
 * that can be reached from there (a reply in the request callback, the hooks) ends in door_doom(),
 * which leaves the closing to the timer. */

#include "common/net/server_door.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <sys/socket.h>

#include "common/base/mem.h"

static void read_head(struct door *d);
static void door_close(struct door *d);

/* ---- time ------------------------------------------------------------------------------------ */

static void deadline_set(struct door *d, int64_t deadline_us)
{
    d->deadline_us = deadline_us;
    if (deadline_us == USEC_NEVER || (d->timer_us != 0 && d->timer_us <= deadline_us))
        return;
    int64_t left = deadline_us - clock_mono_us();
    if (left < 0)
        left = 0;
    event_add(
        d->timer, &(struct timeval){.tv_sec = left / USEC_PER_SEC, .tv_usec = left % USEC_PER_SEC});
    d->timer_us = deadline_us;
}

void door_enter(struct door *d, enum phase phase, int64_t timeout_us)
{
    d->phase = phase;
    deadline_set(d, timeout_us == USEC_NEVER ? USEC_NEVER : clock_mono_us() + timeout_us);
}

void door_wake(struct door *d)
{
    event_active(d->timer, EV_TIMEOUT, 0);
}

void door_doom(struct door *d)
{
    d->doomed = true;
    door_wake(d);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* libevhtp's turn. */
static void hand_over(struct door *d)
{
    struct buf *text = &d->server->scratch;

    buf_reset(text);
    buf_put_text(text, http_method_name(d->exchange->head.method));
    buf_put_char(text, ' ');
    buf_put_span(text, d->exchange->head.path);
    buf_put_text(text, " HTTP/1.1\r\nHost: souk\r\n\r\n");
    door_enter(d, HANDLE, USEC_NEVER);
    d->engine_busy = true;
    bufferevent_write(d->inner, text->ptr, text->len);
}

/* The request is whole. Whether there is room for it is asked here and not sooner, so that nobody
 * takes room while he sends slowly. */
static void knock(struct door *d)
{
    struct http_refusal refusal = {0};

    if (exchange_admit(d->exchange, &refusal))
        hand_over(d);
    else
        door_decline(d, &refusal);
}

static void read_body(struct door *d)
{
    struct exchange *x = d->exchange;
    struct evbuffer *input = bufferevent_get_input(d->socket);
    size_t size = (size_t)x->head.content_length;

    if (evbuffer_get_length(input) < size)
        return;
    x->body_block = mem_alloc(size);
    x->body = span_make(x->body_block, size);
    evbuffer_remove(input, x->body_block, size);
    bufferevent_setwatermark(d->socket, EV_READ, 0, HELD_LIMIT);
    knock(d);
}

static void await_body(struct door *d)
{
    size_t size = (size_t)d->exchange->head.content_length;
    struct evbuffer *input = bufferevent_get_input(d->socket);

    door_enter(d, READ_BODY, d->server->config.body_timeout_us);
    bufferevent_setwatermark(d->socket, EV_READ, size, size > HELD_LIMIT ? size : HELD_LIMIT);
    if (d->exchange->head.expect_continue && evbuffer_get_length(input) == 0) {
        struct evbuffer *go = evbuffer_new();
        evbuffer_add_printf(go, "HTTP/1.1 100 Continue\r\n\r\n");
        if (!door_write(d, go))
            door_doom(d);
        evbuffer_free(go);
    }
}

/* The head in `bytes` has passed: makes the exchange, takes its bytes off the input. */
static void take_in(struct door *d, const struct door_head *head, struct span bytes)
{
    const struct http_server_config *c = &d->server->config;
    int64_t body_limit = c->body_limit;
    const void *route = c->route ? c->route(c->ctx, head->method, head->path, &body_limit) : NULL;

    if (head->content_length > body_limit) {
        door_refuse(d, 413, "The body is longer than is accepted here.");
        return;
    }
    struct evbuffer *input = bufferevent_get_input(d->socket);
    size_t body = (size_t)head->content_length;
    bool whole = evbuffer_get_length(input) >= head->size + body;
    size_t size = head->size + (whole ? body : 0);

    struct exchange *x = exchange_new(d->server, head, bytes.ptr, size);
    evbuffer_remove(input, x->bytes, size);
    x->door = d;
    x->route = route;
    x->peer_loopback = d->peer_loopback;
    memcpy(x->peer, d->peer, sizeof(x->peer));
    d->exchange = x;
    if (whole) {
        x->body = span_make(x->bytes + head->size, body);
        knock(d);
    } else {
        await_body(d);
    }
}

static void read_head(struct door *d)
{
    struct door_head *head = &d->server->head;
    struct evbuffer *input = bufferevent_get_input(d->socket);
    size_t len = evbuffer_get_length(input);
    int status;
    const char *detail;

    if (len == 0)
        return;
    if (len > DOOR_HEAD_LIMIT)
        len = DOOR_HEAD_LIMIT;
    struct span bytes = span_make(evbuffer_pullup(input, (ev_ssize_t)len), len);
    head->method = HTTP_METHODS; /* until it is known */
    enum door_verdict v = door_judge(bytes, &d->judged,
        d->server->config.route ? INT64_MAX : d->server->config.body_limit, head, &status, &detail);
    if (head->method != HTTP_METHODS)
        d->method = head->method;

    switch (v) {
    case DOOR_MORE:
        if (!d->begun)
            deadline_set(d, clock_mono_us() + d->server->config.head_timeout_us);
        d->begun = true;
        break;
    case DOOR_REFUSE:
        door_refuse(d, status, detail);
        break;
    case DOOR_PASS:
        take_in(d, head, bytes);
        break;
    }
}

/* ---- the socket's events --------------------------------------------------------------------- */

static void on_readable(struct bufferevent *socket, void *arg)
{
    struct door *d = arg;
    struct evbuffer *input = bufferevent_get_input(socket);

    switch (d->phase) {
    case READ_HEAD:
        if (!d->engine_busy)
            read_head(d);
        break;
    case READ_BODY:
        read_body(d);
        break;
    case LINGER:
        evbuffer_drain(input, evbuffer_get_length(input));
        break;
    case HANDLE: /* wait your turn */
        break;
    case FLUSH:
        if (d->closing)
            evbuffer_drain(input, evbuffer_get_length(input));
        break;
    }
}

static void on_writable(struct bufferevent *socket, void *arg)
{
    struct door *d = arg;

    if (d->phase == FLUSH)
        door_flushed(d);
}

/* The client has closed its side. That it still reads cannot be known; a handler that has its reply
 * at hand gives it, one that would have to wait for it is cancelled. */
static void on_end(struct door *d)
{
    d->client_done = true;
    switch (d->phase) {
    case HANDLE:
        if (d->exchange->fiber)
            fiber_cancel(d->exchange->fiber);
        break;
    case FLUSH:
        d->closing = true;
        break;
    case READ_HEAD:
    case READ_BODY:
    case LINGER:
        door_close(d);
        break;
    }
}

static void on_event(struct bufferevent *socket, short events, void *arg)
{
    if (events & BEV_EVENT_ERROR)
        door_close(arg);
    else if (events & BEV_EVENT_EOF)
        on_end(arg);
}

static void on_deadline(struct door *d)
{
    switch (d->phase) {
    case READ_HEAD:
        if (d->begun)
            door_refuse(d, 408, "The request's head did not arrive in time.");
        else
            door_close(d);
        break;
    case READ_BODY:
        door_refuse(d, 408, "The request's body did not arrive in time.");
        break;
    case FLUSH:
    case LINGER:
        door_close(d);
        break;
    case HANDLE:
        break;
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct door *d = arg;

    d->timer_us = 0;
    if (d->doomed) {
        door_close(d);
        return;
    }
    if (d->phase == READ_HEAD && !d->begun && !d->engine_busy)
        read_head(d); /* woken because libevhtp is ready for the next */
    if (d->deadline_us != USEC_NEVER && d->deadline_us <= clock_mono_us())
        on_deadline(d);
    else
        deadline_set(d, d->deadline_us);
}

/* ---- libevhtp's events ----------------------------------------------------------------------- */

void door_on_request(struct door *d, struct evhtp_request *request)
{
    struct exchange *x = d->exchange;

    assert(d->phase == HANDLE && x && !x->request);
    x->request = request;
    if (exchange_start(x) && d->client_done)
        fiber_cancel(x->fiber);
}

void door_on_request_done(struct door *d)
{
    if (!d->connection)
        return; /* we are freeing it */
    d->engine_busy = false;
    if (d->phase == READ_HEAD && evbuffer_get_length(bufferevent_get_input(d->socket)) > 0)
        door_wake(d);
}

void door_on_engine_gone(struct door *d)
{
    if (!d->connection)
        return;
    log_error("libevhtp has closed a connection by itself");
    d->connection = NULL;
    if (d->exchange)
        exchange_abandon(d->exchange);
    door_doom(d);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void peer_read(struct door *d, const struct sockaddr *peer)
{
    if (peer->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)peer;
        inet_ntop(AF_INET, &in->sin_addr, d->peer, sizeof(d->peer));
        d->peer_loopback = ntohl(in->sin_addr.s_addr) >> 24 == 127;
    } else if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)peer;
        inet_ntop(AF_INET6, &in6->sin6_addr, d->peer, sizeof(d->peer));
        d->peer_loopback = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
    }
}

struct door *door_new(struct http_server *s, struct bufferevent *socket, struct bufferevent *inner,
    struct evhtp_connection *connection, const struct sockaddr *peer)
{
    struct door *d = MEM_NEW(struct door);

    d->server = s;
    d->socket = socket;
    d->inner = inner;
    d->connection = connection;
    d->method = HTTP_METHODS;
    peer_read(d, peer);
    d->timer = event_new(loop_base(s->loop), -1, 0, on_timer, d);
    LIST_INSERT_HEAD(&s->doors, d, link);
    s->connections++;
    bufferevent_setcb(socket, on_readable, on_writable, on_event, d);
    bufferevent_setwatermark(socket, EV_READ, 0, HELD_LIMIT);
    bufferevent_enable(socket, EV_READ | EV_WRITE);
    door_enter(d, READ_HEAD, s->config.idle_timeout_us);
    return d;
}

static void door_close(struct door *d)
{
    struct http_server *s = d->server;
    struct evhtp_connection *connection = d->connection;

    d->connection = NULL; /* first: its hooks come back to us */
    if (d->exchange) {
        exchange_abandon(d->exchange);
        exchange_unref(d->exchange);
    }
    if (connection)
        engine_connection_free(connection);
    bufferevent_free(d->inner);
    bufferevent_free(d->socket);
    event_free(d->timer);
    LIST_REMOVE(d, link);
    mem_free(d);
    s->connections--;
    fiber_signal_all(&s->changed);
}

void doors_close(struct http_server *s)
{
    while (!LIST_EMPTY(&s->doors))
        door_close(LIST_FIRST(&s->doors));
}

static void door_drain(struct door *d)
{
    char byte;

    if (d->phase != READ_HEAD || d->begun ||
        evbuffer_get_length(bufferevent_get_input(d->socket)) > 0)
        return;
    /* A request that has arrived, but was not looked at yet, is served. */
    if (recv(bufferevent_getfd(d->socket), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
        door_linger(d);
}

void doors_drain(struct http_server *s)
{
    struct door *d;

    LIST_FOREACH (d, &s->doors, link)
        door_drain(d);
}
