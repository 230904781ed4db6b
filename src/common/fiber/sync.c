#include "common/fiber/sync.h"

#include <assert.h>
#include <errno.h>

#include "common/fiber/private.h"
#include "common/fiber/queue.h"

/* Everything here is a state and a queue of waiters; a waiter lies on the stack of the fiber that
 * waits. Whoever wakes takes the waiter out of the queue and hands over what it waited for (the
 * permit, the item, the result) in the same step, so nobody can come in between and a woken fiber
 * need not look again.
 *
 * The subtle case: a waiter whose deadline passed or that was cancelled stays in the queue until
 * its fiber runs and takes itself out. Waking it has no effect any more, and queue_wake() then goes
 * on to the next one, so that what is handed over always reaches a fiber that will learn of it.
 * Hence one rule on both sides: a wait returned 0 exactly if its waiter was taken out by a wake. */

/* ---- the queue ---- */

static void queue_add(struct fiber_queue *q, struct fiber_waiter *w)
{
    w->queue = q;
    w->previous = q->tail;
    w->next = NULL;
    if (q->tail)
        q->tail->next = w;
    else
        q->head = w;
    q->tail = w;
}

static void queue_remove(struct fiber_waiter *w)
{
    struct fiber_queue *q = w->queue;

    assert(q && (w->previous || q->head == w) && (w->next || q->tail == w));
    if (w->previous)
        w->previous->next = w->next;
    else
        q->head = w->next;
    if (w->next)
        w->next->previous = w->previous;
    else
        q->tail = w->previous;
    w->queue = NULL;
}

int queue_wait(struct fiber_queue *q, struct fiber_waiter *w, const char *what, int64_t deadline_us)
{
    w->fiber = fiber_current();
    queue_add(q, w);
    int r = fiber_park(what, deadline_us);
    assert(r != 0 || !w->queue);
    if (w->queue)
        queue_remove(w);
    return r;
}

struct fiber_waiter *queue_wake(struct fiber_queue *q)
{
    struct fiber_waiter *w;

    while ((w = q->head)) {
        queue_remove(w);
        if (fiber_wake(w->fiber, 0))
            return w;
    }
    return NULL;
}

/* ---- latch ---- */

void latch_set(struct latch *l, int result)
{
    struct fiber_waiter *w;

    if (l->is_set)
        return;
    l->is_set = true;
    l->result = result;
    while ((w = queue_wake(&l->waiters)))
        w->result = result; /* the latch may be gone when the waiter runs */
}

int latch_wait(struct latch *l, const char *what, int64_t deadline_us, int *ret_result)
{
    struct fiber_waiter w = {.result = l->result};
    int r = fiber_may_wait();

    if (r == 0 && !l->is_set)
        r = queue_wait(&l->waiters, &w, what, deadline_us);
    if (r == 0 && ret_result)
        *ret_result = w.result;
    return r;
}

/* ---- signal ---- */

void fiber_signal_all(struct fiber_signal *s)
{
    while (queue_wake(&s->waiters))
        continue;
}

void fiber_signal_one(struct fiber_signal *s)
{
    queue_wake(&s->waiters);
}

int fiber_signal_wait(struct fiber_signal *s, const char *what, int64_t deadline_us)
{
    struct fiber_waiter w = {0};

    return queue_wait(&s->waiters, &w, what, deadline_us);
}

/* ---- semaphore ---- */

void semaphore_init(struct semaphore *s, unsigned count, unsigned waiting_limit)
{
    *s = (struct semaphore){.free_count = count, .waiting_limit = waiting_limit};
}

int semaphore_take(struct semaphore *s, const char *what, int64_t deadline_us)
{
    struct fiber_waiter w = {0};
    int r = fiber_may_wait();

    if (r < 0)
        return r;
    if (s->free_count > 0) {
        s->free_count--;
        return 0;
    }
    if (s->waiting >= s->waiting_limit)
        return -EBUSY;
    s->waiting++;
    r = queue_wait(&s->waiters, &w, what, deadline_us);
    if (r < 0)
        s->waiting--;
    return r;
}

/* The permit goes straight to the first waiter, which then waits no longer. */
void semaphore_give(struct semaphore *s)
{
    if (queue_wake(&s->waiters))
        s->waiting--;
    else
        s->free_count++;
}
