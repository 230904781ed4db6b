/* Calls between services on one network are the same few bytes again and again, and libcurl spends
 * more on each than all the rest of a call costs: it makes the request anew out of its options,
 * registers and forgets the socket, and looks at clocks and lists in between. So for plain http to
 * an address we speak ourselves. Everything else (TLS, names) is curl's.
 *
 * How a call runs: the fiber writes the request with one send and parks on the latch. The socket's
 * read event stays registered as long as the connection lives; it feeds what comes to
 * client_reply.c and sets the latch when the answer is complete, or cannot become so. While no call
 * runs, the same event means that the peer has closed.
 *
 * Was it sent? From the first send on. A kept connection that ends before the first byte of an
 * answer was most likely closed by the peer while we wrote: then an idempotent call is sent once
 * more, on a fresh connection. Any other one looks at the socket before it writes, and is never
 * sent twice. */

#include "common/net/client_plain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/fiber/sync.h"
#include "common/net/client_reply.h"

#define KEEP_IDLE_US (15 * USEC_PER_SEC)
#define READ_SIZE    (6 * 1024)
#define KEPT_SIZE    (64 * 1024) /* larger buffers are given back */

struct client_plain {
    struct event_base *base;
    struct sockaddr_in address;
    char *authority; /* "127.0.0.1:8081" */
    int64_t connect_timeout_us;

    int fd; /* -1: not connected */
    struct event reading;
    int64_t idle_since_us;

    /* the running attempt */
    bool running, answered;                     /* some byte of an answer came */
    enum { LOST_NOT, LOST_END, LOST_BAD } lost; /* no answer will come, and why */
    struct latch latch;
    struct client_reply reply;
    struct buf out;
};

/* ---- the connection ---- */

static bool parse_base_url(const char *base_url, struct sockaddr_in *ret_address)
{
    char host[INET_ADDRSTRLEN];
    int64_t port = 80;
    struct span rest = span_of(base_url), piece;
    if (!span_starts(rest, SPAN("http://")))
        return false;
    rest = span_make(rest.ptr + 7, rest.len - 7);
    if (!span_cut(&rest, ':', &piece) || piece.len >= sizeof(host))
        return false;
    memcpy(host, piece.ptr, piece.len);
    host[piece.len] = '\0';
    if (rest.ptr && (!span_to_i64(rest, &port) || port < 1 || port > 65535))
        return false;
    *ret_address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &ret_address->sin_addr) == 1;
}

bool client_plain_fits(const char *base_url)
{
    struct sockaddr_in address;
    return parse_base_url(base_url, &address);
}

struct client_plain *client_plain_new(
    struct loop *l, const char *base_url, int64_t connect_timeout_us)
{
    struct client_plain *p = MEM_NEW(struct client_plain);
    p->base = loop_base(l);
    parse_base_url(base_url, &p->address);
    p->authority = mem_strdup(base_url + strlen("http://"));
    p->connect_timeout_us = connect_timeout_us;
    p->fd = -1;
    return p;
}

static void disconnect(struct client_plain *p)
{
    if (p->fd < 0)
        return;
    event_del(&p->reading);
    close(p->fd);
    p->fd = -1;
}

void client_plain_free(struct client_plain *p)
{
    if (!p)
        return;
    disconnect(p);
    client_reply_deinit(&p->reply);
    buf_deinit(&p->out);
    mem_free(p->authority);
    mem_free(p);
}

static void lose(struct client_plain *p, int why)
{
    p->lost = why;
    latch_set(&p->latch, 0);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct client_plain *p = arg;
    char bytes[READ_SIZE];
    if (!p->running) { /* closed, or something that nobody asked for */
        disconnect(p);
        return;
    }
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (p->reply.done || p->lost) { /* the fiber has not looked yet */
        p->reply.may_go_on = false;
        event_del(&p->reading);
        return;
    }
    p->answered |= n > 0;
    if (n > 0 && !client_reply_feed(&p->reply, span_make(bytes, (size_t)n)))
        lose(p, LOST_BAD);
    else if (n < 0 || (n == 0 && !client_reply_end(&p->reply)))
        lose(p, LOST_END);
    else if (p->reply.done)
        latch_set(&p->latch, 0);
    if (n <= 0)
        event_del(&p->reading); /* it would fire until the fiber closes it */
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    latch_set(arg, 0);
}

