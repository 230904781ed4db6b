#include "pg_test.h"

/* A transaction's statements and time: timeouts, deadlines, cancellation, shields. */

PG_TEST(pg_tx, run__longer_than_the_statement_timeout__times_out)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){.statement_timeout_us = 200000});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    int64_t begin = clock_mono_us();

    OK(pg_begin(p, &tx));
    GIVES(ERR_TIMEOUT, pg_run(tx, &sql_sleep, PG_ARGS(PG_REAL(5)), NULL));
    pg_tx_end(&tx);
    cr_assert_lt(clock_mono_us() - begin, 2 * USEC_PER_SEC);
    cr_assert_eq(fiber_holds(), 0);
    OK(pg_query(p, &sql_sleep, PG_ARGS(PG_REAL(0)), NULL));
    pg_pool_free(p);
}

PG_TEST(pg_tx, run__beyond_the_ambient_deadline__times_out_and_the_connection_is_replaced)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result before, after;
    int64_t outer;

    OK(pg_query(p, &sql_backend, PG_NO_ARGS, &before));
    OK(pg_begin(p, &tx));
    outer = fiber_deadline_push(clock_mono_us() + 50 * USEC_PER_MS);
    GIVES(ERR_TIMEOUT, pg_run(tx, &sql_sleep, PG_ARGS(PG_REAL(5)), NULL));
    GIVES(ERR_TIMEOUT, pg_run(tx, &sql_backend, PG_NO_ARGS, NULL));
    pg_tx_end(&tx);
    cr_assert_eq(pg_pool_stats(p).open, 0);
    GIVES(ERR_TIMEOUT, pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    fiber_deadline_pop(outer);
    OK(pg_query(p, &sql_backend, PG_NO_ARGS, &after));
    cr_assert_neq(PG_ROW(before, struct number, 0)->n, PG_ROW(after, struct number, 0)->n);
    pg_pool_free(p);
}

static int cancelled_result;
static bool sleeper_has_begun;

static void sleeper(void *arg)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    OK(pg_begin(arg, &tx));
    OK(pg_run(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1)), NULL));
    sleeper_has_begun = true;
    cancelled_result = pg_run(tx, &sql_sleep, PG_ARGS(PG_REAL(10)), NULL);
}

PG_TEST(pg_tx, run__of_a_fiber_that_is_cancelled__ends_at_once_and_nothing_stays)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct fiber *f;

    pg_test_items();
    OK(fiber_spawn(test_loop, "sleeper", sleeper, p, &f));
    while (!sleeper_has_begun) /* then it runs on to its statement before we are back */
        OK(fiber_sleep(USEC_PER_MS));
    int64_t begin = clock_mono_us();
    fiber_cancel(f);
    OK(fiber_join(f, USEC_NEVER));
    cr_assert_eq(cancelled_result, ERR_CANCELED);
    cr_assert_lt(clock_mono_us() - begin, 5 * USEC_PER_SEC);
    cr_assert_eq(pg_pool_stats(p).in_use, 0);
    cr_assert_eq(pg_pool_stats(p).open, 0);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    pg_pool_free(p);
}

static int shielded_result;

static void shielded(void *arg)
{
    while (!fiber_cancelled())
        (void)fiber_sleep(USEC_PER_MS);
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + USEC_PER_SEC);
    shielded_result = pg_query(arg, &sql_item_insert, PG_ARGS(PG_I64(3), PG_I64(1)), NULL);
    fiber_shield_end(shield);
}

PG_TEST(pg_tx, query__under_a_shield_of_a_cancelled_fiber__is_done)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct fiber *f;

    pg_test_items();
    OK(fiber_spawn(test_loop, "shielded", shielded, p, &f));
    fiber_cancel(f);
    OK(fiber_join(f, USEC_NEVER));
    cr_assert_eq(shielded_result, 0);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "2");
    pg_pool_free(p);
}

static int commit_result, late_result;
static bool committer_has_begun;

static void committer(void *arg)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    OK(pg_begin(arg, &tx));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
    committer_has_begun = true;
    commit_result = pg_commit(tx);
    pg_tx_end(&tx);
    late_result = pg_query(arg, &sql_item_insert, PG_ARGS(PG_I64(3), PG_I64(1)), NULL);
}

PG_TEST(pg_tx, commit__of_a_fiber_that_is_cancelled_meanwhile__is_seen_through)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct fiber *f;

    pg_test_items();
    pg_server_exec(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.3); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION slow()");
    OK(fiber_spawn(test_loop, "committer", committer, p, &f));
    while (!committer_has_begun)
        OK(fiber_sleep(USEC_PER_MS));
    OK(fiber_sleep(100 * USEC_PER_MS));
    fiber_cancel(f);
    OK(fiber_join(f, USEC_NEVER));
    cr_assert_eq(commit_result, 0);
    cr_assert_eq(late_result, ERR_CANCELED);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "2");
    pg_pool_free(p);
}

/* Nothing is committed behind the back of who was told that it is too late. */
PG_TEST(pg_tx, commit__after_the_deadline__commits_nothing)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    for (int begun = 0; begun <= 1; begun++) {
        OK(pg_begin(p, &tx));
        OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
        if (begun)
            OK(pg_run(tx, &sql_item_count, PG_NO_ARGS, NULL));
        int64_t outer = fiber_deadline_push(clock_mono_us());
        GIVES(ERR_TIMEOUT, pg_commit(tx));
        fiber_deadline_pop(outer);
        pg_tx_end(&tx);
        cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    }
    cr_assert_eq(pg_pool_stats(p).round_trips, 2, "a count, and its rollback");
    pg_pool_free(p);
}
