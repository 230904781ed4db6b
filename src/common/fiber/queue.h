#pragma once

/* The queue of waiters under every kind of waiting. For this room only; see sync.c. */

#include "common/fiber/sync.h"

struct fiber_waiter {
    struct fiber_waiter *next, *previous;
    struct fiber_queue *queue; /* NULL once taken out */
    struct fiber *fiber;
    void *item; /* a channel's: what to send, or what was received */
    int result; /* what the wait returns or reports, for those who need it */
};

/* Parks in `q`; 0 exactly if queue_wake() chose this waiter. */
int queue_wait(struct fiber_queue *q, struct fiber_waiter *w, const char *what, int64_t deadline_us)
    PARKS;

/* Takes out the first waiter that can still be woken, and wakes it; NULL when there is none. Until
 * the caller returns to the loop the waiter is there to be filled. */
struct fiber_waiter *queue_wake(struct fiber_queue *q);
