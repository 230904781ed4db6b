#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/fiber/sync.h"
#include "common/net/server.h"
#include "requests.h"

/* The server runs on a loop in the test's thread; a client that knows nothing of the tree's code
 * talks to it with blocking sockets from a thread of its own. What the client finds wrong is noted
 * and asserted in the test's thread. `rig_sync` waits until the loop has looked at its sockets, so
 * that pieces sent one after the other are also read so: no test sleeps. */

struct rig {
    struct loop *loop;
    struct http_server *server;
    struct http_server_config config;
    void (*client)(struct rig *rig);
    char failure[512];
    sem_t reached;          /* posted by the loop, and by handlers that are about to park */
    struct fiber_signal go; /* what /wait waits for */
    struct latch room;      /* what the fillers of the fiber limit wait for */
    int park_result;
    unsigned handled, refused, ended;
    int refused_status;
    int64_t deadline_left_us;
    char client_address[64];
};

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

static void rig_start(struct rig *rig)
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

static void rig_stop(struct rig *rig)
{
    http_server_free(rig->server);
    loop_run(rig->loop, true); /* what is parked still is cancelled and unwinds */
    loop_free(rig->loop);
    sem_destroy(&rig->reached);
    cr_assert_str_empty(rig->failure, "%s", rig->failure);
}

static void rig_run(struct rig *rig, void (*client)(struct rig *rig))
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

PRINTF(3, 4)
static void note(int line, const char *what, const char *fmt, ...)
{
    int n = snprintf(rig_now->failure, sizeof(rig_now->failure), "%d: %s:", line, what);
    va_list args;

    va_start(args, fmt);
    vsnprintf(rig_now->failure + n, sizeof(rig_now->failure) - (size_t)n, fmt, args);
    va_end(args);
}

#define CHECK(cond, ...)                                                                           \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            note(__LINE__, #cond, " " __VA_ARGS__);                                                \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void post_reached(void *arg)
{
    sem_post(&((struct rig *)arg)->reached);
}

/* Twice: the first may be served by the very round that did not see the socket yet. */
static void rig_sync(struct rig *rig)
{
    for (int i = 0; i < 2; i++) {
        loop_post(rig->loop, post_reached, rig);
        while (sem_wait(&rig->reached) != 0)
            ;
    }
}

static int dial(struct rig *rig)
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

static void send_span(int fd, struct span s)
{
    while (s.len > 0) {
        ssize_t n = send(fd, s.ptr, s.len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        s = span_make(s.ptr + n, s.len - (size_t)n);
    }
}

static void send_text(int fd, const char *text)
{
    send_span(fd, span_of(text));
}

struct answer {
    int status;
    char head[2048];
    char *body;
    size_t body_len;
};

/* Byte by byte until the empty line, so that nothing of the next reply is taken. False: no reply.
 */
static bool read_answer(int fd, bool head_only, struct answer *a)
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

static bool has(const struct answer *a, const char *text)
{
    return strstr(a->head, text) != NULL;
}

static bool at_end(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) == 0;
}

#define HOST "Host: a\r\n"

/* ---- whole requests -------------------------------------------------------------------------- */

static void client_hello(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a));
    CHECK(a.status == 200 && has(&a, "HTTP/1.1 200 OK\r\n"), "%s", a.head);
    CHECK(has(&a, "\r\nContent-Type: text/plain\r\n"), "%s", a.head);
    CHECK(has(&a, "\r\nContent-Length: 5\r\n"), "%s", a.head);
    CHECK(has(&a, "\r\nX-Content-Type-Options: nosniff\r\n"), "%s", a.head);
    CHECK(has(&a, " GMT\r\n") && has(&a, "\r\nDate: "), "%s", a.head);
    CHECK(!has(&a, "Server:") && !has(&a, "Connection:"), "%s", a.head);
    CHECK(strcmp(a.body, "hello") == 0, "%s", a.body);
    free(a.body);
    close(fd);
}

Test(server, get__plain__is_answered_in_full)
{
    struct rig rig = {0};

    rig_run(&rig, client_hello);
    cr_assert_eq(rig.handled, 1);
    cr_assert_str_eq(rig.client_address, "127.0.0.1");
}

