#include "common/fiber/sync.h"

#include "support.h"

static struct channel c;

/* Items are small numbers dressed as pointers. */
static void *item(uintptr_t n)
{
    return (void *)n;
}

static uintptr_t number(void *received)
{
    return (uintptr_t)received;
}

struct user {
    const char *name;
    uintptr_t item;
    int64_t deadline_us;
    struct fiber *fiber;
    int r;
    bool ended;
};

FIBER(sending)
{
    struct user *u = arg;

    u->r = channel_send(&c, item(u->item), u->deadline_us);
    u->ended = true;
    note("%s:%s", u->name, outcome(u->r));
}

FIBER(receiving)
{
    struct user *u = arg;
    void *got = item(99);

    u->r = channel_receive(&c, u->deadline_us, &got);
    u->item = number(got);
    u->ended = true;
    note("%s:%s:%d", u->name, outcome(u->r), (int)u->item);
}

static void start_users(struct user *users, size_t n, fiber_fn fn, uintptr_t first_item)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};

    for (size_t i = 0; i < n; i++) {
        users[i] =
            (struct user){.name = names[i], .item = first_item + i, .deadline_us = USEC_NEVER};
        users[i].fiber = start(names[i], fn, &users[i]);
    }
}

/* ---- without waiting ---- */

Test(fiber, channel_try__empty_and_full__say_so)
{
    void *got = item(99);

    open_loop();
    channel_init(&c, 2);
    cr_assert_not(channel_try_receive(&c, &got));
    cr_assert_eq(number(got), 99);
    cr_assert(channel_try_send(&c, item(1)));
    cr_assert(channel_try_send(&c, item(2)));
    cr_assert_not(channel_try_send(&c, item(3)));
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_eq(number(got), 1);
    cr_assert(channel_try_send(&c, item(3)));
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_eq(number(got), 2);
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_eq(number(got), 3);
    cr_assert_not(channel_try_receive(&c, &got));
    channel_deinit(&c);
    close_loop();
}

Test(fiber, channel_try__many_times_round__keeps_the_order)
{
    uintptr_t sent = 0, received = 0;

    open_loop();
    channel_init(&c, 7);
    for (int round = 0; round < 1000; round++) {
        void *got;

        for (int i = 0; i < round % 7 + 1; i++)
            if (channel_try_send(&c, item(sent + 1)))
                sent++;
        for (int i = 0; i < round % 5 + 1; i++)
            if (channel_try_receive(&c, &got))
                cr_assert_eq(number(got), ++received);
    }
    cr_assert_eq(sent - received, c.count);
    channel_deinit(&c);
    close_loop();
}

Test(fiber, channel_init__capacity_0__is_refused_loudly, .signal = SIGABRT)
{
    channel_init(&c, 0);
}

FIBER(null_item)
{
    void *got = item(99);

    channel_init(&c, 1);
    cr_assert_eq(channel_send(&c, NULL, USEC_NEVER), 0);
    cr_assert_eq(channel_receive(&c, USEC_NEVER, &got), 0);
    cr_assert_null(got);
    channel_deinit(&c);
}

Test(fiber, channel_send__null__is_an_item_like_any_other)
{
    run(null_item, NULL);
}

/* ---- readers that wait ---- */

FIBER(feeding_three_readers)
{
    struct user readers[3];

    channel_init(&c, 4);
    start_users(readers, 3, receiving, 0);
    fiber_yield();
    for (uintptr_t i = 1; i <= 3; i++)
        cr_assert(channel_try_send(&c, item(i)));
    cr_assert_eq(c.count, 0, "handed over, not stored");
    fiber_yield();
    channel_deinit(&c);
}

Test(fiber, channel_receive__several_readers_wait__served_in_order_of_arrival)
{
    run(feeding_three_readers, NULL);
    cr_assert_journal("a:0:1 b:0:2 c:0:3");
}

FIBER(snatching_from_a_reader)
{
    struct user readers[1];
    void *got;

    channel_init(&c, 4);
    start_users(readers, 1, receiving, 0);
    fiber_yield();
    cr_assert(channel_try_send(&c, item(1)));
    cr_assert_not(channel_try_receive(&c, &got), "it is promised to a");
    fiber_yield();
    channel_deinit(&c);
}

Test(fiber, channel_try_receive__item_handed_to_a_waiter__cannot_be_snatched)
{
    run(snatching_from_a_reader, NULL);
    cr_assert_journal("a:0:1");
}

FIBER(cancelling_a_reader_then_sending)
{
    struct user readers[2];

    channel_init(&c, 4);
    start_users(readers, 2, receiving, 0);
    fiber_yield();
    fiber_cancel(readers[0].fiber);
    cr_assert(channel_try_send(&c, item(5)));
    fiber_yield();
    channel_deinit(&c);
}

Test(fiber, channel_send__first_reader_just_cancelled__goes_to_the_next)
{
    run(cancelling_a_reader_then_sending, NULL);
    cr_assert_journal("a:ECANCELED:99 b:0:5");
}

