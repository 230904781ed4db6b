#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/fiber/sync.h"
#include "common/net/client.h"
#include "common/net/client_curl.h"
#include "fake_server.h"

#define MS USEC_PER_MS

/* --- what the server does, by path --- */

static void answer(struct fake_conn *c, int status, const char *headers, const char *body)
{
    fake_write(c, "HTTP/1.1 %d Text\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body),
        headers, body);
}

static void answer_large(struct fake_conn *c, size_t len, bool with_length)
{
    char *body = mem_alloc(len);
    memset(body, 'x', len);
    if (with_length)
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
    else
        fake_write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", len);
    fake_write_bytes(c, body, len);
    if (!with_length)
        fake_write(c, "\r\n0\r\n\r\n");
    mem_free(body);
}

static void answer_with_headers(struct fake_conn *c, unsigned count)
{
    fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (unsigned i = 1; i < count; i++)
        fake_write(c, "X-%u: y\r\n", i);
    fake_write(c, "\r\n");
}

/* Each path of this form fails at first sight and works at the second. */
static char seen[512];
static void answer_second_time(struct fake_conn *c, const char *headers)
{
    bool is_second = strcmp(seen, c->path) == 0;
    snprintf(seen, sizeof(seen), "%s", is_second ? "" : c->path);
    if (is_second)
        answer(c, 200, "", "ok");
    else
        answer(c, 503, headers, "");
}

/* False when the connection is over. */
static bool answer_by_path(struct fake_conn *c)
{
    const char *path = c->path;
    int status;
    if (strcmp(path, "/ok") == 0)
        answer(c, 200, "", "ok");
    else if (sscanf(path, "/status/%d", &status) == 1)
        answer(c, status, "", "");
    else if (strcmp(path, "/echo") == 0)
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s%s",
            strlen(c->head) + strlen(c->body), c->head, c->body);
    else if (strncmp(path, "/flaky", 6) == 0)
        answer_second_time(c, "");
    else if (strcmp(path, "/later/0") == 0)
        answer_second_time(c, "Retry-After: 0\r\n");
    else if (strcmp(path, "/later/1") == 0)
        answer_second_time(c, "Retry-After: 1\r\n");
    else if (strcmp(path, "/later/99") == 0)
        answer_second_time(c, "Retry-After: 99\r\n");
    else if (strcmp(path, "/redirect") == 0)
        answer(c, 302, "Location: /ok\r\n", "");
    else if (strcmp(path, "/interim") == 0)
        fake_write(c, "HTTP/1.1 103 Early Hints\r\nLink: early\r\n\r\n"
                      "HTTP/1.1 100 Continue\r\n\r\n"
                      "HTTP/1.1 200 OK\r\nX-Late: yes\r\nContent-Length: 2\r\n\r\nok");
    else if (strcmp(path, "/chunked") == 0)
        fake_write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: t\r\n\r\n");
    else if (strcmp(path, "/largest") == 0)
        answer_large(c, 1024 * 1024, true);
    else if (strcmp(path, "/large") == 0)
        answer_large(c, 1024 * 1024 + 1, true);
    else if (strcmp(path, "/large-chunked") == 0)
        answer_large(c, 1024 * 1024 + 1, false);
    else if (strcmp(path, "/headers/64") == 0)
        answer_with_headers(c, 64);
    else if (strcmp(path, "/headers/65") == 0)
        answer_with_headers(c, 65);
    else
        return false;
    return true;
}

static void by_path(struct fake_conn *c)
{
    while (fake_read_request(c)) {
        unsigned running = atomic_fetch_add(&c->server->running, 1) + 1, max;
        while (running > (max = atomic_load(&c->server->running_max)))
            atomic_compare_exchange_weak(&c->server->running_max, &max, running);
        bool go_on = answer_by_path(c);
        atomic_fetch_sub(&c->server->running, 1);
        if (!go_on)
            break;
    }
    if (strcmp(c->path, "/slow") == 0) {
        fake_wait_closed(c);
    } else if (strcmp(c->path, "/reset") == 0) {
        fake_reset(c);
    } else if (strcmp(c->path, "/reset-in-body") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
        fake_reset(c);
    } else if (strcmp(c->path, "/short") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    } else if (strcmp(c->path, "/short-chunked") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    } else if (strcmp(c->path, "/short-head") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Le");
    } else if (strcmp(c->path, "/garbage") == 0) {
        fake_write(c, "SSH-2.0-OpenSSH_9.2\r\n");
    } else if (strcmp(c->path, "/until-close") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\n\r\nall of it");
    }
}

/* --- a client, a peer and a server; the test's body runs on a fiber --- */

struct world {
    struct loop *loop;
    struct fake_server *server;
    struct http_client *client;
    struct http_peer *peer;
    void (*body)(struct world *w);
};

