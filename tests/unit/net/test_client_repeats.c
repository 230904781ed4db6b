#include "client_world.h"

#include <stdio.h>

#include "common/fiber/sync.h"

/* A call that may have to be made again, or not at all; and many calls at once. */

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

static bool is_of(const struct http_answer *answer, const void *status)
{
    return answer->status == *(const int *)status;
}

static void expect_own_affairs(struct world *w)
{
    const int own = 503;
    struct http_call call = {.path = "/status/503", .is_own_affair = is_of, .own_affair_ctx = &own};
    struct http_answer a;
    for (int i = 0; i < 10; i++)
        cr_assert_eq(http_call(w->peer, &call, &a), 0);
    cr_assert_eq(http_peer_breaker(w->peer), HTTP_BREAKER_CLOSED);
    cr_assert_eq(http_peer_stats(w->peer).failures, 0);
    call.path = "/status/500";
    for (int i = 0; i < 2; i++)
        cr_assert_eq(http_call(w->peer, &call, &a), 0);
    cr_assert_eq(http_peer_stats(w->peer).failures, 2);
}
Test(client, an_answer_about_the_call_alone__says_nothing_against_the_peer)
{
    world_play(by_path,
        (struct http_peer_config){.breaker_calls = 4, .retry_limit = HTTP_RETRIES_NONE},
        expect_own_affairs);
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
