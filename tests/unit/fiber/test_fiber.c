#include "common/fiber/fiber.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "support.h"

/* Life and identity of fibers: spawn, order, join, arena, limit, what belongs to each. The waits
 * themselves are in test_waiting.c. */

/* ---- spawning and order ---- */

FIBER(noting_its_name)
{
    note("%s", fiber_name(fiber_current()));
}

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

/* ---- the limit, and stacks that are used again ---- */

static struct latch gate;

FIBER(waiting_at_the_gate)
{
    cr_assert_eq(latch_wait(&gate, "gate", USEC_NEVER, NULL), 0);
}

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

/* ---- arena ---- */

static void dispose_noting(void *object)
{
    note("~%s", (const char *)object);
}

FIBER(adopting_three)
{
    char a[] = "a", b[] = "b", c[] = "c";

    arena_adopt(fiber_arena(), arena_strdup(fiber_arena(), a), dispose_noting);
    arena_adopt(fiber_arena(), arena_strdup(fiber_arena(), b), dispose_noting);
    arena_adopt(fiber_arena(), arena_strdup(fiber_arena(), c), dispose_noting);
    note("body");
}

Test(fiber, arena__at_the_end__disposes_in_reverse_order)
{
    run(adopting_three, NULL);
    cr_assert_journal("body ~c ~b ~a");
}

FIBER(joining_one_who_adopted)
{
    struct fiber *child = start("child", adopting_three, NULL);

    cr_assert_eq(fiber_join(child, USEC_NEVER), 0);
    note("joined");
}

Test(fiber, arena__at_the_end__is_gone_before_the_joiner_wakes)
{
    run(joining_one_who_adopted, NULL);
    cr_assert_journal("body ~c ~b ~a joined");
}

static void dispose_asking_who(void *object)
{
    note("in:%s", fiber_name(fiber_current()));
}

FIBER(adopting_the_curious)
{
    arena_adopt(fiber_arena(), arg, dispose_asking_who);
}

Test(fiber, arena__dispose_functions__run_as_the_fiber)
{
    char object[] = "x";

    run(adopting_the_curious, object);
    cr_assert_journal("in:main");
}

static void dispose_giving(void *object)
{
    semaphore_give(object);
}

FIBER(taking_for_its_lifetime)
{
    struct semaphore *s = arg;

    cr_assert_eq(semaphore_take(s, "permit", USEC_NEVER), 0);
    arena_adopt(fiber_arena(), s, dispose_giving);
    note("%s", fiber_name(fiber_current()));
    fiber_yield();
}

Test(fiber, arena__adopted_permit__wakes_the_next_at_the_end)
{
    struct semaphore s;

    semaphore_init(&s, 1, 10);
    open_loop();
    start("a", taking_for_its_lifetime, &s);
    start("b", taking_for_its_lifetime, &s);
    start("c", taking_for_its_lifetime, &s);
    close_loop();
    cr_assert_journal("a b c");
    cr_assert_eq(s.free_count, 1);
}

FIBER(filling_its_arena)
{
    cr_assert_eq(arena_used(fiber_arena()), 0);
    for (int i = 0; i < 100; i++) {
        char *text = arena_printf(fiber_arena(), "%s-%d", (const char *)arg, i);

        fiber_yield();
        char expected[32];
        snprintf(expected, sizeof expected, "%s-%d", (const char *)arg, i);
        cr_assert_str_eq(text, expected);
    }
    cr_assert_gt(arena_used(fiber_arena()), 0);
}

Test(fiber, arena__of_each_fiber__is_its_own)
{
    char a[] = "a", b[] = "b";

    open_loop();
    start("a", filling_its_arena, a);
    start("b", filling_its_arena, b);
    close_loop();
}

Test(fiber, arena__of_a_reused_slot__starts_empty)
{
    char a[] = "a";

    open_loop();
    for (int i = 0; i < 10; i++) {
        start("a", filling_its_arena, a);
        loop_run(loop_current(), true);
    }
    close_loop();
}

Test(fiber, arena__outside_of_fibers__is_refused_loudly, .signal = SIGABRT)
{
    open_loop();
    fiber_arena();
}

FIBER(cancelled_with_an_adopted_object)
{
    char word[] = "x";

    arena_adopt(fiber_arena(), arena_strdup(fiber_arena(), word), dispose_noting);
    note("%s", outcome(fiber_park("nothing", USEC_NEVER)));
}

Test(fiber, arena__of_a_cancelled_fiber__is_disposed_all_the_same)
{
    open_loop();
    struct fiber *f = start("a", cancelled_with_an_adopted_object, NULL);
    fiber_cancel(f);
    close_loop();
    cr_assert_journal("ECANCELED ~x");
}

/* ---- error trace and log context ---- */

FIBER(failing_and_looking)
{
    const char *mine = arg;

    cr_assert_str_eq(error_text(), "");
    ERR(-EIO);
    error_note("%s", mine);
    for (int i = 0; i < 5; i++) {
        fiber_yield();
        cr_assert_not_null(strstr(error_text(), mine), "%s", error_text());
    }
}

