#include "common/fiber/sync.h"

#include "common/base/mem.h"
#include "support.h"

/* ---- latch ---- */

struct latch_user {
    struct latch *latch;
    const char *name;
    int64_t deadline_us;
    struct fiber *fiber;
    int r, result;
    bool ended;
};

FIBER(waiting_for_a_latch)
{
    struct latch_user *u = arg;

    u->result = -1;
    u->r = latch_wait(u->latch, "latch", u->deadline_us, &u->result);
    u->ended = true;
    if (u->name)
        note("%s:%s", u->name, outcome(u->r));
}

static void start_user(struct latch_user *u)
{
    u->fiber = start(u->name ? u->name : "user", waiting_for_a_latch, u);
}

FIBER(waiting_for_a_set_latch)
{
    struct latch l = LATCH_INIT;
    struct fiber_info info;
    int result = 0;

    latch_set(&l, 7);
    cr_assert_eq(latch_wait(&l, "latch", USEC_NEVER, &result), 0);
    cr_assert_eq(result, 7);
    cr_assert_eq(latch_wait(&l, "latch", 0, NULL), 0, "a past deadline may still ask");
    cr_assert_eq(fiber_list(loop_current(), &info, 1), 1);
    cr_assert_eq(info.switches, 1);
}

Test(fiber, latch_wait__set_before__returns_at_once)
{
    run(waiting_for_a_set_latch, NULL);
}

FIBER(setting_for_three)
{
    struct latch l = LATCH_INIT;
    struct latch_user users[3];

    for (int i = 0; i < 3; i++) {
        users[i] = (struct latch_user){.latch = &l, .deadline_us = USEC_NEVER};
        start_user(&users[i]);
    }
    fiber_yield();
    latch_set(&l, 9);
    cr_assert_not(users[0].ended, "a set must not switch");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(fiber_join(users[i].fiber, USEC_NEVER), 0);
        cr_assert_eq(users[i].r, 0);
        cr_assert_eq(users[i].result, 9);
    }
    cr_assert_null(l.waiters.head);
    cr_assert_null(l.waiters.tail);
}

Test(fiber, latch_set__three_waiters__all_get_the_result)
{
    run(setting_for_three, NULL);
}

FIBER(setting_for_a_b_c)
{
    struct latch l = LATCH_INIT;
    struct latch_user users[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};

    for (int i = 0; i < 3; i++) {
        users[i].latch = &l;
        users[i].deadline_us = USEC_NEVER;
        start_user(&users[i]);
    }
    fiber_yield();
    latch_set(&l, 0);
    fiber_yield();
    note("end");
}

Test(fiber, latch_set__several_waiters__wake_in_order_of_arrival)
{
    run(setting_for_a_b_c, NULL);
    cr_assert_journal("a:0 b:0 c:0 end");
}

FIBER(setting_twice)
{
    struct latch l = LATCH_INIT;
    int result = 0;

    latch_set(&l, 1);
    latch_set(&l, 2);
    cr_assert_eq(latch_wait(&l, "latch", USEC_NEVER, &result), 0);
    cr_assert_eq(result, 1);
}

Test(fiber, latch_set__twice__the_first_wins)
{
    run(setting_twice, NULL);
}

FIBER(latch_timing_out)
{
    struct latch l = LATCH_INIT;
    int result = 55;

    cr_assert_eq(latch_wait(&l, "latch", in_ms(2), &result), -ETIMEDOUT);
    cr_assert_eq(result, 55, "untouched on failure");
    cr_assert_null(l.waiters.head, "nothing left in the queue");
    latch_set(&l, 3);
    cr_assert_eq(latch_wait(&l, "latch", in_ms(2), &result), 0);
    cr_assert_eq(result, 3);
}

Test(fiber, latch_wait__deadline_passes__leaves_the_queue)
{
    run(latch_timing_out, NULL);
}