static void world_fiber(void *arg)
{
    struct world *w = arg;
    w->body(w);
}

/* `host` NULL: the config's base_url. */
static void world_play_at(const char *host, fake_script script, struct http_peer_config config,
    void (*body)(struct world *w))
{
    struct world w = {.server = fake_server_new(script, NULL), .body = body};
    char url[64];
    seen[0] = '\0';
    w.loop = loop_new();
    w.client = http_client_new(w.loop);
    config.name = "fake";
    snprintf(url, sizeof(url), "http://%s:%d", host ? host : "", w.server->port);
    if (host)
        config.base_url = url;
    if (!config.timeout_us)
        config.timeout_us = 300 * MS;
    (void)http_client_check(config.base_url); /* as services do: no call's time goes by with it */
    w.peer = http_peer_new(w.client, &config);
    cr_assert_eq(fiber_spawn(w.loop, "test", world_fiber, &w, NULL), 0);
    loop_run(w.loop, true);
    cr_assert_eq(http_peer_stats(w.peer).in_flight, 0);
    http_peer_free(w.peer);
    http_client_free(w.client);
    loop_free(w.loop);
    fake_server_free(w.server);
}

/* `config.base_url` NULL: the server's, by its address and by its name, which two clients do;
 * `config.timeout_us` 0: 300 ms. */
static void world_play(
    fake_script script, struct http_peer_config config, void (*body)(struct world *w))
{
    if (config.base_url) {
        world_play_at(NULL, script, config, body);
        return;
    }
    world_play_at("127.0.0.1", script, config, body);
    world_play_at("localhost", script, config, body);
}

static int get(struct world *w, const char *path, struct http_answer *ret_answer)
{
    struct http_call call = {.method = HTTP_GET, .path = path};
    return http_call(w->peer, &call, ret_answer);
}

static int post(struct world *w, const char *path, bool idempotent, struct http_answer *ret_answer)
{
    struct http_call call = {
        .method = HTTP_POST, .path = path, .body = SPAN("{}"), .idempotent = idempotent};
    return http_call(w->peer, &call, ret_answer);
}

static bool body_is(const struct http_answer *a, const char *text)
{
    return span_equal(a->body, span_of(text));
}

static bool text_has(struct span s, const char *part)
{
    return memmem(s.ptr, s.len, part, strlen(part)) != NULL;
}

static void wait_until(atomic_uint *counter, unsigned value)
{
    for (int i = 0; atomic_load(counter) < value; i++) {
        cr_assert_lt(i, 2000, "never came");
        cr_assert_eq(fiber_sleep(MS), 0);
    }
}

/* --- a good peer --- */

static void expect_reuse(struct world *w)
{
    for (int i = 0; i < 20; i++) {
        struct http_answer a;
        cr_assert_eq(get(w, "/ok", &a), 0);
        cr_assert_eq(a.status, 200);
        cr_assert(body_is(&a, "ok"));
    }
    cr_assert_eq(w->server->connections, 1);
    cr_assert_eq(w->server->requests, 20);
    cr_assert_eq(http_peer_stats(w->peer).calls, 20);
    cr_assert_eq(http_peer_stats(w->peer).failures, 0);
}
Test(client, calls_in_a_row__use_one_connection)
{
    world_play(by_path, (struct http_peer_config){0}, expect_reuse);
}

static void expect_request(struct world *w)
{
    struct http_header headers[] = {
        {SPAN("X-Correlation-ID"), SPAN("abc")}, {SPAN("X-Empty"), SPAN("")}};
    struct http_call call = {.method = HTTP_PUT,
        .path = "/echo",
        .headers = headers,
        .headers_count = 2,
        .body = SPAN("{\"a\":1}")};
    struct http_answer a;
    cr_assert_eq(http_call(w->peer, &call, &a), 0);
    cr_assert(text_has(a.body, "PUT /echo HTTP/1.1\r\n"));
    cr_assert(text_has(a.body, "\r\nX-Correlation-ID: abc\r\n"));
    cr_assert(text_has(a.body, "\r\nX-Empty:\r\n"));
    cr_assert(text_has(a.body, "\r\nContent-Type: application/json\r\n"));
    cr_assert(text_has(a.body, "\r\nContent-Length: 7\r\n"));
    cr_assert(text_has(a.body, "\r\nX-Deadline-Ms: "));
    cr_assert(text_has(a.body, "\r\n\r\n{\"a\":1}"));
    cr_assert_not(text_has(a.body, "Expect"));

    call = (struct http_call){
        .method = HTTP_POST, .path = "/echo", .body = SPAN("a,b"), .content_type = "text/csv"};
    cr_assert_eq(http_call(w->peer, &call, &a), 0);
    cr_assert(text_has(a.body, "POST /echo HTTP/1.1\r\n"));
    cr_assert(text_has(a.body, "\r\nContent-Type: text/csv\r\n"));
    cr_assert_not(text_has(a.body, "X-Correlation-ID"), "the last call's header is gone");
}
Test(client, request__is_sent_as_asked)
{
    world_play(by_path, (struct http_peer_config){0}, expect_request);
}

