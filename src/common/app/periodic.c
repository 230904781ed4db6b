/* Periodic background fibers: each has a name, a period and a signal that makes it run now. */

#include <assert.h>

#include "common/app/metrics.h"
#include "common/app/periodic.h"
#include "common/app/service.h"
#include "common/app/work.h"
#include "common/base/crypto.h"
#include "common/base/uuid.h"
#include "common/fiber/sync.h"

#define PERIODIC_LIMIT 16

struct periodic {
    const char *name;
    int64_t period_us;
    int (*tick)(void);
    struct fiber_signal wake;
    bool nudged, nudged_by_event;
};

static struct periodic periodics[PERIODIC_LIMIT];
static size_t periodics_count;

static struct metric failures = {.name = "souk_background_failures_total",
    .help = "Runs of a background task that ended with an error.",
    .labels = "task"};

static int64_t jittered(int64_t us)
{
    uint64_t spread = (uint64_t)us / 5 + 1;
    return us - us / 10 + (int64_t)crypto_random_below(spread);
}

/* The id is not in the arena, which a tick may reset between its handfuls. */
static void run_tick(struct periodic *p)
{
    char correlation_id[UUID_TEXT_SIZE];
    uuid_make(correlation_id);
    struct work work = {.correlation_id = correlation_id};
    work_begin(&work);
    int r = p->tick();
    if (r != 0) {
        metric_add(&failures, 1, p->name);
        log_warn("background task failed", LF_TEXT("task", p->name),
            LF_TEXT("error", error_name(r)), LF_TEXT("trace", error_text()));
    }
    work_end();
    error_clear();
    arena_reset(fiber_arena());
}

static void periodic_run(void *arg)
{
    struct periodic *p = arg;
    while (!app()->draining && !fiber_cancelled()) {
        if (!p->nudged)
            (void)fiber_signal_wait(&p->wake, p->name, clock_mono_us() + jittered(p->period_us));
        if (app()->draining)
            return;
        p->nudged = false;
        run_tick(p);
    }
}

int app_every(const char *name, int64_t period_us, int (*tick)(void))
{
    assert(periodics_count < PERIODIC_LIMIT);
    struct periodic *p = &periodics[periodics_count++];
    *p = (struct periodic){.name = name, .period_us = period_us, .tick = tick};
    return fiber_spawn(app()->loop, name, periodic_run, p, NULL);
}

static void nudge(struct periodic *p)
{
    p->nudged = true;
    p->nudged_by_event = false;
    fiber_signal_all(&p->wake);
}

/* What an event's handler wrote is seen only when its batch has been committed. */
void app_nudge(const char *name)
{
    const struct work *work = work_current();
    for (size_t i = 0; i < periodics_count; i++)
        if (strcmp(periodics[i].name, name) != 0)
            continue;
        else if (work && work->event)
            periodics[i].nudged_by_event = true;
        else
            nudge(&periodics[i]);
}

void periodics_nudge_late(void)
{
    for (size_t i = 0; i < periodics_count; i++)
        if (periodics[i].nudged_by_event)
            nudge(&periodics[i]);
}

/* For draining: every sleeper looks up once. */
void periodics_wake(void)
{
    for (size_t i = 0; i < periodics_count; i++)
        fiber_signal_all(&periodics[i].wake);
}

int purge(const struct pg_statement *delete_some)
{
    struct pg_result result;
    do
        TRY(pg_query(app()->pg, delete_some, PG_NO_ARGS, &result));
    while (result.affected >= PURGE_LIMIT && !app()->draining);
    return 0;
}