FIBER(cancelling_the_middle_one)
{
    struct latch l = LATCH_INIT;
    struct latch_user users[3] = {{.name = "a"}, {.name = "b"}, {.name = "c"}};

    for (int i = 0; i < 3; i++) {
        users[i].latch = &l;
        users[i].deadline_us = USEC_NEVER;
        start_user(&users[i]);
    }
    fiber_yield();
    fiber_cancel(users[1].fiber);
    fiber_yield();
    latch_set(&l, 0);
    fiber_yield();
}

Test(fiber, latch_wait__middle_waiter_cancelled__the_others_stay)
{
    run(cancelling_the_middle_one, NULL);
    cr_assert_journal("b:ECANCELED a:0 c:0");
}

FIBER(cancelled_but_set)
{
    struct latch l = LATCH_INIT;

    latch_set(&l, 0);
    fiber_cancel(fiber_current());
    cr_assert_eq(latch_wait(&l, "latch", USEC_NEVER, NULL), -ECANCELED);
    struct fiber_shield s = fiber_shield_begin(USEC_NEVER);
    cr_assert_eq(latch_wait(&l, "latch", USEC_NEVER, NULL), 0);
    fiber_shield_end(s);
}

Test(fiber, latch_wait__cancelled__fails_even_when_set_unless_shielded)
{
    run(cancelled_but_set, NULL);
}

FIBER(set_then_cancelled)
{
    struct latch l = LATCH_INIT;
    struct latch_user u = {.latch = &l, .deadline_us = USEC_NEVER};

    start_user(&u);
    fiber_yield();
    latch_set(&l, 8);
    fiber_cancel(u.fiber);
    fiber_yield();
    cr_assert_eq(u.r, 0);
    cr_assert_eq(u.result, 8);
}

Test(fiber, latch_wait__set_and_cancelled_in_one_turn__set_first_wins)
{
    run(set_then_cancelled, NULL);
}

FIBER(cancelled_then_set)
{
    struct latch l = LATCH_INIT;
    struct latch_user u = {.latch = &l, .deadline_us = USEC_NEVER};

    start_user(&u);
    fiber_yield();
    fiber_cancel(u.fiber);
    latch_set(&l, 8);
    fiber_yield();
    cr_assert_eq(u.r, -ECANCELED);
    cr_assert_eq(u.result, -1);
}

Test(fiber, latch_wait__cancelled_and_set_in_one_turn__cancelled_first_wins)
{
    run(cancelled_then_set, NULL);
}

/* The setter may free the latch at once: the woken must not look at it again. */
FIBER(freeing_the_latch_after_set)
{
    struct latch *l = MEM_NEW(struct latch);
    struct latch_user users[2] = {{0}, {0}};

    for (int i = 0; i < 2; i++) {
        users[i] = (struct latch_user){.latch = l, .deadline_us = in_ms(1000)};
        start_user(&users[i]);
    }
    fiber_yield();
    latch_set(l, 6);
    memset(l, 0xee, sizeof *l);
    mem_free(l);
    fiber_yield();
    cr_assert_eq(users[0].result, 6);
    cr_assert_eq(users[1].result, 6);
}

Test(fiber, latch_set__latch_freed_right_after__waiters_have_their_result)
{
    run(freeing_the_latch_after_set, NULL);
}

static void set_from_callback(void *arg)
{
    latch_set(arg, 12);
}

FIBER(set_by_a_callback)
{
    struct latch l = LATCH_INIT;
    int result = 0;

    loop_post(loop_current(), set_from_callback, &l);
    cr_assert_eq(latch_wait(&l, "callback", in_ms(5000), &result), 0);
    cr_assert_eq(result, 12);
}

Test(fiber, latch_set__from_a_callback__wakes_the_fiber)
{
    run(set_by_a_callback, NULL);
}

FIBER(negative_result)
{
    struct latch l = LATCH_INIT;
    int result = 0;

    latch_set(&l, -EIO);
    cr_assert_eq(latch_wait(&l, "latch", USEC_NEVER, &result), 0);
    cr_assert_eq(result, -EIO);
}

Test(fiber, latch_wait__negative_result__is_a_result_not_a_failure_of_the_wait)
{
    run(negative_result, NULL);
}

