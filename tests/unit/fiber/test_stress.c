#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "support.h"

/* A model check: a crowd of fibers does thousands of random operations on shared latches, signals,
 * semaphores and channels, with random deadlines, shields and ambient deadlines, while a rogue
 * cancels fibers at random and replaces them. Every fiber keeps its own books; at the end they must
 * add up. A run is named by its seed: SOUK_SEED=123 repeats it. */

enum {
    CROWD = 60,
    STEPS = 150, /* of each fiber */
    SEMAPHORES = 3,
    CHANNELS = 3,
    LATCHES = 4,
    ITEMS_MAX = CROWD * STEPS * 8,
};

/* What became of an item. */
enum fate { FATE_NONE, FATE_SENDING, FATE_SENT, FATE_REFUSED, FATE_RECEIVED };

struct world {
    uint64_t random;
    struct semaphore semaphores[SEMAPHORES];
    unsigned permits[SEMAPHORES], held[SEMAPHORES];
    struct channel channels[CHANNELS];
    unsigned char fates[ITEMS_MAX];
    uintptr_t items; /* handed out so far */
    unsigned sent, refused, received;
    struct latch latches[LATCHES];
    int latch_results[LATCHES];
    bool latch_set[LATCHES];
    struct fiber_signal signal;
    struct fiber *crowd[CROWD];
    unsigned started, ended, cancelled, timeouts;
    bool over;
};

static struct world *w;

static uint64_t chance(uint64_t below)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 7;
    w->random ^= w->random << 17;
    return w->random % below;
}

/* Past, now, near or far: never for ever, so that no seed can hang. */
static int64_t some_deadline(void)
{
    switch (chance(5)) {
    case 0:
        return 0;
    case 1:
        return clock_mono_us();
    case 2:
        return clock_mono_us() + (int64_t)chance(300);
    case 3:
        return clock_mono_us() + (int64_t)chance(3000);
    default:
        return in_ms(4);
    }
}

static void tally(int r)
{
    if (r == -ETIMEDOUT)
        w->timeouts++;
    else if (r == -ECANCELED)
        cr_assert(fiber_cancelled());
    else
        cr_assert_eq(r, 0);
}

static PARKS void step_semaphore(void)
{
    unsigned i = (unsigned)chance(SEMAPHORES);
    struct semaphore *s = &w->semaphores[i];
    unsigned waiting = s->waiting;
    int r = semaphore_take(s, "stress", some_deadline());

    if (r == -EBUSY) {
        cr_assert_eq(waiting, s->waiting_limit);
        return;
    }
    tally(r);
    if (r < 0)
        return;
    w->held[i]++;
    cr_assert_leq(w->held[i], w->permits[i]);
    if (chance(2))
        fiber_yield();
    else
        (void)fiber_sleep((int64_t)chance(200));
    w->held[i]--;
    semaphore_give(s);
}

static PARKS void step_send(void)
{
    struct channel *c = &w->channels[chance(CHANNELS)];
    uintptr_t item = ++w->items;
    int r;

    cr_assert_lt(item, ITEMS_MAX);
    w->fates[item] = FATE_SENDING;
    if (chance(4) == 0)
        r = channel_try_send(c, (void *)item) ? 0 : -ETIMEDOUT;
    else
        r = channel_send(c, (void *)item, some_deadline());
    tally(r);
    if (r < 0) { /* never seen by anybody, now or later */
        cr_assert_eq(w->fates[item], FATE_SENDING);
        w->fates[item] = FATE_REFUSED;
        w->refused++;
        return;
    }
    w->sent++;
    if (w->fates[item] == FATE_SENDING) /* it may have been received meanwhile */
        w->fates[item] = FATE_SENT;
}

static PARKS void step_receive(void)
{
    struct channel *c = &w->channels[chance(CHANNELS)];
    void *got = NULL;
    int r;

    if (chance(4) == 0)
        r = channel_try_receive(c, &got) ? 0 : -ETIMEDOUT;
    else
        r = channel_receive(c, some_deadline(), &got);
    tally(r);
    if (r < 0) {
        cr_assert_null(got);
        return;
    }
    uintptr_t item = (uintptr_t)got;
    cr_assert(item > 0 && item <= w->items);
    cr_assert(w->fates[item] == FATE_SENDING || w->fates[item] == FATE_SENT);
    w->fates[item] = FATE_RECEIVED;
    w->received++;
}

static PARKS void step_latch(void)
{
    unsigned i = (unsigned)chance(LATCHES);
    int result = -12345;
    bool was_set = w->latch_set[i];
    int r = latch_wait(&w->latches[i], "stress", some_deadline(), &result);

    tally(r);
    if (r == 0) {
        cr_assert(w->latch_set[i]);
        cr_assert_eq(result, w->latch_results[i]);
    } else {
        cr_assert_eq(result, -12345);
        cr_assert(!was_set || r == -ECANCELED);
    }
}

static PARKS void step_set_latch(void)
{
    unsigned i = (unsigned)chance(LATCHES);
    int result = (int)chance(1000);

    if (chance(20))
        return; /* rarely, or all would be set after a moment */
    if (!w->latch_set[i])
        w->latch_results[i] = result;
    w->latch_set[i] = true;
    latch_set(&w->latches[i], result);
}

