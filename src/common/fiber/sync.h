#pragma once

/* What fibers wait on. All are embedded in their owner's struct, initialised in place, used on the
 * loop thread only. Waiters are woken in order of arrival. */

#include "common/fiber/fiber.h"

struct fiber_waiter; /* lives on the waiting fiber's stack */

struct fiber_queue {
    struct fiber_waiter *head, *tail;
};

/* Latch: set once with a result; every present and later wait returns at once. */
struct latch {
    bool is_set;
    int result;
    struct fiber_queue waiters;
};
#define LATCH_INIT ((struct latch){0})
void latch_set(struct latch *l, int result); /* first set wins */
/* 0 with `*ret_result` (NULL ok) once set; -ETIMEDOUT, -ECANCELED. */
int latch_wait(struct latch *l, const char *what, int64_t deadline_us, int *ret_result) PARKS;

/* Signal: wakes all present waiters, remembers nothing. For "state changed, look again" loops. */
struct fiber_signal {
    struct fiber_queue waiters;
};
void fiber_signal_all(struct fiber_signal *s);
void fiber_signal_one(struct fiber_signal *s);
int fiber_signal_wait(struct fiber_signal *s, const char *what, int64_t deadline_us) PARKS;

/* Semaphore: a bounded count (pool slots, in-flight limits), first come first served. */
struct semaphore {
    unsigned free_count, waiting, waiting_limit;
    struct fiber_queue waiters;
};
void semaphore_init(struct semaphore *s, unsigned count, unsigned waiting_limit);
/* 0 = taken; -EBUSY when `waiting_limit` fibers already wait; -ETIMEDOUT; -ECANCELED. */
int semaphore_take(struct semaphore *s, const char *what, int64_t deadline_us) PARKS;
void semaphore_give(struct semaphore *s);

/* Channel: a bounded FIFO of pointers. */
struct channel {
    void **slots;
    size_t capacity, head, count;
    bool closed;
    struct fiber_queue readers, writers;
};
void channel_init(struct channel *c, size_t capacity);
void channel_deinit(struct channel *c);
bool channel_try_send(struct channel *c, void *item); /* false when full or closed */
int channel_send(struct channel *c, void *item, int64_t deadline_us) PARKS; /* -EPIPE when closed */
bool channel_try_receive(struct channel *c, void **ret_item);
int channel_receive(struct channel *c, int64_t deadline_us, void **ret_item)
    PARKS; /* -EPIPE: closed, empty */
void channel_close(struct channel *c);