static void expect_methods(struct world *w)
{
    /* in an order where each leaves something behind that the next must not inherit */
    static const enum http_method methods[] = {HTTP_POST, HTTP_GET, HTTP_HEAD, HTTP_DELETE,
        HTTP_PATCH, HTTP_HEAD, HTTP_POST, HTTP_OPTIONS, HTTP_PUT, HTTP_GET};
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        bool is_head = methods[i] == HTTP_HEAD;
        struct http_call call = {.method = methods[i], .path = is_head ? "/headers/64" : "/echo"};
        struct http_answer a;
        char line[64];
        cr_assert_eq(http_call(w->peer, &call, &a), 0);
        snprintf(line, sizeof(line), "%s /echo HTTP/1.1\r\n", http_method_name(methods[i]));
        cr_assert(is_head ? a.body.len == 0 : span_starts(a.body, span_of(line)), "%s", line);
        bool must_say_empty =
            methods[i] == HTTP_POST || methods[i] == HTTP_PUT || methods[i] == HTTP_PATCH;
        if (!is_head)
            cr_assert_eq(text_has(a.body, "Content-Length: 0\r\n"), must_say_empty, "%s", line);
    }
    cr_assert_eq(w->server->connections, 1);
}
Test(client, methods_in_turn_on_one_handle__do_not_leak_into_each_other)
{
    world_play(by_path, (struct http_peer_config){0}, expect_methods);
}

static void expect_answer_headers(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/interim", &a), 0);
    cr_assert_eq(a.status, 200);
    cr_assert(body_is(&a, "ok"));
    cr_assert_null(http_header_get(&a.headers, "link").ptr, "belongs to the interim reply");
    cr_assert(span_equal(http_header_get(&a.headers, "x-late"), SPAN("yes")));

    cr_assert_eq(get(w, "/chunked", &a), 0);
    cr_assert(body_is(&a, "hello"));
    cr_assert_null(http_header_get(&a.headers, "x-trailer").ptr);

    cr_assert_eq(get(w, "/redirect", &a), 0);
    cr_assert_eq(a.status, 302, "is not followed");

    cr_assert_eq(get(w, "/headers/64", &a), 0);
    cr_assert_eq(a.headers.count, 64);
    cr_assert_eq(get(w, "/headers/65", &a), ERR_UNKNOWN);
}
Test(client, interim_chunked_redirect_many_headers__are_read_right)
{
    world_play(by_path, (struct http_peer_config){.retry_limit = HTTP_RETRIES_NONE},
        expect_answer_headers);
}

static void expect_body_limit(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/largest", &a), 0);
    cr_assert_eq(a.body.len, 1024 * 1024);
    cr_assert_eq(a.body.ptr[a.body.len - 1], 'x');
    cr_assert_eq(get(w, "/large", &a), ERR_UNKNOWN);
    cr_assert_eq(get(w, "/large-chunked", &a), ERR_UNKNOWN);
    cr_assert_eq(get(w, "/ok", &a), 0);
    cr_assert(body_is(&a, "ok"));
}
Test(client, body_over_the_limit__is_refused)
{
    world_play(
        by_path, (struct http_peer_config){.retry_limit = HTTP_RETRIES_NONE}, expect_body_limit);
}

static void expect_until_close(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/until-close", &a), 0);
    cr_assert(body_is(&a, "all of it"));
    cr_assert_eq(get(w, "/ok", &a), 0);
    cr_assert_eq(w->server->connections, 2);
}
Test(client, body_ended_by_close__is_complete)
{
    world_play(by_path, (struct http_peer_config){0}, expect_until_close);
}

/* --- a bad peer --- */

static void expect_broken(struct world *w)
{
    static const char *const paths[] = {
        "/reset", "/reset-in-body", "/short", "/short-chunked", "/short-head", "/garbage", "/gone"};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        struct http_answer a = {.status = 77};
        error_clear();
        cr_assert_eq(get(w, paths[i], &a), ERR_UNKNOWN, "%s", paths[i]);
        cr_assert_eq(a.status, 77, "untouched");
        cr_assert(strstr(error_text(), "fake: "), "%s", error_text());
    }
    cr_assert_eq(w->server->requests, ARRAY_SIZE(paths));
    cr_assert_eq(http_peer_stats(w->peer).failures, ARRAY_SIZE(paths));
}
Test(client, broken_answers__leave_the_outcome_unknown)
{
    world_play(by_path,
        (struct http_peer_config){.retry_limit = HTTP_RETRIES_NONE, .breaker_calls = 64},
        expect_broken);
}

