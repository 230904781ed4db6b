#include "common/fiber/fiber.h"

#include "support.h"

/* What bounds a wait from outside: sleep, the ambient deadline, shields against it and against
 * cancellation. */

/* ---- sleep ---- */

FIBER(sleeping)
{
    int64_t began = clock_mono_us();

    cr_assert_eq(fiber_sleep(4 * MS), 0);
    cr_assert_geq(clock_mono_us() - began, 4 * MS);
    cr_assert_eq(fiber_sleep(0), 0);
    cr_assert_eq(fiber_sleep(-1), 0);
}

Test(fiber, sleep__undisturbed__lasts_its_time)
{
    run(sleeping, NULL);
}

FIBER(sleeping_under_an_ambient_deadline)
{
    int64_t outer = fiber_deadline_push(in_ms(3));

    note("%s", outcome(fiber_sleep(1000 * MS)));
    note("%s", outcome(fiber_sleep(1 * MS)));
    fiber_deadline_pop(outer);
    note("%s", outcome(fiber_sleep(1 * MS)));
}

Test(fiber, sleep__ambient_deadline_first__is_cut_short_and_says_so)
{
    run(sleeping_under_an_ambient_deadline, NULL);
    cr_assert_journal("ETIMEDOUT ETIMEDOUT 0");
}

FIBER(sleeping_within_the_ambient_deadline)
{
    int64_t outer = fiber_deadline_push(in_ms(1000));

    note("%s", outcome(fiber_sleep(1 * MS)));
    fiber_deadline_pop(outer);
}

Test(fiber, sleep__shorter_than_the_ambient_deadline__is_a_success)
{
    run(sleeping_within_the_ambient_deadline, NULL);
    cr_assert_journal("0");
}

FIBER(sleeping_for_ever)
{
    note("%s", outcome(fiber_sleep(USEC_NEVER)));
}

FIBER(cancelling_a_sleeper)
{
    struct fiber *f = start("s", sleeping_for_ever, NULL);

    run_one_round();
    fiber_cancel(f);
}

Test(fiber, sleep__for_ever__ends_by_cancellation)
{
    run(cancelling_a_sleeper, NULL);
    cr_assert_journal("ECANCELED");
}

/* ---- the ambient deadline ---- */

FIBER(pushing_deadlines)
{
    int64_t far = in_ms(2000), near = in_ms(1000);

    cr_assert_eq(fiber_deadline(), USEC_NEVER);
    int64_t outer = fiber_deadline_push(near);
    cr_assert_eq(outer, USEC_NEVER);
    cr_assert_eq(fiber_deadline(), near);
    int64_t inner = fiber_deadline_push(far);
    cr_assert_eq(inner, near);
    cr_assert_eq(fiber_deadline(), near, "a farther one must not loosen");
    fiber_deadline_pop(inner);
    cr_assert_eq(fiber_deadline(), near);
    fiber_deadline_pop(outer);
    cr_assert_eq(fiber_deadline(), USEC_NEVER);
}

Test(fiber, deadline_push__nested__the_nearest_counts)
{
    run(pushing_deadlines, NULL);
}

FIBER(tightening_deadlines)
{
    int64_t far = in_ms(2000), near = in_ms(1000);
    int64_t outer = fiber_deadline_push(far);
    int64_t inner = fiber_deadline_push(near);

    cr_assert_eq(fiber_deadline(), near);
    fiber_deadline_pop(inner);
    cr_assert_eq(fiber_deadline(), far);
    fiber_deadline_pop(outer);
}

Test(fiber, deadline_pop__restores_the_outer)
{
    run(tightening_deadlines, NULL);
}

FIBER(parking_under_ambient)
{
    int64_t ambient = in_ms(3);
    int64_t outer = fiber_deadline_push(ambient);

    cr_assert_eq(fiber_park("test", in_ms(5000)), -ETIMEDOUT);
    cr_assert_geq(clock_mono_us(), ambient);
    cr_assert_eq(fiber_park("test", USEC_NEVER), -ETIMEDOUT);
    fiber_deadline_pop(outer);
}

Test(fiber, park__ambient_deadline_nearer__counts)
{
    run(parking_under_ambient, NULL);
}

FIBER(parking_with_own_nearer)
{
    int64_t outer = fiber_deadline_push(in_ms(5000));
    int64_t began = clock_mono_us();

    cr_assert_eq(fiber_park("test", in_ms(2)), -ETIMEDOUT);
    cr_assert_lt(clock_mono_us() - began, 2000 * MS);
    fiber_deadline_pop(outer);
}

Test(fiber, park__own_deadline_nearer__counts)
{
    run(parking_with_own_nearer, NULL);
}

FIBER(looking_at_its_deadline)
{
    note(fiber_deadline() == USEC_NEVER ? "never" : "inherited");
}

FIBER(spawning_under_a_deadline)
{
    int64_t outer = fiber_deadline_push(in_ms(1000));

    start("child", looking_at_its_deadline, NULL);
    run_one_round();
    fiber_deadline_pop(outer);
}

