#include "common/base/buf.h"
#include "common/data/pg_link.h"
#include "pg_test.h"

static const struct pg_statement sql_broken = {"broken", "SELECT 1 / $1::int", NULL};

static uint64_t trips(struct pg_pool *p)
{
    return pg_pool_stats(p).round_trips;
}

/* ---- what travels together ---- */

PG_TEST(pg_tx, commit__of_queued_statements__takes_one_round_trip)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx = NULL;

    pg_test_items();
    for (int i = 0; i < 2; i++) { /* unprepared and prepared */
        uint64_t before = trips(p);

        OK(pg_begin(p, &tx));
        cr_assert_eq(fiber_holds(), 1);
        for (int n = 0; n < 3; n++)
            OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(10 + 3 * i + n), PG_I64(1))));
        OK(pg_commit(tx));
        pg_tx_end(&tx);
        cr_assert_null(tx);
        cr_assert_eq(fiber_holds(), 0);
        cr_assert_eq(trips(p) - before, 1);
    }
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "7");
    pg_pool_free(p);
}

PG_TEST(pg_tx, commit__of_queued_statements__needs_no_begin)
{
    static const struct pg_statement begun = {"begun",
        "SELECT count(*) FROM pg_prepared_statements WHERE name IN ('souk_begin', 'souk_commit')",
        &number_table};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){.size = 1});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result result;

    pg_test_items();
    for (int early = 0; early <= 1; early++) {
        OK(pg_begin(p, &tx));
        OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2 + early), PG_I64(1))));
        if (early) /* it must be answered before the end */
            OK(pg_run(tx, &sql_item_count, PG_NO_ARGS, NULL));
        OK(pg_commit(tx));
        pg_tx_end(&tx);
        OK(pg_query(p, &begun, PG_NO_ARGS, &result));
        cr_assert_eq(PG_ROW(result, struct number, 0)->n, early ? 2 : 0);
    }
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "3");
    pg_pool_free(p);
}

PG_TEST(pg_tx, queue__keeps_what_its_arguments_point_to)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    char id[] = "2", stock[] = "77";

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_item_insert,
        PG_ARGS(PG_TEXT(id), PG_SPAN(((struct span){.ptr = stock, .len = 1})))));
    id[0] = 'x';
    stock[0] = 'y';
    OK(pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_str_eq(pg_server_exec("SELECT stock FROM item WHERE id = 2"), "7");
    pg_pool_free(p);
}

PG_TEST(pg_tx, run__after_queued_statements__sees_their_effect_in_one_round_trip)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result result;

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_item_take, PG_ARGS(PG_I64(1), PG_I64(2))));
    OK(pg_run(tx, &sql_item_stock, PG_ARGS(PG_I64(1)), &result));
    cr_assert_eq(PG_ROW(result, struct number, 0)->n, 3);
    OK(pg_run(tx, &sql_item_take, PG_ARGS(PG_I64(1), PG_I64(1)), &result));
    cr_assert_eq(result.affected, 1);
    cr_assert_eq(result.rows.len, 0);
    OK(pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_eq(trips(p), 3);
    cr_assert_str_eq(pg_server_exec("SELECT stock FROM item"), "2");
    pg_pool_free(p);
}

PG_TEST(pg_tx, begin__with_nothing_to_do__costs_no_round_trip)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx = NULL;

    OK(pg_begin(p, &tx));
    OK(pg_commit(tx));
    pg_tx_end(&tx);
    OK(pg_begin(p, &tx));
    pg_tx_end(&tx);
    pg_tx_end(&tx);
    cr_assert_eq(trips(p), 0);
    cr_assert_eq(pg_pool_stats(p).open, 1);
    pg_pool_free(p);
}

