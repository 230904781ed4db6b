#include "common/fiber/timers.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define N 200

static struct timer timers[N];

/* Every parent is at most its children, and every entry knows its place. */
static void assert_heap(const struct timers *t)
{
    for (unsigned i = 1; i <= t->count; i++) {
        cr_assert_eq(t->heap[i]->place, i);
        if (i > 1)
            cr_assert_leq(t->heap[i / 2]->at_us, t->heap[i]->at_us);
    }
}

Test(fiber, timers_next__empty__is_never)
{
    struct timers t = {0};

    cr_assert_eq(timers_next(&t), USEC_NEVER);
    cr_assert_null(timers_expire(&t, USEC_NEVER - 1));
    timers_deinit(&t);
}

Test(fiber, timer_arm__one__is_the_next)
{
    struct timers t = {0};

    timer_arm(&t, &timers[0], 500);
    cr_assert_eq(timers_next(&t), 500);
    cr_assert_eq(timers[0].place, 1);
    timer_disarm(&t, &timers[0]);
    timers_deinit(&t);
}

Test(fiber, timers_expire__not_due__gives_none)
{
    struct timers t = {0};

    timer_arm(&t, &timers[0], 500);
    cr_assert_null(timers_expire(&t, 499));
    cr_assert_eq(timers_expire(&t, 500), &timers[0]);
    cr_assert_eq(timers[0].place, 0);
    cr_assert_eq(timers_next(&t), USEC_NEVER);
    timers_deinit(&t);
}

Test(fiber, timer_disarm__not_armed__does_nothing)
{
    struct timers t = {0};

    timer_disarm(&t, &timers[0]);
    cr_assert_eq(t.count, 0);
    timers_deinit(&t);
}

Test(fiber, timer_disarm__the_nearest__uncovers_the_second)
{
    struct timers t = {0};

    timer_arm(&t, &timers[0], 10);
    timer_arm(&t, &timers[1], 20);
    timer_arm(&t, &timers[2], 30);
    timer_disarm(&t, &timers[0]);
    cr_assert_eq(timers_next(&t), 20);
    timer_disarm(&t, &timers[2]);
    cr_assert_eq(timers_next(&t), 20);
    timer_disarm(&t, &timers[1]);
    cr_assert_eq(timers_next(&t), USEC_NEVER);
    timers_deinit(&t);
}

Test(fiber, timer_arm__after_disarm__may_be_used_again)
{
    struct timers t = {0};

    for (int i = 0; i < 10; i++) {
        timer_arm(&t, &timers[0], 100 - i);
        cr_assert_eq(timers_next(&t), 100 - i);
        timer_disarm(&t, &timers[0]);
    }
    timers_deinit(&t);
}

static void arm_all(struct timers *t, int64_t (*at)(int i))
{
    for (int i = 0; i < N; i++) {
        timer_arm(t, &timers[i], at(i));
        assert_heap(t);
    }
}

static void expire_all_in_order(struct timers *t)
{
    int64_t last = INT64_MIN;

    for (int i = 0; i < N; i++) {
        struct timer *due = timers_expire(t, USEC_NEVER - 1);

        cr_assert_not_null(due);
        cr_assert_geq(due->at_us, last);
        last = due->at_us;
        assert_heap(t);
    }
    cr_assert_null(timers_expire(t, USEC_NEVER - 1));
}

static int64_t ascending(int i)
{
    return i;
}

static int64_t descending(int i)
{
    return N - i;
}

static int64_t shuffled(int i)
{
    return (int64_t)i * 7919 % 101;
}

static int64_t equal(int i)
{
    return 42;
}

Test(fiber, timers_expire__armed_in_order__come_in_order)
{
    struct timers t = {0};

    arm_all(&t, ascending);
    expire_all_in_order(&t);
    timers_deinit(&t);
}

Test(fiber, timers_expire__armed_backward__come_in_order)
{
    struct timers t = {0};

    arm_all(&t, descending);
    expire_all_in_order(&t);
    timers_deinit(&t);
}

Test(fiber, timers_expire__armed_in_any_order_with_ties__come_in_order)
{
    struct timers t = {0};

    arm_all(&t, shuffled);
    expire_all_in_order(&t);
    timers_deinit(&t);
}

Test(fiber, timers_expire__all_equal__come_all)
{
    struct timers t = {0};

    arm_all(&t, equal);
    cr_assert_null(timers_expire(&t, 41));
    expire_all_in_order(&t);
    timers_deinit(&t);
}

Test(fiber, timer_disarm__from_the_middle_in_any_order__keeps_the_heap)
{
    struct timers t = {0};

    arm_all(&t, shuffled);
    for (int i = 0; i < N; i++) {
        timer_disarm(&t, &timers[(i * 77 + 13) % N]);
        assert_heap(&t);
        cr_assert_eq(t.count, (unsigned)(N - i - 1));
    }
    timers_deinit(&t);
}

/* Against the plainest model there is: an array searched from end to end. */
Test(fiber, timers__random_operations__agree_with_a_linear_search)
{
    struct timers t = {0};
    unsigned seed = 20261121;

    for (int step = 0; step < 20000; step++) {
        struct timer *one = &timers[(unsigned)rand_r(&seed) % N];
        int64_t nearest = USEC_NEVER;

        if (one->place == 0)
            timer_arm(&t, one, rand_r(&seed) % 1000);
        else if (rand_r(&seed) % 4 == 0)
            timers_expire(&t, rand_r(&seed) % 1000);
        else
            timer_disarm(&t, one);
        for (int i = 0; i < N; i++)
            if (timers[i].place != 0 && timers[i].at_us < nearest)
                nearest = timers[i].at_us;
        cr_assert_eq(timers_next(&t), nearest, "step %d", step);
    }
    assert_heap(&t);
    while (timers_expire(&t, USEC_NEVER - 1))
        continue;
    timers_deinit(&t);
}