FIBER(cancelling_the_only_reader_then_sending)
{
    struct user readers[1];
    void *got;

    channel_init(&c, 4);
    start_users(readers, 1, receiving, 0);
    fiber_yield();
    fiber_cancel(readers[0].fiber);
    cr_assert(channel_try_send(&c, item(5)));
    cr_assert_eq(c.count, 1);
    fiber_yield();
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_eq(number(got), 5);
    channel_deinit(&c);
}

Test(fiber, channel_send__only_reader_just_cancelled__the_item_is_kept)
{
    run(cancelling_the_only_reader_then_sending, NULL);
    cr_assert_journal("a:ECANCELED:99");
}

FIBER(sending_then_cancelling_the_reader)
{
    struct user readers[1];

    channel_init(&c, 4);
    start_users(readers, 1, receiving, 0);
    fiber_yield();
    cr_assert(channel_try_send(&c, item(5)));
    fiber_cancel(readers[0].fiber);
    fiber_yield();
    channel_deinit(&c);
}

Test(fiber, channel_receive__served_then_cancelled__has_received)
{
    run(sending_then_cancelling_the_reader, NULL);
    cr_assert_journal("a:0:5");
}

FIBER(reader_timing_out)
{
    void *got = item(99);

    channel_init(&c, 1);
    note("%s", outcome(channel_receive(&c, in_ms(2), &got)));
    note("%s", outcome(channel_receive(&c, 0, &got)));
    cr_assert_eq(number(got), 99);
    cr_assert_null(c.readers.head);
    cr_assert(channel_try_send(&c, item(1)));
    note("%s", outcome(channel_receive(&c, 0, &got)));
    cr_assert_eq(number(got), 1);
    channel_deinit(&c);
}

Test(fiber, channel_receive__deadline_passes__leaves_the_queue)
{
    run(reader_timing_out, NULL);
    cr_assert_journal("ETIMEDOUT ETIMEDOUT 0");
}

FIBER(receiving_while_cancelled)
{
    void *got;

    channel_init(&c, 1);
    cr_assert(channel_try_send(&c, item(1)));
    fiber_cancel(fiber_current());
    cr_assert_eq(channel_receive(&c, USEC_NEVER, &got), -ECANCELED);
    cr_assert_eq(channel_send(&c, item(2), USEC_NEVER), -ECANCELED);
    cr_assert_eq(c.count, 1);
    channel_deinit(&c);
}

Test(fiber, channel__cancelled_before__neither_sends_nor_receives)
{
    run(receiving_while_cancelled, NULL);
}

/* ---- writers that wait ---- */

FIBER(draining_three_writers)
{
    struct user writers[3];
    void *got;

    channel_init(&c, 1);
    cr_assert(channel_try_send(&c, item(1)));
    start_users(writers, 3, sending, 2);
    fiber_yield();
    for (uintptr_t i = 1; i <= 4; i++) {
        cr_assert_eq(channel_receive(&c, USEC_NEVER, &got), 0);
        cr_assert_eq(number(got), i);
        note("%d", (int)i);
        fiber_yield();
    }
    cr_assert_eq(c.count, 0);
    channel_deinit(&c);
}

Test(fiber, channel_send__several_writers_wait__served_in_order_of_arrival)
{
    run(draining_three_writers, NULL);
    cr_assert_journal("1 a:0 2 b:0 3 c:0 4");
}

FIBER(writing_past_a_writer)
{
    struct user writers[1];
    void *got;

    channel_init(&c, 1);
    cr_assert(channel_try_send(&c, item(1)));
    start_users(writers, 1, sending, 2);
    fiber_yield();
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_not(channel_try_send(&c, item(3)), "the room is a's");
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_eq(number(got), 2);
    fiber_yield();
    channel_deinit(&c);
}

Test(fiber, channel_try_send__room_given_to_a_waiter__cannot_be_snatched)
{
    run(writing_past_a_writer, NULL);
    cr_assert_journal("a:0");
}

FIBER(cancelling_a_writer_then_receiving)
{
    struct user writers[2];
    void *got;

    channel_init(&c, 1);
    cr_assert(channel_try_send(&c, item(1)));
    start_users(writers, 2, sending, 2);
    fiber_yield();
    fiber_cancel(writers[0].fiber);
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_eq(number(got), 1);
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_eq(number(got), 3, "a's item was not sent");
    fiber_yield();
    channel_deinit(&c);
}

Test(fiber, channel_receive__first_writer_just_cancelled__takes_the_nexts_item)
{
    run(cancelling_a_writer_then_receiving, NULL);
    cr_assert_journal("a:ECANCELED b:0");
}

FIBER(writer_timing_out)
{
    void *got;

    channel_init(&c, 1);
    cr_assert(channel_try_send(&c, item(1)));
    note("%s", outcome(channel_send(&c, item(2), in_ms(2))));
    note("%s", outcome(channel_send(&c, item(2), 0)));
    cr_assert_null(c.writers.head);
    cr_assert(channel_try_receive(&c, &got));
    cr_assert_not(channel_try_receive(&c, &got));
    note("%s", outcome(channel_send(&c, item(2), 0)));
    channel_deinit(&c);
}

