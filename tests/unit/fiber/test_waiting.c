#include "common/fiber/fiber.h"

#include "support.h"

/* Park, wake, cancel, and a park's deadline: which outcome a wait has, in every order in which two
 * causes can arrive. */

struct subject {
    struct fiber *fiber;
    int64_t deadline_us;
    int result;
    bool ended;
};

FIBER(parking_once)
{
    struct subject *s = arg;

    s->result = fiber_park("test", s->deadline_us);
    s->ended = true;
}

/* Stays in this turn until the deadline has passed, so that the loop learns of it only later. */
static void outlast(const struct subject *s)
{
    while (clock_mono_us() <= s->deadline_us)
        continue;
}

/* ---- wake ---- */

FIBER(waking_with_a_result)
{
    struct subject s = {.deadline_us = USEC_NEVER};

    s.fiber = start("s", parking_once, &s);
    run_one_round();
    cr_assert_not(s.ended);
    cr_assert(fiber_wake(s.fiber, 77));
    cr_assert_not(s.ended, "a wake must not switch");
    run_one_round();
    cr_assert(s.ended);
    cr_assert_eq(s.result, 77);
}

Test(fiber, wake__parked_fiber__returns_the_result_from_its_park)
{
    run(waking_with_a_result, NULL);
}

FIBER(waking_twice)
{
    struct subject s = {.deadline_us = USEC_NEVER};

    s.fiber = start("s", parking_once, &s);
    run_one_round();
    cr_assert(fiber_wake(s.fiber, 1));
    cr_assert_not(fiber_wake(s.fiber, 2));
    run_one_round();
    cr_assert_eq(s.result, 1);
}

Test(fiber, wake__twice__the_first_wins)
{
    run(waking_twice, NULL);
}

FIBER(waking_before_the_park)
{
    struct subject s = {.deadline_us = in_ms(2)};

    s.fiber = start("s", parking_once, &s);
    cr_assert_not(fiber_wake(s.fiber, 1));
    cr_assert_eq(fiber_join(s.fiber, USEC_NEVER), 0);
    cr_assert_eq(s.result, -ETIMEDOUT);
}

Test(fiber, wake__before_the_park__is_not_remembered)
{
    run(waking_before_the_park, NULL);
}

FIBER(waking_itself)
{
    cr_assert_not(fiber_wake(fiber_current(), 1));
    cr_assert_eq(fiber_park("test", in_ms(1)), -ETIMEDOUT);
}

Test(fiber, wake__the_running_fiber__does_nothing)
{
    run(waking_itself, NULL);
}

FIBER(waking_one_that_yields)
{
    struct subject s = {.deadline_us = USEC_NEVER};

    s.fiber = start("s", parking_once, &s);
    run_one_round();
    fiber_wake(s.fiber, 5);
    cr_assert_not(fiber_wake(s.fiber, 6));
    fiber_cancel(s.fiber);
    run_one_round();
    cr_assert_eq(s.result, 5);
}

Test(fiber, wake__then_cancel_in_the_same_turn__the_wake_counts)
{
    run(waking_one_that_yields, NULL);
}

FIBER(cancelling_then_waking)
{
    struct subject s = {.deadline_us = USEC_NEVER};

    s.fiber = start("s", parking_once, &s);
    run_one_round();
    fiber_cancel(s.fiber);
    cr_assert_not(fiber_wake(s.fiber, 0));
    run_one_round();
    cr_assert_eq(s.result, -ECANCELED);
}

Test(fiber, cancel__then_wake_in_the_same_turn__the_cancellation_counts)
{
    run(cancelling_then_waking, NULL);
}

FIBER(parking_and_noting)
{
    fiber_park("test", USEC_NEVER);
    note("%s", fiber_name(fiber_current()));
}

FIBER(waking_in_another_order)
{
    struct fiber *a = start("a", parking_and_noting, NULL);
    struct fiber *b = start("b", parking_and_noting, NULL);
    struct fiber *c = start("c", parking_and_noting, NULL);

    run_one_round();
    fiber_wake(b, 0);
    fiber_wake(c, 0);
    fiber_wake(a, 0);
}

Test(fiber, wake__several__they_run_in_the_order_of_the_wakes)
{
    run(waking_in_another_order, NULL);
    cr_assert_journal("b c a");
}

FIBER(parking_with_a_wake_by_deadline)
{
    struct subject s = {.deadline_us = in_ms(5000)};
    int64_t began = clock_mono_us();

    s.fiber = start("s", parking_once, &s);
    run_one_round();
    cr_assert(fiber_wake(s.fiber, 3));
    cr_assert_eq(fiber_join(s.fiber, USEC_NEVER), 0);
    cr_assert_eq(s.result, 3);
    cr_assert_lt(clock_mono_us() - began, 4000 * MS);
}

Test(fiber, wake__long_before_the_deadline__does_not_wait_for_it)
{
    run(parking_with_a_wake_by_deadline, NULL);
}