static void expect_refused(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(post(w, "/ok", false, &a), ERR_UNAVAILABLE);
    cr_assert_eq(http_peer_stats(w->peer).retries, 1, "again even if not idempotent");
    cr_assert_eq(http_peer_stats(w->peer).failures, 2);
}
Test(client, connection_refused__was_never_reached)
{
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/", fake_closed_port());
    world_play(by_path, (struct http_peer_config){.base_url = url}, expect_refused);
}

static void expect_connect_timeout(struct world *w)
{
    struct http_answer a;
    int64_t start = clock_mono_us();
    cr_assert_eq(post(w, "/ok", false, &a), ERR_UNAVAILABLE);
    cr_assert_lt(clock_mono_us() - start, 1000 * MS);

    int64_t outer = fiber_deadline_push(clock_mono_us() + 20 * MS);
    cr_assert_eq(post(w, "/ok", false, &a), ERR_UNAVAILABLE, "our time was over before theirs");
    fiber_deadline_pop(outer);
}
Test(client, connect_hangs__was_never_reached)
{
    struct fake_deaf deaf;
    fake_deaf_open(&deaf);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%d", deaf.port);
    world_play(by_path,
        (struct http_peer_config){
            .base_url = url, .connect_timeout_us = 50 * MS, .retry_limit = HTTP_RETRIES_NONE},
        expect_connect_timeout);
    fake_deaf_close(&deaf);
}

static void expect_timeout(struct world *w)
{
    struct http_answer a;
    int64_t start = clock_mono_us();
    cr_assert_eq(post(w, "/slow", false, &a), ERR_TIMEOUT);
    int64_t took = clock_mono_us() - start;
    cr_assert(took >= 100 * MS && took < 5000 * MS, "%lld", (long long)took);
    cr_assert_eq(http_peer_stats(w->peer).retries, 0);
    wait_until(&w->server->ended, 1); /* its connection is closed, not kept */
    cr_assert_eq(get(w, "/ok", &a), 0);
}
Test(client, slow_answer__times_out_and_is_not_repeated)
{
    world_play(by_path, (struct http_peer_config){.timeout_us = 100 * MS}, expect_timeout);
}

static void expect_timeout_repeated(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(post(w, "/slow", true, &a), ERR_TIMEOUT);
    cr_assert_eq(http_peer_stats(w->peer).retries, 1);
    wait_until(&w->server->requests, 2);
}
Test(client, slow_answer__is_asked_again_when_idempotent)
{
    world_play(by_path, (struct http_peer_config){.timeout_us = 80 * MS}, expect_timeout_repeated);
}

static void expect_ambient_deadline(struct world *w)
{
    struct http_answer a;
    int64_t start = clock_mono_us(), outer = fiber_deadline_push(start + 40 * MS);
    cr_assert_eq(get(w, "/slow", &a), ERR_TIMEOUT);
    int64_t took = clock_mono_us() - start;
    cr_assert_lt(took, 250 * MS);
    cr_assert_eq(w->server->requests, 1, "no time for another");
    cr_assert_eq(get(w, "/ok", &a), ERR_UNAVAILABLE, "no time for anything");
    cr_assert_eq(w->server->requests, 1);
    fiber_deadline_pop(outer);
    cr_assert_eq(get(w, "/ok", &a), 0);
}
Test(client, ambient_deadline__bounds_the_call)
{
    world_play(by_path, (struct http_peer_config){0}, expect_ambient_deadline);
}

static long deadline_seen(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/echo", &a), 0);
    const char *header = memmem(a.body.ptr, a.body.len, "X-Deadline-Ms: ", 15);
    cr_assert_not_null(header);
    return strtol(header + 15, NULL, 10);
}

static void expect_deadline_header(struct world *w)
{
    long own = deadline_seen(w);
    cr_assert(own > 4000 && own <= 5000, "without an ambient deadline: the attempt's, %ld", own);
    int64_t outer = fiber_deadline_push(clock_mono_us() + 2000 * MS);
    long first = deadline_seen(w);
    cr_assert(first > 1000 && first <= 2000, "%ld", first);
    fiber_sleep(30 * MS);
    cr_assert_leq(deadline_seen(w), first - 30 + 1, "it shrinks");
    fiber_deadline_pop(outer);
}
Test(client, deadline_header__is_the_time_left)
{
    world_play(by_path, (struct http_peer_config){.timeout_us = 5000 * MS}, expect_deadline_header);
}

