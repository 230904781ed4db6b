#include "client_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/net/client_curl.h"

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