static void client_echo(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    for (int i = 0; i < 3; i++) {
        send_text(fd, "POST /echo/a%20b?x=%41 HTTP/1.1\r\n" HOST
                      "X-Echo: back\r\nContent-Length: 5\r\n\r\nhello");
        CHECK(read_answer(fd, false, &a), "request %d", i);
        CHECK(strcmp(a.body, "POST /echo/a b ?x=%41 hello") == 0, "%s", a.body);
        CHECK(has(&a, "\r\nX-Echo: back\r\n") && has(&a, "application/json"), "%s", a.head);
    }
    send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n");
    rig_sync(rig);
    send_text(fd, "he");
    rig_sync(rig);
    send_text(fd, "llo");
    CHECK(read_answer(fd, false, &a));
    CHECK(strcmp(a.body, "POST /echo ? hello") == 0, "%s", a.body);
    free(a.body);
    close(fd);
}

Test(server, post__with_body__reaches_the_handler_and_the_connection_is_kept)
{
    struct rig rig = {0};

    rig_run(&rig, client_echo);
    cr_assert_eq(rig.handled, 4);
    cr_assert_eq(rig.refused, 0);
}

static void client_head(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, true, &a) && has(&a, "\r\nContent-Length: 5\r\n"), "%s", a.head);
    send_text(fd, "GET /nothing HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 204, "%s", a.head);
    CHECK(!has(&a, "Content-Length") && !has(&a, "Transfer-Encoding"), "%s", a.head);
    send_text(fd, "GET /unprocessable HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a), "%s", a.head);
    CHECK(has(&a, "HTTP/1.1 422 Unprocessable Content\r\n"), "%s", a.head);
    send_text(fd, "GET /lost HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 500, "%s", a.head);
    CHECK(has(&a, "application/problem+json"), "%s", a.head);
    send_text(fd, "GET /headers HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%s", a.head);
    CHECK(has(&a, "X-Good: yes\r\n") && !has(&a, "X-Evil") && !has(&a, "X-Split"), "%s", a.head);
    CHECK(strcmp(a.body, "headers") == 0, "%s", a.body);
    free(a.body);
    close(fd);
}

Test(server, replies__head_204_422_and_bad_headers__are_framed_right)
{
    struct rig rig = {0};

    rig_run(&rig, client_head);
    cr_assert_eq(rig.handled, 5);
}

static void client_http10(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(read_answer(fd, false, &a) && has(&a, "\r\nConnection: keep-alive\r\n"), "%s", a.head);
    send_text(fd, "GET / HTTP/1.0\r\n\r\n");
    CHECK(read_answer(fd, false, &a) && has(&a, "\r\nConnection: close\r\n"), "%s", a.head);
    CHECK(at_end(fd));
    close(fd);

    fd = dial(rig);
    send_text(fd, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    CHECK(read_answer(fd, false, &a) && has(&a, "\r\nConnection: close\r\n"), "%s", a.head);
    CHECK(at_end(fd));
    free(a.body);
    close(fd);
}

Test(server, connection__http10_and_close__end_after_the_reply)
{
    struct rig rig = {0};

    rig_run(&rig, client_http10);
}

/* Every path of legal bytes and every length must get through libevhtp as well. */
static void client_paths(struct rig *rig)
{
    static const char odd[] = "!$&'()*+,;=:@-._~%41/";
    struct answer a = {0};
    char text[5000];
    int fd = dial(rig);

    for (size_t len = 1; len <= 4095; len += len < 64 ? 1 : 509) {
        int n = snprintf(text, sizeof(text), "GET /");
        for (size_t i = 0; i < len; i++)
            text[n++] = (char)('a' + i % 26);
        snprintf(text + n, sizeof(text) - (size_t)n, " HTTP/1.1\r\n" HOST "\r\n");
        send_text(fd, text);
        CHECK(read_answer(fd, false, &a) && a.status == 200, "length %zu: %d", len, a.status);
    }
    for (size_t at = 0; at < sizeof(odd) - 1; at++) {
        snprintf(text, sizeof(text), "GET /echo%.*s/%s?%s HTTP/1.1\r\n" HOST "\r\n", (int)1,
            odd[at] == '%' || odd[at] == '/' ? "x" : odd + at, odd, odd);
        send_text(fd, text);
        CHECK(read_answer(fd, false, &a) && a.status == 200, "%s: %d", text, a.status);
    }
    free(a.body);
    close(fd);
}

Test(server, paths__of_any_legal_byte_and_length__reach_the_handler)
{
    struct rig rig = {0};

    rig_run(&rig, client_paths);
    cr_assert_eq(rig.refused, 0);
}

/* ---- raw requests ---------------------------------------------------------------------------- */

static void check_raw(struct rig *rig, const struct raw_request *r, size_t split)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_span(fd, span_make(r->bytes.ptr, split));
    if (split > 0 && split < r->bytes.len)
        rig_sync(rig);
    send_span(fd, span_make(r->bytes.ptr + split, r->bytes.len - split));
    bool head_only = span_starts(r->bytes, SPAN("HEAD"));
    CHECK(read_answer(fd, head_only, &a), "%s, split at %zu", r->name, split);
    if (a.status == 100)
        CHECK(read_answer(fd, head_only, &a), "%s, split at %zu: after 100", r->name, split);
    CHECK(a.status == (r->status ? r->status : 200), "%s, at %zu: %d", r->name, split, a.status);
    if (r->status) {
        CHECK(has(&a, "Connection: close\r\n"), "%s: %s", r->name, a.head);
        CHECK(has(&a, "application/problem+json\r\n"), "%s: %s", r->name, a.head);
        CHECK(head_only || strstr(a.body, "\"correlationId\""), "%s: %s", r->name, a.body);
        CHECK(at_end(fd), "%s, split at %zu: not closed", r->name, split);
    }
    free(a.body);
    close(fd);
}

static void client_raw(struct rig *rig)
{
    for (size_t i = 0; i < ARRAY_SIZE(raw_requests) && !*rig->failure; i++)
        check_raw(rig, &raw_requests[i], raw_requests[i].bytes.len);
}

Test(server, raw_requests__whole__get_their_status_and_refusals_close)
{
    struct rig rig = {0};

    rig_run(&rig, client_raw);
    unsigned refusals = 0;
    for (size_t i = 0; i < ARRAY_SIZE(raw_requests); i++)
        refusals += raw_requests[i].status != 0;
    cr_assert_eq(rig.refused, refusals);
    cr_assert_eq(rig.handled, ARRAY_SIZE(raw_requests) - refusals);
}

static void client_splits(struct rig *rig)
{
    for (size_t i = 0; i < ARRAY_SIZE(raw_requests); i += 4) {
        size_t step = raw_requests[i].status ? 5 : 1;
        for (size_t at = 1; at < raw_requests[i].bytes.len && !*rig->failure; at += step)
            check_raw(rig, &raw_requests[i], at);
    }
}

Test(server, raw_requests__split_in_two__get_the_same_status)
{
    struct rig rig = {0};

    rig_run(&rig, client_splits);
}

static void client_pipeline(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "GET /echo?1 HTTP/1.1\r\n" HOST "\r\n"
                  "POST /echo?2 HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nxy"
                  "HEAD /echo?3 HTTP/1.1\r\n" HOST "\r\n"
                  "GET /echo?4 HTTP/1.1\r\n" HOST "\r\n"
                  "GET /oops\r\n");
    CHECK(read_answer(fd, false, &a) && strstr(a.body, "?1"), "%s", a.head);
    CHECK(read_answer(fd, false, &a) && strstr(a.body, "?2 xy"), "%s", a.head);
    CHECK(read_answer(fd, true, &a) && a.status == 200, "%s", a.head);
    CHECK(read_answer(fd, false, &a) && strstr(a.body, "?4"), "%s", a.head);
    CHECK(read_answer(fd, false, &a) && a.status == 400, "%s", a.head);
    CHECK(at_end(fd));
    free(a.body);
    close(fd);
}

Test(server, pipeline__four_good_and_a_bad_one__are_answered_in_order)
{
    struct rig rig = {0};

    rig_run(&rig, client_pipeline);
    cr_assert_eq(rig.handled, 4);
}

/* More than the door holds back, sent before anything is read. */
static void client_flood(struct rig *rig)
{
    enum { REQUESTS = 3000 };
    struct answer a = {0};
    int fd = dial(rig);

    for (int i = 0; i < REQUESTS; i++)
        send_text(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < REQUESTS; i++)
        CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", i);
    free(a.body);
    close(fd);
}

Test(server, pipeline__of_thousands__is_answered_to_the_last)
{
    struct rig rig = {0};

    rig_run(&rig, client_flood);
    cr_assert_eq(rig.handled, 3000);
}

static void client_continue(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                  "Content-Length: 2\r\n\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 100, "%s", a.head);
    send_text(fd, "ok");
    CHECK(read_answer(fd, false, &a) && a.status == 200 && strstr(a.body, "ok"), "%s", a.head);
    send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n"
                  "Content-Length: 999999\r\n\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 413, "%s", a.head);
    CHECK(at_end(fd));
    free(a.body);
    close(fd);
}

Test(server, expectation__of_100__is_met_or_refused_before_the_body)
{
    struct rig rig = {0};

    rig_run(&rig, client_continue);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void send_zeros(int fd, size_t len)
{
    char *zeros = calloc(1, len);

    send_span(fd, span_make(zeros, len));
    free(zeros);
}

static void client_form(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5242880\r\n"
                  "Content-Type: application/x-www-form-urlencoded\r\n\r\n");
    send_zeros(fd, 5 << 20);
    CHECK(read_answer(fd, false, &a), "no answer");
    CHECK(a.status == 200, "%d", a.status);
    send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
                  "Content-Type: multipart/form-data; boundary=x\r\n\r\nabc");
    free(a.body);
    a = (struct answer){0};
    CHECK(read_answer(fd, false, &a), "no answer");
    CHECK(a.status == 415, "%d", a.status);
    CHECK(at_end(fd));
    free(a.body);
    close(fd);
}

