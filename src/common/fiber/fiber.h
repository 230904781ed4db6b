#pragma once

/* Fibers: stackful, cooperative, never change thread. Everything that waits is written top to
 * bottom and parks. Each fiber has a name, an arena (gone at its end), an error trace, a log
 * context and an ambient deadline that bounds every wait it makes.
 *
 * The rules of waiting, everywhere in the tree:
 *  - returns 0 when what was waited for has happened, also before the wait began (so a deadline of
 *    0 only asks);
 *  - -ETIMEDOUT when the given or the ambient deadline passes first;
 *  - -ECANCELED when the fiber was cancelled; from then on every further wait fails so at once,
 *    except inside fiber_shield_begin/end (compensations, rollbacks);
 *  - a parked fiber is never freed, only cancelled and unwound;
 *  - errno and OpenSSL's error queue do not survive a park. */

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/fiber/loop.h"

struct fiber;

typedef void (*fiber_fn)(void *arg);

#define FIBER_LIMIT     1024  /* live fibers on a loop; then -EBUSY */
#define FIBER_LIMIT_MAX 16384 /* what loop_set_fiber_limit() can make of it */

/* Starts `fn(arg)` as a new fiber; it first runs in a later turn. `name` is copied (31 bytes).
 * 0, or -EBUSY at the limit, -ENOMEM when no stack can be mapped. The fiber ends when fn returns.
 * `ret_fiber` (NULL ok) is a handle to join or to forget. It owns nothing, and it is safe to use
 * after the fiber's end: waking or cancelling does nothing then, joining succeeds at once. */
int fiber_spawn(struct loop *l, const char *name, fiber_fn fn, void *arg, struct fiber **ret_fiber);

struct fiber *fiber_current(void); /* NULL outside of a fiber */
const char *fiber_name(const struct fiber *f);
uint64_t fiber_id(const struct fiber *f);
struct arena *fiber_arena(void);    /* the running fiber's; must be in a fiber */
void fiber_cancel(struct fiber *f); /* its present and later waits return -ECANCELED; idempotent */
bool fiber_cancelled(void);         /* also inside a shield, where it does not reach the waits */
/* -ECANCELED when the running fiber may not wait any more: the first line of every wait, so that a
 * cancelled fiber also stops where it would not have had to park. 0 inside a shield. */
int fiber_may_wait(void);
/* Waits for another fiber's end (at once when it has ended already); only one joiner. */
int fiber_join(struct fiber *f, int64_t deadline_us) PARKS;
unsigned fiber_live(const struct loop *l);

/* The ambient deadline (monotonic µs, USEC_NEVER = none). Scoped use:
 *     int64_t outer = fiber_deadline_push(clock_mono_us() + 500 * USEC_PER_MS);
 *     ...; fiber_deadline_pop(outer);
 * The nearer one counts. */
int64_t fiber_deadline(void);
int64_t fiber_deadline_push(int64_t deadline_us); /* returns the outer; sets min(outer, given) */
void fiber_deadline_pop(int64_t outer);

/* Between begin and end cancellation and the outer ambient deadline do not reach the waits;
 * `deadline_us` bounds them instead. For undoing work that must be undone. Nests. */
struct fiber_shield {
    int64_t outer_deadline_us;
};
struct fiber_shield fiber_shield_begin(int64_t deadline_us);
void fiber_shield_end(struct fiber_shield s);

void fiber_yield(void) PARKS;               /* lets the others run once; never fails */
int fiber_sleep(int64_t duration_us) PARKS; /* 0; -ETIMEDOUT: the ambient one; -ECANCELED */

/* The primitive under everything else. fiber_park() returns what the first of these brings: the
 * `result` of a fiber_wake(), the deadline, a cancellation. A wake of a fiber that is not parked
 * (or is woken already, or has ended) does nothing, returns false and is not remembered; latches
 * remember, so use latches in other rooms. */
int fiber_park(const char *what, int64_t deadline_us) PARKS;
bool fiber_wake(struct fiber *f, int result);

/* A debug list of all fibers: name, id, what it waits for, for how long (µs). */
struct fiber_info {
    const char *name;
    uint64_t id;
    const char *waits_for; /* NULL: runnable */
    int64_t waited_us;
    uint64_t switches;
};
size_t fiber_list(const struct loop *l, struct fiber_info *infos, size_t capacity);

/* Objects belonging to the fiber's work, e.g. the current request; one slot, inherited by nobody.
 */
void fiber_set_local(void *pointer);
void *fiber_local(void);

/* Marks that the fiber holds something that must not be held across a remote call (a database
 * connection): remote calls assert fiber_holds() == 0. */
void fiber_hold(int delta);
int fiber_holds(void);
