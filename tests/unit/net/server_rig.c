#include "server_rig.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig *rig_now;

/* ---- the service ----------------------------------------------------------------------------- */

static void reply_text(struct http_response *res, const char *text)
{
    buf_put_text(&res->body, text);
    res->content_type = "text/plain";
}

static void handle_echo(struct http_request *req, struct http_response *res)
{
    buf_printf(&res->body, "%s %.*s ?%.*s ", http_method_name(req->method), SPAN_ARG(req->path),
        SPAN_ARG(req->query));
    buf_put_span(&res->body, req->body);
    http_header_add(&res->headers, SPAN("X-Echo"), http_header_get(req->headers, "x-echo"));
}

static PARKS void handle(void *ctx, struct http_request *req, struct http_response *res)
{
    struct rig *rig = ctx;

    rig->handled++;
    rig->deadline_left_us = fiber_deadline() - clock_mono_us();
    snprintf(
        rig->client_address, sizeof(rig->client_address), "%.*s", SPAN_ARG(req->client_address));
    if (span_starts(req->path, SPAN("/echo"))) {
        handle_echo(req, res);
    } else if (span_equal(req->path, SPAN("/park"))) {
        sem_post(&rig->reached);
        rig->park_result = fiber_sleep(60 * USEC_PER_SEC);
        reply_text(res, "unparked");
    } else if (span_equal(req->path, SPAN("/wait"))) {
        sem_post(&rig->reached);
        rig->park_result = fiber_signal_wait(&rig->go, "go", USEC_NEVER);
        reply_text(res, "gone");
    } else if (span_equal(req->path, SPAN("/big"))) {
        buf_reserve(&res->body, 8 << 20);
        for (int i = 0; i < (8 << 20) / 16; i++)
            buf_put(&res->body, "0123456789abcdef", 16);
    } else if (span_equal(req->path, SPAN("/nothing"))) {
        res->status = 204;
    } else if (span_equal(req->path, SPAN("/unprocessable"))) {
        res->status = 422;
        reply_text(res, "no");
    } else if (span_equal(req->path, SPAN("/lost"))) {
        res->status = 0;
    } else if (span_equal(req->path, SPAN("/headers"))) {
        http_header_add(&res->headers, SPAN("X-Good"), SPAN("yes"));
        http_header_add(&res->headers, SPAN("X-Split"), SPAN("a\r\nX-Evil: 1"));
        http_header_add(&res->headers, SPAN("Content-Length"), SPAN("1"));
        reply_text(res, "headers");
    } else {
        reply_text(res, "hello");
    }
    rig->ended++;
}

static void count_refused(void *ctx, int status)
{
    struct rig *rig = ctx;

    rig->refused++;
    rig->refused_status = status;
}

/* ---- the rig --------------------------------------------------------------------------------- */

static void post_stop(void *arg)
{
    loop_stop(((struct rig *)arg)->loop);
}

static void *client_main(void *arg)
{
    struct rig *rig = arg;

    rig->client(rig);
    loop_post(rig->loop, post_stop, rig);
    return NULL;
}

void rig_start(struct rig *rig)
{
    rig_now = rig;
    sem_init(&rig->reached, 0, 0);
    rig->loop = loop_new();
    rig->config.address = "127.0.0.1";
    rig->config.handler = handle;
    rig->config.ctx = rig;
    rig->config.on_refused = count_refused;
    cr_assert_eq(http_server_new(rig->loop, &rig->config, &rig->server), 0);
}

void rig_stop(struct rig *rig)
{
    http_server_free(rig->server);
    loop_run(rig->loop, true); /* what is parked still is cancelled and unwinds */
    loop_free(rig->loop);
    sem_destroy(&rig->reached);
    cr_assert_str_empty(rig->failure, "%s", rig->failure);
}

void rig_run(struct rig *rig, void (*client)(struct rig *rig))
{
    pthread_t thread;

    rig->client = client;
    rig_start(rig);
    cr_assert_eq(pthread_create(&thread, NULL, client_main, rig), 0);
    loop_run(rig->loop, false);
    pthread_join(thread, NULL);
    rig_stop(rig);
}

/* ---- for the client's thread ----------------------------------------------------------------- */

void rig_note(int line, const char *what, const char *fmt, ...)
{
    int n = snprintf(rig_now->failure, sizeof(rig_now->failure), "%d: %s:", line, what);
    va_list args;

    va_start(args, fmt);
    vsnprintf(rig_now->failure + n, sizeof(rig_now->failure) - (size_t)n, fmt, args);
    va_end(args);
}

static void post_reached(void *arg)
{
    sem_post(&((struct rig *)arg)->reached);
}

/* Twice: the first may be served by the very round that did not see the socket yet. */
void rig_sync(struct rig *rig)
{
    for (int i = 0; i < 2; i++) {
        loop_post(rig->loop, post_reached, rig);
        while (sem_wait(&rig->reached) != 0)
            ;
    }
}

int dial(struct rig *rig)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_port = htons(http_server_port(rig->server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct timeval patience = {.tv_sec = 10};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void send_span(int fd, struct span s)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        s = span_make(s.ptr + n, s.len - (size_t)n);
    }
}

void send_text(int fd, const char *text)
{
    send_span(fd, span_of(text));
}

bool read_answer(int fd, bool head_only, struct answer *a)
{
    size_t n = 0;

    free(a->body);
    memset(a, 0, sizeof(*a));
    while (n + 1 < sizeof(a->head) && !(n >= 4 && memcmp(a->head + n - 4, "\r\n\r\n", 4) == 0)) {
        if (recv(fd, a->head + n, 1, 0) != 1)
            return false;
        n++;
    }
    if (sscanf(a->head, "HTTP/1.1 %d ", &a->status) != 1)
        return false;
    const char *length = strcasestr(a->head, "\r\nContent-Length: ");
    a->body_len = length && !head_only ? strtoul(length + 18, NULL, 10) : 0;
    a->body = calloc(1, a->body_len + 1);
    for (n = 0; n < a->body_len;) {
        ssize_t got = recv(fd, a->body + n, a->body_len - n, 0);
        if (got <= 0)
            return false;
        n += (size_t)got;
    }
    return true;
}

bool has(const struct answer *a, const char *text)
{
    return strstr(a->head, text) != NULL;
}

bool at_end(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) == 0;
}

void wait_reached(struct rig *rig)
{
    while (sem_wait(&rig->reached) != 0)
        ;
}

void until_nobody(struct rig *rig)
{
    int64_t until_us = clock_mono_us() + 5 * USEC_PER_SEC;

    while ((http_server_active(rig->server) > 0 || http_server_connections(rig->server) > 0) &&
           clock_mono_us() < until_us)
        rig_sync(rig);
    CHECK(http_server_active(rig->server) == 0);
    CHECK(http_server_connections(rig->server) == 0);
}
