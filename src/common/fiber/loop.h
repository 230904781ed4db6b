#pragma once

/* The loop: one libevent base, one state thread. Fibers run on it and nowhere else. */

#include "common/base/arena.h"
#include "common/base/clock.h"

struct event_base; /* libevent's, for the rooms that wrap a library */

struct loop;

/* Makes the process's loop (one per thread). Ends the process when libevent can't. */
struct loop *loop_new(void);
void loop_free(struct loop *l); /* NULL ok; no live fibers may remain; runs what was posted */
struct event_base *loop_base(struct loop *l);
struct loop *loop_current(void); /* the running thread's loop, or NULL */

/* Runs until loop_stop(), or until no fiber is alive when `until_idle`. */
void loop_run(struct loop *l, bool until_idle);
void loop_stop(struct loop *l); /* on the loop's thread; before loop_run() it ends that at once */

/* Calls `fn(arg)` on the loop, soon; the only function here that other threads may call (eventfd).
 */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* Monotonic time of the last tick; `GET /livez` looks at it. */
int64_t loop_last_tick_us(const struct loop *l);
/* A turn of one fiber longer than this is logged with the fiber's name (default 50 ms). */
void loop_set_slow_turn_us(struct loop *l, int64_t us);
/* How many fibers may live on it, FIBER_LIMIT unless told; not fewer than there have been. */
void loop_set_fiber_limit(struct loop *l, unsigned limit);
