#include "common/fiber/sync.h"

#include "support.h"

/* ---- semaphore ---- */

struct taker {
    struct semaphore *semaphore;
    const char *name;
    int64_t deadline_us;
    struct fiber *fiber;
    int r;
    bool ended;
};

FIBER(taking)
{
    struct taker *t = arg;

    t->r = semaphore_take(t->semaphore, "permit", t->deadline_us);
    t->ended = true;
    note("%s:%s", t->name, outcome(t->r));
}

static void start_takers(struct taker *takers, size_t n, struct semaphore *s)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};

    for (size_t i = 0; i < n; i++) {
        takers[i] = (struct taker){.semaphore = s, .name = names[i], .deadline_us = USEC_NEVER};
        takers[i].fiber = start(names[i], taking, &takers[i]);
    }
}

FIBER(taking_what_is_free)
{
    struct semaphore s;

    semaphore_init(&s, 2, 0);
    cr_assert_eq(semaphore_take(&s, "permit", 0), 0);
    cr_assert_eq(s.free_count, 1);
    cr_assert_eq(semaphore_take(&s, "permit", 0), 0);
    cr_assert_eq(semaphore_take(&s, "permit", USEC_NEVER), -EBUSY);
    semaphore_give(&s);
    cr_assert_eq(s.free_count, 1);
    cr_assert_eq(semaphore_take(&s, "permit", 0), 0);
    semaphore_give(&s);
    semaphore_give(&s);
    cr_assert_eq(s.free_count, 2);
}

Test(fiber, semaphore_take__permits_free__takes_without_waiting)
{
    run(taking_what_is_free, NULL);
}

FIBER(asking_for_a_permit_without_waiting)
{
    struct semaphore s;

    semaphore_init(&s, 1, 5);
    cr_assert_eq(semaphore_take(&s, "permit", USEC_NEVER), 0);
    cr_assert_eq(semaphore_take(&s, "permit", 0), -ETIMEDOUT);
    cr_assert_eq(s.waiting, 0);
    cr_assert_null(s.waiters.head);
}

Test(fiber, semaphore_take__none_free_and_deadline_0__only_asks)
{
    run(asking_for_a_permit_without_waiting, NULL);
}

FIBER(giving_in_order)
{
    struct semaphore s;
    struct taker takers[3];

    semaphore_init(&s, 0, 10);
    start_takers(takers, 3, &s);
    fiber_yield();
    cr_assert_eq(s.waiting, 3);
    for (int i = 0; i < 3; i++) {
        semaphore_give(&s);
        cr_assert_eq(s.waiting, (unsigned)(2 - i));
        cr_assert_eq(s.free_count, 0, "the permit goes straight to the waiter");
        fiber_yield();
    }
}

Test(fiber, semaphore_give__several_wait__first_come_first_served)
{
    run(giving_in_order, NULL);
    cr_assert_journal("a:0 b:0 c:0");
}

FIBER(barging_in)
{
    struct semaphore s;
    struct taker takers[1];

    semaphore_init(&s, 0, 10);
    start_takers(takers, 1, &s);
    fiber_yield();
    semaphore_give(&s);
    cr_assert_eq(semaphore_take(&s, "permit", 0), -ETIMEDOUT, "it is promised to a");
    fiber_yield();
    cr_assert_eq(takers[0].r, 0);
}

Test(fiber, semaphore_take__permit_given_to_a_waiter__cannot_be_snatched)
{
    run(barging_in, NULL);
}

FIBER(exceeding_the_waiting_limit)
{
    struct semaphore s;
    struct taker takers[4];

    semaphore_init(&s, 0, 2);
    start_takers(takers, 4, &s);
    fiber_yield();
    cr_assert_eq(s.waiting, 2);
    cr_assert_not(takers[0].ended);
    cr_assert_not(takers[1].ended);
    cr_assert_eq(takers[2].r, -EBUSY);
    cr_assert_eq(takers[3].r, -EBUSY);
    semaphore_give(&s);
    semaphore_give(&s);
    fiber_yield();
    cr_assert_eq(s.waiting, 0);
}

Test(fiber, semaphore_take__too_many_wait__is_busy_at_once)
{
    run(exceeding_the_waiting_limit, NULL);
    cr_assert_journal("c:EBUSY d:EBUSY a:0 b:0");
}

FIBER(waiting_in_the_place_of_one_served)
{
    struct semaphore s;
    struct taker takers[1];

    semaphore_init(&s, 0, 1);
    start_takers(takers, 1, &s);
    fiber_yield();
    semaphore_give(&s);
    cr_assert_eq(semaphore_take(&s, "permit", in_ms(1)), -ETIMEDOUT, "there is a place again");
}

Test(fiber, semaphore_take__waiter_just_served__its_place_is_free)
{
    run(waiting_in_the_place_of_one_served, NULL);
}

FIBER(timing_out_in_the_middle)
{
    struct semaphore s;
    struct taker takers[3];

    semaphore_init(&s, 0, 10);
    start_takers(takers, 3, &s);
    takers[1].deadline_us = in_ms(2);
    fiber_yield();
    cr_assert_eq(fiber_join(takers[1].fiber, USEC_NEVER), 0);
    cr_assert_eq(s.waiting, 2);
    semaphore_give(&s);
    semaphore_give(&s);
    fiber_yield();
    semaphore_give(&s);
    cr_assert_eq(s.free_count, 1);
}

