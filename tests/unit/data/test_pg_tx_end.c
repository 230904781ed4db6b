#include "common/fiber/sync.h"
#include "pg_test.h"

/* How transactions end: what is queued at the commit, and those that are run again. */

/* ---- at the commit ---- */

static int take_ids(struct pg_tx *tx, void *arg)
{
    for (const int64_t *id = arg; *id; id++)
        TRY(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(*id), PG_I64(1))));
    return 0;
}

static int ends[4];
static size_t ends_count;

static void note_end(void *arg, int r)
{
    cr_assert_not_null(arg);
    ends[ends_count++] = r;
}
static const struct pg_end taking = {take_ids, note_end};

PG_TEST(pg_tx, at_commit__queues_once_and_only_then)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    int64_t ids[] = {2, 3, 0};

    pg_test_items();
    OK(pg_begin(p, &tx));
    void **slot = pg_at_commit(tx, &taking);
    cr_assert_null(*slot);
    *slot = ids;
    cr_assert_eq(*pg_at_commit(tx, &taking), ids);
    OK(pg_commit(tx));
    GIVES(ERR_INVALID, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_str_eq(
        pg_server_exec("SELECT string_agg(id::text, ',' ORDER BY id) FROM item"), "1,2,3");
    cr_assert(ends_count == 1 && ends[0] == 0, "told once, of the first");
    pg_pool_free(p);
}

PG_TEST(pg_tx, at_commit__whose_own_statements_fail__is_told_so)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    int64_t ids[] = {2, 1, 0};

    pg_test_items();
    OK(pg_begin(p, &tx));
    *pg_at_commit(tx, &taking) = ids;
    GIVES(PG_UNIQUE, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert(ends_count == 1 && ends[0] == PG_UNIQUE);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    pg_pool_free(p);
}

PG_TEST(pg_tx, at_commit__of_a_transaction_that_failed_or_is_given_up__never_runs)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    int64_t ids[] = {2, 0};

    pg_test_items();
    OK(pg_begin(p, &tx));
    *pg_at_commit(tx, &taking) = ids;
    pg_tx_end(&tx);
    OK(pg_begin(p, &tx));
    *pg_at_commit(tx, &taking) = ids;
    GIVES(PG_UNIQUE, pg_run(tx, &sql_item_insert, PG_ARGS(PG_I64(1), PG_I64(1)), NULL));
    GIVES(PG_UNIQUE, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    cr_assert_eq(ends_count, 0, "nor is anybody told of its end");
    pg_pool_free(p);
}

/* ---- retries ---- */

static unsigned deadlock_attempts;
static struct latch both_hold_one;
static unsigned holding;

static int lock_both(struct pg_tx *tx, void *arg)
{
    int64_t first = *(const int64_t *)arg;

    deadlock_attempts++;
    TRY(pg_run(tx, &sql_item_take, PG_ARGS(PG_I64(first), PG_I64(1)), NULL));
    if (++holding == 2)
        latch_set(&both_hold_one, 0);
    TRY(latch_wait(&both_hold_one, "the other", USEC_NEVER, NULL));
    TRY(pg_run(tx, &sql_item_take, PG_ARGS(PG_I64(3 - first), PG_I64(1)), NULL));
    return 0;
}

static struct pg_pool *deadlock_pool;

static void lock_both_fiber(void *arg)
{
    OK(pg_transaction(deadlock_pool, lock_both, arg));
}

PG_TEST(pg_tx, transaction__in_a_deadlock__is_run_again_and_both_commit)
{
    static int64_t one = 1, two = 2;
    struct fiber *other;

    pg_test_items();
    pg_server_exec("INSERT INTO item VALUES (2, 5)");
    deadlock_pool = pg_test_pool((struct pg_pool_config){0});
    OK(fiber_spawn(test_loop, "other", lock_both_fiber, &two, &other));
    lock_both_fiber(&one);
    OK(fiber_join(other, USEC_NEVER));
    cr_assert_geq(deadlock_attempts, 3);
    cr_assert_str_eq(pg_server_exec("SELECT sum(stock) FROM item"), "6");
    pg_pool_free(deadlock_pool);
}

static int always_retry(struct pg_tx *tx, void *arg)
{
    ++*(unsigned *)arg;
    return pg_run(
        tx, &(const struct pg_statement){"serial", "SELECT serial()", NULL}, PG_NO_ARGS, NULL);
}

PG_TEST(pg_tx, transaction__that_never_succeeds__is_given_up_after_five_times)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    unsigned count = 0;

    pg_server_exec("CREATE FUNCTION serial() RETURNS void LANGUAGE plpgsql AS "
                   "$$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$");
    GIVES(ERR_RETRY, pg_transaction(p, always_retry, &count));
    cr_assert_eq(count, 5);
    pg_pool_free(p);
}

static int insert_and_return(struct pg_tx *tx, void *arg)
{
    TRY(pg_run(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1)), NULL));
    return *(int *)arg;
}

static int insert_twice(struct pg_tx *tx, void *arg)
{
    TRY(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(1), PG_I64(1))));
    return 0;
}

PG_TEST(pg_tx, transaction__whose_function_says_no__rolls_back_and_returns_it)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});

    pg_test_items();
    GIVES(OUT_OF_STOCK, pg_transaction(p, insert_and_return, &(int){OUT_OF_STOCK}));
    GIVES(-5, pg_transaction(p, insert_and_return, &(int){-5}));
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    GIVES(PG_UNIQUE, pg_transaction(p, insert_twice, NULL));
    cr_assert_str_eq(pg_constraint(), "item_pkey");
    OK(pg_transaction(p, insert_and_return, &(int){0}));
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "2");
    pg_pool_free(p);
}