static int wait_writable(struct client_plain *p, int64_t deadline_us) PARKS
{
    struct latch ready = LATCH_INIT;
    struct event writing;
    event_assign(&writing, p->base, p->fd, EV_WRITE, on_writable, &ready);
    event_add(&writing, NULL);
    int r = latch_wait(&ready, "http", deadline_us, NULL);
    event_del(&writing);
    return r;
}

/* 0; ERR_UNAVAILABLE with errno's text in `detail`; ERR_CANCELED. */
static int connect_now(struct client_plain *p, int64_t deadline_us, char *detail) PARKS
{
    int64_t until_us = clock_mono_us() + p->connect_timeout_us;
    int one = 1, error = 0;
    socklen_t size = sizeof(error);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0) {
        snprintf(detail, WIRE_DETAIL_SIZE, "no socket: %s", strerror(errno));
        return ERR_UNAVAILABLE;
    }
    event_assign(&p->reading, p->base, p->fd, EV_READ | EV_PERSIST, on_readable, p);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(p->fd, (const struct sockaddr *)&p->address, sizeof(p->address)) < 0)
        error = errno;
    if (error == EINPROGRESS) {
        int r = wait_writable(p, until_us < deadline_us ? until_us : deadline_us);
        if (r < 0) {
            snprintf(detail, WIRE_DETAIL_SIZE, "%s",
                r == ERR_CANCELED ? "cancelled" : "no connection in time");
            return r == ERR_CANCELED ? r : ERR_UNAVAILABLE;
        }
        getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error) {
        snprintf(detail, WIRE_DETAIL_SIZE, "%s: %s", p->authority, strerror(error));
        return ERR_UNAVAILABLE;
    }
    event_add(&p->reading, NULL);
    return 0;
}