FIBER(bounded_by_ambient)
{
    struct latch l = LATCH_INIT;
    int64_t outer = fiber_deadline_push(in_ms(2));

    cr_assert_eq(latch_wait(&l, "latch", USEC_NEVER, NULL), -ETIMEDOUT);
    fiber_deadline_pop(outer);
}

Test(fiber, latch_wait__ambient_deadline__bounds_it)
{
    run(bounded_by_ambient, NULL);
}

/* ---- signal ---- */

struct signal_user {
    struct fiber_signal *signal;
    const char *name;
    int64_t deadline_us;
    struct fiber *fiber;
};

FIBER(waiting_for_a_signal)
{
    const struct signal_user *u = arg;
    int r = fiber_signal_wait(u->signal, "signal", u->deadline_us);

    note("%s:%s", u->name, outcome(r));
}

static void start_signal_users(struct signal_user users[3], struct fiber_signal *s)
{
    static const char *const names[3] = {"a", "b", "c"};

    for (int i = 0; i < 3; i++) {
        users[i] = (struct signal_user){.signal = s, .name = names[i], .deadline_us = USEC_NEVER};
        users[i].fiber = start(names[i], waiting_for_a_signal, &users[i]);
    }
}

FIBER(signalling_all)
{
    struct fiber_signal s = {0};
    struct signal_user users[3];

    start_signal_users(users, &s);
    fiber_yield();
    fiber_signal_all(&s);
    fiber_yield();
    cr_assert_null(s.waiters.head);
}

Test(fiber, signal_all__three_waiters__wake_in_order_of_arrival)
{
    run(signalling_all, NULL);
    cr_assert_journal("a:0 b:0 c:0");
}

FIBER(signalling_one_by_one)
{
    struct fiber_signal s = {0};
    struct signal_user users[3];

    start_signal_users(users, &s);
    fiber_yield();
    for (int i = 0; i < 3; i++) {
        fiber_signal_one(&s);
        fiber_yield();
        note("|");
    }
}

Test(fiber, signal_one__three_waiters__wakes_the_oldest_each_time)
{
    run(signalling_one_by_one, NULL);
    cr_assert_journal("a:0 | b:0 | c:0 |");
}

FIBER(signalling_nobody)
{
    struct fiber_signal s = {0};

    fiber_signal_all(&s);
    fiber_signal_one(&s);
    note("%s", outcome(fiber_signal_wait(&s, "signal", in_ms(2))));
    cr_assert_null(s.waiters.head);
}

Test(fiber, signal__nobody_waits__is_not_remembered)
{
    run(signalling_nobody, NULL);
    cr_assert_journal("ETIMEDOUT");
}

FIBER(signalling_past_a_cancelled_one)
{
    struct fiber_signal s = {0};
    struct signal_user users[3];

    start_signal_users(users, &s);
    fiber_yield();
    fiber_cancel(users[0].fiber);
    fiber_signal_one(&s); /* must not be lost on a */
    fiber_yield();
    note("|");
    fiber_signal_all(&s);
    fiber_yield();
}

Test(fiber, signal_one__oldest_was_cancelled__goes_to_the_next)
{
    run(signalling_past_a_cancelled_one, NULL);
    cr_assert_journal("a:ECANCELED b:0 | c:0");
}

FIBER(waiting_again_when_woken)
{
    struct signal_user *u = arg;

    for (int i = 0; i < 3; i++)
        note("%s:%s", u->name, outcome(fiber_signal_wait(u->signal, "signal", in_ms(1000))));
}

FIBER(signalling_rewaiters)
{
    struct fiber_signal s = {0};
    struct signal_user a = {.signal = &s, .name = "a"}, b = {.signal = &s, .name = "b"};

    start("a", waiting_again_when_woken, &a);
    start("b", waiting_again_when_woken, &b);
    for (int i = 0; i < 3; i++) {
        fiber_yield();
        note("%d", i);
        fiber_signal_all(&s);
    }
    fiber_yield();
}

Test(fiber, signal_all__woken_waits_again__waits_for_the_next_one)
{
    run(signalling_rewaiters, NULL);
    cr_assert_journal("0 a:0 b:0 1 a:0 b:0 2 a:0 b:0");
}