/* --- a kept connection that is no more --- */

static void close_after_first(struct fake_conn *c)
{
    if (fake_read_request(c))
        answer(c, 200, "", "ok");
}

static void expect_closed_idle(struct world *w)
{
    for (unsigned i = 1; i <= 5; i++) {
        struct http_answer a;
        cr_assert_eq(post(w, "/ok", false, &a), 0);
        wait_until(&w->server->ended, i);
    }
    cr_assert_eq(w->server->connections, 5);
    cr_assert_eq(w->server->requests, 5);
}
Test(client, kept_connection_closed_by_the_server__is_noticed_before_use)
{
    world_play(close_after_first, (struct http_peer_config){0}, expect_closed_idle);
}

static void die_on_second(struct fake_conn *c)
{
    if (!fake_read_request(c))
        return;
    answer(c, 200, "", "ok");
    fake_read_request(c);
}

static void expect_no_resend(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/ok", &a), 0);
    cr_assert_eq(post(w, "/ok", false, &a), ERR_UNKNOWN);
    cr_assert_eq(w->server->requests, 2, "curl alone would have sent it again");
    cr_assert_eq(post(w, "/ok", false, &a), 0);
}
Test(client, kept_connection_dies_under_a_plain_post__is_not_sent_again)
{
    world_play(die_on_second, (struct http_peer_config){0}, expect_no_resend);
}

static void expect_resend(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/ok", &a), 0);
    cr_assert_eq(post(w, "/ok", true, &a), 0);
    cr_assert_eq(w->server->requests, 3);
    cr_assert_eq(w->server->connections, 2);
}
Test(client, kept_connection_dies_under_an_idempotent_call__is_sent_again)
{
    world_play(
        die_on_second, (struct http_peer_config){.retry_limit = HTTP_RETRIES_NONE}, expect_resend);
}

/* --- retries --- */

static void expect_retry(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/flaky/1", &a), 0);
    cr_assert_eq(a.status, 200);
    cr_assert_eq(http_peer_stats(w->peer).retries, 1);

    cr_assert_eq(post(w, "/flaky/2", false, &a), 0);
    cr_assert_eq(a.status, 503, "not idempotent: the answer stands");

    cr_assert_eq(get(w, "/status/500", &a), 0);
    cr_assert_eq(a.status, 500, "not a passing fault");
    cr_assert_eq(http_peer_stats(w->peer).retries, 1);
    cr_assert_eq(http_peer_stats(w->peer).calls, 3);
}
Test(client, passing_fault__is_asked_again_when_idempotent)
{
    world_play(by_path, (struct http_peer_config){0}, expect_retry);
}

static void expect_retry_after(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/later/0", &a), 0);
    cr_assert_eq(a.status, 200);
    cr_assert_eq(get(w, "/later/99", &a), 0);
    cr_assert_eq(a.status, 503);
    cr_assert(span_equal(http_header_get(&a.headers, "Retry-After"), SPAN("99")));

    int64_t outer = fiber_deadline_push(clock_mono_us() + 800 * MS);
    cr_assert_eq(get(w, "/later/1", &a), 0);
    cr_assert_eq(a.status, 503, "does not fit the deadline");
    fiber_deadline_pop(outer);
    cr_assert_eq(get(w, "/ok", &a), 0);
    cr_assert_eq(get(w, "/later/1", &a), 0, "second sight");
    cr_assert_eq(a.status, 200);
    int64_t start = clock_mono_us();
    cr_assert_eq(get(w, "/later/1", &a), 0);
    cr_assert_eq(a.status, 200);
    cr_assert_geq(clock_mono_us() - start, 1000 * MS);
}
Test(client, retry_after__is_honoured_when_it_fits)
{
    world_play(by_path, (struct http_peer_config){.timeout_us = 1500 * MS, .breaker_calls = 64},
        expect_retry_after);
}

static void expect_budget(struct world *w)
{
    unsigned rounds = 40, failed = 0;
    for (unsigned i = 0; i < rounds; i++) {
        struct http_answer a;
        char path[32];
        snprintf(path, sizeof(path), "/flaky/%u", i);
        cr_assert_eq(get(w, path, &a), 0);
        failed += a.status == 503;
        cr_assert_eq(get(w, "/ok", &a), 0);
        cr_assert_eq(get(w, "/ok", &a), 0);
    }
    unsigned most = 10 + rounds * 3 / 10;
    cr_assert_leq(http_peer_stats(w->peer).retries, most);
    cr_assert_geq(http_peer_stats(w->peer).retries, most - 2);
    cr_assert_eq(failed, rounds - http_peer_stats(w->peer).retries);
}
Test(client, retries__stay_within_the_budget)
{
    world_play(by_path, (struct http_peer_config){.breaker_calls = 64}, expect_budget);
}

