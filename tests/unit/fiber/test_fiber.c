#include "common/fiber/fiber.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "support.h"

/* Life and identity of fibers: spawn, order, join, list. Very many of them are in
 * test_fiber_many.c, what belongs to each is in test_fiber_own.c, the waits are in test_waiting.c.
 */

/* ---- spawning and order ---- */

Test(fiber, spawn__new_fiber__runs_only_in_a_later_turn)
{
    open_loop();
    start("a", noting_its_name, NULL);
    cr_assert_journal("");
    cr_assert_eq(fiber_live(loop_current()), 1);
    close_loop();
    cr_assert_journal("a");
}

Test(fiber, spawn__several__run_in_order_of_spawning)
{
    open_loop();
    start("a", noting_its_name, NULL);
    start("b", noting_its_name, NULL);
    start("c", noting_its_name, NULL);
    close_loop();
    cr_assert_journal("a b c");
}

FIBER(spawning_two_more)
{
    note("before");
    start("x", noting_its_name, NULL);
    start("y", noting_its_name, NULL);
    note("after");
}

Test(fiber, spawn__by_a_fiber__does_not_interrupt_it)
{
    run(spawning_two_more, NULL);
    cr_assert_journal("before after x y");
}

FIBER(noting_its_argument)
{
    note("%s", (const char *)arg);
}

Test(fiber, spawn__argument__reaches_the_function)
{
    char word[] = "hello";

    run(noting_its_argument, word);
    cr_assert_journal("hello");
}

Test(fiber, spawn__without_handle__is_fine)
{
    open_loop();
    cr_assert_eq(fiber_spawn(loop_current(), "a", noting_its_name, NULL, NULL), 0);
    close_loop();
    cr_assert_journal("a");
}

Test(fiber, spawn__long_name__is_cut_at_31_bytes)
{
    open_loop();
    start("0123456789012345678901234567890123456789", noting_its_name, NULL);
    close_loop();
    cr_assert_journal("0123456789012345678901234567890");
}

Test(fiber, spawn__name__is_copied)
{
    char name[] = "first";

    open_loop();
    start(name, noting_its_name, NULL);
    name[0] = 'X';
    close_loop();
    cr_assert_journal("first");
}

FIBER(yielding_twice)
{
    for (int i = 0; i < 3; i++) {
        note("%s%d", (const char *)arg, i);
        fiber_yield();
    }
}

Test(fiber, yield__two_fibers__take_turns)
{
    char a[] = "a", b[] = "b";

    open_loop();
    start(a, yielding_twice, a);
    start(b, yielding_twice, b);
    close_loop();
    cr_assert_journal("a0 b0 a1 b1 a2 b2");
}

FIBER(yielding_alone)
{
    for (int i = 0; i < 1000; i++)
        fiber_yield();
    note("done");
}

Test(fiber, yield__nobody_else_there__comes_back)
{
    run(yielding_alone, NULL);
    cr_assert_journal("done");
}

FIBER(cancelled_then_yielding)
{
    fiber_cancel(fiber_current());
    fiber_yield();
    note("still here");
}

Test(fiber, yield__cancelled__never_fails)
{
    run(cancelled_then_yielding, NULL);
    cr_assert_journal("still here");
}

/* ---- identity ---- */

FIBER(asking_who_it_is)
{
    struct fiber *me = fiber_current();

    cr_assert_not_null(me);
    cr_assert_str_eq(fiber_name(me), "main");
    cr_assert_gt(fiber_id(me), 0);
    fiber_yield();
    cr_assert_eq(fiber_current(), me);
    note("ok");
}

Test(fiber, current__in_a_fiber__is_the_same_before_and_after_a_park)
{
    run(asking_who_it_is, NULL);
    cr_assert_journal("ok");
}

Test(fiber, current__outside_of_fibers__is_null)
{
    cr_assert_null(fiber_current());
    open_loop();
    cr_assert_null(fiber_current());
    start("a", noting_its_name, NULL);
    cr_assert_null(fiber_current());
    close_loop();
    cr_assert_null(fiber_current());
}