Test(fiber, channel_send__deadline_passes__the_item_is_not_sent)
{
    run(writer_timing_out, NULL);
    cr_assert_journal("ETIMEDOUT ETIMEDOUT 0");
}

/* ---- close ---- */

FIBER(closing_on_readers)
{
    struct user readers[2];

    channel_init(&c, 1);
    start_users(readers, 2, receiving, 0);
    fiber_yield();
    channel_close(&c);
    fiber_yield();
    channel_deinit(&c);
}

Test(fiber, channel_close__readers_wait__they_get_epipe)
{
    run(closing_on_readers, NULL);
    cr_assert_journal("a:EPIPE:99 b:EPIPE:99");
}

FIBER(closing_on_writers)
{
    struct user writers[2];
    void *got;

    channel_init(&c, 1);
    cr_assert(channel_try_send(&c, item(1)));
    start_users(writers, 2, sending, 2);
    fiber_yield();
    channel_close(&c);
    fiber_yield();
    cr_assert_eq(channel_receive(&c, USEC_NEVER, &got), 0);
    cr_assert_eq(number(got), 1);
    cr_assert_eq(channel_receive(&c, USEC_NEVER, &got), -EPIPE, "the writers kept theirs");
    channel_deinit(&c);
}

Test(fiber, channel_close__writers_wait__they_get_epipe_and_keep_their_items)
{
    run(closing_on_writers, NULL);
    cr_assert_journal("a:EPIPE b:EPIPE");
}

FIBER(draining_after_close)
{
    void *got;

    channel_init(&c, 3);
    for (uintptr_t i = 1; i <= 3; i++)
        cr_assert(channel_try_send(&c, item(i)));
    channel_close(&c);
    channel_close(&c);
    cr_assert_not(channel_try_send(&c, item(4)));
    cr_assert_eq(channel_send(&c, item(4), USEC_NEVER), -EPIPE);
    for (uintptr_t i = 1; i <= 3; i++) {
        cr_assert_eq(channel_receive(&c, USEC_NEVER, &got), 0);
        cr_assert_eq(number(got), i);
    }
    cr_assert_eq(channel_receive(&c, USEC_NEVER, &got), -EPIPE);
    cr_assert_not(channel_try_receive(&c, &got));
    channel_deinit(&c);
}

Test(fiber, channel_close__items_inside__are_still_received)
{
    run(draining_after_close, NULL);
}

FIBER(cancel_then_close)
{
    struct user readers[1];

    channel_init(&c, 1);
    start_users(readers, 1, receiving, 0);
    fiber_yield();
    fiber_cancel(readers[0].fiber);
    channel_close(&c);
    fiber_yield();
    channel_deinit(&c);
}

Test(fiber, channel_close__reader_just_cancelled__is_told_of_the_cancellation)
{
    run(cancel_then_close, NULL);
    cr_assert_journal("a:ECANCELED:99");
}

Test(fiber, channel_deinit__somebody_waits__is_refused_loudly, .signal = SIGABRT)
{
    struct user readers[1];

    open_loop();
    channel_init(&c, 1);
    start_users(readers, 1, receiving, 0);
    start_users(readers, 1, receiving, 0);
    loop_post(loop_current(), (void (*)(void *))channel_deinit, &c);
    loop_run(loop_current(), true);
}

/* ---- producers and consumers ---- */

enum { PRODUCERS = 5, CONSUMERS = 3, ITEMS = 400 };

struct line {
    unsigned producer_index;
    unsigned producers_left;
    unsigned received;
    unsigned last_of[PRODUCERS];
};

FIBER(producing)
{
    struct line *line = arg;
    unsigned me = line->producer_index++;

    for (uintptr_t i = 1; i <= ITEMS; i++) {
        cr_assert_eq(channel_send(&c, item(i << 8 | me), in_ms(10000)), 0);
        if (i % 13 == me)
            fiber_yield();
    }
    if (--line->producers_left == 0)
        channel_close(&c);
}

FIBER(consuming)
{
    struct line *line = arg;
    void *got;
    int r;

    while ((r = channel_receive(&c, in_ms(10000), &got)) == 0) {
        unsigned producer = number(got) & 0xff, i = (unsigned)(number(got) >> 8);

        line->received++;
        if (CONSUMERS == 1)
            cr_assert_eq(i, line->last_of[producer] + 1);
        line->last_of[producer] = i;
    }
    cr_assert_eq(r, -EPIPE);
}

Test(fiber, channel__five_producers_three_consumers__every_item_arrives_once)
{
    for (size_t capacity = 1; capacity <= 64; capacity *= 4) {
        struct line line = {.producers_left = PRODUCERS};

        open_loop();
        channel_init(&c, capacity);
        for (int i = 0; i < PRODUCERS; i++)
            start("producer", producing, &line);
        for (int i = 0; i < CONSUMERS; i++)
            start("consumer", consuming, &line);
        close_loop();
        cr_assert_eq(line.received, PRODUCERS * ITEMS);
        channel_deinit(&c);
    }
}
