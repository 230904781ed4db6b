#include <stdarg.h>
#include <unistd.h>

#include "load/load.h"

/* The line on a terminal that is written over and over. Without one there is none. */

static bool shown;

void live_say(const char *fmt, ...)
{
    va_list args;
    if (!isatty(STDERR_FILENO))
        return;
    fputs("\r\033[K", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fflush(stderr);
    shown = true;
}

void live_clear(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    shown = false;
}

/* The last whole second of everything. */
static void say_now(const struct run *r)
{
    uint64_t good = 0, errors = 0;
    int64_t p99_us = 0;
    const char *slowest = "";
    for (size_t i = 0; i < r->tally.series_count; i++) {
        const struct series *s = r->tally.series[i];
        if (s->moments_count == 0)
            continue;
        const struct moment *m = &s->moments[s->moments_count - 1];
        if (series_is_visit(s)) {
            good += m->good;
            continue;
        }
        errors += m->wrong + m->lost;
        if (m->p99_us > p99_us)
            p99_us = m->p99_us, slowest = s->name;
    }
    double passed_s = (double)(clock_mono_us() - r->counted_from_us) / USEC_PER_SEC;
    if (passed_s < 0)
        live_say("warming up, %.0f s to go, %u under way", -passed_s, r->under_way);
    else
        live_say("%4.0f s  %5llu visits/s  slowest p99 %.1f ms %s  %u under way  %llu errors/s, "
                 "%llu in all, %llu shed",
            passed_s, (unsigned long long)good, (double)p99_us / 1000, slowest, r->under_way,
            (unsigned long long)errors, (unsigned long long)tally_count(&r->tally, true),
            (unsigned long long)tally_shed(&r->tally));
}

void live_show(void *run)
{
    struct run *r = run;
    while (!r->over) {
        say_now(r);
        for (int i = 0; i < 5 && !r->over; i++)
            (void)fiber_sleep(100 * USEC_PER_MS);
    }
    live_clear();
}