Test(fiber, spawn__handle__is_what_current_gives_inside)
{
    open_loop();
    struct fiber *f = start("a", noting_its_name, NULL);
    cr_assert_str_eq(fiber_name(f), "a");
    close_loop();
}

Test(fiber, id__of_every_fiber__is_different_even_in_a_reused_slot)
{
    uint64_t last = 0;

    open_loop();
    for (int i = 0; i < 100; i++) {
        struct fiber *f = start("a", noting_its_name, NULL);

        cr_assert_gt(fiber_id(f), last);
        last = fiber_id(f);
        loop_run(loop_current(), true);
    }
    close_loop();
}

Test(fiber, name__after_the_end__says_ended)
{
    open_loop();
    struct fiber *f = start("a", noting_its_name, NULL);
    loop_run(loop_current(), true);
    cr_assert_str_eq(fiber_name(f), "(ended)");
    close_loop();
}

/* ---- handles of fibers that have ended ---- */

FIBER(parking_for_good)
{
    note("%s", outcome(fiber_park("nothing", USEC_NEVER)));
}

Test(fiber, wake__handle_of_an_ended_fiber__does_not_touch_its_successor)
{
    open_loop();
    struct fiber *old = start("old", noting_its_name, NULL);
    loop_run(loop_current(), true);
    struct fiber *new = start("new", parking_for_good, NULL);
    cr_assert_neq(old, new);
    cr_assert_not(fiber_wake(old, 0));
    fiber_cancel(old);
    cr_assert_eq(fiber_live(loop_current()), 1);
    fiber_cancel(new);
    close_loop();
    cr_assert_journal("old ECANCELED");
}

FIBER(cancelling_many_ended)
{
    struct fiber *ended[50];

    for (int i = 0; i < 50; i++)
        ended[i] = start("short", noting_its_name, NULL);
    fiber_yield();
    for (int i = 0; i < 50; i++) {
        fiber_cancel(ended[i]);
        cr_assert_not(fiber_wake(ended[i], 1));
        cr_assert_eq(fiber_join(ended[i], USEC_NEVER), 0);
    }
    cr_assert_not(fiber_cancelled());
}

Test(fiber, cancel__fibers_that_have_ended__does_nothing)
{
    run(cancelling_many_ended, NULL);
}

/* ---- join ---- */

FIBER(sleeping_a_little)
{
    cr_assert_eq(fiber_sleep(2 * MS), 0);
    note("child");
}

FIBER(joining_a_sleeper)
{
    struct fiber *child = start("child", sleeping_a_little, NULL);

    note("%s", outcome(fiber_join(child, USEC_NEVER)));
}

Test(fiber, join__running_fiber__waits_for_its_end)
{
    run(joining_a_sleeper, NULL);
    cr_assert_journal("child 0");
}

FIBER(joining_late)
{
    struct fiber *child = start("child", noting_its_name, NULL);

    fiber_yield();
    note("later");
    note("%s", outcome(fiber_join(child, USEC_NEVER)));
}

Test(fiber, join__fiber_that_has_ended__succeeds_at_once)
{
    run(joining_late, NULL);
    cr_assert_journal("child later 0");
}

FIBER(joining_with_a_short_deadline)
{
    struct fiber *child = start("child", parking_for_good, NULL);

    note("%s", outcome(fiber_join(child, in_ms(2))));
    fiber_cancel(child);
    note("%s", outcome(fiber_join(child, USEC_NEVER)));
}

Test(fiber, join__deadline_passes__may_be_tried_again)
{
    run(joining_with_a_short_deadline, NULL);
    cr_assert_journal("ETIMEDOUT ECANCELED 0");
}

struct pair {
    struct fiber *a, *b;
};

FIBER(joining_a)
{
    const struct pair *p = arg;

    note("joiner:%s", outcome(fiber_join(p->a, USEC_NEVER)));
}

FIBER(cancelling_the_joiner)
{
    struct pair p;

    p.a = start("a", parking_for_good, NULL);
    p.b = start("b", joining_a, &p);
    fiber_yield();
    fiber_cancel(p.b);
    cr_assert_eq(fiber_join(p.b, USEC_NEVER), 0);
    note("a lives");
    fiber_cancel(p.a);
    cr_assert_eq(fiber_join(p.a, USEC_NEVER), 0);
}

