#include <criterion/criterion.h>
#include <stdio.h>

#include "fixture.h"

#define NEEDS_OWN_BROKER()                                                                         \
    if (!rabbit_server_private(the_server()))                                                      \
    cr_skip_test("the broker is not ours to hurt")

/* ---- the broker dies ---- */

#define CRASH_MESSAGES 6000
#define CRASH_ROUND    100

struct sender {
    struct fixture *x;
    unsigned confirmed, negative;
    bool is_confirmed[CRASH_MESSAGES];
    bool done;
};

/* As an outbox relay does it: what has no 0 is sent again. */
static PARKS void send_until_confirmed(void *arg)
{
    struct sender *s = arg;
    static char ids[CRASH_ROUND][12];
    static struct bus_message messages[CRASH_ROUND];
    static int results[CRASH_ROUND], which[CRASH_ROUND];
    for (int first = 0; first < CRASH_MESSAGES;) {
        size_t n = 0;
        while (first < CRASH_MESSAGES && s->is_confirmed[first])
            first++;
        for (int i = first; i < CRASH_MESSAGES && n < CRASH_ROUND; i++) {
            if (s->is_confirmed[i])
                continue;
            snprintf(ids[n], sizeof(ids[n]), "%d", i);
            messages[n] = message_to("x", "crash.a", ids[n]);
            which[n++] = i;
        }
        (void)bus_publish(s->x->bus, messages, n, results, in_ms(2000));
        for (size_t i = 0; i < n; i++) {
            s->is_confirmed[which[i]] = results[i] == 0;
            s->confirmed += results[i] == 0;
            s->negative += results[i] < 0;
        }
    }
    s->done = true;
}

/* RabbitMQ writes a quorum queue's birth to disk some seconds late; killed before that, it comes
 * back with a queue that has no leader. That is its affair, so have it written now. */
static void settle_declarations(void)
{
    const char *const args[] = {"eval", "[dets:sync(T) || T <- dets:all()].", NULL};
    cr_assert_eq(rabbit_server_ctl(the_server(), args), 0);
}

static PARKS void crash(struct fixture *x)
{
    static struct sender s;
    struct fiber *f;
    s.x = x;
    settle_declarations();
    struct collector *c = collector_start(x->bus, "q.crash", 20);
    cr_assert_eq(fiber_spawn(x->loop, "sender", send_until_confirmed, &s, &f), 0);
    cr_assert(EVENTUALLY(s.confirmed > 1000 && c->deliveries > 100, 10000));
    rabbit_server_kill(the_server());
    unsigned at_kill = s.confirmed;
    cr_assert_lt(at_kill, CRASH_MESSAGES, "the crash came too late to mean anything");
    cr_assert(EVENTUALLY(!bus_state(x->bus).publish_connected, 5000));
    cr_assert(rabbit_server_launch(the_server()));
    cr_assert(EVENTUALLY(s.done, 60000), "confirmed %u", s.confirmed);
    cr_assert_gt(s.negative, 0);
    cr_assert(EVENTUALLY(collector_distinct(c) == CRASH_MESSAGES, 20000), "lost %u",
        CRASH_MESSAGES - collector_distinct(c));
    cr_assert_geq(bus_state(x->bus).reconnects, 2);
    cr_assert_eq(bus_consumer_stop(c->consumer, in_ms(5000)), 0);
}

Test(worker, broker_killed_and_restarted__no_confirmed_message_is_lost, .timeout = 120)
{
    NEEDS_OWN_BROKER();
    fixture_run("crash", 10, crash);
}

/* ---- the broker freezes ---- */

struct ticker {
    bool stop;
    unsigned ticks, late;
    int64_t worst_us;
};

static PARKS void tick(void *arg)
{
    struct ticker *t = arg;
    int64_t last = clock_mono_us();
    while (!t->stop) {
        sleep_ms(2);
        int64_t now = clock_mono_us(), gap = now - last;
        t->ticks++;
        t->late += gap > 20 * USEC_PER_MS;
        t->worst_us = gap > t->worst_us ? gap : t->worst_us;
        last = now;
    }
}

static PARKS void freeze(struct fixture *x)
{
    static struct bus_message many[2000];
    static int results[2000];
    struct ticker t = {0};
    struct fiber *f;
    struct bus_message m = message_to("x", "freeze.a", "1");
    cr_assert_eq(publish_one(x->bus, &m, in_ms(10000)), 0);
    for (size_t i = 0; i < ARRAY_SIZE(many); i++)
        many[i] = m;

    rabbit_server_freeze(the_server());
    cr_assert_eq(fiber_spawn(x->loop, "ticker", tick, &t, &f), 0);
    int64_t before = clock_mono_us();
    cr_assert_eq(publish_one(x->bus, &m, in_ms(300)), ERR_TIMEOUT);
    cr_assert_lt(clock_mono_us() - before, 1000 * USEC_PER_MS);
    cr_assert_eq(bus_publish(x->bus, many, ARRAY_SIZE(many), results, in_ms(300)), ERR_TIMEOUT);
    cr_assert(bus_state(x->bus).publish_connected, "declared dead too early");
    cr_assert(EVENTUALLY(!bus_state(x->bus).publish_connected, 8000), "frozen unnoticed");
    cr_assert_eq(publish_one(x->bus, &m, in_ms(300)), ERR_TIMEOUT);
    t.stop = true;
    cr_assert_eq(fiber_join(f, in_ms(5000)), 0);
    rabbit_server_thaw(the_server());

    cr_assert_gt(t.ticks, 100);
    /* a loaded machine may be late now and then; a loop that waits for the broker always is */
    cr_assert_leq(t.late * 50, t.ticks, "%u of %u ticks late", t.late, t.ticks);
    cr_assert_lt(t.worst_us, 250 * USEC_PER_MS);
    cr_assert_eq(publish_one(x->bus, &m, in_ms(20000)), 0);
}