static void die_then_deaf(struct fake_conn *c)
{
    fake_read_request(c);
    fake_stop_listening(c->server);
}

static void expect_sum(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(post(w, "/ok", true, &a), ERR_UNKNOWN);
    cr_assert_eq(w->server->requests, 1);
    cr_assert_eq(http_peer_stats(w->peer).retries, 1);
}
Test(client, refused_after_a_lost_attempt__is_unknown_not_unreached)
{
    world_play(die_then_deaf, (struct http_peer_config){0}, expect_sum);
}

/* --- breaker --- */

static void expect_breaker(struct world *w)
{
    struct http_answer a;
    for (int i = 0; i < 2; i++)
        cr_assert_eq(get(w, "/status/500", &a), 0);
    cr_assert_eq(http_peer_breaker(w->peer), HTTP_BREAKER_OPEN);
    cr_assert_eq(get(w, "/ok", &a), ERR_UNAVAILABLE);
    cr_assert(strstr(error_text(), "fake: breaker is open"), "%s", error_text());
    cr_assert_eq(w->server->requests, 2, "did not go out");
    cr_assert_eq(http_peer_stats(w->peer).rejected, 1);

    cr_assert_eq(fiber_sleep(45 * MS), 0);
    cr_assert_eq(http_peer_breaker(w->peer), HTTP_BREAKER_HALF_OPEN);
    cr_assert_eq(get(w, "/status/500", &a), 0);
    cr_assert_eq(http_peer_breaker(w->peer), HTTP_BREAKER_OPEN);
    cr_assert_eq(fiber_sleep(45 * MS), 0);
    cr_assert_eq(http_peer_breaker(w->peer), HTTP_BREAKER_OPEN, "twice as long");
    cr_assert_eq(fiber_sleep(45 * MS), 0);
    cr_assert_eq(get(w, "/ok", &a), 0);
    cr_assert_eq(http_peer_breaker(w->peer), HTTP_BREAKER_CLOSED);
}
Test(client, failing_peer__opens_the_breaker_until_a_probe_succeeds)
{
    world_play(by_path,
        (struct http_peer_config){
            .breaker_calls = 4, .breaker_open_us = 40 * MS, .retry_limit = HTTP_RETRIES_NONE},
        expect_breaker);
}

static void expect_no_breaker(struct world *w)
{
    static const char *const paths[] = {"/status/404", "/status/429", "/status/501"};
    for (size_t i = 0; i < 10 * ARRAY_SIZE(paths); i++) {
        struct http_answer a;
        cr_assert_eq(get(w, paths[i % ARRAY_SIZE(paths)], &a), 0);
    }
    for (int i = 0; i < 10; i++) {
        struct http_answer a;
        int64_t outer = fiber_deadline_push(clock_mono_us() + 5 * MS);
        cr_assert_lt(get(w, "/slow", &a), 0);
        fiber_deadline_pop(outer);
    }
    cr_assert_eq(http_peer_breaker(w->peer), HTTP_BREAKER_CLOSED);
    cr_assert_eq(http_peer_stats(w->peer).failures, 0);
}
Test(client, answers_below_500_501_and_hasty_callers__do_not_count_as_failures)
{
    world_play(by_path, (struct http_peer_config){.breaker_calls = 4}, expect_no_breaker);
}

struct helper {
    struct world *w;
    const char *path;
    int r, status;
    struct fiber *fiber;
};

static void helper_fiber(void *arg)
{
    struct helper *h = arg;
    struct http_answer a = {0};
    h->r = get(h->w, h->path, &a);
    h->status = a.status;
}

static void helper_start(struct helper *h, struct world *w, const char *path)
{
    *h = (struct helper){.w = w, .path = path};
    cr_assert_eq(fiber_spawn(w->loop, "helper", helper_fiber, h, &h->fiber), 0);
}

static void expect_single_probe(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/status/500", &a), 0);
    cr_assert_eq(fiber_sleep(10 * MS), 0);
    struct helper probe;
    helper_start(&probe, w, "/slow");
    wait_until(&w->server->requests, 2);
    cr_assert_eq(get(w, "/ok", &a), ERR_UNAVAILABLE);
    fiber_cancel(probe.fiber);
    cr_assert_eq(fiber_join(probe.fiber, USEC_NEVER), 0);
    cr_assert_eq(probe.r, -ECANCELED);
    cr_assert_eq(get(w, "/ok", &a), 0, "a cancelled probe leaves the place to the next");
    cr_assert_eq(http_peer_breaker(w->peer), HTTP_BREAKER_CLOSED);
}
Test(client, half_open__lets_one_call_out)
{
    world_play(by_path,
        (struct http_peer_config){
            .breaker_calls = 1, .breaker_open_us = 5 * MS, .retry_limit = HTTP_RETRIES_NONE},
        expect_single_probe);
}