Test(fiber, join__joiner_cancelled__leaves_the_other_alone)
{
    run(cancelling_the_joiner, NULL);
    cr_assert_journal("joiner:ECANCELED a lives ECANCELED");
}

/* The child ends in the same turn in which the joiner is cancelled: the first one counts. */
FIBER(ending_after_cancelling_b)
{
    struct pair *p = arg;

    fiber_yield();
    fiber_cancel(p->b);
}

FIBER(racing_join_against_cancel)
{
    struct pair p;

    p.a = start("a", ending_after_cancelling_b, &p);
    p.b = start("b", joining_a, &p);
    cr_assert_eq(fiber_join(p.b, USEC_NEVER), 0);
}

Test(fiber, join__cancelled_just_before_the_end__reports_the_cancellation)
{
    run(racing_join_against_cancel, NULL);
    cr_assert_journal("joiner:ECANCELED");
}

FIBER(joining_while_cancelled)
{
    struct fiber *child = start("child", noting_its_name, NULL);

    fiber_yield();
    fiber_cancel(fiber_current());
    note("%s", outcome(fiber_join(child, USEC_NEVER)));
}

Test(fiber, join__cancelled_before__fails_even_if_the_other_has_ended)
{
    run(joining_while_cancelled, NULL);
    cr_assert_journal("child ECANCELED");
}

FIBER(joining_a_tree)
{
    int depth = *(const int *)arg;

    if (depth == 0)
        return;
    int below = depth - 1;
    struct fiber *left = start("left", joining_a_tree, &below);
    struct fiber *right = start("right", joining_a_tree, &below);
    cr_assert_eq(fiber_join(right, USEC_NEVER), 0);
    cr_assert_eq(fiber_join(left, USEC_NEVER), 0);
}

Test(fiber, join__tree_of_511_fibers__unwinds_completely)
{
    int depth = 8;

    run(joining_a_tree, &depth);
}

FIBER(joining_itself)
{
    fiber_join(fiber_current(), USEC_NEVER);
}

Test(fiber, join__itself__is_refused_loudly, .signal = SIGABRT)
{
    run(joining_itself, NULL);
}

/* ---- the list ---- */

FIBER(listing)
{
    struct fiber_info infos[8];

    fiber_sleep(2 * MS);
    size_t n = fiber_list(loop_current(), infos, 8);
    cr_assert_eq(n, 3);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(infos[i].name, "waiter") == 0) {
            cr_assert_str_eq(infos[i].waits_for, "gate");
            cr_assert_geq(infos[i].waited_us, 1 * MS);
            cr_assert_eq(infos[i].switches, 1);
        } else {
            cr_assert_str_eq(infos[i].name, "lister");
            cr_assert_null(infos[i].waits_for);
            cr_assert_eq(infos[i].waited_us, 0);
        }
        cr_assert_gt(infos[i].id, 0);
        note("%s", infos[i].name);
    }
    cr_assert_eq(fiber_list(loop_current(), infos, 1), 1);
    cr_assert_eq(fiber_list(loop_current(), infos, 0), 0);
    latch_set(&gate, 0);
}

Test(fiber, list__two_parked_and_one_running__tells_what_each_waits_for)
{
    open_loop();
    start("waiter", waiting_at_the_gate, NULL);
    start("lister", listing, NULL);
    start("waiter", waiting_at_the_gate, NULL);
    close_loop();
    cr_assert_journal("waiter lister waiter");
}

Test(fiber, list__after_all_have_ended__is_empty)
{
    struct fiber_info infos[4];

    open_loop();
    start("a", noting_its_name, NULL);
    start("b", noting_its_name, NULL);
    loop_run(loop_current(), true);
    cr_assert_eq(fiber_list(loop_current(), infos, 4), 0);
    close_loop();
}

FIBER(yielding_ten_times)
{
    struct fiber_info info;

    for (int i = 0; i < 10; i++)
        fiber_yield();
    cr_assert_eq(fiber_list(loop_current(), &info, 1), 1);
    cr_assert_eq(info.switches, 11);
}

Test(fiber, list__switches__counts_the_turns)
{
    run(yielding_ten_times, NULL);
}