/* Whether the kept connection is still good for a call. */
static bool still_good(struct client_plain *p, bool idempotent)
{
    char byte;
    if (p->fd < 0 || clock_mono_us() - p->idle_since_us > KEEP_IDLE_US)
        return false;
    return idempotent || (recv(p->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

/* ---- the request ---- */

static bool path_is_clean(const char *path)
{
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    return true;
}

static int make_request(struct client_plain *p, const struct http_call *call, int64_t left_us)
{
    struct buf *out = &p->out;
    bool has_body = call->body.len > 0 || call->method == HTTP_POST || call->method == HTTP_PUT ||
                    call->method == HTTP_PATCH;
    buf_reset(out);
    if (!path_is_clean(call->path))
        return ERR_INVALID;
    buf_put_text(out, http_method_name(call->method));
    buf_put_char(out, ' ');
    buf_put_text(out, call->path);
    buf_put_text(out, " HTTP/1.1\r\nHost: ");
    buf_put_text(out, p->authority);
    for (size_t i = 0; i < call->headers_count; i++) {
        if (!client_header_is_clean(&call->headers[i]))
            return ERR_INVALID;
        buf_put_text(out, "\r\n");
        buf_put_span(out, call->headers[i].name);
        buf_put_text(out, call->headers[i].value.len ? ": " : ":");
        buf_put_span(out, call->headers[i].value);
    }
    if (call->body.len > 0) {
        buf_put_text(out, "\r\nContent-Type: ");
        buf_put_text(out, call->content_type ? call->content_type : "application/json");
    }
    buf_put_text(out, "\r\nX-Deadline-Ms: ");
    buf_put_i64(out, left_us < USEC_PER_MS ? 1 : left_us / USEC_PER_MS);
    if (has_body) {
        buf_put_text(out, "\r\nContent-Length: ");
        buf_put_i64(out, (int64_t)call->body.len);
    }
    buf_put_text(out, "\r\n\r\n");
    buf_put_span(out, call->body);
    return 0;
}

/* 0 also when the connection is lost meanwhile: the wait for the answer tells. */
static int send_request(struct client_plain *p, int64_t deadline_us) PARKS
{
    struct span rest = buf_span(&p->out);
    while (rest.len > 0 && !p->latch.is_set) {
        ssize_t n = send(p->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (n >= 0)
            rest = span_make(rest.ptr + n, rest.len - (size_t)n);
        else if (errno == EAGAIN) {
            int r = wait_writable(p, deadline_us);
            if (r < 0)
                return r;
        } else if (errno != EINTR) {
            return 0; /* what the peer said before it closed may be there to be read */
        }
    }
    return 0;
}

/* ---- one attempt ---- */

static void explain(struct client_wire_outcome *o, const char *text)
{
    snprintf(o->detail, WIRE_DETAIL_SIZE, "%s", text);
}

static int take_answer(struct client_plain *p, struct arena *a, struct http_answer *answer)
{
    char *body = arena_alloc(a, p->reply.body.len + 1);
    struct span got = buf_span(&p->reply.body);
    if (got.len)
        memcpy(body, got.ptr, got.len);
    answer->status = p->reply.status;
    answer->body = span_make(body, got.len);
    return 0;
}

/* What came of it, with the latch set or the wait over. */
static int result(struct client_plain *p, int waited, struct http_answer *answer,
    struct client_wire_outcome *outcome)
{
    if (p->reply.done)
        return take_answer(p, p->reply.arena, answer);
    if (!p->lost) {
        explain(outcome, waited == ERR_CANCELED ? "cancelled" : "no answer in time");
        return waited;
    }
    explain(outcome, p->reply.too_much     ? "answer too large"
                     : p->lost == LOST_BAD ? "not an answer"
                     : p->answered         ? "answer cut short"
                                           : "connection closed before the answer");
    return ERR_UNKNOWN;
}

static int attempt(struct client_plain *p, const struct http_call *call, int64_t deadline_us,
    struct http_answer *answer, struct client_wire_outcome *outcome) PARKS
{
    client_reply_begin(
        &p->reply, fiber_arena(), &answer->headers, call->method == HTTP_HEAD, WIRE_BODY_LIMIT);
    p->latch = LATCH_INIT;
    p->lost = LOST_NOT;
    p->answered = false;
    p->running = outcome->sent = true;
    int r = send_request(p, deadline_us);
    if (r == 0)
        r = latch_wait(&p->latch, "http", deadline_us, NULL);
    p->running = false;
    r = result(p, r, answer, outcome);
    if (r == 0 && p->reply.may_go_on)
        p->idle_since_us = clock_mono_us();
    else
        disconnect(p);
    return r;
}

int client_plain_run(struct client_plain *p, const struct http_call *call, int64_t deadline_us,
    struct http_answer *ret_answer, struct client_wire_outcome *ret_outcome)
{
    struct http_answer answer;
    if (fiber_deadline() < deadline_us)
        deadline_us = fiber_deadline();
    bool kept = still_good(p, call->idempotent);
    int r = make_request(p, call, deadline_us - clock_mono_us());
    if (r < 0)
        return r;
    if (kept) {
        r = attempt(p, call, deadline_us, &answer, ret_outcome);
        kept = r != ERR_UNKNOWN || p->answered || !call->idempotent;
    }
    if (!kept) {
        disconnect(p);
        r = connect_now(p, deadline_us, ret_outcome->detail);
        if (r == 0)
            r = attempt(p, call, deadline_us, &answer, ret_outcome);
        else
            disconnect(p);
    }
    if (p->reply.body.cap > KEPT_SIZE)
        buf_deinit(&p->reply.body);
    if (p->out.cap > KEPT_SIZE)
        buf_deinit(&p->out);
    if (r == 0)
        *ret_answer = answer;
    return r;
}
