/* When shoppers do what they do.
 *
 * Open loop: the schedule says when each visit is due, whatever became of the earlier ones, as with
 * people who do not know of each other. A visit that can't begin when it is due, because this
 * process was late or no shopper was free, is charged for it: its steps count from when they were
 * due (no coordinated omission).
 *
 * Closed loop: each user makes one visit after the other, so a slow shop is asked less. Read its
 * times as service times.
 *
 * What was due in the warm-up is not counted. At the end everything under way is answered first; a
 * signal ends the visits early, a second one also that waiting. */

#include <math.h>
#include <sys/resource.h>

#include "common/base/mem.h"
#include "load/load.h"
#include "load/watch.h"

#define SLICE_US (100 * USEC_PER_MS) /* how soon a signal is seen */

volatile sig_atomic_t run_asked_to_end;

static double own_cpu_s(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / USEC_PER_SEC;
}

double run_seconds(const struct run *r)
{
    return (double)(r->counted_to_us - r->counted_from_us) / USEC_PER_SEC;
}

/* ---- what counts ---- */

/* Once a second: the series' present second ends, the shop's processes are looked at. */
static void tick(void *arg)
{
    struct run *r = arg;
    for (int64_t n = 1; !r->over; n++) {
        int64_t wait_us = r->counted_from_us + n * USEC_PER_SEC - clock_mono_us();
        while (wait_us > 0 && !r->over) {
            (void)fiber_sleep(wait_us < SLICE_US ? wait_us : SLICE_US);
            wait_us = r->counted_from_us + n * USEC_PER_SEC - clock_mono_us();
        }
        if (r->over)
            break;
        tally_tick(&r->tally);
    }
    r->helpers--;
}

static void look(void *arg)
{
    struct run *r = arg;
    while (!r->over) {
        for (int i = 0; i < 10 && !r->over; i++)
            (void)fiber_sleep(SLICE_US);
        watch_look(r->watch);
        arena_reset(fiber_arena());
    }
    r->helpers--;
}

void run_count_begin(struct run *r, int64_t from_us)
{
    if (r->watch)
        watch_look(r->watch);
    r->counted_from_us = from_us;
    r->begun_wall_us = clock_wall_us();
    r->own_cpu_s = own_cpu_s();
    r->helpers += fiber_spawn(r->loop, "tick", tick, r, NULL) == 0;
    if (r->watch)
        r->helpers += fiber_spawn(r->loop, "look", look, r, NULL) == 0;
}

void run_count_end(struct run *r)
{
    r->counted_to_us = clock_mono_us();
    r->own_cpu_s = own_cpu_s() - r->own_cpu_s;
    r->over = true;
    while (r->helpers > 0)
        (void)fiber_sleep(10 * USEC_PER_MS);
    tally_tick(&r->tally);
}

/* ---- open loop ---- */

struct due {
    struct run *run;
    const struct scenario *scenario;
    int64_t due_us;
};

static void visit_when_free(void *arg)
{
    struct due d = *(struct due *)arg;
    struct run *r = d.run;
    void *shopper;
    mem_free(arg);
    if (!channel_try_receive(&r->idle, &shopper)) {
        r->waited++;
        if (channel_receive(&r->idle, USEC_NEVER, &shopper) != 0) {
            r->under_way--;
            return;
        }
    }
    struct visit v = {
        .run = r, .shopper = shopper, .due_us = d.due_us, .late_us = clock_mono_us() - d.due_us};
    scenario_visit(d.scenario, &v);
    (void)channel_send(&r->idle, shopper, USEC_NEVER);
    r->under_way--;
}

static void visit_begin(struct run *r, int64_t due_us)
{
    struct due *d = MEM_NEW(struct due);
    *d = (struct due){r, scenario_choose(r->o, &r->chance), due_us};
    r->started++;
    r->under_way++;
    if (fiber_spawn(r->loop, "visit", visit_when_free, d, NULL) == 0)
        return;
    r->under_way--;
    tally_answer(&r->tally, tally_series(&r->tally, "unmade"), ANSWER_LOST, "too many under way",
        SPAN(""), 0);
    mem_free(d);
}