/* libevhtp would take such a form apart on its stack; it never sees it. */
Test(server, body__five_mebibytes_of_form__is_a_body_like_any_other)
{
    struct rig rig = {.config = {.body_limit = 16 << 20}};

    rig_run(&rig, client_form);
    cr_assert_eq(rig.handled, 1);
}

static const void *limit_by_path(
    void *ctx, enum http_method m, struct span path, int64_t *ret_limit)
{
    *ret_limit = span_starts(path, SPAN("/echo/bulk")) && m == HTTP_POST ? 1 << 20 : 10;
    return NULL;
}

static void client_limits(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "POST /echo/bulk HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
    send_zeros(fd, 1 << 20);
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    CHECK(a.body_len > 1 << 20);
    send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    send_text(fd, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 413, "%d", a.status);
    CHECK(strstr(a.body, "\"code\":\"content_too_large\""), "%s", a.body);
    CHECK(at_end(fd));
    free(a.body);
    close(fd);
}

Test(server, body_limit__by_route__is_kept_before_the_body_comes)
{
    struct rig rig = {.config = {.route = limit_by_path}};

    rig_run(&rig, client_limits);
    cr_assert_eq(rig.handled, 2);
    cr_assert_eq(rig.refused_status, 413);
}

static void client_big(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "GET /big HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    rig_sync(rig);
    CHECK(read_answer(fd, false, &a) && a.body_len == 8 << 20, "%zu", a.body_len);
    CHECK(memcmp(a.body + a.body_len - 16, "0123456789abcdef", 16) == 0);
    CHECK(read_answer(fd, false, &a) && strcmp(a.body, "hello") == 0, "%s", a.head);
    free(a.body);
    close(fd);
}

