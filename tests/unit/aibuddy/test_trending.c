#include "aibuddy/aibuddy.h"

#include "unit/fiber/support.h"

/* The store, as the tests want it: `rows` items, the first of which says how often was looked. The
 * rows are its own and gone with the next look. */
static struct {
    size_t rows, looks, failing; /* so many looks fail first */
    int64_t takes_us;
    struct arena *arena;
} store = {.rows = 3};

int store_trending(struct list *ret_rows)
{
    store.looks++;
    if (store.takes_us)
        TRY(fiber_sleep(store.takes_us));
    if (store.looks <= store.failing)
        return ERR(-EIO);
    arena_free(store.arena);
    store.arena = arena_new();
    *ret_rows = (struct list){.len = store.rows,
        .items = arena_array(store.arena, store.rows, sizeof(struct recommendation))};
    for (size_t i = 0; i < store.rows; i++)
        *LIST_AT(*ret_rows, struct recommendation, i) =
            (struct recommendation){.sku = arena_printf(store.arena, "SKU-%zu", i),
                .name = arena_printf(store.arena, "Thing %zu of look %zu", i, store.looks),
                .count = (int64_t)(1000 - i)};
    return 0;
}

/* Somebody who asks, and what is left of the answer. */
struct asker {
    int64_t limit;
    struct arena *arena;
    struct list rows;
    int r;
};

FIBER(asking)
{
    struct asker *a = arg;
    a->arena = arena_new();
    a->r = trending_get(a->arena, a->limit, &a->rows);
}

static const struct recommendation *row(const struct asker *a, size_t i)
{
    cr_assert_lt(i, a->rows.len);
    return LIST_AT(a->rows, struct recommendation, i);
}

FIBER(asking_once)
{
    struct asker a = {.limit = 2};
    (void)arg;
    asking(&a);
    arena_free(store.arena);
    store.arena = NULL;
    cr_assert_eq(a.r, 0);
    cr_assert_eq(a.rows.len, 2);
    cr_assert_str_eq(row(&a, 0)->sku, "SKU-0");
    cr_assert_str_eq(row(&a, 1)->name, "Thing 1 of look 1");
    cr_assert_eq(row(&a, 1)->count, 999);
    cr_assert_null(row(&a, 1)->based_on);
    arena_free(a.arena);
}

Test(trending, get__first__looks_and_gives_the_best_of_it)
{
    run(asking_once, NULL);
    cr_assert_eq(store.looks, 1);
}

FIBER(asking_for_all)
{
    struct asker *a = arg;
    asking(a);
    cr_assert_eq(a->r, 0);
}

Test(trending, get__fewer_than_wanted__gives_what_there_is)
{
    struct asker a = {.limit = 10};
    run(asking_for_all, &a);
    cr_assert_eq(a.rows.len, 3);
    arena_free(a.arena);
}

Test(trending, get__nothing_sold__gives_none)
{
    struct asker a = {.limit = 10};
    store.rows = 0;
    run(asking_for_all, &a);
    cr_assert_eq(a.rows.len, 0);
    arena_free(a.arena);
}

Test(trending, get__the_greatest_limit__gives_that_many)
{
    struct asker a = {.limit = TRENDING_MAX};
    store.rows = TRENDING_MAX + 50;
    run(asking_for_all, &a);
    cr_assert_eq(a.rows.len, TRENDING_MAX);
    arena_free(a.arena);
}

/* What took 50 ms is kept for five seconds. */
FIBER(asking_again)
{
    struct asker first = {.limit = 1}, second = {.limit = 3};
    (void)arg;
    store.takes_us = 50 * MS;
    asking(&first);
    asking(&second);
    cr_assert_eq(store.looks, 1);
    cr_assert_eq(first.rows.len, 1);
    cr_assert_eq(second.rows.len, 3);
    arena_free(first.arena);
    cr_assert_str_eq(row(&second, 0)->name, "Thing 0 of look 1");
    arena_free(second.arena);
}

Test(trending, get__again_at_once__is_answered_from_memory)
{
    run(asking_again, NULL);
}

/* A look that takes nothing is kept for little more than that. */
FIBER(asking_until_it_is_looked_for)
{
    struct asker first = {.limit = 3}, later = {0};
    int64_t deadline_us = in_ms(60 * 1000);
    (void)arg;
    asking(&first);
    do {
        arena_free(later.arena);
        later = (struct asker){.limit = 3};
        cr_assert_eq(fiber_sleep(5 * MS), 0);
        asking(&later);
    } while (store.looks < 2 && clock_mono_us() < deadline_us);
    cr_assert_eq(store.looks, 2);
    cr_assert_str_eq(row(&later, 2)->name, "Thing 2 of look 2");
    cr_assert_str_eq(row(&first, 2)->name, "Thing 2 of look 1", "an answer is its caller's");
    arena_free(first.arena);
    arena_free(later.arena);
}

Test(trending, get__after_a_while__looks_again)
{
    run(asking_until_it_is_looked_for, NULL);
}

/* Twenty at once. */
static struct asker crowd[20];

static void ask_together(void)
{
    open_loop();
    for (size_t i = 0; i < ARRAY_SIZE(crowd); i++) {
        crowd[i].limit = 3;
        start("asker", asking, &crowd[i]);
    }
    close_loop();
}

Test(trending, get__many_at_once__one_looks_for_all)
{
    store.takes_us = 20 * MS;
    ask_together();
    cr_assert_eq(store.looks, 1);
    for (size_t i = 0; i < ARRAY_SIZE(crowd); i++) {
        cr_assert_eq(crowd[i].r, 0);
        cr_assert_str_eq(row(&crowd[i], 2)->name, "Thing 2 of look 1");
        arena_free(crowd[i].arena);
    }
}

Test(trending, get__a_look_fails__that_one_is_told_and_the_next_looks)
{
    store.takes_us = 20 * MS;
    store.failing = 2;
    ask_together();
    cr_assert_eq(store.looks, 3);
    for (size_t i = 0; i < ARRAY_SIZE(crowd); i++) {
        cr_assert_eq(crowd[i].r, i < 2 ? -EIO : 0);
        arena_free(crowd[i].arena);
    }
}

FIBER(asking_after_a_failure)
{
    struct asker a = {.limit = 3};
    (void)arg;
    store.failing = 1;
    asking(&a);
    cr_assert_eq(a.r, -EIO);
    arena_free(a.arena);
    asking(&a);
    cr_assert_eq(a.r, 0);
    cr_assert_eq(a.rows.len, 3);
    arena_free(a.arena);
}

Test(trending, get__after_a_failure__looks_again)
{
    run(asking_after_a_failure, NULL);
}
