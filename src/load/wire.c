/* A call takes an idle connection, the one that was used last, or opens a new one; writes its
 * request; and parks until the reader, which runs in libevent's callbacks, has seen the whole
 * answer. The time of the last byte is taken there: how long the fiber then waits for its turn is
 * the generator's business, not the shop's.
 *
 * Requests are short, so they are written to the socket at once, past the bufferevent, when nothing
 * is queued in it; that saves two system calls. With TLS, or while connecting, they go through it.
 *
 * A connection belongs to a call, or to the list of idle ones. Only its owner, or the callback of
 * an idle one, frees it: never a callback whose call still has to look at it. */

#include "load/wire.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/fiber/sync.h"

#define HEAD_LIMIT ((size_t)16 * 1024)
#define BODY_LIMIT ((size_t)4 * 1024 * 1024)

struct connection {
    LIST_ENTRY(connection) link; /* while idle */
    struct wire *wire;
    struct bufferevent *bev;
    bool connected, used, dead;

    /* the present answer */
    struct latch *waiter; /* NULL: nobody waits */
    enum wire_result result;
    bool in_body, chunked, until_close, close_after;
    size_t body_left; /* of the body, or of the chunk with its line end */
    int status, retry_after_s;
    int64_t ended_us;
    struct buf body;
};

struct wire {
    struct loop *loop;
    char *host, *prefix; /* prefix: the base URL's path, "" or "/shop" */
    char *authority;     /* for the Host header */
    struct sockaddr_storage address;
    socklen_t address_size;
    SSL_CTX *tls; /* NULL: plain */
    bool insecure;
    int64_t timeout_us;
    struct buf request; /* written and sent without a wait in between */
    LIST_HEAD(, connection) idle;
};

const char *wire_result_name(enum wire_result r)
{
    static const char *const names[] = {
        "answered", "refused", "no safe TLS", "reset", "timeout", "no HTTP", "cancelled"};
    return names[r];
}

/* ---- connections ---- */

static void connection_free(struct connection *c)
{
    if (c->wire->tls) /* no shutdown message: that would wait for the other side's */
        SSL_set_shutdown(bufferevent_openssl_get_ssl(c->bev), SSL_RECEIVED_SHUTDOWN);
    bufferevent_free(c->bev);
    buf_deinit(&c->body);
    mem_free(c);
}

static void on_end(struct connection *c, enum wire_result result)
{
    struct latch *waiter = c->waiter;
    c->dead = c->dead || result != WIRE_ANSWERED;
    c->result = result;
    c->ended_us = clock_mono_us();
    c->waiter = NULL;
    if (waiter)
        latch_set(waiter, 0);
}

/* Something happens on a connection that has no call: an idle one goes; one that is being opened
 * has an owner who will see. */
static void drop_unasked(struct connection *c)
{
    c->dead = true;
    if (!c->link.le_prev)
        return;
    LIST_REMOVE(c, link);
    connection_free(c);
}

/* ---- reading an answer ---- */

static bool header_is(struct span line, const char *name, struct span *ret_value)
{
    size_t n = strlen(name);
    if (line.len <= n || line.ptr[n] != ':' || strncasecmp(line.ptr, name, n) != 0)
        return false;
    *ret_value = span_trim(span_make(line.ptr + n + 1, line.len - n - 1));
    return true;
}

static bool header_read(struct connection *c, struct span line)
{
    struct span value;
    int64_t number;
    if (header_is(line, "content-length", &value)) {
        if (!span_to_i64(value, &number) || number < 0 || number > (int64_t)BODY_LIMIT)
            return false;
        c->body_left = (size_t)number;
        c->until_close = false;
    } else if (header_is(line, "transfer-encoding", &value)) {
        c->chunked = span_equal_nocase(value, SPAN("chunked"));
    } else if (header_is(line, "connection", &value)) {
        c->close_after = c->close_after || span_equal_nocase(value, SPAN("close"));
    } else if (header_is(line, "retry-after", &value)) {
        c->retry_after_s =
            span_to_i64(value, &number) && number >= 0 && number < 3600 ? (int)number : 1;
    }
    return true;
}