Test(fiber, deadline__of_the_parent__is_not_inherited)
{
    run(spawning_under_a_deadline, NULL);
    cr_assert_journal("never");
}

/* ---- shields ---- */

FIBER(shielding_after_cancellation)
{
    fiber_cancel(fiber_current());
    struct fiber_shield s = fiber_shield_begin(in_ms(1000));
    note("%s", outcome(fiber_sleep(1 * MS)));
    cr_assert(fiber_cancelled());
    fiber_shield_end(s);
    note("%s", outcome(fiber_sleep(1 * MS)));
}

Test(fiber, shield__cancelled_before__lets_waits_succeed_until_its_end)
{
    run(shielding_after_cancellation, NULL);
    cr_assert_journal("0 ECANCELED");
}

FIBER(parking_in_a_shield)
{
    struct fiber_shield s = fiber_shield_begin(USEC_NEVER);

    note("in:%d", fiber_park("test", USEC_NEVER));
    fiber_shield_end(s);
    note("out:%s", outcome(fiber_park("test", USEC_NEVER)));
}

FIBER(cancelling_the_shielded)
{
    struct fiber *f = start("s", parking_in_a_shield, NULL);

    run_one_round();
    fiber_cancel(f);
    run_one_round();
    note("still parked");
    cr_assert(fiber_wake(f, 4));
}

Test(fiber, shield__cancelled_inside__the_wait_goes_on)
{
    run(cancelling_the_shielded, NULL);
    cr_assert_journal("still parked in:4 out:ECANCELED");
}

FIBER(shield_bounding_a_wait)
{
    struct fiber_shield s = fiber_shield_begin(in_ms(3));

    note("%s", outcome(fiber_park("test", USEC_NEVER)));
    fiber_shield_end(s);
}

Test(fiber, shield__its_deadline__bounds_the_waits)
{
    run(shield_bounding_a_wait, NULL);
    cr_assert_journal("ETIMEDOUT");
}

FIBER(shield_against_an_expired_ambient)
{
    int64_t outer = fiber_deadline_push(0);
    note("%s", outcome(fiber_sleep(1 * MS)));
    struct fiber_shield s = fiber_shield_begin(in_ms(1000));
    note("%s", outcome(fiber_sleep(1 * MS)));
    fiber_shield_end(s);
    cr_assert_eq(fiber_deadline(), 0);
    note("%s", outcome(fiber_sleep(1 * MS)));
    fiber_deadline_pop(outer);
}

Test(fiber, shield__outer_deadline_passed__does_not_reach_inside)
{
    run(shield_against_an_expired_ambient, NULL);
    cr_assert_journal("ETIMEDOUT 0 ETIMEDOUT");
}

FIBER(nesting_shields)
{
    fiber_cancel(fiber_current());
    struct fiber_shield a = fiber_shield_begin(in_ms(2000));
    struct fiber_shield b = fiber_shield_begin(in_ms(1000));
    note("%s", outcome(fiber_sleep(1 * MS)));
    fiber_shield_end(b);
    note("%s", outcome(fiber_sleep(1 * MS)));
    fiber_shield_end(a);
    note("%s", outcome(fiber_sleep(1 * MS)));
}

Test(fiber, shield__nested__holds_until_the_outermost_ends)
{
    run(nesting_shields, NULL);
    cr_assert_journal("0 0 ECANCELED");
}

FIBER(nesting_shield_deadlines)
{
    int64_t outer = in_ms(3000), inner = in_ms(9000);
    struct fiber_shield a = fiber_shield_begin(outer);

    cr_assert_eq(fiber_deadline(), outer);
    struct fiber_shield b = fiber_shield_begin(inner);
    cr_assert_eq(fiber_deadline(), inner);
    fiber_shield_end(b);
    cr_assert_eq(fiber_deadline(), outer);
    fiber_shield_end(a);
    cr_assert_eq(fiber_deadline(), USEC_NEVER);
}

Test(fiber, shield__nested__each_has_its_own_deadline)
{
    run(nesting_shield_deadlines, NULL);
}

FIBER(pushing_inside_a_shield)
{
    struct fiber_shield s = fiber_shield_begin(in_ms(5000));
    int64_t outer = fiber_deadline_push(in_ms(2));

    note("%s", outcome(fiber_park("test", USEC_NEVER)));
    fiber_deadline_pop(outer);
    note("%s", outcome(fiber_sleep(1 * MS)));
    fiber_shield_end(s);
}

Test(fiber, deadline_push__inside_a_shield__tightens_it)
{
    run(pushing_inside_a_shield, NULL);
    cr_assert_journal("ETIMEDOUT 0");
}

FIBER(ending_a_shield_too_often)
{
    struct fiber_shield s = fiber_shield_begin(USEC_NEVER);

    fiber_shield_end(s);
    fiber_shield_end(s);
}

Test(fiber, shield_end__without_begin__is_refused_loudly, .signal = SIGABRT)
{
    run(ending_a_shield_too_often, NULL);
}