Test(fiber, park__outside_of_fibers__is_refused_loudly, .signal = SIGABRT)
{
    int (*park)(const char *, int64_t) = fiber_park; /* clang would warn of the direct call */

    open_loop();
    park("nothing", USEC_NEVER);
}

/* ---- deadlines of a park ---- */

FIBER(parking_until_a_deadline)
{
    int64_t deadline = in_ms(5);

    cr_assert_eq(fiber_park("test", deadline), -ETIMEDOUT);
    cr_assert_geq(clock_mono_us(), deadline);
}

Test(fiber, park__nobody_wakes__ends_not_before_its_deadline)
{
    run(parking_until_a_deadline, NULL);
}

FIBER(parking_too_late)
{
    struct fiber_info info;

    cr_assert_eq(fiber_park("test", 0), -ETIMEDOUT);
    cr_assert_eq(fiber_park("test", -5), -ETIMEDOUT);
    cr_assert_eq(fiber_list(loop_current(), &info, 1), 1);
    cr_assert_eq(info.switches, 1);
    cr_assert_eq(fiber_park("test", clock_mono_us() - 1), -ETIMEDOUT);
}

Test(fiber, park__deadline_in_the_past__fails_without_a_switch)
{
    run(parking_too_late, NULL);
}

struct runner {
    int64_t after_ms;
    const char *name;
};

FIBER(noting_at_a_time)
{
    const struct runner *r = arg;

    cr_assert_eq(fiber_park("test", in_ms(r->after_ms)), -ETIMEDOUT);
    note("%s", r->name);
}

static void run_three(int64_t a, int64_t b, int64_t c)
{
    struct runner runners[3] = {{a, "a"}, {b, "b"}, {c, "c"}};

    open_loop();
    for (int i = 0; i < 3; i++)
        start("runner", noting_at_a_time, &runners[i]);
    close_loop();
}

Test(fiber, park__deadlines_in_order__expire_in_order)
{
    run_three(5, 25, 45);
    cr_assert_journal("a b c");
}

Test(fiber, park__deadlines_backward__expire_in_order_of_time)
{
    run_three(45, 25, 5);
    cr_assert_journal("c b a");
}

Test(fiber, park__deadlines_mixed__expire_in_order_of_time)
{
    run_three(25, 45, 5);
    cr_assert_journal("c a b");
}

Test(fiber, park__deadlines_mixed_otherwise__expire_in_order_of_time)
{
    run_three(25, 5, 45);
    cr_assert_journal("b a c");
}

/* The alarm is set for the near deadline, which is then taken back: the far one must still ring. */
FIBER(taking_the_near_one_back)
{
    struct subject near = {.deadline_us = in_ms(40)}, far = {.deadline_us = in_ms(60)};

    near.fiber = start("near", parking_once, &near);
    far.fiber = start("far", parking_once, &far);
    run_one_round();
    fiber_wake(near.fiber, 0);
    cr_assert_eq(fiber_join(near.fiber, USEC_NEVER), 0);
    cr_assert_eq(fiber_join(far.fiber, USEC_NEVER), 0);
    cr_assert_eq(near.result, 0);
    cr_assert_eq(far.result, -ETIMEDOUT);
    cr_assert_geq(clock_mono_us(), far.deadline_us);
}

Test(fiber, park__nearer_deadline_taken_back__the_farther_still_expires)
{
    run(taking_the_near_one_back, NULL);
}

/* The alarm is set for the far deadline: a nearer one that comes later must not wait for it. */
FIBER(adding_a_nearer_one)
{
    struct subject near = {.deadline_us = 0}, far = {.deadline_us = in_ms(5000)};

    far.fiber = start("far", parking_once, &far);
    cr_assert_eq(fiber_sleep(3 * MS), 0);
    near.deadline_us = in_ms(5);
    near.fiber = start("near", parking_once, &near);
    cr_assert_eq(fiber_join(near.fiber, USEC_NEVER), 0);
    cr_assert_eq(near.result, -ETIMEDOUT);
    cr_assert_lt(clock_mono_us(), far.deadline_us - 2000 * MS);
    fiber_cancel(far.fiber);
    cr_assert_eq(fiber_join(far.fiber, USEC_NEVER), 0);
}

Test(fiber, park__nearer_deadline_comes_later__moves_the_alarm)
{
    run(adding_a_nearer_one, NULL);
}

FIBER(parking_many_times_with_deadline)
{
    struct subject s;

    for (int i = 0; i < 200; i++) {
        s = (struct subject){.deadline_us = in_ms(60000)};
        s.fiber = start("s", parking_once, &s);
        run_one_round();
        cr_assert(fiber_wake(s.fiber, i));
        cr_assert_eq(fiber_join(s.fiber, in_ms(60000)), 0);
        cr_assert_eq(s.result, i);
    }
}

Test(fiber, park__deadlines_that_never_expire__leave_nothing_behind)
{
    run(parking_many_times_with_deadline, NULL);
}