/* --- many at once --- */

static void expect_in_flight_limit(struct world *w)
{
    struct helper first, second;
    struct http_answer a;
    helper_start(&first, w, "/slow");
    wait_until(&w->server->requests, 1);
    helper_start(&second, w, "/ok");
    fiber_yield();
    cr_assert_eq(http_peer_stats(w->peer).in_flight, 1);
    cr_assert_eq(get(w, "/ok", &a), ERR_BUSY);
    cr_assert_eq(http_peer_stats(w->peer).rejected, 1);
    fiber_cancel(first.fiber);
    cr_assert_eq(fiber_join(first.fiber, USEC_NEVER), 0);
    cr_assert_eq(fiber_join(second.fiber, USEC_NEVER), 0);
    cr_assert_eq(second.r, 0);
    cr_assert_eq(second.status, 200);
}
Test(client, in_flight_limit__makes_one_wait_and_refuses_the_rest)
{
    world_play(by_path, (struct http_peer_config){.in_flight_limit = 1, .waiting_limit = 1},
        expect_in_flight_limit);
}

static void expect_place_timeout(struct world *w)
{
    struct helper first;
    struct http_answer a;
    helper_start(&first, w, "/slow");
    wait_until(&w->server->requests, 1);
    int64_t outer = fiber_deadline_push(clock_mono_us() + 20 * MS);
    cr_assert_eq(get(w, "/ok", &a), ERR_BUSY, "never sent, so not a timeout");
    fiber_deadline_pop(outer);
    fiber_cancel(first.fiber);
    cr_assert_eq(fiber_join(first.fiber, USEC_NEVER), 0);
}
Test(client, no_place_in_time__is_busy)
{
    world_play(by_path, (struct http_peer_config){.in_flight_limit = 1}, expect_place_timeout);
}

static void expect_many(struct world *w)
{
    enum { FIBERS = 200 };
    static struct helper helpers[FIBERS];
    for (int i = 0; i < FIBERS; i++)
        helper_start(&helpers[i], w, i % 2 ? "/ok" : "/largest");
    for (int i = 0; i < FIBERS; i++) {
        cr_assert_eq(fiber_join(helpers[i].fiber, USEC_NEVER), 0);
        cr_assert_eq(helpers[i].r, 0, "%d: %s", i, error_name(helpers[i].r));
        cr_assert_eq(helpers[i].status, 200);
    }
    cr_assert_leq(w->server->connections, 16);
    cr_assert_leq(w->server->running_max, 16);
    cr_assert_eq(w->server->requests, FIBERS);
}
Test(client, two_hundred_fibers__share_sixteen_connections)
{
    world_play(by_path, (struct http_peer_config){.in_flight_limit = 16, .timeout_us = 10000 * MS},
        expect_many);
}

static void expect_cancel(struct world *w)
{
    struct helper h;
    struct http_answer a;
    helper_start(&h, w, "/slow");
    wait_until(&w->server->requests, 1);
    fiber_cancel(h.fiber);
    cr_assert_eq(fiber_join(h.fiber, USEC_NEVER), 0);
    cr_assert_eq(h.r, -ECANCELED);
    wait_until(&w->server->ended, 1);
    cr_assert_eq(http_peer_stats(w->peer).failures, 0);
    cr_assert_eq(get(w, "/ok", &a), 0);
}
Test(client, cancelled_in_flight__closes_the_connection)
{
    world_play(by_path, (struct http_peer_config){.timeout_us = 10000 * MS}, expect_cancel);
}

static void expect_cancel_in_pause(struct world *w)
{
    struct helper h;
    helper_start(&h, w, "/later/1");
    wait_until(&w->server->requests, 1);
    fiber_sleep(20 * MS); /* the answer has come, the pause of a second has begun */
    int64_t start = clock_mono_us();
    fiber_cancel(h.fiber);
    cr_assert_eq(fiber_join(h.fiber, USEC_NEVER), 0);
    cr_assert_eq(h.r, -ECANCELED);
    cr_assert_lt(clock_mono_us() - start, 500 * MS);
    cr_assert_eq(w->server->requests, 1);
}
Test(client, cancelled_while_pausing__does_not_ask_again)
{
    world_play(by_path, (struct http_peer_config){.timeout_us = 3000 * MS}, expect_cancel_in_pause);
}

/* --- what must not go out --- */

