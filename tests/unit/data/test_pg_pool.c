#include <signal.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "pg_test.h"

/* ---- sharing ---- */

static struct pg_pool *pool;
static unsigned done, most_in_use;
static int last_result;

static void worker(void *arg)
{
    for (int i = 0; i < 5; i++) {
        struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

        OK(pg_begin(pool, &tx));
        OK(pg_queue(tx, &sql_item_grab, PG_ARGS(PG_I64(1), PG_I64(1))));
        OK(pg_run(tx, &sql_item_count, PG_NO_ARGS, NULL));
        if (pg_pool_stats(pool).in_use > most_in_use)
            most_in_use = pg_pool_stats(pool).in_use;
        OK(pg_commit(tx));
        done++;
    }
}

PG_TEST(pg_pool, hundred_fibers__on_eight_connections__all_get_their_turn)
{
    struct fiber *fibers[100];

    pg_test_items();
    pg_server_exec("UPDATE item SET stock = 1000");
    pool = pg_test_pool((struct pg_pool_config){0});
    for (size_t i = 0; i < ARRAY_SIZE(fibers); i++)
        OK(fiber_spawn(test_loop, "worker", worker, NULL, &fibers[i]));
    for (size_t i = 0; i < ARRAY_SIZE(fibers); i++)
        OK(fiber_join(fibers[i], USEC_NEVER));
    cr_assert_eq(done, 500);
    cr_assert_eq(most_in_use, 8);
    cr_assert_eq(pg_pool_stats(pool).size, 8);
    cr_assert_eq(pg_pool_stats(pool).open, 8);
    cr_assert_eq(pg_pool_stats(pool).in_use, 0);
    cr_assert_eq(pg_pool_stats(pool).waiting, 0);
    cr_assert_eq(pg_pool_stats(pool).transactions, 500);
    cr_assert_eq(pg_pool_stats(pool).errors, 0);
    cr_assert_gt(pg_pool_stats(pool).busy_us, 0);
    cr_assert_str_eq(pg_server_exec("SELECT stock FROM item"), "500");
    pg_pool_free(pool);
}

PG_TEST(pg_pool, queries__one_after_the_other__use_one_connection)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});

    for (int i = 0; i < 10; i++)
        OK(pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    cr_assert_eq(pg_pool_stats(p).open, 1);
    pg_pool_free(p);
}

static const struct pg_statement sql_repeated = {
    "repeated", "SELECT repeat($1, $2::bigint::integer)", &text_table};
static const struct pg_statement sql_length = {"length", "SELECT length($1)", &number_table};

/* As long as it takes: a server that stalls only makes it longer. */
static bool closed_within(struct pg_pool *p, const struct pg_statement *s, struct pg_args args)
{
    OK(pg_query(p, s, args, NULL));
    for (int tries = 0; tries < 100 && pg_pool_stats(p).open > 0; tries++) {
        OK(fiber_sleep(50 * USEC_PER_MS));
        OK(pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    }
    return pg_pool_stats(p).open == 0;
}

PG_TEST(pg_pool, connection__that_had_a_long_message__is_closed_when_it_had_none_for_long)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){.swollen_us = 20 * USEC_PER_MS});
    char *text = mem_alloc(100001);

    memset(text, 'x', 100000);
    cr_assert(closed_within(p, &sql_length, PG_ARGS(PG_TEXT(text))));
    cr_assert(closed_within(p, &sql_repeated, PG_ARGS(PG_TEXT("y"), PG_I64(100000))));
    mem_free(text);
    pg_pool_free(p);
}

PG_TEST(pg_pool, connection__that_had_short_messages_or_one_just_now__is_kept)
{
    struct pg_pool *quick = pg_test_pool((struct pg_pool_config){.swollen_us = 20 * USEC_PER_MS}),
                   *slow = pg_test_pool((struct pg_pool_config){.swollen_us = 3600 * USEC_PER_SEC});

    for (int i = 0; i < 20; i++) {
        OK(pg_query(quick, &sql_repeated, PG_ARGS(PG_TEXT("y"), PG_I64(10000)), NULL));
        OK(pg_query(slow, &sql_repeated, PG_ARGS(PG_TEXT("y"), PG_I64(100000)), NULL));
        OK(fiber_sleep(10 * USEC_PER_MS));
        cr_assert_eq(pg_pool_stats(quick).open, 1);
        cr_assert_eq(pg_pool_stats(slow).open, 1);
    }
    pg_pool_free(quick);
    pg_pool_free(slow);
}

static void waiter(void *arg)
{
    last_result = pg_query(pool, &sql_backend, PG_NO_ARGS, NULL);
    error_clear();
}