PG_TEST(pg_tx, queue__of_more_than_the_socket_takes__arrives_whole)
{
    static const struct pg_statement length = {"length", "SELECT length($1)", &number_table};
    static const struct pg_statement echo = {"echo", "SELECT $1::text", &text_table};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result result;
    size_t len = 8 << 20;
    char *big = arena_alloc(fiber_arena(), len + 1);

    memset(big, 'x', len);
    OK(pg_query(p, &length, PG_ARGS(PG_TEXT(big)), &result));
    cr_assert_eq(PG_ROW(result, struct number, 0)->n, (int64_t)len);
    big[len / 8] = '\0';
    OK(pg_begin(p, &tx));
    for (int i = 0; i < 20; i++) /* both directions are full at once */
        OK(pg_queue(tx, &echo, PG_ARGS(PG_TEXT(big))));
    OK(pg_run(tx, &echo, PG_ARGS(PG_TEXT(big)), &result));
    cr_assert_eq(strlen(PG_ROW(result, struct text, 0)->text), len / 8);
    for (int i = 0; i < 5000; i++)
        OK(pg_queue(tx, &length, PG_ARGS(PG_TEXT("abc"))));
    OK(pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_eq(trips(p), 3);
    pg_pool_free(p);
}

/* ---- expectations ---- */

PG_TEST(pg_tx, commit__with_an_expectation_met__looks_before_it_commits)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_queue_expect(tx, &sql_item_take, PG_ARGS(PG_I64(1), PG_I64(5)), 1, OUT_OF_STOCK));
    OK(pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_eq(trips(p), 2);
    cr_assert_str_eq(pg_server_exec("SELECT stock FROM item"), "0");
    pg_pool_free(p);
}

PG_TEST(pg_tx, commit__with_an_expectation_not_met__commits_nothing)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
    OK(pg_queue_expect(tx, &sql_item_take, PG_ARGS(PG_I64(1), PG_I64(6)), 1, OUT_OF_STOCK));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(3), PG_I64(1))));
    GIVES(OUT_OF_STOCK, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    cr_assert_eq(pg_pool_stats(p).open, 1, "the connection should have survived");
    pg_pool_free(p);
}

PG_TEST(pg_tx, run__with_an_expectation_not_met__gives_the_outcome_and_then_nothing_goes)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result result = {.affected = 77};

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_queue_expect(tx, &sql_item_take, PG_ARGS(PG_I64(1), PG_I64(6)), 1, OUT_OF_STOCK));
    GIVES(OUT_OF_STOCK, pg_run(tx, &sql_item_stock, PG_ARGS(PG_I64(1)), &result));
    cr_assert_eq(result.affected, 77);
    GIVES(OUT_OF_STOCK, pg_queue(tx, &sql_item_take, PG_ARGS(PG_I64(1), PG_I64(1))));
    GIVES(OUT_OF_STOCK, pg_run(tx, &sql_item_stock, PG_ARGS(PG_I64(1)), &result));
    GIVES(OUT_OF_STOCK, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_str_eq(pg_server_exec("SELECT stock FROM item"), "5");
    pg_pool_free(p);
}

/* ---- failures ---- */

PG_TEST(pg_tx, violation__of_each_kind_of_constraint__is_an_outcome_that_names_it)
{
    static const struct {
        struct pg_statement statement;
        int outcome;
        const char *constraint;
    } rows[] = {
        {{"v1", "INSERT INTO part VALUES (1, 1, 'x')"}, PG_UNIQUE, "part_pkey"},
        {{"v2", "INSERT INTO part VALUES (2, 9, 'x')"}, PG_FOREIGN, "part_of_item"},
        {{"v3", "INSERT INTO part VALUES (2, 1, '')"}, PG_CHECK, "part_name_check"},
        {{"v4", "INSERT INTO part VALUES (2, 1, NULL)"}, PG_NOT_NULL, ""},
        {{"v5", "SELECT sold_out()"}, PG_CHECK, "sold_out"},
    };
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});

    pg_test_items();
    pg_server_exec(
        "CREATE TABLE part (id int PRIMARY KEY, item int CONSTRAINT part_of_item REFERENCES item, "
        "name text NOT NULL CHECK (name <> '')); INSERT INTO part VALUES (1, 1, 'x');"
        "CREATE FUNCTION sold_out() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION "
        "'sold out' USING ERRCODE = '23514', CONSTRAINT = 'sold_out'; END $$");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

        OK(pg_begin(p, &tx));
        OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
        OK(pg_queue(tx, &rows[i].statement, PG_NO_ARGS));
        GIVES(rows[i].outcome, pg_commit(tx));
        pg_tx_end(&tx);
        cr_assert_str_eq(pg_constraint(), rows[i].constraint);
        GIVES(rows[i].outcome, pg_query(p, &rows[i].statement, PG_NO_ARGS, NULL));
    }
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    cr_assert_eq(pg_pool_stats(p).open, 1);
    pg_pool_free(p);
}

