#include "common/fiber/fiber.h"

#include <stdio.h>

#include "support.h"

/* What each fiber has of its own, and who comes after it in its slot must not find: arena, error
 * trace, log context, local slot, holds. */

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
