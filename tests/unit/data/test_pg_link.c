/* What is told to a caller whose connection is lost, by the moment of the loss. */

#include <stdio.h>

#include "common/data/pg_link.h"
#include "pg_test.h"

static const char *const terminate_me = "SELECT pg_terminate_backend(pg_backend_pid())";

PG_TEST(pg_link, connection__lost_in_a_transaction_before_commit__is_unavailable)
{
    const struct pg_statement terminate = {"terminate", terminate_me, NULL};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
    cr_assert_eq(pg_run(tx, &terminate, PG_NO_ARGS, NULL), ERR_UNAVAILABLE);
    cr_assert(strstr(error_text(), "lost PostgreSQL at 127.0.0.1:"), "%s", error_text());
    cr_assert(strstr(error_text(), "administrator"), "%s", error_text());
    error_clear();
    GIVES(ERR_UNAVAILABLE, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    OK(pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
    pg_pool_free(p);
}

PG_TEST(pg_link, connection__lost_between_two_waits__is_unavailable_at_the_next)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    OK(pg_begin(p, &tx));
    OK(pg_run(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1)), NULL));
    pg_server_exec("SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
                   "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    OK(fiber_sleep(20 * USEC_PER_MS));
    GIVES(ERR_UNAVAILABLE, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "1");
    pg_pool_free(p);
}

PG_TEST(pg_link, connection__lost_by_the_server_in_its_commit__is_unknown)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;

    pg_test_items();
    pg_server_exec(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER die AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION die()");
    OK(pg_begin(p, &tx));
    OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
    GIVES(ERR_UNKNOWN, pg_commit(tx));
    pg_tx_end(&tx);
    pg_pool_free(p);
}

/* Twice the same for the caller, and twice the opposite in the database. */
static void cut_a_commit(bool begun)
{
    for (int after = 0; after <= 1; after++) {
        struct pg_proxy proxy = {
            .cut_at = begun ? "souk_commit" : "item_insert", .cut_after = after};
        struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
        struct pg_pool *p;

        if (!after)
            pg_test_items();
        pg_proxy_start(&proxy);
        p = pg_test_pool((struct pg_pool_config){.url = pg_proxy_url(&proxy)});
        OK(pg_begin(p, &tx));
        OK(pg_queue(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1))));
        if (begun)
            OK(pg_run(tx, &sql_item_count, PG_NO_ARGS, NULL));
        GIVES(ERR_UNKNOWN, pg_commit(tx));
        pg_tx_end(&tx);
        cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), after ? "2" : "1");
        OK(pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
        pg_pool_free(p);
        pg_proxy_stop(&proxy);
    }
}

PG_TEST(pg_link, connection__cut_before_or_after_the_server_commits__is_unknown)
{
    cut_a_commit(true);
}

PG_TEST(pg_link, connection__cut_before_or_after_what_commits_by_itself__is_unknown)
{
    cut_a_commit(false);
}

PG_TEST(pg_link, commit__that_is_not_answered_in_time__is_unknown)
{
    struct pg_proxy proxy = {0};
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_pool *p;

    pg_test_items();
    pg_proxy_start(&proxy);
    p = pg_test_pool((struct pg_pool_config){
        .url = pg_proxy_url(&proxy), .statement_timeout_us = 100 * USEC_PER_MS});
    OK(pg_begin(p, &tx));
    OK(pg_run(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1)), NULL));
    proxy.frozen = true;
    GIVES(ERR_UNKNOWN, pg_commit(tx));
    pg_tx_end(&tx);
    cr_assert_eq(pg_pool_stats(p).open, 0);
    pg_pool_free(p);
    pg_proxy_stop(&proxy);
}

