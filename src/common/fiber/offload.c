#include "common/fiber/offload.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/fiber/private.h"
#include "common/fiber/sync.h"

/* Jobs lie on the stacks of the fibers that wait for them, linked into one queue under a mutex. A
 * worker runs a job and posts it to the loop, which sets its latch. Once a job is in the queue its
 * fiber waits behind a shield without a deadline, because the worker writes to that fiber's stack:
 * going away earlier would be a use after return. */

struct job {
    struct job *next;
    void (*fn)(void *arg);
    void *arg;
    struct latch done;
};

struct offload {
    struct loop *loop;
    unsigned thread_count, queue_limit;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct job *head, **end; /* guarded by lock, as the next two */
    bool ending;
    _Atomic unsigned queued; /* written under lock, read freely */
    pthread_t threads[];
};

static void job_done(void *arg)
{
    struct job *j = arg;

    latch_set(&j->done, 0);
}

/* NULL: the queue is empty and the pool ends. */
static struct job *offload_take(struct offload *o)
{
    struct job *j;

    pthread_mutex_lock(&o->lock);
    while (!o->head && !o->ending)
        pthread_cond_wait(&o->more, &o->lock);
    j = o->head;
    if (j) {
        o->head = j->next;
        if (!o->head)
            o->end = &o->head;
        o->queued--;
    }
    pthread_mutex_unlock(&o->lock);
    return j;
}

static void *offload_work(void *arg)
{
    struct offload *o = arg;
    struct job *j;

    while ((j = offload_take(o))) {
        j->fn(j->arg);
        loop_post(o->loop, job_done, j);
    }
    return NULL;
}

struct offload *offload_new(struct loop *l, unsigned threads, unsigned queue_limit)
{
    assert(threads > 0 && queue_limit > 0);
    struct offload *o = mem_alloc(sizeof *o + threads * sizeof(pthread_t));
    sigset_t all, before;

    o->loop = l;
    o->queue_limit = queue_limit;
    o->end = &o->head;
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->more, NULL);
    sigfillset(&all); /* signals are the loop thread's business */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned i = 0; i < threads; i++) {
        int r = pthread_create(&o->threads[i], NULL, offload_work, o);
        if (r != 0 && i == 0) {
            log_error("no thread for the offload pool", LF_TEXT("error", error_name(-r)));
            abort();
        }
        if (r != 0)
            break;
        pthread_setname_np(o->threads[i], "offload");
        o->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return o;
}

void offload_free(struct offload *o)
{
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    o->ending = true;
    pthread_cond_broadcast(&o->more);
    pthread_mutex_unlock(&o->lock);
    for (unsigned i = 0; i < o->thread_count; i++)
        pthread_join(o->threads[i], NULL);
    assert(!o->head);
    pthread_cond_destroy(&o->more);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
}

static bool offload_accept(struct offload *o, struct job *j)
{
    bool accepted;

    pthread_mutex_lock(&o->lock);
    accepted = !o->ending && o->queued < o->queue_limit;
    if (accepted) {
        *o->end = j;
        o->end = &j->next;
        o->queued++;
        pthread_cond_signal(&o->more);
    }
    pthread_mutex_unlock(&o->lock);
    return accepted;
}

int offload_run(struct offload *o, const char *name, void (*fn)(void *arg), void *arg)
{
    struct job j = {.fn = fn, .arg = arg};
    int r = fiber_may_wait();

    if (r < 0)
        return r;
    if (fiber_deadline() <= clock_mono_us())
        return -ETIMEDOUT;
    if (!offload_accept(o, &j))
        return -EBUSY;
    struct fiber_shield shield = fiber_shield_begin(USEC_NEVER);
    r = latch_wait(&j.done, name, USEC_NEVER, NULL);
    fiber_shield_end(shield);
    assert(r == 0);
    return 0;
}

unsigned offload_queued(const struct offload *o)
{
    return o->queued;
}
