#include "server_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "requests.h"

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

/* ---- addresses ------------------------------------------------------------------------------- */

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