/* `head` ends with its empty line. */
static bool head_read(struct connection *c, struct span head)
{
    struct span line;
    int64_t status;
    if (!span_cut(&head, '\n', &line) || !span_starts(line, SPAN("HTTP/1.")) || line.len < 12 ||
        !span_to_i64(span_make(line.ptr + 9, 3), &status) || status < 100)
        return false;
    c->status = (int)status;
    c->close_after = line.ptr[7] == '0';
    c->until_close = true;
    c->chunked = false;
    c->body_left = 0;
    c->retry_after_s = -1;
    while (span_cut(&head, '\n', &line)) {
        line.len -= line.len > 0 && line.ptr[line.len - 1] == '\r';
        if (!header_read(c, line))
            return false;
    }
    if (c->chunked || status == 204 || status == 304)
        c->until_close = false;
    if (status == 204 || status == 304)
        c->body_left = 0;
    c->close_after = c->close_after || c->until_close;
    return true;
}

enum progress { MORE, ON, DONE, BAD };

static enum progress read_head(struct connection *c, struct evbuffer *in)
{
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
    if (end.pos < 0)
        return evbuffer_get_length(in) > HEAD_LIMIT ? BAD : MORE;
    size_t size = (size_t)end.pos + 4;
    const char *head = (const char *)evbuffer_pullup(in, (ev_ssize_t)size);
    bool good = head && head_read(c, span_make(head, size - 2));
    evbuffer_drain(in, size);
    if (!good)
        return BAD;
    if (c->status < 200)
        return ON; /* a 100: the real one follows */
    c->in_body = true;
    return ON;
}

static void take(struct connection *c, struct evbuffer *in, size_t size)
{
    buf_reserve(&c->body, size);
    ev_ssize_t n = evbuffer_remove(in, c->body.ptr + c->body.len, size);
    c->body.len += n > 0 ? (size_t)n : 0;
}

static enum progress read_chunk(struct connection *c, struct evbuffer *in)
{
    size_t here = evbuffer_get_length(in);
    if (c->body_left == 0) {
        struct evbuffer_ptr end = evbuffer_search(in, "\r\n", 2, NULL);
        unsigned long size = 0;
        char digits[16] = "";
        if (end.pos < 0)
            return here > HEAD_LIMIT ? BAD : MORE;
        evbuffer_copyout(in, digits, sizeof(digits) - 1);
        evbuffer_drain(in, (size_t)end.pos + 2);
        if (sscanf(digits, "%lx", &size) != 1 || size > BODY_LIMIT ||
            c->body.len + size > BODY_LIMIT)
            return BAD;
        c->body_left = size + 2;
        return ON;
    }
    if (here < c->body_left)
        return MORE;
    bool last = c->body_left == 2;
    take(c, in, c->body_left - 2);
    evbuffer_drain(in, 2);
    c->body_left = 0;
    return last ? DONE : ON;
}

static enum progress read_some(struct connection *c, struct evbuffer *in)
{
    if (!c->in_body)
        return read_head(c, in);
    if (c->chunked)
        return read_chunk(c, in);
    size_t here = evbuffer_get_length(in);
    if (c->until_close) {
        take(c, in, here);
        return c->body.len > BODY_LIMIT ? BAD : MORE;
    }
    size_t size = here < c->body_left ? here : c->body_left;
    take(c, in, size);
    c->body_left -= size;
    return c->body_left == 0 ? DONE : MORE;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct connection *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    if (!c->waiter) { /* nobody has asked for anything */
        drop_unasked(c);
        return;
    }
    enum progress p = ON;
    while (p == ON)
        p = read_some(c, in);
    if (p == DONE)
        on_end(c, WIRE_ANSWERED);
    else if (p == BAD)
        on_end(c, WIRE_GARBAGE);
}