PG_TEST(pg_tx, failures__of_several_statements__report_the_first)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_queue_expect(tx, &sql_item_take, PG_ARGS(PG_I64(9), PG_I64(1)), 1, OUT_OF_STOCK));
    OK(pg_queue(tx, &sql_broken, PG_ARGS(PG_I64(0))));
    GIVES(OUT_OF_STOCK, pg_commit(tx));
    pg_tx_end(&tx);

    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_broken, PG_ARGS(PG_I64(0))));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(1), PG_I64(1))));
    cr_assert_eq(pg_commit(tx), ERR_INVALID);
    cr_assert(strstr(error_text(), "broken: division by zero (22012)"), "%s", error_text());
    pg_tx_end(&tx);
    pg_pool_free(p);
}

PG_TEST(pg_tx, queue__of_an_argument_that_cannot_be_sent__commits_nothing_before_it)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
    GIVES(
        ERR_INVALID, pg_queue(tx, &sql_item_insert,
                         PG_ARGS(PG_I64(3), PG_SPAN(((struct span){.ptr = "1\0002", .len = 3})))));
    GIVES(ERR_INVALID, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_eq(trips(p), 0, "there was nothing to undo");
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    cr_assert_eq(pg_pool_stats(p).open, 1);
    pg_pool_free(p);
}

PG_TEST(pg_tx, statement__whose_prepare_failed_or_was_skipped__is_prepared_next_time)
{
    static const struct pg_statement late = {"late", "SELECT count(*) FROM later", &number_table};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    GIVES(ERR_INVALID, pg_query(p, &late, PG_NO_ARGS, NULL)); /* the prepare fails */
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_broken, PG_ARGS(PG_I64(0))));
    OK(pg_queue(tx, &sql_item_count, PG_NO_ARGS)); /* the prepare is skipped */
    GIVES(ERR_INVALID, pg_commit(tx));
    pg_tx_end(&tx);
    pg_server_exec("CREATE TABLE later (n int)");
    OK(pg_query(p, &late, PG_NO_ARGS, NULL));
    OK(pg_query(p, &sql_item_count, PG_NO_ARGS, NULL));
    cr_assert_eq(pg_pool_stats(p).open, 1);
    pg_pool_free(p);
}

PG_TEST(pg_tx, plan__that_a_migration_made_stale__is_prepared_again)
{
    static const struct pg_statement all = {"all", "SELECT * FROM wide", NULL};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_server_exec("CREATE TABLE wide (n int)");
    OK(pg_query(p, &all, PG_NO_ARGS, NULL));
    pg_server_exec("ALTER TABLE wide ADD COLUMN m int");
    OK(pg_query(p, &all, PG_NO_ARGS, NULL));
    pg_server_exec("ALTER TABLE wide ADD COLUMN o int");
    OK(pg_begin(p, &tx));
    GIVES(ERR_RETRY, pg_run(tx, &all, PG_NO_ARGS, NULL));
    pg_tx_end(&tx);
    OK(pg_query(p, &all, PG_NO_ARGS, NULL));
    pg_pool_free(p);
}

PG_TEST(pg_tx, end__without_commit__undoes_what_ran_and_what_was_only_queued)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_run(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1)), NULL));
    pg_tx_end(&tx);
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(3), PG_I64(1))));
    pg_tx_end(&tx);
    OK(pg_begin(p, &tx)); /* and one that fails when it is sent to be undone */
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(1), PG_I64(1))));
    pg_tx_end(&tx);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM pg_stat_activity "
                                    "WHERE datname = current_database() AND state LIKE 'idle in%'"),
        "0");
    cr_assert_eq(pg_pool_stats(p).open, 1);
    pg_pool_free(p);
}

PG_TEST(pg_tx, commit__that_fails_itself__has_rolled_back)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    pg_server_exec("ALTER TABLE item ADD parent int CONSTRAINT parent_fk REFERENCES item "
                   "DEFERRABLE INITIALLY DEFERRED; ALTER TABLE item ALTER parent SET DEFAULT 99");
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
    GIVES(PG_FOREIGN, pg_commit(tx));
    cr_assert_str_eq(pg_constraint(), "parent_fk");
    GIVES(ERR_INVALID, pg_queue(tx, &sql_item_count, PG_NO_ARGS));
    pg_tx_end(&tx);
    cr_assert_eq(trips(p), 1, "nothing was left to roll back");
    GIVES(PG_FOREIGN, pg_query(p, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1)), NULL));
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    cr_assert_eq(pg_pool_stats(p).open, 1, "the connection is as good as before");
    pg_pool_free(p);
}

/* ---- one statement, scripts, checks ---- */