FIBER(waking_at_the_deadline)
{
    struct subject s = {.deadline_us = in_ms(30)};

    s.fiber = start("s", parking_once, &s);
    run_one_round();
    outlast(&s);
    cr_assert(fiber_wake(s.fiber, 9));
    cr_assert_eq(fiber_join(s.fiber, USEC_NEVER), 0);
    cr_assert_eq(s.result, 9);
}

Test(fiber, park__woken_before_the_loop_saw_the_deadline__counts_as_woken)
{
    run(waking_at_the_deadline, NULL);
}

/* ---- cancellation ---- */

FIBER(waiting_three_times)
{
    for (int i = 0; i < 3; i++)
        note("%s", outcome(fiber_park("test", in_ms(1000))));
    note(fiber_cancelled() ? "cancelled" : "not");
}

Test(fiber, cancel__before_the_first_turn__every_wait_fails_at_once)
{
    open_loop();
    fiber_cancel(start("s", waiting_three_times, NULL));
    close_loop();
    cr_assert_journal("ECANCELED ECANCELED ECANCELED cancelled");
}

FIBER(cancelling_in_the_wait)
{
    struct fiber *f = start("s", waiting_three_times, NULL);

    run_one_round();
    fiber_cancel(f);
    fiber_cancel(f);
}

Test(fiber, cancel__in_the_wait__it_and_all_later_ones_fail)
{
    run(cancelling_in_the_wait, NULL);
    cr_assert_journal("ECANCELED ECANCELED ECANCELED cancelled");
}

FIBER(cancelled_after_the_wait)
{
    note("%s", outcome(fiber_park("test", in_ms(1))));
    fiber_cancel(fiber_current());
    note("%s", outcome(fiber_park("test", in_ms(1))));
}

Test(fiber, cancel__after_a_wait__only_the_next_one_fails)
{
    run(cancelled_after_the_wait, NULL);
    cr_assert_journal("ETIMEDOUT ECANCELED");
}

FIBER(cancelled_with_expired_deadline)
{
    fiber_cancel(fiber_current());
    note("%s", outcome(fiber_park("test", 0)));
}

Test(fiber, cancel__and_expired_deadline__the_cancellation_is_told)
{
    run(cancelled_with_expired_deadline, NULL);
    cr_assert_journal("ECANCELED");
}

FIBER(never_cancelled)
{
    cr_assert_not(fiber_cancelled());
    fiber_park("test", in_ms(1));
    cr_assert_not(fiber_cancelled());
}

Test(fiber, cancelled__by_nobody__is_false)
{
    run(never_cancelled, NULL);
}

Test(fiber, cancelled__slot_used_again__is_forgotten)
{
    open_loop();
    fiber_cancel(start("a", waiting_three_times, NULL));
    loop_run(loop_current(), true);
    start("b", never_cancelled, NULL);
    close_loop();
}

FIBER(cancelling_a_whole_family)
{
    struct subject s[20];

    for (int i = 0; i < 20; i++) {
        s[i] = (struct subject){.deadline_us = i % 2 ? USEC_NEVER : in_ms(1000)};
        s[i].fiber = start("s", parking_once, &s[i]);
    }
    run_one_round();
    for (int i = 0; i < 20; i++)
        fiber_cancel(s[i].fiber);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(fiber_join(s[i].fiber, USEC_NEVER), 0);
        cr_assert_eq(s[i].result, -ECANCELED);
    }
}

Test(fiber, cancel__twenty_at_once__all_unwind)
{
    run(cancelling_a_whole_family, NULL);
}

/* ---- every pair of causes, in both orders ---- */

enum cause { CAUSE_WAKE, CAUSE_CANCEL, CAUSE_DEADLINE, CAUSES };

static PARKS void cause(enum cause c, struct subject *s, bool is_first)
{
    if (c == CAUSE_WAKE)
        fiber_wake(s->fiber, 42);
    else if (c == CAUSE_CANCEL)
        fiber_cancel(s->fiber);
    else if (is_first)
        cr_assert_eq(fiber_sleep(s->deadline_us - clock_mono_us() + 1 * MS), 0);
    else
        outlast(s);
}

static const int result_of[CAUSES] = {42, -ECANCELED, -ETIMEDOUT};

struct order {
    enum cause first, second;
};

FIBER(causing_both)
{
    const struct order *o = arg;
    bool expires = o->first == CAUSE_DEADLINE || o->second == CAUSE_DEADLINE;
    struct subject s = {.deadline_us = expires ? in_ms(30) : USEC_NEVER};

    s.fiber = start("s", parking_once, &s);
    run_one_round();
    cause(o->first, &s, true);
    cause(o->second, &s, false);
    cr_assert_eq(fiber_join(s.fiber, USEC_NEVER), 0);
    cr_assert_eq(s.result, result_of[o->first], "%d then %d", o->first, o->second);
}

Test(fiber, park__two_causes_in_every_order__the_first_decides)
{
    for (enum cause a = 0; a < CAUSES; a++)
        for (enum cause b = 0; b < CAUSES; b++) {
            struct order o = {a, b};

            run(causing_both, &o);
        }
}
