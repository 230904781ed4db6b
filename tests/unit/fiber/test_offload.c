#include "common/fiber/offload.h"

#include <pthread.h>
#include <unistd.h>

#include "support.h"

static struct offload *pool;

static void open_pool(unsigned threads, unsigned queue_limit)
{
    open_loop();
    pool = offload_new(loop_current(), threads, queue_limit);
    cr_assert_not_null(pool);
}

static void close_pool(void)
{
    loop_run(loop_current(), true);
    offload_free(pool);
    close_loop();
}

/* ---- a door that jobs wait at, so that tests decide when they end ---- */

static pthread_mutex_t door_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t door_moved = PTHREAD_COND_INITIALIZER;
static bool door_open;
static unsigned at_the_door;

static void job_at_the_door(void *arg)
{
    pthread_mutex_lock(&door_lock);
    at_the_door++;
    pthread_cond_broadcast(&door_moved);
    while (!door_open)
        pthread_cond_wait(&door_moved, &door_lock);
    pthread_mutex_unlock(&door_lock);
    if (arg)
        ++*(unsigned *)arg;
}

static void await_at_the_door(unsigned n)
{
    pthread_mutex_lock(&door_lock);
    while (at_the_door < n)
        pthread_cond_wait(&door_moved, &door_lock);
    pthread_mutex_unlock(&door_lock);
}

static void open_the_door(void)
{
    pthread_mutex_lock(&door_lock);
    door_open = true;
    pthread_cond_broadcast(&door_moved);
    pthread_mutex_unlock(&door_lock);
}

/* ---- */

struct square {
    int64_t n, result;
    pthread_t thread;
};

static void job_squaring(void *arg)
{
    struct square *s = arg;

    s->result = s->n * s->n;
    s->thread = pthread_self();
}

FIBER(squaring)
{
    struct square s = {.n = 12};

    cr_assert_eq(offload_run(pool, "square", job_squaring, &s), 0);
    cr_assert_eq(s.result, 144);
    cr_assert_not(pthread_equal(s.thread, pthread_self()));
    note("done");
}

Test(fiber, offload_run__job_on_the_stack__is_done_by_another_thread)
{
    open_pool(2, 10);
    start("f", squaring, NULL);
    close_pool();
    cr_assert_journal("done");
}

static void job_nothing_of_the_loop(void *arg)
{
    *(bool *)arg = !loop_current() && !fiber_current();
}

FIBER(looking_from_a_worker)
{
    bool alone = false;

    cr_assert_eq(offload_run(pool, "look", job_nothing_of_the_loop, &alone), 0);
    cr_assert(alone);
}

Test(fiber, offload_run__on_the_worker__there_is_no_loop_and_no_fiber)
{
    open_pool(1, 10);
    start("f", looking_from_a_worker, NULL);
    close_pool();
}

FIBER(offloading_to_the_door)
{
    int r = offload_run(pool, "door", job_at_the_door, arg);

    note("%s", outcome(r));
}

FIBER(running_meanwhile)
{
    await_at_the_door(1);
    for (int i = 0; i < 3; i++)
        fiber_yield();
    note("meanwhile");
    open_the_door();
}

Test(fiber, offload_run__job_takes_long__other_fibers_run)
{
    open_pool(1, 10);
    start("job", offloading_to_the_door, NULL);
    start("other", running_meanwhile, NULL);
    close_pool();
    cr_assert_journal("meanwhile 0");
}

FIBER(saturating)
{
    unsigned *done = arg;

    for (int i = 0; i < 2; i++)
        start("running", offloading_to_the_door, NULL);
    fiber_yield();
    await_at_the_door(2); /* both workers are busy */
    cr_assert_eq(offload_queued(pool), 0);
    for (int i = 0; i < 3; i++)
        start("queued", offloading_to_the_door, NULL);
    fiber_yield();
    cr_assert_eq(offload_queued(pool), 3);
    cr_assert_eq(offload_run(pool, "too much", job_at_the_door, done), -EBUSY);
    cr_assert_eq(offload_queued(pool), 3);
    open_the_door();
}

Test(fiber, offload_run__queue_full__is_busy_at_once)
{
    unsigned refused_done = 0;

    open_pool(2, 3);
    start("f", saturating, &refused_done);
    close_pool();
    cr_assert_eq(refused_done, 0);
    cr_assert_journal("0 0 0 0 0");
}

FIBER(cancelling_an_accepted_job)
{
    unsigned done = 0;
    struct fiber *f = start("job", offloading_to_the_door, &done);

    fiber_yield();
    await_at_the_door(1);
    fiber_cancel(f);
    fiber_yield();
    note("parked");
    open_the_door();
    cr_assert_eq(fiber_join(f, USEC_NEVER), 0);
    cr_assert_eq(done, 1);
}

