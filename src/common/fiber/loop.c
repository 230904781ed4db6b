#include "common/fiber/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/pages.h"
#include "common/fiber/private.h"

/* A round of the loop: run the fibers that can run, then let libevent wait for the world once, then
 * wake the fibers whose deadline has passed. Fibers run between libevent's rounds, not inside of an
 * event callback, so a callback's stack is never below a fiber's turn and a busy set of fibers
 * cannot keep libevent from polling (a callback that re-activates its own event would).
 *
 * All deadlines share one timerfd, the alarm (libevent's own timers go by a clock that ticks every
 * 4 ms). It is only ever moved nearer: when the wait it was set for has ended early, it rings once
 * in vain and is set again for the next one. Waits with a deadline of seconds that end in
 * microseconds thus cost no system call at all.
 *
 * Other threads hand over functions through a list under a mutex, and an eventfd that is written
 * only when the list was empty. */

#define QUIET_TURNS 50 /* a second; services that nobody asks anything have some 20 */
#define TRIM_TICKS  30 /* of a loop that is never quiet */

struct post {
    struct post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    struct event_base *base;
    struct event *tick, *alarm, *posted;
    int64_t last_tick_us;
    uint64_t last_tick_turns;
    unsigned busy_ticks; /* in a row */
    int64_t alarm_us;    /* when the alarm rings; USEC_NEVER: not set */
    bool running, stopping;
    struct scheduler scheduler;

    int alarm_fd, posted_fd;
    pthread_mutex_t posts_lock;
    struct post *posts, **posts_end; /* guarded by posts_lock */
};

static _Thread_local struct loop *thread_loop;

/* For tools/gdb/souk-fibers.py: thread-local variables are out of its reach in a core file. */
struct loop *souk_last_loop __attribute__((visibility("hidden"), used));

static void loop_require(bool fine, const char *what)
{
    if (fine)
        return;
    log_error("no loop without it", LF_TEXT("what", what), LF_TEXT("error", strerror(errno)));
    abort();
}

/* What the work needed is given back in the first quiet second after a busy one. Where none is
 * quiet, the heap's free pages are now and then: a peak of work does not stay. */
static void loop_rest(struct loop *l)
{
    bool quiet = l->scheduler.turns - l->last_tick_turns < QUIET_TURNS;

    l->last_tick_turns = l->scheduler.turns;
    scheduler_rest(&l->scheduler);
    if (quiet && l->busy_ticks)
        pages_rest();
    l->busy_ticks = quiet ? 0 : l->busy_ticks + 1;
    if (l->busy_ticks && l->busy_ticks % TRIM_TICKS == 0)
        mem_trim();
}

static void loop_on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;

    l->last_tick_us = clock_mono_us();
    loop_rest(l);
}

static void loop_on_alarm(evutil_socket_t fd, short what, void *arg)
{
    struct loop *l = arg;
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0) /* moved since libevent saw it ring */
        return;
    l->alarm_us = USEC_NEVER;
}

/* ---- messages from other threads ---- */

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
    struct post *p = MEM_NEW(struct post);

    p->fn = fn;
    p->arg = arg;
    pthread_mutex_lock(&l->posts_lock);
    bool was_empty = !l->posts;
    *l->posts_end = p;
    l->posts_end = &p->next;
    if (was_empty) { /* under the lock: afterwards the loop may be gone */
        ssize_t n = write(l->posted_fd, &(uint64_t){1}, sizeof(uint64_t));
        assert(n == sizeof(uint64_t));
        (void)n;
    }
    pthread_mutex_unlock(&l->posts_lock);
}

static void loop_run_posts(struct loop *l)
{
    uint64_t count;

    pthread_mutex_lock(&l->posts_lock);
    struct post *p = l->posts;
    l->posts = NULL;
    l->posts_end = &l->posts;
    if (p) {
        ssize_t n = read(l->posted_fd, &count, sizeof count);
        assert(n == sizeof count);
        (void)n;
    }
    pthread_mutex_unlock(&l->posts_lock);
    while (p) {
        struct post *next = p->next;

        p->fn(p->arg);
        mem_free(p);
        p = next;
    }
}

static void loop_on_posted(evutil_socket_t fd, short what, void *arg)
{
    loop_run_posts(arg);
}