static PARKS void step_signal(void)
{
    if (chance(2))
        tally(fiber_signal_wait(&w->signal, "stress", some_deadline()));
    else if (chance(2))
        fiber_signal_all(&w->signal);
    else
        fiber_signal_one(&w->signal);
}

static PARKS void step_any(void)
{
    switch (chance(8)) {
    case 0:
    case 1:
        step_semaphore();
        break;
    case 2:
    case 3:
        step_send();
        break;
    case 4:
        step_receive();
        break;
    case 5:
        step_latch();
        step_set_latch();
        break;
    case 6:
        step_signal();
        break;
    default:
        tally(fiber_sleep((int64_t)chance(100)));
    }
    if (chance(3) == 0)
        step_receive();
}

static PARKS void step_under_an_ambient_deadline(void)
{
    int64_t before = fiber_deadline(), given = some_deadline();
    int64_t outer = fiber_deadline_push(given);

    cr_assert_eq(fiber_deadline(), given < before ? given : before);
    step_any();
    fiber_deadline_pop(outer);
    cr_assert_eq(fiber_deadline(), before);
}

/* Inside a shield no wait may ever say ECANCELED. */
static PARKS void step_in_a_shield(void)
{
    struct fiber_shield s = fiber_shield_begin(in_ms(5));
    int r = fiber_sleep((int64_t)chance(100));

    cr_assert_neq(r, -ECANCELED);
    fiber_shield_end(s);
}

static void count_disposal(void *object)
{
    w->ended++;
}

static unsigned steps_each = STEPS;

FIBER(living)
{
    arena_adopt(fiber_arena(), w, count_disposal);
    for (unsigned i = 0; i < steps_each; i++) {
        char *text = arena_printf(fiber_arena(), "%u", i);

        switch (chance(6)) {
        case 0:
            step_under_an_ambient_deadline();
            break;
        case 1:
            step_in_a_shield();
            break;
        default:
            step_any();
        }
        cr_assert_eq((unsigned)atoi(text), i);
        if (fiber_cancelled() && chance(3) == 0)
            return;
    }
}

static void start_one(unsigned slot)
{
    w->crowd[slot] = start("crowd", living, NULL);
    w->started++;
}

/* Cancels and joins, now and then; its joins time out more often than not. */
FIBER(being_rogue)
{
    for (unsigned i = 0; i < CROWD * 4; i++) {
        unsigned slot = (unsigned)chance(CROWD);

        fiber_cancel(w->crowd[slot]);
        w->cancelled++;
        if (chance(3) == 0 && fiber_join(w->crowd[slot], some_deadline()) == 0)
            start_one(slot);
        if (chance(2))
            fiber_sleep((int64_t)chance(400));
    }
}

static void open_world(uint64_t seed)
{
    w = MEM_NEW(struct world);
    w->random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    open_loop();
    for (unsigned i = 0; i < SEMAPHORES; i++) {
        w->permits[i] = 1 + (unsigned)chance(5);
        semaphore_init(&w->semaphores[i], w->permits[i], (unsigned)chance(2) ? 1000 : 6);
    }
    for (unsigned i = 0; i < CHANNELS; i++)
        channel_init(&w->channels[i], 1 + (size_t)chance(4));
    for (unsigned i = 0; i < CROWD; i++)
        start_one(i);
    start("rogue", being_rogue, NULL);
}

static void close_world(void)
{
    unsigned inside = 0;

    close_loop();
    cr_assert_eq(w->ended, w->started, "every fiber ended and disposed of its arena");
    for (unsigned i = 0; i < SEMAPHORES; i++) {
        cr_assert_eq(w->held[i], 0);
        cr_assert_eq(w->semaphores[i].free_count, w->permits[i], "no permit lost or made");
        cr_assert_eq(w->semaphores[i].waiting, 0);
        cr_assert_null(w->semaphores[i].waiters.head);
        cr_assert_null(w->semaphores[i].waiters.tail);
    }
    for (unsigned i = 0; i < CHANNELS; i++) {
        struct channel *c = &w->channels[i];

        inside += (unsigned)c->count;
        for (size_t k = 0; k < c->count; k++)
            cr_assert_eq(w->fates[(uintptr_t)c->slots[(c->head + k) % c->capacity]], FATE_SENT);
        channel_deinit(c);
    }
    cr_assert_eq(w->sent, w->received + inside, "every sent item is received once or inside");
    cr_assert_eq(w->items, w->sent + w->refused);
    for (unsigned i = 0; i < LATCHES; i++)
        cr_assert_null(w->latches[i].waiters.head);
    cr_assert_null(w->signal.waiters.head);
    cr_assert_gt(w->received, 0);
    cr_assert_gt(w->timeouts, 0);
    mem_free(w);
}

Test(fiber, stress__random_crowd_with_a_rogue__all_books_add_up, .timeout = 60)
{
    const char *given = getenv("SOUK_SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : 1;
    uint64_t last = given ? first : 20;

    for (uint64_t seed = first; seed <= last; seed++) {
        if (given)
            fprintf(stderr, "seed %ju\n", (uintmax_t)seed);
        open_world(seed);
        close_world();
    }
}

/* The same with fibers so short that slots, stacks and arenas are reused all the time. */
Test(fiber, stress__short_lives__all_books_add_up, .timeout = 60)
{
    steps_each = 8;
    for (uint64_t seed = 100; seed < 130; seed++) {
        open_world(seed);
        close_world();
    }
}