PG_TEST(pg_tx, query__of_one_statement__takes_one_round_trip)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_result result;

    pg_test_items();
    OK(pg_query(p, &sql_item_grab, PG_ARGS(PG_I64(1), PG_I64(5)), &result));
    cr_assert_eq(result.affected, 1);
    cr_assert_eq(trips(p), 1);
    GIVES(PG_CHECK, pg_query(p, &sql_item_grab, PG_ARGS(PG_I64(1), PG_I64(1)), &result));
    cr_assert_str_eq(pg_constraint(), "item_stock_check");
    cr_assert_eq(trips(p), 2);
    cr_assert_eq(fiber_holds(), 0);
    pg_pool_free(p);
}

PG_TEST(pg_tx, script__of_many_statements__is_all_or_nothing)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});

    OK(pg_script(p, "CREATE TABLE a (n int); INSERT INTO a VALUES (1), (2)"));
    GIVES(ERR_INVALID, pg_script(p, "INSERT INTO a VALUES (3); SELECT 1 / 0"));
    GIVES(ERR_UNAVAILABLE, pg_script(p, "COPY a FROM STDIN")); /* not supported: no hanging */
    OK(pg_script(p, ""));
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM a"), "2");
    OK(pg_query(p, &sql_backend, PG_NO_ARGS, NULL)); /* pipelines go on after it */
    pg_pool_free(p);
}

PG_TEST(pg_tx, check_statements__finds_those_that_do_not_fit_the_database)
{
    static const struct pg_statement good[] = {
        {"g1", "SELECT stock FROM item WHERE id = $1", &number_table},
        {"g2", "INSERT INTO item VALUES ($1, $2)", NULL},
    };
    static const struct pg_statement bad[] = {
        {"b1", "SELECT stock FROM item WHERE id = $1", &number_table},
        {"b2", "SELECT id, stock FROM item", &number_table},
    };
    static const struct pg_statement unknown[] = {
        {"u1", "SELECT price FROM item", &number_table},
        {"u2", "SELECT stock FROM item", &number_table},
    };
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});

    pg_test_items();
    OK(pg_check_statements(p, good, 2));
    OK(pg_check_statements(p, NULL, 0));
    GIVES(ERR_INVALID, pg_check_statements(p, bad, 2));
    GIVES(ERR_INVALID, pg_check_statements(p, unknown, 2));
    pg_pool_free(p);
}

/* ---- plans and arrays ---- */

static const struct pg_statement sql_plan_mode = {
    "plan_mode", "SELECT current_setting('plan_cache_mode')", &text_table};
static const struct pg_statement sql_array = {"array",
    "SELECT string_agg(coalesce(t, 'NULL') || '=' || n, ' ' ORDER BY n) "
    "FROM unnest($1::text[], $2::bigint[]) AS a (t, n)",
    &text_table};
static const struct pg_statement sql_array_length = {
    "array_length", "SELECT cardinality($1::text[])", &number_table};

PG_TEST(pg_tx, reused_plans__are_of_this_transaction_alone)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){.size = 1});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result result;

    OK(pg_begin(p, &tx));
    OK(pg_reuse_plans(tx));
    OK(pg_run(tx, &sql_plan_mode, PG_NO_ARGS, &result));
    cr_assert_str_eq(PG_ROW(result, struct text, 0)->text, "force_generic_plan");
    OK(pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_eq(trips(p), 2);
    OK(pg_query(p, &sql_plan_mode, PG_NO_ARGS, &result));
    cr_assert_str_eq(PG_ROW(result, struct text, 0)->text, "auto");
    pg_pool_free(p);
}

PG_TEST(pg_tx, array__of_any_texts__arrives_as_it_is)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    static const char *const texts[] = {"a b", "{\"x\":1}", "c,d", "\\", "NULL", NULL, ""};
    struct buf array = {0}, numbers = {0};
    struct pg_result result;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        pg_array_put(&array, texts[i]);
        pg_array_put_i64(&numbers, (int64_t)i - 1);
    }
    OK(pg_query(p, &sql_array,
        PG_ARGS(PG_TEXT(pg_array_text(&array)), PG_TEXT(pg_array_text(&numbers))), &result));
    cr_assert_str_eq(
        PG_ROW(result, struct text, 0)->text, "a b=-1 {\"x\":1}=0 c,d=1 \\=2 NULL=3 NULL=4 =5");
    OK(pg_query(p, &sql_array_length, PG_ARGS(PG_TEXT(pg_array_text(&array))), &result));
    cr_assert_eq(PG_ROW(result, struct number, 0)->n, 0, "the buffer is ready for another");
    pg_pool_free(p);
}