Test(server, reply__of_eight_mebibytes__arrives_whole_and_the_next_follows)
{
    struct rig rig = {0};

    rig_run(&rig, client_big);
}

/* ---- time ------------------------------------------------------------------------------------ */

#define SHORT_US (60 * USEC_PER_MS)

static void client_slow_head(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);
    int64_t begun_us = clock_mono_us();

    /* A byte now and then: the deadline is absolute, so it does not help. */
    send_text(fd, "GET /");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 10) == 0)
        send_text(fd, "a");
    CHECK(read_answer(fd, false, &a) && a.status == 408, "%d", a.status);
    CHECK(clock_mono_us() - begun_us < 20 * SHORT_US);
    close(fd);

    fd = dial(rig);
    send_text(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    send_text(fd, "G");
    CHECK(read_answer(fd, false, &a) && a.status == 408, "%d", a.status);
    free(a.body);
    close(fd);
}

Test(server, head_timeout__bytes_that_trickle__end_in_408)
{
    struct rig rig = {.config = {.head_timeout_us = SHORT_US}};

    rig_run(&rig, client_slow_head);
    cr_assert_eq(rig.handled, 1);
}

static void client_slow_body(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 10) == 0)
        send_text(fd, "a");
    CHECK(read_answer(fd, false, &a) && a.status == 408, "%d", a.status);
    free(a.body);
    close(fd);
}

Test(server, body_timeout__bytes_that_trickle__end_in_408)
{
    struct rig rig = {.config = {.body_timeout_us = SHORT_US}};

    rig_run(&rig, client_slow_body);
    cr_assert_eq(rig.handled, 0);
}

