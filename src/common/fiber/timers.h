#pragma once

/* The deadlines of parked fibers: a binary heap that knows each entry's place, so that the usual
 * case (armed, then taken back before it expires) costs O(log n) and no system call. */

#include "common/base/clock.h"

struct timer {
    int64_t at_us;
    unsigned place; /* in the heap, from 1; 0 = not armed */
};

struct timers {
    struct timer **heap; /* heap[1] is the nearest */
    unsigned count, capacity;
};

void timers_deinit(struct timers *t);
void timer_arm(struct timers *t, struct timer *timer, int64_t at_us); /* must not be armed */
void timer_disarm(struct timers *t, struct timer *timer);             /* not armed: nothing */
int64_t timers_next(const struct timers *t);                          /* USEC_NEVER when empty */
/* Takes out the nearest one that is due at `now_us`; NULL when none is. */
struct timer *timers_expire(struct timers *t, int64_t now_us);