Test(fiber, semaphore_take__one_times_out__permits_go_to_the_others)
{
    run(timing_out_in_the_middle, NULL);
    cr_assert_journal("b:ETIMEDOUT a:0 c:0");
}

FIBER(cancelling_then_giving)
{
    struct semaphore s;
    struct taker takers[2];

    semaphore_init(&s, 0, 10);
    start_takers(takers, 2, &s);
    fiber_yield();
    fiber_cancel(takers[0].fiber);
    semaphore_give(&s); /* a can no longer take it: b must */
    fiber_yield();
    cr_assert_eq(takers[0].r, -ECANCELED);
    cr_assert_eq(takers[1].r, 0);
    cr_assert_eq(s.waiting, 0);
    cr_assert_eq(s.free_count, 0);
}

Test(fiber, semaphore_give__first_waiter_just_cancelled__goes_to_the_next)
{
    run(cancelling_then_giving, NULL);
}

FIBER(cancelling_the_only_one_then_giving)
{
    struct semaphore s;
    struct taker takers[1];

    semaphore_init(&s, 0, 10);
    start_takers(takers, 1, &s);
    fiber_yield();
    fiber_cancel(takers[0].fiber);
    semaphore_give(&s);
    cr_assert_eq(s.free_count, 1);
    fiber_yield();
    cr_assert_eq(takers[0].r, -ECANCELED);
    cr_assert_eq(s.waiting, 0);
    cr_assert_eq(s.free_count, 1);
}

Test(fiber, semaphore_give__only_waiter_just_cancelled__the_permit_stays_free)
{
    run(cancelling_the_only_one_then_giving, NULL);
}

FIBER(giving_then_cancelling)
{
    struct semaphore s;
    struct taker takers[1];

    semaphore_init(&s, 0, 10);
    start_takers(takers, 1, &s);
    fiber_yield();
    semaphore_give(&s);
    fiber_cancel(takers[0].fiber);
    fiber_yield();
    cr_assert_eq(takers[0].r, 0, "it has the permit and will give it back");
    cr_assert_eq(s.free_count, 0);
}

Test(fiber, semaphore_take__given_then_cancelled__has_taken)
{
    run(giving_then_cancelling, NULL);
}

FIBER(taking_while_cancelled)
{
    struct semaphore s;

    semaphore_init(&s, 1, 1);
    fiber_cancel(fiber_current());
    cr_assert_eq(semaphore_take(&s, "permit", USEC_NEVER), -ECANCELED);
    cr_assert_eq(s.free_count, 1);
}

Test(fiber, semaphore_take__cancelled_before__takes_nothing)
{
    run(taking_while_cancelled, NULL);
}

struct pool {
    struct semaphore semaphore;
    unsigned inside, most_inside, done;
};

FIBER(working_in_the_pool)
{
    struct pool *p = arg;

    for (int i = 0; i < 20; i++) {
        cr_assert_eq(semaphore_take(&p->semaphore, "slot", in_ms(10000)), 0);
        p->inside++;
        if (p->inside > p->most_inside)
            p->most_inside = p->inside;
        fiber_yield();
        p->inside--;
        semaphore_give(&p->semaphore);
        p->done++;
    }
}

Test(fiber, semaphore__fifty_fibers_on_three_permits__never_more_than_three_inside)
{
    struct pool p = {0};

    semaphore_init(&p.semaphore, 3, 100);
    open_loop();
    for (int i = 0; i < 50; i++)
        start("worker", working_in_the_pool, &p);
    close_loop();
    cr_assert_eq(p.done, 1000);
    cr_assert_eq(p.most_inside, 3);
    cr_assert_eq(p.semaphore.free_count, 3);
    cr_assert_eq(p.semaphore.waiting, 0);
}

/* All waiters are cancelled or time out in the very turn in which permits come back. */
FIBER(losing_no_permit)
{
    struct semaphore s;
    struct taker takers[5];

    semaphore_init(&s, 0, 10);
    for (unsigned dead = 0; dead < 32; dead++) { /* every subset of five */
        unsigned alive = 5 - (unsigned)__builtin_popcount(dead);

        start_takers(takers, 5, &s);
        fiber_yield();
        for (unsigned i = 0; i < 5; i++)
            if (dead & 1u << i)
                fiber_cancel(takers[i].fiber);
        for (unsigned i = 0; i < 5; i++)
            semaphore_give(&s);
        cr_assert_eq(s.free_count, 5 - alive);
        fiber_yield();
        for (unsigned i = 0; i < 5; i++)
            cr_assert_eq(takers[i].r, dead & 1u << i ? -ECANCELED : 0);
        cr_assert_eq(s.waiting, 0);
        cr_assert_null(s.waiters.head);
        while (s.free_count > 0)
            cr_assert_eq(semaphore_take(&s, "permit", 0), 0);
    }
}

Test(fiber, semaphore_give__any_subset_of_waiters_cancelled__no_permit_is_lost)
{
    run(losing_no_permit, NULL);
}