static void client_idle(struct rig *rig)
{
    struct answer a = {0};
    int fresh = dial(rig), fd = dial(rig);

    CHECK(at_end(fresh));
    close(fresh);
    close(fd);
    fd = dial(rig);
    send_text(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    CHECK(at_end(fd));
    free(a.body);
    close(fd);
}

Test(server, idle_timeout__nothing_comes__closes_in_silence)
{
    struct rig rig = {.config = {.idle_timeout_us = SHORT_US}};

    rig_run(&rig, client_idle);
    cr_assert_eq(rig.refused, 0);
}

static void client_never_reads(struct rig *rig)
{
    int fd = dial(rig);

    for (int i = 0; i < 3; i++)
        send_text(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    rig_sync(rig);
    int64_t until_us = clock_mono_us() + 5 * USEC_PER_SEC;
    while (http_server_connections(rig->server) > 0 && clock_mono_us() < until_us) {
        poll(NULL, 0, 5);
        rig_sync(rig);
    }
    CHECK(http_server_connections(rig->server) == 0);
    close(fd);
}

Test(server, write_timeout__client_that_never_reads__is_cut_off)
{
    struct rig rig = {.config = {.write_timeout_us = SHORT_US}};

    rig_run(&rig, client_never_reads);
    cr_assert_eq(rig.handled, 1); /* no second reply is made for one who reads none */
}

static void client_deadlines(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);
    static const struct {
        const char *header;
        int64_t at_most_us, at_least_us;
    } cases[] = {
        {"", 2000 * USEC_PER_MS, 1000 * USEC_PER_MS},
        {"X-Deadline-Ms: 500\r\n", 500 * USEC_PER_MS, 1},
        {"X-Deadline-Ms: 99999999999\r\n", 2000 * USEC_PER_MS, 1000 * USEC_PER_MS},
        {"X-Deadline-Ms: soon\r\n", 2000 * USEC_PER_MS, 1000 * USEC_PER_MS},
        {"X-Deadline-Ms: -1\r\n", 2000 * USEC_PER_MS, 1000 * USEC_PER_MS},
        {"X-Deadline-Ms: 0\r\n", 0, -1000 * USEC_PER_MS},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[128];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "%s\r\n", cases[i].header);
        send_text(fd, text);
        CHECK(read_answer(fd, false, &a) && a.status == 200, "%s", text);
        CHECK(rig->deadline_left_us <= cases[i].at_most_us, "%s", text);
        CHECK(rig->deadline_left_us >= cases[i].at_least_us, "%s", text);
    }
    free(a.body);
    close(fd);
}

Test(server, deadline__header__only_shrinks_the_handlers_time)
{
    struct rig rig = {.config = {.request_timeout_us = 2000 * USEC_PER_MS}};

    rig_run(&rig, client_deadlines);
}

/* ---- clients that leave ---------------------------------------------------------------------- */

static void wait_reached(struct rig *rig)
{
    while (sem_wait(&rig->reached) != 0)
        ;
}

static void until_nobody(struct rig *rig)
{
    int64_t until_us = clock_mono_us() + 5 * USEC_PER_SEC;

    while ((http_server_active(rig->server) > 0 || http_server_connections(rig->server) > 0) &&
           clock_mono_us() < until_us)
        rig_sync(rig);
    CHECK(http_server_active(rig->server) == 0);
    CHECK(http_server_connections(rig->server) == 0);
}

static void client_closes(struct rig *rig)
{
    int fd = dial(rig);

    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    close(fd);
    until_nobody(rig);
}

Test(server, client__closes_while_the_handler_is_parked__cancels_it)
{
    struct rig rig = {0};

    rig_run(&rig, client_closes);
    cr_assert_eq(rig.park_result, ERR_CANCELED);
    cr_assert_eq(rig.ended, 1);
}

static void client_resets(struct rig *rig)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    int fd = dial(rig);

    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    until_nobody(rig);
}

Test(server, client__resets_while_the_handler_is_parked__cancels_it)
{
    struct rig rig = {0};

    rig_run(&rig, client_resets);
    cr_assert_eq(rig.park_result, ERR_CANCELED);
    cr_assert_eq(rig.handled, 1);
}

static void client_half_closes(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    CHECK(at_end(fd));
    close(fd);

    fd = dial(rig);
    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    shutdown(fd, SHUT_WR);
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    CHECK(strcmp(a.body, "unparked") == 0, "%s", a.body);
    CHECK(at_end(fd));
    close(fd);
    free(a.body);
    until_nobody(rig);
}

