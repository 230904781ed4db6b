#include "common/fiber/fiber.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/fiber/private.h"
#include "support.h"

/* As many fibers as there may be, and more one after the other: their stacks and slots are used
 * again. */

/* ---- the limit, and stacks that are used again ---- */

Test(fiber, spawn__beyond_1024__is_refused_until_one_ends)
{
    struct loop *l = loop_new();
    struct fiber *untouched = (struct fiber *)&gate;

    for (int i = 0; i < FIBER_LIMIT; i++)
        cr_assert_eq(fiber_spawn(l, "f", waiting_at_the_gate, NULL, NULL), 0);
    cr_assert_eq(fiber_live(l), FIBER_LIMIT);
    cr_assert_eq(fiber_spawn(l, "one more", waiting_at_the_gate, NULL, &untouched), -EBUSY);
    cr_assert_eq(untouched, (struct fiber *)&gate);
    cr_assert_eq(fiber_live(l), FIBER_LIMIT);
    latch_set(&gate, 0);
    loop_run(l, true);
    cr_assert_eq(fiber_live(l), 0);
    cr_assert_eq(fiber_spawn(l, "again", waiting_at_the_gate, NULL, NULL), 0);
    loop_run(l, true);
    loop_free(l);
}

Test(fiber, spawn__with_a_higher_limit__goes_on_to_it_and_handles_stay_apart)
{
    enum { MORE = 3 * FIBER_LIMIT };
    struct loop *l = loop_new();
    struct fiber *first, *last;

    loop_set_fiber_limit(l, MORE);
    gate = LATCH_INIT;
    cr_assert_eq(fiber_spawn(l, "first", waiting_at_the_gate, NULL, &first), 0);
    for (int i = 1; i < MORE; i++)
        cr_assert_eq(fiber_spawn(l, "f", waiting_at_the_gate, NULL, &last), 0);
    cr_assert_eq(fiber_spawn(l, "one more", waiting_at_the_gate, NULL, NULL), -EBUSY);
    cr_assert_str_eq(fiber_name(first), "first");
    cr_assert_str_eq(fiber_name(last), "f");
    cr_assert_neq(fiber_id(first), fiber_id(last));
    latch_set(&gate, 0);
    loop_run(l, true);
    cr_assert_eq(fiber_live(l), 0);
    loop_free(l);
}

Test(fiber, spawn__full_house_three_times_over__works_every_time)
{
    struct loop *l = loop_new();

    for (int round = 0; round < 3; round++) {
        gate = LATCH_INIT;
        for (int i = 0; i < FIBER_LIMIT; i++)
            cr_assert_eq(fiber_spawn(l, "f", waiting_at_the_gate, NULL, NULL), 0);
        latch_set(&gate, 0);
        loop_run(l, true);
    }
    loop_free(l);
}

FIBER(leaving_its_address)
{
    volatile char here = 0;

    (void)here;
    *(uintptr_t *)arg = (uintptr_t)__builtin_frame_address(0);
}

Test(fiber, spawn__one_after_the_other__use_the_same_stack)
{
    uintptr_t first = 0, later = 0;

    open_loop();
    start("a", leaving_its_address, &first);
    loop_run(loop_current(), true);
    for (int i = 0; i < 100; i++) {
        start("b", leaving_its_address, &later);
        loop_run(loop_current(), true);
        cr_assert_eq(later, first);
    }
    close_loop();
}

/* Deep frames leave red zones behind under AddressSanitizer; the next user must not trip on them.
 */
static __attribute__((noinline)) int use_stack(int depth)
{
    volatile char block[512];

    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)depth;
    return depth == 0 ? block[0] : use_stack(depth - 1) + block[1];
}

FIBER(using_much_stack)
{
    note("%d", use_stack(*(const int *)arg) > 0);
    if (*(const int *)arg % 2)
        fiber_yield();
}

Test(fiber, spawn__on_a_used_stack__finds_no_trace_of_the_last)
{
    open_loop();
    for (int i = 0; i < 20; i++) {
        int depth = 10 + i * 7;

        start("deep", using_much_stack, &depth);
        loop_run(loop_current(), true);
    }
    close_loop();
}

/* ---- endurance ---- */

FIBER(switching_often)
{
    unsigned *count = arg;

    for (int i = 0; i < 25000; i++) {
        (*count)++;
        fiber_yield();
    }
}

Test(fiber, yield__a_hundred_thousand_switches__all_arrive)
{
    unsigned count = 0;

    open_loop();
    for (int i = 0; i < 4; i++)
        start("f", switching_often, &count);
    close_loop();
    cr_assert_eq(count, 100000);
}

FIBER(counting_itself)
{
    (*(unsigned *)arg)++;
}

FIBER(spawning_in_waves)
{
    for (int i = 0; i < 20000; i++) {
        start("f", counting_itself, arg);
        if (i % 500 == 499)
            fiber_yield();
    }
}

Test(fiber, spawn__twenty_thousand_short_fibers__all_run)
{
    unsigned count = 0;

    run(spawning_in_waves, &count);
    cr_assert_eq(count, 20000);
}

/* ---- what a peak leaves ---- */

static unsigned free_stacks(void)
{
    return loop_scheduler(loop_current())->free_stacks;
}

static unsigned free_arenas(void)
{
    unsigned count = 0;

    for (const struct task *t = loop_scheduler(loop_current())->free_tasks; t; t = t->next)
        count += t->arena != NULL;
    return count;
}

FIBER(using_much)
{
    cr_assert_not_null(arena_alloc(fiber_arena(), 20000));
    fiber_yield();
    (*(unsigned *)arg)++;
}

FIBER(peaking_and_resting)
{
    struct scheduler *s = loop_scheduler(loop_current());
    unsigned count = 0;

    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 100; i++)
            start("f", using_much, &count);
        while (count < 100U * (unsigned)round)
            fiber_yield();
        fiber_yield();
        cr_assert_geq(free_stacks(), 100);
        scheduler_rest(s); /* they were needed since the last one */
        cr_assert_geq(free_stacks(), 100);
        cr_assert_geq(free_arenas(), 100);
        scheduler_rest(s);
        cr_assert_eq(free_stacks(), 8);
        cr_assert_eq(free_arenas(), 0);
        scheduler_rest(s);
        cr_assert_eq(free_stacks(), 8);
    }
}

Test(fiber, rest__after_a_peak__gives_back_what_nobody_needs)
{
    run(peaking_and_resting, NULL);
}

FIBER(keeping_busy)
{
    struct scheduler *s = loop_scheduler(loop_current());
    unsigned count = 0;

    for (unsigned round = 1; round <= 10; round++) {
        for (int i = 0; i < 40; i++)
            start("f", using_much, &count);
        while (count < 40 * round)
            fiber_yield();
        fiber_yield();
        scheduler_rest(s);
        cr_assert_geq(free_stacks(), 40);
    }
}

Test(fiber, rest__while_they_come_and_go__takes_nothing_away)
{
    run(keeping_busy, NULL);
}