static void expect_clean(struct world *w)
{
    static const struct http_header bad[] = {{SPAN("X-A"), SPAN("1\r\nX-B: 2")},
        {SPAN("X-A\r\nX-B"), SPAN("1")}, {SPAN("X A"), SPAN("1")}, {SPAN("X-A:"), SPAN("1")},
        {SPAN(""), SPAN("1")}, {SPAN("X-A"), SPAN("1\0002")}, {SPAN("X-A"), SPAN("\n")}};
    struct http_answer a;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct http_call call = {
            .method = HTTP_GET, .path = "/ok", .headers = &bad[i], .headers_count = 1};
        cr_assert_eq(http_call(w->peer, &call, &a), ERR_INVALID, "%zu", i);
    }
    cr_assert_eq(get(w, "/ok HTTP/1.1\r\nX: y", &a), ERR_INVALID);
    cr_assert_eq(w->server->requests, 0);
    cr_assert_eq(http_peer_stats(w->peer).failures, 0);
}
Test(client, line_ends_in_headers_or_path__are_refused)
{
    world_play(by_path, (struct http_peer_config){0}, expect_clean);
}

static void expect_no_proxy(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/ok", &a), 0);
    cr_assert_eq(w->server->requests, 1);
}
Test(client, proxy_in_the_environment__is_not_used)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    world_play(by_path, (struct http_peer_config){0}, expect_no_proxy);
}

static void expect_protocol(struct world *w)
{
    struct http_answer a;
    cr_assert_lt(get(w, "/etc/passwd", &a), 0);
}
Test(client, other_protocols__are_refused)
{
    world_play(by_path, (struct http_peer_config){.base_url = "file://"}, expect_protocol);
}

static void expect_name(struct world *w)
{
    struct http_peer_config config = {.name = "named", .timeout_us = 3000 * MS};
    char url[64];
    struct http_answer a;
    snprintf(url, sizeof(url), "http://localhost:%d/", w->server->port);
    config.base_url = url;
    struct http_peer *named = http_peer_new(w->client, &config);
    struct http_call call = {.method = HTTP_GET, .path = "/ok"};
    cr_assert_eq(http_call(named, &call, &a), 0, "%s", error_text());
    cr_assert(body_is(&a, "ok"));
    http_peer_free(named);
}
Test(client, host_name__is_resolved)
{
    world_play(by_path, (struct http_peer_config){0}, expect_name);
}

/* --- libcurl, which is opened when something needs it --- */

static bool curl_is_open(void)
{
    char line[512];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    cr_assert(maps);
    while (!found && fgets(line, sizeof(line), maps))
        found = strstr(line, "/libcurl") != NULL;
    fclose(maps);
    return found;
}

static void expect_ok(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/ok", &a), 0, "%s", error_text());
    cr_assert(body_is(&a, "ok"));
}
Test(client, libcurl__is_not_opened_for_plain_calls)
{
    world_play_at("127.0.0.1", by_path, (struct http_peer_config){0}, expect_ok);
    cr_assert_eq(http_client_check("http://127.0.0.1:8081"), 0);
    cr_assert_not(curl_is_open());
    world_play_at("localhost", by_path, (struct http_peer_config){0}, expect_ok);
    cr_assert(curl_is_open());
}

static void expect_no_library(struct world *w)
{
    struct http_answer a;
    for (int i = 0; i < 2; i++) { /* the second time on the slot that the first one left */
        error_clear();
        cr_assert_eq(get(w, "/ok", &a), ERR_UNAVAILABLE);
        cr_assert(strstr(error_text(), "libnowhere.so.4"), "%s", error_text());
    }
    cr_assert_eq(w->server->requests, 0);
}
Test(client, libcurl_that_is_missing__fails_what_needs_it_and_says_so)
{
    client_curl_library = "libnowhere.so.4";
    world_play_at("localhost", by_path, (struct http_peer_config){0}, expect_no_library);
    world_play_at("127.0.0.1", by_path, (struct http_peer_config){0}, expect_ok);
    const char *const urls[] = {
        "https://127.0.0.1:8081", "http://auth:8081", "smtp://127.0.0.1:25", "nonsense"};
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        error_clear();
        cr_expect_eq(http_client_check(urls[i]), ERR_UNAVAILABLE, "%s", urls[i]);
        cr_expect(strstr(error_text(), "libnowhere.so.4"), "%s", error_text());
    }
    cr_assert_eq(http_client_check("http://127.0.0.1:8081"), 0);
}

static void expect_no_library_of_ours(struct world *w)
{
    struct http_answer a;
    cr_assert_eq(get(w, "/ok", &a), ERR_UNAVAILABLE);
    cr_assert(strstr(error_text(), "curl_"), "%s", error_text());
}
Test(client, library_without_the_functions__is_refused)
{
    client_curl_library = "libm.so.6";
    world_play_at("localhost", by_path, (struct http_peer_config){0}, expect_no_library_of_ours);
}