PG_TEST(pg_link, query__whose_connection_is_lost__is_unknown_unless_it_only_reads)
{
    struct pg_proxy proxy = {.cut_at = "item_", .cut_after = true};
    struct pg_pool *p;

    pg_test_items();
    pg_proxy_start(&proxy);
    p = pg_test_pool((struct pg_pool_config){.url = pg_proxy_url(&proxy)});
    GIVES(ERR_UNKNOWN, pg_query(p, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1)), NULL));
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM item"), "2");
    GIVES(ERR_UNAVAILABLE, pg_query(p, &sql_item_stock, PG_ARGS(PG_I64(1)), NULL));
    pg_pool_free(p);
    pg_proxy_stop(&proxy);
}

PG_TEST(pg_link, rollback__that_is_not_answered__does_not_keep_the_caller)
{
    struct pg_proxy proxy = {0};
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    int64_t begin = clock_mono_us();
    struct pg_pool *p;

    pg_test_items();
    pg_proxy_start(&proxy);
    p = pg_test_pool((struct pg_pool_config){.url = pg_proxy_url(&proxy)});
    OK(pg_begin(p, &tx));
    OK(pg_run(tx, &sql_item_insert, PG_ARGS(PG_I64(2), PG_I64(1)), NULL));
    proxy.frozen = true;
    pg_tx_end(&tx);
    cr_assert_lt(clock_mono_us() - begin, 2 * USEC_PER_SEC);
    cr_assert_eq(pg_pool_stats(p).open, 0);
    cr_assert_eq(fiber_holds(), 0);
    pg_pool_free(p);
    pg_proxy_stop(&proxy);
}

PG_TEST(pg_link, connection__that_ends_while_idle__is_replaced_without_a_failure)
{
    struct pg_proxy proxy = {0};
    struct pg_pool *p;

    pg_proxy_start(&proxy);
    p = pg_test_pool((struct pg_pool_config){.url = pg_proxy_url(&proxy)});
    for (int i = 0; i < 3; i++) {
        OK(pg_query(p, &sql_backend, PG_NO_ARGS, NULL));
        cr_assert_eq(pg_pool_stats(p).open, 1);
        pg_proxy_cut(&proxy);
        OK(fiber_sleep(5 * USEC_PER_MS));
        cr_assert_eq(pg_pool_stats(p).open, 0);
    }
    pg_pool_free(p);
    pg_proxy_stop(&proxy);
}

PG_TEST(pg_link, failure_of_a_statement__then_loss_of_the_connection__is_the_loss)
{
    struct pg_proxy proxy = {.cut_at = "souk_rollback"};
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_pool *p;

    pg_test_items();
    pg_proxy_start(&proxy);
    p = pg_test_pool((struct pg_pool_config){.url = pg_proxy_url(&proxy)});
    OK(pg_begin(p, &tx));
    GIVES(PG_UNIQUE, pg_run(tx, &sql_item_insert, PG_ARGS(PG_I64(1), PG_I64(1)), NULL));
    pg_tx_end(&tx); /* its rollback is cut: the connection goes, the outcome stays */
    cr_assert_str_eq(pg_constraint(), "item_pkey");
    cr_assert_eq(pg_pool_stats(p).open, 0);
    pg_pool_free(p);
    pg_proxy_stop(&proxy);
}

PG_TEST(pg_link, hundred_statements__on_one_connection__are_each_prepared_once)
{
    static struct pg_statement statements[100];
    static char texts[100][2][40];
    static const struct pg_statement prepared = {
        "prepared", "SELECT count(*) FROM pg_prepared_statements", &number_table};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){.size = 1});
    struct pg_result result;

    for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
        snprintf(texts[i][0], sizeof(texts[i][0]), "number_%zu", i);
        snprintf(texts[i][1], sizeof(texts[i][1]), "SELECT %zu", i);
        statements[i] = (struct pg_statement){texts[i][0], texts[i][1], &number_table};
    }
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < ARRAY_SIZE(statements); i++) {
            OK(pg_query(p, &statements[i], PG_NO_ARGS, &result));
            cr_assert_eq(PG_ROW(result, struct number, 0)->n, (int64_t)i);
        }
    OK(pg_query(p, &prepared, PG_NO_ARGS, &result));
    cr_assert_eq(PG_ROW(result, struct number, 0)->n, 101);
    pg_pool_free(p);
}