PG_TEST(pg_pool, begin__when_all_are_taken__waits_its_turn_or_is_refused)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct fiber *f, *cancelled;
    int64_t outer;

    pool = pg_test_pool((struct pg_pool_config){.size = 1, .waiting_limit = 1});
    OK(pg_begin(pool, &tx));
    outer = fiber_deadline_push(clock_mono_us() + 30 * USEC_PER_MS);
    GIVES(ERR_TIMEOUT, pg_query(pool, &sql_backend, PG_NO_ARGS, NULL));
    fiber_deadline_pop(outer);
    OK(fiber_spawn(test_loop, "cancelled", waiter, NULL, &cancelled));
    fiber_yield();
    cr_assert_eq(pg_pool_stats(pool).waiting, 1);
    GIVES(ERR_BUSY, pg_query(pool, &sql_backend, PG_NO_ARGS, NULL));
    fiber_cancel(cancelled);
    OK(fiber_join(cancelled, USEC_NEVER));
    cr_assert_eq(last_result, ERR_CANCELED);
    OK(fiber_spawn(test_loop, "waiter", waiter, NULL, &f));
    fiber_yield();
    pg_tx_end(&tx);
    OK(fiber_join(f, USEC_NEVER));
    cr_assert_eq(last_result, 0);
    cr_assert_eq(fiber_holds(), 0);
    pg_pool_free(pool);
}

/* ---- settings ---- */

PG_TEST(pg_pool, connection__has_the_settings_of_pool_and_url)
{
    static const struct pg_statement settings = {"settings",
        "SELECT concat_ws(' ', current_setting('synchronous_commit'), "
        "current_setting('TimeZone'), current_setting('client_encoding'), "
        "current_setting('statement_timeout'), current_setting('application_name'), "
        "current_setting('work_mem'))",
        &text_table};
    char url[640];
    struct pg_result result;
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){
        .async_commit = true, .application_name = "cart", .statement_timeout_us = USEC_PER_SEC});

    OK(pg_query(p, &settings, PG_NO_ARGS, &result));
    cr_assert_str_eq(PG_ROW(result, struct text, 0)->text, "off UTC UTF8 900ms cart 4MB");
    pg_pool_free(p);

    snprintf(url, sizeof(url), "%s",
        pg_server_url_with("application_name=mine&options=-c%20work_mem%3D5MB"));
    p = pg_test_pool((struct pg_pool_config){.url = url, .application_name = "cart"});
    OK(pg_query(p, &settings, PG_NO_ARGS, &result));
    cr_assert_str_eq(PG_ROW(result, struct text, 0)->text, "on UTC UTF8 4500ms mine 5MB");
    pg_pool_free(p);
}

/* ---- a server that is away ---- */

PG_TEST(pg_pool, url__that_cannot_be_used__says_so_at_each_call)
{
    static const char *const urls[] = {
        "postgresql://[::1", "no_such_key=1", "postgresql://h:1/%zz"};

    for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
        struct pg_pool *p = pg_test_pool((struct pg_pool_config){.url = urls[i]});

        cr_assert_eq(pg_query(p, &sql_backend, PG_NO_ARGS, NULL), ERR_UNAVAILABLE);
        cr_assert(strstr(error_text(), "url cannot be used"), "%s", error_text());
        error_clear();
        pg_pool_free(p);
    }
}

PG_TEST(pg_pool, server__that_is_not_there__fails_fast_and_names_the_place)
{
    struct pg_proxy nobody = {0};
    struct pg_pool *p;
    char place[64];

    pg_proxy_start(&nobody); /* gives us a port, then leaves it */
    pg_proxy_stop(&nobody);
    snprintf(place, sizeof(place), "127.0.0.1:%d/souk_test", nobody.port);
    p = pg_test_pool((struct pg_pool_config){.url = pg_proxy_url(&nobody)});
    cr_assert_eq(pg_query(p, &sql_backend, PG_NO_ARGS, NULL), ERR_UNAVAILABLE);
    cr_assert(strstr(error_text(), place) && strstr(error_text(), "refused"), "%s", error_text());
    error_clear();
    for (int i = 0; i < 1000; i++) { /* without another attempt, so without a park */
        cr_assert_eq(pg_query(p, &sql_backend, PG_NO_ARGS, NULL), ERR_UNAVAILABLE);
        cr_assert(strstr(error_text(), "./souk up"), "%s", error_text());
        error_clear();
    }
    GIVES(ERR_UNAVAILABLE, pg_pool_check(p, clock_mono_us() + USEC_PER_SEC));
    cr_assert_eq(pg_pool_stats(p).in_use, 0);
    cr_assert_eq(fiber_holds(), 0);
    pg_pool_free(p);
}