Test(worker, broker_frozen__publishes_time_out_while_the_loop_ticks__and_recovers, .timeout = 60)
{
    NEEDS_OWN_BROKER();
    fixture_run("freeze", 2, freeze);
}

static PARKS void close_unanswered(struct fixture *x)
{
    struct collector *c = collector_start(x->bus, "q.unanswered", 10);
    publish_numbered(x->bus, "unanswered.a", 1);
    cr_assert(EVENTUALLY(c->deliveries == 1, 10000));
    rabbit_server_freeze(the_server());
    bus_consumer_pause(c->consumer);
    bool given_up = EVENTUALLY(!bus_state(x->bus).consume_connected, 15000);
    rabbit_server_thaw(the_server());
    cr_assert(given_up, "waits for ever");
    bus_consumer_resume(c->consumer);
    publish_numbered(x->bus, "unanswered.a", 2);
    cr_assert(EVENTUALLY(collector_distinct(c) == 2, 20000));
    cr_assert_eq(bus_consumer_stop(c->consumer, in_ms(5000)), 0);
}

Test(worker, broker_owes_the_answer_to_a_pause__is_given_up_and_found_again, .timeout = 60)
{
    NEEDS_OWN_BROKER();
    fixture_run("unanswered", 60, close_unanswered);
}

static PARKS void freeze_and_end(struct fixture *x)
{
    struct bus_message m = message_to("x", "end.a", "1");
    cr_assert_eq(publish_one(x->bus, &m, in_ms(10000)), 0);
    rabbit_server_freeze(the_server());
    int64_t before = clock_mono_us();
    bus_free(x->bus);
    int64_t took_us = clock_mono_us() - before;
    rabbit_server_thaw(the_server());
    x->bus = NULL;
    cr_assert_lt(took_us, 2 * USEC_PER_SEC);
}

Test(worker, broker_frozen__the_bus_still_ends_within_two_seconds)
{
    NEEDS_OWN_BROKER();
    fixture_run("end", 10, freeze_and_end);
}

/* ---- the broker is idle, or full ---- */

static PARKS void idle(struct fixture *x)
{
    struct bus_message m = message_to("x", "idle.a", "1");
    cr_assert_eq(publish_one(x->bus, &m, in_ms(10000)), 0);
    sleep_ms(3500); /* over two heartbeats of silence on both sides, were there no heartbeats */
    cr_assert_eq(bus_state(x->bus).reconnects, 0);
    cr_assert_eq(publish_one(x->bus, &m, in_ms(5000)), 0);
}

Test(worker, nothing_to_do__heartbeats_keep_both_connections)
{
    fixture_run("idle", 1, idle);
}

static void set_watermark(const char *share)
{
    const char *const args[] = {"set_vm_memory_high_watermark", share, NULL};
    cr_assert_eq(rabbit_server_ctl(the_server(), args), 0);
}

static PARKS void blocked(struct fixture *x)
{
    struct bus_message m = message_to("x", "blocked.a", "1");
    cr_assert_eq(publish_one(x->bus, &m, in_ms(10000)), 0);
    set_watermark("0.0001");
    cr_assert_eq(publish_one(x->bus, &m, in_ms(500)), ERR_TIMEOUT);
    cr_assert(EVENTUALLY(bus_state(x->bus).blocked, 5000));
    cr_assert_str_not_empty(bus_state(x->bus).blocked_reason);
    uint64_t published = bus_state(x->bus).published;
    cr_assert_eq(publish_one(x->bus, &m, in_ms(200)), ERR_TIMEOUT);
    cr_assert_eq(bus_state(x->bus).published, published, "published although blocked");
    set_watermark("0.6");
    cr_assert(EVENTUALLY(!bus_state(x->bus).blocked, 10000));
    cr_assert_eq(publish_one(x->bus, &m, in_ms(10000)), 0);
    cr_assert_eq(bus_state(x->bus).reconnects, 0);
}

Test(worker, broker_out_of_memory__publishes_wait_and_the_state_says_so, .timeout = 60)
{
    NEEDS_OWN_BROKER();
    fixture_run("blocked", 10, blocked);
}