/* False: the run is to end. */
static PARKS bool wait_until_due(int64_t due_us)
{
    for (;;) {
        int64_t wait_us = due_us - clock_mono_us();
        if (run_asked_to_end)
            return false;
        if (wait_us <= 0)
            return true;
        (void)fiber_sleep(wait_us < SLICE_US ? wait_us : SLICE_US);
    }
}

static PARKS void keep_the_schedule(struct run *r)
{
    double n = 0;
    bool counting = false;
    for (uint64_t since_yield = 0;; since_yield++) {
        if (r->o->poisson)
            n += -log(1 - chance_part(&r->chance));
        int64_t due_us = schedule_due(&r->o->schedule, n);
        if (due_us < 0 || !wait_until_due(r->begun_us + due_us))
            break;
        if (!counting && due_us >= r->o->warmup_us) {
            run_count_begin(r, r->begun_us + r->o->warmup_us);
            counting = true;
        }
        visit_begin(r, r->begun_us + due_us);
        if (!r->o->poisson)
            n += 1;
        if (since_yield % 16 == 15) /* when we are behind, others have to run all the same */
            fiber_yield();
    }
    (void)wait_until_due(r->begun_us + schedule_length(&r->o->schedule));
    if (!counting) /* nothing was due after the warm-up */
        run_count_begin(r, clock_mono_us());
}

/* ---- closed loop ---- */

struct user {
    struct run *run;
    struct shopper *shopper;
    struct chance chance;
};

static void use(void *arg)
{
    struct user *u = arg;
    struct run *r = u->run;
    while (!run_asked_to_end && clock_mono_us() < r->closing_us) {
        struct visit v = {.run = r, .shopper = u->shopper, .due_us = clock_mono_us()};
        r->started++;
        scenario_visit(scenario_choose(r->o, &u->chance), &v);
        arena_reset(fiber_arena());
        if (v.failed) /* a shop that refuses at once is not asked without a pause */
            (void)fiber_sleep(10 * USEC_PER_MS);
        if (r->o->think_us > 0)
            (void)fiber_sleep((int64_t)(chance_part(&u->chance) * 2 * (double)r->o->think_us));
    }
    r->under_way--;
}

static PARKS void keep_users(struct run *r)
{
    size_t count = r->shop.shoppers_count;
    struct user *users = arena_array(fiber_arena(), count, sizeof(*users));
    r->closing_us = r->begun_us + r->o->warmup_us + r->o->duration_us;
    for (size_t i = 0; i < count; i++) {
        users[i] = (struct user){r, &r->shop.shoppers[i], {chance_next(&r->chance)}};
        r->under_way += fiber_spawn(r->loop, "user", use, &users[i], NULL) == 0;
    }
    (void)wait_until_due(r->begun_us + r->o->warmup_us);
    run_count_begin(r, r->begun_us + r->o->warmup_us);
    (void)wait_until_due(r->closing_us);
    while (r->under_way > 0 && run_asked_to_end < 2)
        (void)fiber_sleep(5 * USEC_PER_MS);
}

/* ---- both ---- */

void run_drive(struct run *r)
{
    r->begun_us = clock_mono_us();
    if (r->o->scenario->drive) {
        r->o->scenario->drive(r);
        r->interrupted = run_asked_to_end > 0;
        return;
    }
    r->counted_from_us = r->begun_us + r->o->warmup_us;
    channel_init(&r->idle, r->shop.shoppers_count);
    for (size_t i = 0; i < r->shop.shoppers_count; i++)
        (void)channel_try_send(&r->idle, &r->shop.shoppers[i]);
    if (r->o->open_loop)
        keep_the_schedule(r);
    else
        keep_users(r);
    r->interrupted = run_asked_to_end > 0;
    while (r->under_way > 0 && run_asked_to_end < 2)
        (void)fiber_sleep(5 * USEC_PER_MS);
    run_count_end(r);
}