Test(fiber, offload_run__cancelled_after_acceptance__waits_for_the_job)
{
    open_pool(1, 3);
    start("f", cancelling_an_accepted_job, NULL);
    close_pool();
    cr_assert_journal("parked 0");
}

FIBER(offloading_under_a_deadline)
{
    int64_t outer = fiber_deadline_push(in_ms(20));

    note("%s", outcome(offload_run(pool, "door", job_at_the_door, NULL)));
    note("%s", outcome(fiber_sleep(1 * MS)));
    fiber_deadline_pop(outer);
}

FIBER(opening_late)
{
    fiber_sleep(40 * MS);
    note("open");
    open_the_door();
}

Test(fiber, offload_run__deadline_passes_after_acceptance__waits_for_the_job)
{
    open_pool(1, 3);
    start("job", offloading_under_a_deadline, NULL);
    start("opener", opening_late, NULL);
    close_pool();
    cr_assert_journal("open 0 ETIMEDOUT");
}

static void job_forbidden(void *arg)
{
    *(bool *)arg = true;
}

FIBER(offloading_when_it_may_not_wait)
{
    bool ran = false;
    int64_t outer = fiber_deadline_push(0);

    cr_assert_eq(offload_run(pool, "job", job_forbidden, &ran), -ETIMEDOUT);
    fiber_deadline_pop(outer);
    fiber_cancel(fiber_current());
    cr_assert_eq(offload_run(pool, "job", job_forbidden, &ran), -ECANCELED);
    cr_assert_not(ran);
    struct fiber_shield s = fiber_shield_begin(in_ms(1000));
    cr_assert_eq(offload_run(pool, "job", job_forbidden, &ran), 0);
    fiber_shield_end(s);
    cr_assert(ran);
}

Test(fiber, offload_run__cancelled_or_late_before__does_not_start_the_job)
{
    open_pool(1, 3);
    start("f", offloading_when_it_may_not_wait, NULL);
    close_pool();
}

FIBER(offloading_often)
{
    unsigned *done = arg;

    for (int64_t i = 0; i < 50; i++) {
        struct square s = {.n = i};
        int r = offload_run(pool, "square", job_squaring, &s);

        if (r == -EBUSY) {
            fiber_sleep(1 * MS);
            i--;
            continue;
        }
        cr_assert_eq(r, 0);
        cr_assert_eq(s.result, i * i);
        ++*done;
    }
}

Test(fiber, offload_run__forty_fibers_on_a_small_pool__all_results_are_right)
{
    unsigned done = 0;

    open_pool(3, 8);
    for (int i = 0; i < 40; i++)
        start("f", offloading_often, &done);
    close_pool();
    cr_assert_eq(done, 40 * 50);
}

static int order[8];
static unsigned order_count;

static void job_recording(void *arg)
{
    order[order_count++] = *(int *)arg; /* one worker: no race */
}

FIBER(offloading_its_number)
{
    int mine = *(int *)arg;

    cr_assert_eq(offload_run(pool, "record", job_recording, &mine), 0);
}

Test(fiber, offload_run__one_worker__does_jobs_in_order)
{
    int numbers[8];

    open_pool(1, 10);
    for (int i = 0; i < 8; i++) {
        numbers[i] = i;
        start("f", offloading_its_number, &numbers[i]);
    }
    close_pool();
    cr_assert_eq(order_count, 8);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(order[i], i);
}

Test(fiber, offload_free__jobs_queued__finishes_them)
{
    unsigned done = 0;

    open_pool(1, 10);
    for (int i = 0; i < 5; i++)
        start("f", offloading_to_the_door, &done);
    loop_post(loop_current(), (void (*)(void *))loop_stop, loop_current());
    loop_run(loop_current(), false); /* one round: the jobs are accepted */
    open_the_door();
    offload_free(pool);
    cr_assert_eq(done, 5);
    close_loop(); /* the fibers learn of it now */
    cr_assert_journal("0 0 0 0 0");
}

Test(fiber, offload_free__null_or_unused__is_fine)
{
    offload_free(NULL);
    open_pool(4, 1);
    close_pool();
}

static void job_asking_for_signals(void *arg)
{
    sigset_t blocked;

    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    *(bool *)arg = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGINT) == 1;
}

FIBER(asking_for_signals)
{
    bool blocked = false;
    sigset_t mine;

    cr_assert_eq(offload_run(pool, "signals", job_asking_for_signals, &blocked), 0);
    cr_assert(blocked);
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    cr_assert_eq(sigismember(&mine, SIGTERM), 0);
}

Test(fiber, offload_new__workers__leave_signals_to_the_loop)
{
    open_pool(1, 1);
    start("f", asking_for_signals, NULL);
    close_pool();
}