/* Why there is no connection. */
static enum wire_result refusal_of(struct connection *c)
{
    unsigned long error = c->wire->tls ? bufferevent_get_openssl_error(c->bev) : 0;
    if (error == 0)
        return WIRE_REFUSED;
    long belief = SSL_get_verify_result(bufferevent_openssl_get_ssl(c->bev));
    buf_reset(&c->body);
    const char *why = belief == X509_V_OK ? ERR_reason_error_string(error)
                                          : X509_verify_cert_error_string(belief);
    buf_put_text(&c->body, why ? why : "unknown");
    return WIRE_UNSAFE;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct connection *c = arg;
    if (what & BEV_EVENT_CONNECTED) {
        int one = 1;
        setsockopt(bufferevent_getfd(bev), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        c->connected = true;
        return;
    }
    bool whole = c->waiter && c->in_body && c->until_close && (what & BEV_EVENT_EOF);
    c->dead = true;
    if (c->waiter) {
        enum wire_result lost = c->connected ? WIRE_RESET : refusal_of(c);
        on_end(c, whole ? WIRE_ANSWERED : lost);
    } else {
        drop_unasked(c);
    }
}

/* ---- opening ---- */

static struct bufferevent *bufferevent_open(struct wire *w)
{
    struct event_base *base = loop_base(w->loop);
    if (!w->tls)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    SSL *ssl = SSL_new(w->tls);
    if (!ssl)
        return NULL;
    struct in6_addr number;
    if (inet_pton(AF_INET, w->host, &number) != 1 && inet_pton(AF_INET6, w->host, &number) != 1)
        SSL_set_tlsext_host_name(ssl, w->host); /* names only */
    if (!w->insecure)
        SSL_set1_host(ssl, w->host);
    return bufferevent_openssl_socket_new(
        base, -1, ssl, BUFFEREVENT_SSL_CONNECTING, BEV_OPT_CLOSE_ON_FREE);
}

static struct connection *connection_new(struct wire *w)
{
    struct bufferevent *bev = bufferevent_open(w);
    if (!bev)
        return NULL;
    struct connection *c = MEM_NEW(struct connection);
    c->wire = w;
    c->bev = bev;
    bufferevent_setcb(bev, on_read, NULL, on_event, c);
    if (bufferevent_socket_connect(bev, (struct sockaddr *)&w->address, (int)w->address_size) < 0 ||
        bufferevent_enable(bev, EV_READ | EV_WRITE) < 0) {
        connection_free(c);
        return NULL;
    }
    return c;
}

static struct connection *connection_take(struct wire *w, bool fresh)
{
    struct connection *c = fresh ? NULL : LIST_FIRST(&w->idle);
    if (!c)
        return connection_new(w);
    LIST_REMOVE(c, link);
    c->link.le_prev = NULL;
    return c;
}

static void connection_give(struct connection *c)
{
    if (c->dead || c->close_after) {
        connection_free(c);
        return;
    }
    c->used = true;
    LIST_INSERT_HEAD(&c->wire->idle, c, link);
}

/* ---- calls ---- */

static void request_write(struct wire *w, const struct wire_request *q)
{
    struct buf *b = &w->request;
    buf_reset(b);
    buf_printf(b, "%s %s%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: souk-load\r\nAccept: */*\r\n",
        http_method_name(q->method), w->prefix, q->path, w->authority);
    if (q->token)
        buf_printf(b, "Authorization: Bearer %s\r\n", q->token);
    if (q->key)
        buf_printf(b, "Idempotency-Key: %s\r\n", q->key);
    if (q->body)
        buf_printf(b, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
            strlen(q->body), q->body);
    else if (q->method == HTTP_POST)
        buf_put_text(b, "Content-Length: 0\r\n\r\n");
    else
        buf_put_text(b, "\r\n");
}

static void request_send(struct connection *c, const struct wire_request *q)
{
    struct wire *w = c->wire;
    request_write(w, q);
    size_t sent = 0;
    if (!w->tls && c->connected && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0) {
        ssize_t n = send(bufferevent_getfd(c->bev), w->request.ptr, w->request.len, MSG_NOSIGNAL);
        sent = n > 0 ? (size_t)n : 0; /* an error comes again, through the bufferevent */
    }
    if (sent < w->request.len)
        bufferevent_write(c->bev, w->request.ptr + sent, w->request.len - sent);
}

static void call_once(struct wire *w, const struct wire_request *q, bool fresh, int64_t deadline_us,
    struct wire_answer *a, bool *ret_stale)
{
    *ret_stale = false;
    struct connection *c = connection_take(w, fresh);
    if (!c || c->dead) {
        a->result = WIRE_REFUSED;
        a->ended_us = clock_mono_us();
        if (c)
            connection_free(c);
        return;
    }
    struct latch done = LATCH_INIT;
    bool used = c->used;
    c->waiter = &done;
    c->in_body = false;
    c->status = 0;
    buf_reset(&c->body);
    request_send(c, q);
    int r = latch_wait(&done, "an answer", deadline_us, NULL);
    if (r != 0) {
        c->waiter = NULL;
        c->dead = true;
        c->result = r == ERR_CANCELED ? WIRE_CANCELED : WIRE_TIMEOUT;
        c->ended_us = clock_mono_us();
    }
    a->result = c->result;
    a->status = c->status;
    a->retry_after_s = c->retry_after_s;
    a->ended_us = c->ended_us;
    struct span body = buf_span(&c->body);
    a->body = span_make(arena_strndup(fiber_arena(), body.ptr, body.len), body.len);
    *ret_stale = used && c->result == WIRE_RESET && c->status == 0;
    connection_give(c);
}

void wire_call(struct wire *w, const struct wire_request *q, struct wire_answer *ret_answer)
{
    bool stale;
    int64_t begun_us = clock_mono_us(), deadline_us = begun_us + w->timeout_us;
    *ret_answer = (struct wire_answer){.begun_us = begun_us, .retry_after_s = -1};
    call_once(w, q, false, deadline_us, ret_answer, &stale);
    if (stale && (q->method == HTTP_GET || q->key))
        call_once(w, q, true, deadline_us, ret_answer, &stale);
}

/* ---- life ---- */

/* "https://shop.example:8443/base" to its parts. */
static const char *url_cut(const char *url, bool *ret_tls, char **ret_host, char **ret_port,
    char **ret_authority, char **ret_prefix)
{
    const char *at;
    if (strncmp(url, "http://", 7) == 0)
        at = url + 7;
    else if (strncmp(url, "https://", 8) == 0)
        at = url + 8;
    else
        return "it must begin with http:// or https://";
    *ret_tls = url[4] == 's';
    size_t n = strcspn(at, "/"), path = strlen(at + n), host = strcspn(at, "/:");
    while (path > 0 && at[n + path - 1] == '/')
        path--;
    struct span port = span_make(at + host, n - host);
    if (*at == '[') { /* IPv6 */
        host = strcspn(at, "]/");
        if (at[host] != ']')
            return "its IPv6 address does not end";
        port = span_make(at + host + 1, n - host - 1);
    }
    int64_t number = *ret_tls ? 443 : 80;
    if (host == 0 || strcspn(at, "@?# ") < n ||
        (port.len > 0 &&
            (port.ptr[0] != ':' || !span_to_i64(span_make(port.ptr + 1, port.len - 1), &number) ||
                number < 1 || number > 65535)))
        return "it must be like http://host:port";
    struct buf text = {0};
    buf_put_i64(&text, number);
    *ret_port = text.ptr;
    *ret_host = *at == '[' ? mem_strndup(at + 1, host - 1) : mem_strndup(at, host);
    *ret_authority = mem_strndup(at, n);
    *ret_prefix = mem_strndup(at + n, path);
    return NULL;
}

static const char *resolve(struct wire *w, const char *port)
{
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    int r = getaddrinfo(w->host, port, &hints, &found);
    if (r != 0)
        return gai_strerror(r);
    memcpy(&w->address, found->ai_addr, found->ai_addrlen);
    w->address_size = found->ai_addrlen;
    freeaddrinfo(found);
    return NULL;
}

static const char *tls_prepare(struct wire *w, const struct wire_config *config)
{
    w->tls = SSL_CTX_new(TLS_client_method());
    if (!w->tls)
        return "OpenSSL can't start";
    SSL_CTX_set_min_proto_version(w->tls, TLS1_2_VERSION);
    SSL_CTX_set_verify(w->tls, config->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    int good = config->ca_file ? SSL_CTX_load_verify_locations(w->tls, config->ca_file, NULL)
                               : SSL_CTX_set_default_verify_paths(w->tls);
    return good == 1 ? NULL : "the certificates of the authorities can't be read";
}

int wire_new(struct loop *l, const char *base_url, const struct wire_config *config,
    struct wire **ret_wire, const char **ret_wrong)
{
    struct wire *w = MEM_NEW(struct wire);
    char *port = NULL;
    bool tls = false;
    w->loop = l;
    w->timeout_us = config->timeout_us;
    w->insecure = config->insecure;
    *ret_wrong = url_cut(base_url, &tls, &w->host, &port, &w->authority, &w->prefix);
    if (!*ret_wrong)
        *ret_wrong = resolve(w, port);
    if (!*ret_wrong && tls)
        *ret_wrong = tls_prepare(w, config);
    mem_free(port);
    if (*ret_wrong) {
        wire_free(w);
        return -1;
    }
    *ret_wire = w;
    return 0;
}

void wire_free(struct wire *w)
{
    if (!w)
        return;
    while (!LIST_EMPTY(&w->idle)) {
        struct connection *c = LIST_FIRST(&w->idle);
        LIST_REMOVE(c, link);
        connection_free(c);
    }
    SSL_CTX_free(w->tls);
    buf_deinit(&w->request);
    mem_free(w->host);
    mem_free(w->authority);
    mem_free(w->prefix);
    mem_free(w);
}

bool wire_is_local(const struct wire *w)
{
    const struct sockaddr *a = (const struct sockaddr *)&w->address;
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
}