PG_TEST(pg_pool, server__that_takes_connections_but_is_silent__gets_few_attempts)
{
    struct pg_proxy proxy = {.frozen = true};
    int64_t begin = clock_mono_us();
    unsigned refused = 0;
    struct pg_pool *p;

    pg_proxy_start(&proxy);
    p = pg_test_pool((struct pg_pool_config){
        .url = pg_proxy_url(&proxy), .connect_timeout_us = 50 * USEC_PER_MS});
    while (clock_mono_us() - begin < 600 * USEC_PER_MS) {
        GIVES(ERR_UNAVAILABLE, pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
        refused++;
        OK(fiber_sleep(5 * USEC_PER_MS));
    }
    cr_assert_gt(refused, 10);
    cr_assert_leq(proxy.accepted, 5, "%u attempts", proxy.accepted);
    proxy.frozen = false;
    while (pg_query(p, &sql_backend, PG_NO_ARGS, NULL) != 0) {
        cr_assert_lt(clock_mono_us() - begin, 30 * USEC_PER_SEC);
        OK(fiber_sleep(20 * USEC_PER_MS));
    }
    error_clear();
    pg_pool_free(p);
    pg_proxy_stop(&proxy);
}

PG_TEST(pg_pool, caller_in_a_hurry__does_not_make_the_pool_believe_the_server_is_away)
{
    struct pg_proxy proxy = {.frozen = true};
    struct pg_pool *p;
    int64_t outer;

    pg_proxy_start(&proxy);
    p = pg_test_pool((struct pg_pool_config){.url = pg_proxy_url(&proxy)});
    outer = fiber_deadline_push(clock_mono_us() + 20 * USEC_PER_MS);
    GIVES(ERR_TIMEOUT, pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    fiber_deadline_pop(outer);
    proxy.frozen = false;
    OK(pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    pg_pool_free(p);
    pg_proxy_stop(&proxy);
}

static int query_until_ok(struct pg_pool *p)
{
    int r = 0;

    for (int i = 0; i < 200; i++) {
        r = pg_query(p, &sql_backend, PG_NO_ARGS, NULL);
        error_clear();
        if (r == 0)
            break;
        cr_assert(r == ERR_UNAVAILABLE || r == ERR_TIMEOUT, "%d", r);
        OK(fiber_sleep(20 * USEC_PER_MS));
    }
    return r;
}

PG_TEST(pg_pool, server__stopped_and_started_again__is_found_again)
{
    struct pg_private server = {0};
    struct pg_pool *p;

    pg_private_start(&server);
    p = pg_test_pool((struct pg_pool_config){.url = server.url});
    OK(pg_pool_check(p, clock_mono_us() + USEC_PER_SEC));
    pg_private_stop(&server);
    OK(fiber_sleep(20 * USEC_PER_MS)); /* the loop sees the end of the idle connection */
    cr_assert_eq(pg_pool_stats(p).open, 0);
    GIVES(ERR_UNAVAILABLE, pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    GIVES(ERR_UNAVAILABLE, pg_pool_check(p, clock_mono_us() + USEC_PER_SEC));
    pg_private_start(&server);
    OK(query_until_ok(p));
    pg_pool_free(p);
    pg_private_free(&server);
}

/* The postmaster stopped: nobody is let in, but the backends go on. */
PG_TEST(pg_pool, server__frozen_and_thawed__is_found_again)
{
    struct pg_private server = {0};
    struct pg_result backend;
    struct pg_pool *p;
    pid_t pid;

    pg_private_start(&server);
    p = pg_test_pool((struct pg_pool_config){.url = server.url,
        .statement_timeout_us = 500 * USEC_PER_MS,
        .connect_timeout_us = 500 * USEC_PER_MS});
    OK(pg_query(p, &sql_backend, PG_NO_ARGS, &backend));
    pid = (pid_t)PG_ROW(backend, struct number, 0)->n;
    kill(server.pid, SIGSTOP);
    kill(pid, SIGSTOP);
    GIVES(ERR_TIMEOUT, pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    GIVES(ERR_UNAVAILABLE, pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    GIVES(ERR_UNAVAILABLE, pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    kill(pid, SIGCONT);
    kill(server.pid, SIGCONT);
    OK(query_until_ok(p));
    pg_pool_free(p);
    pg_private_free(&server);
}

PG_TEST(pg_pool, check__of_a_server_that_froze__does_not_trust_an_open_connection)
{
    struct pg_proxy proxy = {0};
    struct pg_pool *p;

    pg_proxy_start(&proxy);
    p = pg_test_pool((struct pg_pool_config){.url = pg_proxy_url(&proxy)});
    OK(pg_pool_check(p, clock_mono_us() + USEC_PER_SEC));
    OK(pg_pool_check(p, clock_mono_us() + USEC_PER_SEC));
    cr_assert_eq(proxy.accepted, 1);
    proxy.frozen = true;
    GIVES(ERR_TIMEOUT, pg_pool_check(p, clock_mono_us() + 50 * USEC_PER_MS));
    pg_pool_free(p);
    pg_proxy_stop(&proxy);
}
