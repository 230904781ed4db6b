#include "common/data/pg_link.h"
#include "pg_test.h"

Test(pg_error, code__of_each_class__is_an_outcome_or_a_code_of_ours)
{
    static const struct {
        const char *sqlstate;
        int code;
    } rows[] = {
        {"23505", PG_UNIQUE},
        {"23P01", PG_UNIQUE},
        {"23514", PG_CHECK},
        {"23503", PG_FOREIGN},
        {"23502", PG_NOT_NULL},
        {"40001", ERR_RETRY},
        {"40P01", ERR_RETRY},
        {"40003", ERR_UNKNOWN},
        {"57014", ERR_TIMEOUT},
        {"55P03", ERR_TIMEOUT},
        {"57P01", ERR_UNAVAILABLE},
        {"53300", ERR_UNAVAILABLE},
        {"08006", ERR_UNAVAILABLE},
        {"25P03", ERR_UNAVAILABLE},
        {NULL, ERR_UNAVAILABLE},
        {"42P01", ERR_INVALID},
        {"22012", ERR_INVALID},
        {"42501", -13},
        {"XX000", ERR_PROTOCOL},
        {"25P02", ERR_PROTOCOL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_assert_eq(pg_error_code(rows[i].sqlstate), rows[i].code, "%s gave %d",
            rows[i].sqlstate ? rows[i].sqlstate : "none", pg_error_code(rows[i].sqlstate));
}

static struct latch first_done, second_done;

static void other_fiber(void *arg)
{
    cr_assert_str_eq(pg_constraint(), "");
    pg_constraint_set("b_key");
    latch_set(&second_done, 0);
    OK(latch_wait(&first_done, "the test", USEC_NEVER, NULL));
    cr_assert_str_eq(pg_constraint(), "b_key");
}

PG_TEST(pg_error, constraint__of_two_fibers__is_kept_apart)
{
    struct fiber *other;

    cr_assert_str_eq(pg_constraint(), "");
    pg_constraint_set("a_key");
    OK(fiber_spawn(test_loop, "other", other_fiber, NULL, &other));
    OK(latch_wait(&second_done, "the other", USEC_NEVER, NULL));
    cr_assert_str_eq(pg_constraint(), "a_key");
    pg_constraint_set(NULL);
    cr_assert_str_eq(pg_constraint(), "");
    latch_set(&first_done, 0);
    OK(fiber_join(other, USEC_NEVER));
    arena_reset(fiber_arena());
    cr_assert_str_eq(pg_constraint(), "");
}

Test(pg_error, constraint__outside_of_a_fiber__is_empty)
{
    cr_assert_str_eq(pg_constraint(), "");
}