Test(fiber, error_trace__of_each_fiber__is_its_own)
{
    char a[] = "alpha", b[] = "beta", c[] = "gamma";

    open_loop();
    error_note("outside");
    start("a", failing_and_looking, a);
    start("b", failing_and_looking, b);
    start("c", failing_and_looking, c);
    loop_run(loop_current(), true);
    cr_assert_not_null(strstr(error_text(), "outside"));
    cr_assert_null(strstr(error_text(), "alpha"));
    error_clear();
    close_loop();
}

Test(fiber, error_trace__of_a_reused_slot__starts_empty)
{
    char a[] = "alpha";

    open_loop();
    for (int i = 0; i < 5; i++) {
        start("a", failing_and_looking, a);
        loop_run(loop_current(), true);
    }
    close_loop();
}

FIBER(setting_its_log_context)
{
    struct log_context mine = {.correlation_id = arg};

    cr_assert_null(log_context());
    log_context_swap(&mine);
    for (int i = 0; i < 5; i++) {
        fiber_yield();
        cr_assert_eq(log_context(), &mine);
        cr_assert_str_eq(log_context()->correlation_id, arg);
    }
}

Test(fiber, log_context__of_each_fiber__is_its_own)
{
    const struct log_context outside = {.correlation_id = "outside"};
    char a[] = "a", b[] = "b";

    open_loop();
    log_context_swap(&outside);
    start("a", setting_its_log_context, a);
    start("b", setting_its_log_context, b);
    loop_run(loop_current(), true);
    cr_assert_eq(log_context(), &outside);
    log_context_swap(NULL);
    close_loop();
}

static void callback_looking_at_the_context(void *arg)
{
    cr_assert_null(log_context());
    cr_assert_null(fiber_current());
    note("callback");
    latch_set(arg, 0);
}

FIBER(waiting_for_a_callback)
{
    struct latch done = LATCH_INIT;
    struct log_context mine = {.correlation_id = "mine"};

    log_context_swap(&mine);
    loop_post(loop_current(), callback_looking_at_the_context, &done);
    cr_assert_eq(latch_wait(&done, "callback", USEC_NEVER, NULL), 0);
    cr_assert_eq(log_context(), &mine);
}

Test(fiber, log_context__of_a_fiber__is_not_seen_by_callbacks)
{
    run(waiting_for_a_callback, NULL);
    cr_assert_journal("callback");
}

/* ---- local slot, holds ---- */

FIBER(keeping_a_local)
{
    cr_assert_null(fiber_local());
    fiber_set_local(arg);
    fiber_yield();
    cr_assert_eq(fiber_local(), arg);
    start("heir", noting_its_name, NULL);
    fiber_yield();
    cr_assert_eq(fiber_local(), arg);
}

Test(fiber, local__of_each_fiber__is_its_own)
{
    int a, b;

    open_loop();
    start("a", keeping_a_local, &a);
    start("b", keeping_a_local, &b);
    close_loop();
}

FIBER(expecting_no_local)
{
    note(fiber_local() ? "inherited" : "none");
}

FIBER(spawning_with_a_local)
{
    fiber_set_local(arg);
    start("child", expecting_no_local, NULL);
}

Test(fiber, local__of_the_parent__is_inherited_by_nobody)
{
    int object;

    run(spawning_with_a_local, &object);
    cr_assert_journal("none");
}

Test(fiber, local__outside_of_fibers__is_null)
{
    cr_assert_null(fiber_local());
    cr_assert_eq(fiber_holds(), 0);
    cr_assert_not(fiber_cancelled());
    cr_assert_eq(fiber_deadline(), USEC_NEVER);
}

FIBER(holding_two)
{
    cr_assert_eq(fiber_holds(), 0);
    fiber_hold(1);
    fiber_hold(1);
    fiber_yield();
    cr_assert_eq(fiber_holds(), 2);
    fiber_hold(-1);
    cr_assert_eq(fiber_holds(), 1);
    fiber_yield();
    fiber_hold(-1);
    cr_assert_eq(fiber_holds(), 0);
}

Test(fiber, hold__of_each_fiber__is_counted_apart)
{
    open_loop();
    start("a", holding_two, NULL);
    start("b", holding_two, NULL);
    close_loop();
}

FIBER(releasing_what_it_has_not)
{
    fiber_hold(-1);
}

Test(fiber, hold__below_zero__is_refused_loudly, .signal = SIGABRT)
{
    run(releasing_what_it_has_not, NULL);
}

FIBER(ending_with_a_hold)
{
    fiber_hold(1);
}

Test(fiber, hold__left_at_the_end__does_not_reach_the_next_fiber)
{
    log_set_level(LOG_ERROR + 1);
    open_loop();
    start("a", ending_with_a_hold, NULL);
    loop_run(loop_current(), true);
    start("b", holding_two, NULL);
    close_loop();
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
