#include "common/app/migrate.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/pg_server.h"

/* Made by tools/embed-migrations.sh from the files beside this one. */
extern const struct migration test_migrations[];
extern const size_t test_migrations_count;

static struct loop *loop;

static void run(fiber_fn fn)
{
    pg_server_url();
    loop = loop_new();
    cr_assert_eq(fiber_spawn(loop, "test", fn, NULL, NULL), 0);
    loop_run(loop, true);
    loop_free(loop);
}

static struct pg_pool *pool_new(void)
{
    return pg_pool_new(
        loop, &(struct pg_pool_config){.url = pg_server_url(), .statement_timeout_us = 500000});
}

static const struct migration two[] = {
    {"0001", "first",
        "-- migrate:up\nCREATE TABLE a (n int);\nINSERT INTO a VALUES (1), (2);\n"
        "-- migrate:down\nDROP TABLE a;\n"},
    {"0002", "second", "\n-- migrate:up\nALTER TABLE a ADD COLUMN m int DEFAULT 7;\n"},
};

static void applies_once(void *arg)
{
    struct pg_pool *p = pool_new();
    size_t n = 9;

    cr_assert_eq(migrate_pending(p, two, 2, &n), 0);
    cr_assert_eq(n, 2);
    cr_assert_eq(migrate_run(p, two, 1, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(migrate_pending(p, two, 2, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(migrate_run(p, two, 2, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(migrate_run(p, two, 2, &n), 0);
    cr_assert_eq(n, 0);
    cr_assert_str_eq(pg_server_exec("SELECT sum(n) + sum(m) FROM a"), "17");
    cr_assert_str_eq(
        pg_server_exec("SELECT string_agg(version, ',' ORDER BY version) FROM schema_migrations"),
        "0001,0002");
    pg_pool_free(p);
}
Test(migrate, run__twice__applies_each_file_once_and_ignores_down)
{
    run(applies_once);
}

static void bad_file_leaves_nothing(void *arg)
{
    static const struct migration list[] = {
        {"0001", "good", "-- migrate:up\nCREATE TABLE a (n int);"},
        {"0002", "bad", "-- migrate:up\nCREATE TABLE b (n int); SELECT 1 / 0;"},
        {"0003", "never", "-- migrate:up\nCREATE TABLE c (n int);"},
    };
    struct pg_pool *p = pool_new();
    size_t n = 9;

    cr_assert_lt(migrate_run(p, list, 3, &n), 0);
    cr_assert_eq(n, 9);
    cr_assert(strstr(error_text(), "division by zero"), "%s", error_text());
    cr_assert_str_eq(pg_server_exec("SELECT to_regclass('a')::text || coalesce(to_regclass('b'), "
                                    "to_regclass('c'))::text IS NULL"),
        "t");
    cr_assert_eq(migrate_pending(p, list, 3, &n), 0);
    cr_assert_eq(n, 2);
    pg_pool_free(p);
}
Test(migrate, run__with_a_failing_file__keeps_the_ones_before_and_nothing_of_it)
{
    run(bad_file_leaves_nothing);
}

static void own_violation_is_a_failure(void *arg)
{
    static const struct migration list[] = {{"0001", "bad",
        "-- migrate:up\nCREATE TABLE a (n int PRIMARY KEY); INSERT INTO a VALUES (1), (1);"}};
    struct pg_pool *p = pool_new();
    size_t n = 9;

    cr_assert_eq(migrate_run(p, list, 1, &n), ERR_INVALID);
    cr_assert(strstr(error_text(), "a_pkey"), "%s", error_text());
    pg_pool_free(p);
}
Test(migrate, run__when_the_file_violates_a_constraint_of_its_own__fails)
{
    run(own_violation_is_a_failure);
}

static void refuses_lists(void *arg)
{
    static const struct migration disorder[] = {
        {"0002", "b", "-- migrate:up\nSELECT 1"}, {"0001", "a", "-- migrate:up\nSELECT 1"}};
    static const struct migration quoted[] = {{"1'; --", "b", "-- migrate:up\nSELECT 1"}};
    static const struct migration bare[] = {{"0001", "b", "SELECT 1"}};
    struct pg_pool *p = pool_new();
    size_t n = 9;

    cr_assert_eq(migrate_run(p, disorder, 2, &n), ERR_INVALID);
    cr_assert_eq(migrate_run(p, quoted, 1, &n), ERR_INVALID);
    cr_assert_eq(migrate_run(p, bare, 1, &n), ERR_INVALID);
    cr_assert_eq(n, 9);
    pg_pool_free(p);
}
Test(migrate, run__of_a_list_out_of_order_or_without_the_mark__is_refused)
{
    run(refuses_lists);
}

static size_t applied_by_all;

static void contender(void *arg)
{
    struct pg_pool *p = pool_new(); /* as another process would have */
    size_t n = 0;
    int r = migrate_run(p, two, 2, &n);

    cr_assert_eq(r, 0, "%d %s", r, error_text());
    applied_by_all += n;
    pg_pool_free(p);
}
Test(migrate, run__by_many_at_once__applies_each_file_once)
{
    pg_server_url();
    loop = loop_new();
    for (int i = 0; i < 5; i++)
        cr_assert_eq(fiber_spawn(loop, "contender", contender, NULL, NULL), 0);
    loop_run(loop, true);
    loop_free(loop);
    cr_assert_eq(applied_by_all, 2);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM a"), "2");
}

static void longer_than_statement_timeout(void *arg)
{
    static const struct migration list[] = {
        {"0001", "slow", "-- migrate:up\nSELECT pg_sleep(0.8);"}};
    struct pg_pool *p = pool_new();
    size_t n = 0;

    cr_assert_eq(migrate_run(p, list, 1, &n), 0, "%s", error_text());
    cr_assert_eq(n, 1);
    pg_pool_free(p);
}
Test(migrate, run__longer_than_the_statement_timeout__is_let_finish)
{
    run(longer_than_statement_timeout);
}

static void embedded(void *arg)
{
    struct pg_pool *p = pool_new();
    size_t n = 0;

    cr_assert_eq(test_migrations_count, 2);
    cr_assert_str_eq(test_migrations[0].version, "0001");
    cr_assert_str_eq(test_migrations[0].name, "odd_texts");
    cr_assert_str_eq(test_migrations[1].version, "0100");
    cr_assert_eq(migrate_run(p, test_migrations, test_migrations_count, &n), 0, "%s", error_text());
    cr_assert_eq(n, 2);
    cr_assert_str_eq(pg_server_exec("SELECT text FROM odd ORDER BY n LIMIT 1"),
        "a\"b\\n\t'c' ?\?= %s äöü €\nsecond line");
    cr_assert_str_eq(pg_server_exec("SELECT odd_count()"), "2");
    pg_pool_free(p);
}
Test(migrate, embedded_file__with_any_sql__arrives_as_it_was_written)
{
    run(embedded);
}