/* ---- life ---- */

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();

    loop_require(config, "event_config_new");
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* one thread; others use loop_post */
    event_config_set_flag(
        config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST); /* nobody dup()s a socket */
    struct event_base *base = event_base_new_with_config(config);
    loop_require(base, "event_base_new");
    event_config_free(config);
    return base;
}

static struct event *event_require(
    struct loop *l, int fd, short events, event_callback_fn fn, const char *what)
{
    struct event *e = event_new(l->base, fd, events, fn, l);

    loop_require(e, what);
    return e;
}

struct loop *loop_new(void)
{
    assert(!thread_loop && "one loop for each thread");
    struct loop *l = MEM_NEW(struct loop);

    l->base = base_new();
    l->last_tick_us = clock_mono_us();
    l->alarm_us = USEC_NEVER;
    l->posts_end = &l->posts;
    pthread_mutex_init(&l->posts_lock, NULL);
    l->posted_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop_require(l->posted_fd >= 0, "eventfd");
    l->posted = event_require(l, l->posted_fd, EV_READ | EV_PERSIST, loop_on_posted, "posted");
    l->alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    loop_require(l->alarm_fd >= 0, "timerfd");
    l->alarm = event_require(l, l->alarm_fd, EV_READ | EV_PERSIST, loop_on_alarm, "alarm");
    l->tick = event_require(l, -1, EV_PERSIST, loop_on_tick, "tick");
    loop_require(event_add(l->posted, NULL) == 0, "posted");
    loop_require(event_add(l->alarm, NULL) == 0, "alarm");
    loop_require(event_add(l->tick, &(struct timeval){.tv_sec = 1}) == 0, "tick");
    scheduler_init(&l->scheduler);
    thread_loop = souk_last_loop = l;
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    assert(l == thread_loop && !l->running);
    loop_run_posts(l); /* each was promised to run, and may own memory */
    scheduler_deinit(&l->scheduler);
    event_free(l->tick);
    event_free(l->alarm);
    event_free(l->posted);
    close(l->alarm_fd);
    close(l->posted_fd);
    pthread_mutex_destroy(&l->posts_lock);
    event_base_free(l->base);
    mem_free(l);
    thread_loop = souk_last_loop = NULL;
}

struct event_base *loop_base(struct loop *l)
{
    return l->base;
}

struct loop *loop_current(void)
{
    return thread_loop;
}

struct scheduler *loop_scheduler(struct loop *l)
{
    return &l->scheduler;
}

const struct scheduler *loop_scheduler_const(const struct loop *l)
{
    return &l->scheduler;
}

int64_t loop_last_tick_us(const struct loop *l)
{
    return l->last_tick_us;
}

void loop_set_slow_turn_us(struct loop *l, int64_t us)
{
    l->scheduler.slow_turn_us = us;
}

void loop_set_fiber_limit(struct loop *l, unsigned limit)
{
    scheduler_limit(&l->scheduler, limit);
}

/* ---- rounds ---- */

static void loop_set_alarm(struct loop *l)
{
    int64_t next_us = timers_next(&l->scheduler.timers);

    if (next_us >= l->alarm_us)
        return;
    struct itimerspec at = {
        .it_value = {.tv_sec = next_us / USEC_PER_SEC, .tv_nsec = next_us % USEC_PER_SEC * 1000},
    };
    timerfd_settime(l->alarm_fd, TFD_TIMER_ABSTIME, &at, NULL);
    l->alarm_us = next_us;
}

static bool loop_ends(const struct loop *l, bool until_idle)
{
    return l->stopping || (until_idle && l->scheduler.live == 0);
}

void loop_run(struct loop *l, bool until_idle)
{
    assert(l == thread_loop && !l->running && !l->scheduler.running);
    l->running = true;
    while (!loop_ends(l, until_idle)) {
        scheduler_run(&l->scheduler);
        if (loop_ends(l, until_idle))
            break;
        loop_set_alarm(l);
        event_base_loop(l->base, EVLOOP_ONCE | (l->scheduler.run_head ? EVLOOP_NONBLOCK : 0));
        scheduler_expire(&l->scheduler);
    }
    l->running = false;
    l->stopping = false;
}

void loop_stop(struct loop *l)
{
    assert(l == thread_loop);
    l->stopping = true;
}