Test(server, client__half_closes__gets_what_can_be_had_without_waiting)
{
    struct rig rig = {0};

    rig_run(&rig, client_half_closes);
    cr_assert_eq(rig.park_result, ERR_CANCELED);
}

/* Leaves after each prefix of a request with a body, in both ways. */
static void client_leaves_anywhere(struct rig *rig)
{
    static const char text[] = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello";
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    for (size_t len = 0; len < sizeof(text); len++) {
        for (int reset = 0; reset < 2; reset++) {
            int fd = dial(rig);
            send_span(fd, span_make(text, len));
            rig_sync(rig);
            if (reset)
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
            close(fd);
        }
    }
    until_nobody(rig);
}

Test(server, client__leaves_after_any_byte__leaves_nothing_behind)
{
    struct rig rig = {0};

    rig_run(&rig, client_leaves_anywhere);
}

static void client_stays_parked(struct rig *rig)
{
    int fd = dial(rig);

    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
}

Test(server, free__with_a_parked_handler__cancels_it)
{
    struct rig rig = {0};

    rig_run(&rig, client_stays_parked); /* rig_stop frees the server first */
    cr_assert_eq(rig.park_result, ERR_CANCELED);
    cr_assert_eq(rig.ended, 1);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void client_crowd(struct rig *rig)
{
    struct answer a = {0};
    int first = dial(rig), second = dial(rig);

    rig_sync(rig);
    int third = dial(rig);
    CHECK(read_answer(third, false, &a) && a.status == 503, "%d", a.status);
    CHECK(has(&a, "Retry-After: 1\r\n"), "%s", a.head);
    CHECK(at_end(third));
    close(third);
    send_text(first, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(first, false, &a) && a.status == 200, "%d", a.status);
    close(first);
    close(second);
    until_nobody(rig);
    first = dial(rig);
    send_text(first, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(first, false, &a) && a.status == 200, "%d", a.status);
    free(a.body);
    close(first);
}

Test(server, connections_limit__exceeded__gets_503_and_close)
{
    struct rig rig = {.config = {.connections_limit = 2}};

    rig_run(&rig, client_crowd);
}

static PARKS void idle_fiber(void *arg)
{
    struct rig *rig = arg;

    latch_wait(&rig->room, "room", USEC_NEVER, NULL);
}

static void post_fill(void *arg)
{
    struct rig *rig = arg;

    while (fiber_spawn(rig->loop, "filler", idle_fiber, rig, NULL) == 0)
        ;
    sem_post(&rig->reached);
}

static void post_room(void *arg)
{
    latch_set(&((struct rig *)arg)->room, 0);
}

static void post_go(void *arg)
{
    fiber_signal_all(&((struct rig *)arg)->go);
}

static void client_full(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    loop_post(rig->loop, post_fill, rig);
    wait_reached(rig);
    send_text(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 503, "%d", a.status);
    CHECK(has(&a, "Retry-After: 1\r\n"), "%s", a.head);
    CHECK(strstr(a.body, "\"code\":\"service_unavailable\""), "%s", a.body);
    loop_post(rig->loop, post_room, rig);
    while (fiber_live(rig->loop) > 0)
        rig_sync(rig);
    send_text(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    free(a.body);
    close(fd);
}

Test(server, fiber_limit__reached__gets_503_and_keeps_the_connection)
{
    struct rig rig = {0};

    rig_run(&rig, client_full);
    cr_assert_eq(rig.handled, 1);
    cr_assert_eq(rig.refused_status, 503);
}

/* Descriptors for the client's side of two connections, but not for the server's side of both. */
static void client_starves(struct rig *rig)
{
    struct rlimit all, few;
    struct answer a = {0};
    int first = dial(rig);

    send_text(first, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(first, false, &a) && a.status == 200, "%d", a.status);
    int next = dup(first); /* the lowest free descriptor: the second connection's */
    close(next);
    CHECK(getrlimit(RLIMIT_NOFILE, &all) == 0);
    few = all;
    few.rlim_cur = (rlim_t)next + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    int second = dial(rig);
    CHECK(second == next, "%d", second);
    send_text(second, "GET / HTTP/1.1\r\n" HOST "\r\n");
    rig_sync(rig);
    send_text(first, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(first, false, &a) && a.status == 200, "who is in is served");
    CHECK(setrlimit(RLIMIT_NOFILE, &all) == 0);
    CHECK(read_answer(second, false, &a) && a.status == 200, "who waited is served");
    free(a.body);
    close(first);
    close(second);
}

Test(server, descriptors__run_out__only_new_connections_wait)
{
    struct rig rig = {0};

    rig_run(&rig, client_starves);
    cr_assert_eq(rig.handled, 3);
}

/* Good and bad requests with bytes replaced, cut off anywhere, the connection closed or reset: the
 * server must be as good as new afterwards. */
static void client_mutates(struct rig *rig)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    uint64_t x = 88172645463325252u; /* xorshift */
    struct answer a = {0};
    char text[256];

    for (int i = 0; i < 600; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        struct span from = raw_requests[x % ARRAY_SIZE(raw_requests)].bytes;
        memcpy(text, from.ptr, from.len);
        for (unsigned n = x >> 20 & 3; n > 0; n--)
            text[(x >> (8 * n)) % from.len] = (char)(x >> (40 + n));
        int fd = dial(rig);
        send_span(fd, span_make(text, x >> 32 & 1 ? from.len : (x >> 33) % from.len));
        if (x >> 50 & 1)
            rig_sync(rig);
        if (x >> 51 & 1)
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        close(fd);
    }
    until_nobody(rig);
    int fd = dial(rig);
    send_text(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    free(a.body);
    close(fd);
}

Test(server, requests__mutated_and_cut_off__leave_nothing_behind)
{
    struct rig rig = {0};

    rig_run(&rig, client_mutates);
}

static void client_forwarded(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 6.6.6.6\r\n"
                  "X-Forwarded-For: 1.2.3.4, 203.0.113.9 \r\n\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    free(a.body);
    close(fd);
}

Test(server, client_address__behind_a_local_gateway__is_the_last_hop)
{
    struct rig rig = {0};

    rig_run(&rig, client_forwarded);
    cr_assert_str_eq(rig.client_address, "203.0.113.9");
}

Test(server, listen__port_taken__says_so)
{
    struct rig rig = {0};
    struct http_server *second = NULL;

    rig_start(&rig);
    rig.config.port = http_server_port(rig.server);
    cr_assert_eq(http_server_new(rig.loop, &rig.config, &second), -EADDRINUSE);
    cr_assert_null(second);
    rig.config.address = "localhost";
    cr_assert_eq(http_server_new(rig.loop, &rig.config, &second), -EINVAL);
    rig_stop(&rig);
}

Test(server, listen__reuse_port__shares_it)
{
    struct rig rig = {.config = {.reuse_port = true}};
    struct http_server *second = NULL;

    rig_start(&rig);
    rig.config.port = http_server_port(rig.server);
    cr_assert_eq(http_server_new(rig.loop, &rig.config, &second), 0);
    http_server_free(second);
    rig_stop(&rig);
}

/* ---- draining -------------------------------------------------------------------------------- */

struct drain {
    struct rig *rig;
    int64_t deadline_us;
    int result;
};

static PARKS void drain_fiber(void *arg)
{
    struct drain *drain = arg;

    drain->result = http_server_drain(drain->rig->server, drain->deadline_us);
    sem_post(&drain->rig->reached);
}

static struct drain drain_now;

static void post_drain(void *arg)
{
    struct rig *rig = arg;

    drain_now.rig = rig;
    fiber_spawn(rig->loop, "drain", drain_fiber, &drain_now, NULL);
}

static void client_drain(struct rig *rig)
{
    struct answer a = {0};
    int busy = dial(rig), idle = dial(rig), half = dial(rig);

    send_text(busy, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    send_text(half, "GET /he");
    rig_sync(rig);
    loop_post(rig->loop, post_drain, rig);
    rig_sync(rig);

    CHECK(at_end(idle), "an idle connection is closed");
    close(idle);
    CHECK(dial(rig) < 0, "nobody listens any more");
    send_text(half, "llo HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(half, false, &a) && a.status == 200, "%d", a.status);
    CHECK(has(&a, "Connection: close\r\n") && at_end(half), "%s", a.head);
    close(half);
    loop_post(rig->loop, post_go, rig);
    CHECK(read_answer(busy, false, &a) && strcmp(a.body, "gone") == 0, "%s", a.head);
    CHECK(has(&a, "Connection: close\r\n") && at_end(busy), "%s", a.head);
    close(busy);
    wait_reached(rig);
    free(a.body);
}

Test(server, drain__running_requests__finish_and_then_close)
{
    struct rig rig = {0};

    drain_now = (struct drain){.deadline_us = USEC_NEVER, .result = 1};
    rig_run(&rig, client_drain);
    cr_assert_eq(drain_now.result, 0);
    cr_assert_eq(rig.park_result, 0);
}

static void client_drain_late(struct rig *rig)
{
    int fd = dial(rig);

    send_text(fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    loop_post(rig->loop, post_drain, rig);
    wait_reached(rig);
    CHECK(http_server_connections(rig->server) == 1);
}

Test(server, drain__past_its_deadline__times_out)
{
    struct rig rig = {0};

    drain_now = (struct drain){.deadline_us = clock_mono_us() + SHORT_US};
    rig_run(&rig, client_drain_late);
    cr_assert_eq(drain_now.result, ERR_TIMEOUT);
}

/* ---- no room --------------------------------------------------------------------------------- */

static unsigned routed, entered, left, left_with;

static const void *route_any(void *ctx, enum http_method m, struct span path, int64_t *ret_limit)
{
    routed++;
    return span_starts(path, SPAN("/echo/full")) ? "full" : "room";
}

static bool admit_if_room(void *ctx, const struct http_knock *knock, struct http_refusal *ret)
{
    if (strcmp(knock->route, "full") != 0)
        return entered++, true;
    *ret = (struct http_refusal){.status = 503,
        .code = "overloaded",
        .title = "Full",
        .detail = "Come again",
        .retry_after_s = 7,
        .lines = "X-More: yes\r\n"};
    struct span id = http_header_get(knock->headers, "X-Correlation-ID");
    if (id.ptr)
        memcpy(ret->correlation_id, id.ptr, id.len);
    return false;
}

static void note_leaving(void *ctx, const void *route, int64_t took_us, int status)
{
    left++;
    left_with = (unsigned)status;
}

static void client_no_room(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "POST /echo/full HTTP/1.1\r\n" HOST
                  "X-Correlation-ID: mine\r\nContent-Length: 4\r\n\r\nno");
    rig_sync(rig);
    send_text(fd, "ne");
    CHECK(read_answer(fd, false, &a) && a.status == 503, "%d", a.status);
    CHECK(has(&a, "\r\nRetry-After: 7\r\n") && has(&a, "\r\nX-More: yes\r\n"), "%s", a.head);
    CHECK(has(&a, "\r\nX-Correlation-ID: mine\r\n") && !has(&a, "Connection:"), "%s", a.head);
    CHECK(strstr(a.body, "\"code\":\"overloaded\""), "%s", a.body);
    CHECK(strstr(a.body, "\"correlationId\":\"mine\""), "%s", a.body);
    send_text(fd, "HEAD /echo/full HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, true, &a) && a.status == 503, "%d", a.status);
    CHECK(read_answer(fd, false, &a) && a.status == 200, "the next one comes in: %d", a.status);
    send_text(fd, "GET /echo/full HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 503, "%d", a.status);
    CHECK(has(&a, "\r\nConnection: close\r\n") && at_end(fd), "%s", a.head);
    free(a.body);
    close(fd);
}

Test(server, no_room__is_told_and_the_connection_lives_on)
{
    struct rig rig = {
        .config = {.route = route_any, .admit = admit_if_room, .leave = note_leaving}};

    rig_run(&rig, client_no_room);
    cr_assert_eq(rig.handled, 1);
    cr_assert_eq(routed, 4);
    cr_assert_eq(entered, 1);
    cr_assert_eq(left, 1);
    cr_assert_eq(left_with, 200);
    cr_assert_eq(rig.refused, 0, "the door itself had nothing against them");
}

#define ROW 700

static void client_row(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    for (int i = 0; i < ROW; i++)
        send_text(fd, "GET /echo/full HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < ROW; i++)
        CHECK(read_answer(fd, false, &a) && a.status == 503, "%d: %d", i, a.status);
    free(a.body);
    close(fd);
}

Test(server, no_room__for_hundreds_in_a_row__costs_no_stack)
{
    struct rig rig = {.config = {.route = route_any, .admit = admit_if_room}};

    rig_run(&rig, client_row);
    cr_assert_eq(rig.handled, 0);
}

static void client_leaves_inside(struct rig *rig)
{
    int fd = dial(rig);

    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    close(fd);
    while (left == 0)
        rig_sync(rig);
}

Test(server, who_was_admitted_and_went__is_known_to_have_left)
{
    struct rig rig = {
        .config = {.route = route_any, .admit = admit_if_room, .leave = note_leaving}};

    rig_run(&rig, client_leaves_inside);
    cr_assert_eq(entered, 1);
    cr_assert_eq(left, 1);
}
