#include "common/fiber/loop.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "support.h"

/* ---- life ---- */

Test(fiber, loop_new__fresh__is_the_threads_loop)
{
    cr_assert_null(loop_current());
    struct loop *l = loop_new();
    cr_assert_not_null(l);
    cr_assert_eq(loop_current(), l);
    cr_assert_not_null(loop_base(l));
    cr_assert_eq(fiber_live(l), 0);
    loop_free(l);
    cr_assert_null(loop_current());
}

Test(fiber, loop_free__null__is_fine)
{
    loop_free(NULL);
}

Test(fiber, loop_new__second_in_a_thread__is_refused_loudly, .signal = SIGABRT)
{
    loop_new();
    loop_new();
}

FIBER(parking_for_good)
{
    fiber_park("nothing", USEC_NEVER);
}

Test(fiber, loop_free__with_a_live_fiber__is_refused_loudly, .signal = SIGABRT)
{
    struct loop *l = loop_new();

    start("f", parking_for_good, NULL);
    loop_free(l);
}

Test(fiber, loop_new__after_free__works_again)
{
    for (int i = 0; i < 20; i++)
        loop_free(loop_new());
}

static void *run_a_loop_of_its_own(void *arg)
{
    const struct loop *other = arg;

    cr_assert_null(loop_current());
    struct loop *l = loop_new();
    cr_assert_neq(l, other);
    loop_free(l);
    return NULL;
}

Test(fiber, loop_new__in_two_threads__are_two)
{
    struct loop *l = loop_new();
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, run_a_loop_of_its_own, l), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(loop_current(), l);
    loop_free(l);
}

/* ---- run and stop ---- */

Test(fiber, loop_run__until_idle_without_fibers__returns_at_once)
{
    struct loop *l = loop_new();

    loop_run(l, true);
    loop_free(l);
}

FIBER(ending_at_once)
{
    note("ran");
}

Test(fiber, loop_run__until_idle__returns_when_the_last_fiber_has_ended)
{
    struct loop *l = loop_new();

    start("a", ending_at_once, NULL);
    start("b", ending_at_once, NULL);
    loop_run(l, true);
    cr_assert_journal("ran ran");
    loop_free(l);
}

FIBER(sleeping_and_stopping)
{
    fiber_sleep(2 * MS);
    note("stop");
    loop_stop(loop_current());
}

Test(fiber, loop_run__not_until_idle__goes_on_until_stopped)
{
    struct loop *l = loop_new();

    start("a", ending_at_once, NULL);
    start("b", sleeping_and_stopping, NULL);
    loop_run(l, false);
    cr_assert_journal("ran stop");
    loop_free(l);
}

static void stop_from_a_callback(void *arg)
{
    note("callback");
    loop_stop(arg);
}

Test(fiber, loop_stop__from_a_callback__ends_the_run_without_any_fiber)
{
    struct loop *l = loop_new();

    loop_post(l, stop_from_a_callback, l);
    loop_run(l, false);
    cr_assert_journal("callback");
    loop_free(l);
}

Test(fiber, loop_stop__before_run__ends_it_at_once_and_only_once)
{
    struct loop *l = loop_new();

    start("a", ending_at_once, NULL);
    loop_stop(l);
    loop_run(l, false);
    cr_assert_journal("");
    loop_run(l, true);
    cr_assert_journal("ran");
    loop_free(l);
}

FIBER(stopping_with_others_parked)
{
    loop_stop(loop_current());
}

Test(fiber, loop_stop__fibers_parked__they_go_on_in_the_next_run)
{
    struct loop *l = loop_new();
    struct fiber *f = start("p", parking_for_good, NULL);

    start("s", stopping_with_others_parked, NULL);
    loop_run(l, false);
    cr_assert_eq(fiber_live(l), 1);
    fiber_cancel(f);
    loop_run(l, true);
    cr_assert_eq(fiber_live(l), 0);
    loop_free(l);
}

FIBER(running_the_loop_inside)
{
    loop_run(loop_current(), true);
}

Test(fiber, loop_run__inside_a_fiber__is_refused_loudly, .signal = SIGABRT)
{
    run(running_the_loop_inside, NULL);
}

/* ---- libevent and fibers side by side ---- */

static void wake_reader(evutil_socket_t fd, short what, void *arg)
{
    char c;

    cr_assert_eq(read(fd, &c, 1), 1);
    latch_set(arg, c);
}

FIBER(waiting_for_a_pipe)
{
    int *fds = arg, got = 0;
    struct latch readable = LATCH_INIT;
    struct event *e = event_new(loop_base(loop_current()), fds[0], EV_READ, wake_reader, &readable);

    event_add(e, NULL);
    cr_assert_eq(latch_wait(&readable, "pipe", in_ms(5000), &got), 0);
    event_free(e);
    note("got:%c", got);
}

FIBER(writing_to_a_pipe)
{
    const int *fds = arg;

    fiber_sleep(1 * MS);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    note("wrote");
}

Test(fiber, loop_run__event_wakes_a_fiber__it_goes_on)
{
    int fds[2];

    cr_assert_eq(pipe(fds), 0);
    open_loop();
    start("reader", waiting_for_a_pipe, fds);
    start("writer", writing_to_a_pipe, fds);
    close_loop();
    cr_assert_journal("wrote got:x");
}

static bool io_seen;

FIBER(yielding_until_io)
{
    while (!io_seen)
        fiber_yield();
    note("seen");
}

FIBER(awaiting_the_pipe_then_telling)
{
    waiting_for_a_pipe(arg);
    io_seen = true;
}

Test(fiber, loop_run__fibers_that_never_park__do_not_starve_the_sockets)
{
    int fds[2];

    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(write(fds[1], "y", 1), 1);
    open_loop();
    start("busy", yielding_until_io, NULL);
    start("reader", awaiting_the_pipe_then_telling, fds);
    close_loop();
    cr_assert_journal("got:y seen");
}

static bool timer_seen;

FIBER(yielding_until_the_timer)
{
    while (!timer_seen)
        fiber_yield();
}

FIBER(sleeping_then_telling)
{
    cr_assert_eq(fiber_sleep(2 * MS), 0);
    timer_seen = true;
}

Test(fiber, loop_run__fibers_that_never_park__do_not_starve_the_deadlines)
{
    open_loop();
    start("busy", yielding_until_the_timer, NULL);
    start("sleeper", sleeping_then_telling, NULL);
    close_loop();
    cr_assert(timer_seen);
}

FIBER(sleeping_long)
{
    fiber_sleep(80 * MS);
}

FIBER(watching_the_processor)
{
    int64_t began_us = clock_mono_us();
    clock_t began = clock();

    fiber_sleep(60 * MS);
    double spent_us = (double)(clock() - began) * 1e6 / CLOCKS_PER_SEC;
    cr_assert_lt(spent_us, (double)(clock_mono_us() - began_us) / 2);
}

/* No busy polling: a loop that only waits must use next to no CPU. */
Test(fiber, loop_run__all_parked__sleeps_in_the_kernel)
{
    open_loop();
    for (int i = 0; i < 50; i++)
        start("s", sleeping_long, NULL);
    start("watcher", watching_the_processor, NULL);
    close_loop();
}

/* ---- posts ---- */

static void note_word(void *arg)
{
    cr_assert_null(fiber_current());
    note("%s", (const char *)arg);
}

static char word_a[] = "a", word_b[] = "b", word_c[] = "c";

FIBER(posting_three)
{
    struct loop *l = loop_current();

    loop_post(l, note_word, word_a);
    loop_post(l, note_word, word_b);
    loop_post(l, note_word, word_c);
    note("posted");
    fiber_sleep(2 * MS);
}

Test(fiber, loop_post__several__run_later_in_order)
{
    run(posting_three, NULL);
    cr_assert_journal("posted a b c");
}

static void post_again(void *arg)
{
    int *left = arg;

    note("%d", *left);
    if (--*left > 0)
        loop_post(loop_current(), post_again, left);
    else
        loop_stop(loop_current());
}

Test(fiber, loop_post__from_a_posted_function__runs_in_a_later_round)
{
    int left = 4;
    struct loop *l = loop_new();

    loop_post(l, post_again, &left);
    loop_run(l, false);
    cr_assert_journal("4 3 2 1");
    loop_free(l);
}

Test(fiber, loop_free__with_posts_waiting__runs_them)
{
    struct loop *l = loop_new();

    loop_post(l, note_word, word_a);
    loop_post(l, note_word, word_b);
    loop_free(l);
    cr_assert_journal("a b");
}

enum { THREADS = 8, POSTS = 2000 };

struct poster {
    struct loop *loop;
    unsigned received, last_of_thread[THREADS];
};

struct message {
    struct poster *poster;
    unsigned thread, number;
};

static void receive_message(void *arg)
{
    struct message *m = arg;
    struct poster *p = m->poster;

    cr_assert_eq(m->number, p->last_of_thread[m->thread] + 1, "order within a thread");
    p->last_of_thread[m->thread] = m->number;
    mem_free(m);
    if (++p->received == THREADS * POSTS)
        loop_stop(p->loop);
}

struct thread_arg {
    struct poster *poster;
    unsigned thread;
};

static void *post_many(void *arg)
{
    const struct thread_arg *t = arg;

    for (unsigned i = 1; i <= POSTS; i++) {
        struct message *m = MEM_NEW(struct message);

        *m = (struct message){.poster = t->poster, .thread = t->thread, .number = i};
        loop_post(t->poster->loop, receive_message, m);
    }
    return NULL;
}

Test(fiber, loop_post__from_many_threads__all_arrive_in_each_threads_order)
{
    struct poster p = {.loop = loop_new()};
    struct thread_arg args[THREADS];
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        args[i] = (struct thread_arg){&p, i};
        cr_assert_eq(pthread_create(&threads[i], NULL, post_many, &args[i]), 0);
    }
    loop_run(p.loop, false);
    for (unsigned i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_eq(p.received, THREADS * POSTS);
    loop_free(p.loop);
}

struct waking {
    struct loop *loop;
    struct latch latch;
};

static void set_the_latch(void *arg)
{
    struct waking *w = arg;

    latch_set(&w->latch, 5);
}

static void *post_once(void *arg)
{
    struct waking *w = arg;

    usleep(2000); /* so that the loop is asleep by then; nothing depends on it */
    loop_post(w->loop, set_the_latch, w);
    return NULL;
}

FIBER(waiting_for_a_thread)
{
    struct waking w = {.loop = loop_current()};
    pthread_t thread;
    int result = 0;

    cr_assert_eq(pthread_create(&thread, NULL, post_once, &w), 0);
    cr_assert_eq(latch_wait(&w.latch, "thread", in_ms(5000), &result), 0);
    cr_assert_eq(result, 5);
    cr_assert_eq(pthread_join(thread, NULL), 0);
}

Test(fiber, loop_post__loop_asleep__wakes_it)
{
    run(waiting_for_a_thread, NULL);
}

/* ---- tick and watchdog ---- */

Test(fiber, last_tick__fresh_loop__is_now)
{
    int64_t before = clock_mono_us();
    struct loop *l = loop_new();

    cr_assert_geq(loop_last_tick_us(l), before);
    cr_assert_leq(loop_last_tick_us(l), clock_mono_us());
    loop_free(l);
}

FIBER(sleeping_past_a_tick)
{
    int64_t first = loop_last_tick_us(loop_current());

    for (int i = 0; i < 30 && loop_last_tick_us(loop_current()) == first; i++)
        fiber_sleep(100 * MS);
    cr_assert_gt(loop_last_tick_us(loop_current()), first);
}

Test(fiber, last_tick__loop_running__moves_every_second)
{
    run(sleeping_past_a_tick, NULL);
}

FIBER(burning_cpu)
{
    int64_t until = in_ms(3);

    while (clock_mono_us() < until)
        continue;
}

/* Runs `fn` with the log in `text`; in a child, since the log goes to standard output. */
static void capture_log(fiber_fn fn, int64_t slow_turn_us, char *text, size_t size)
{
    int fds[2];
    size_t len = 0;
    ssize_t n;

    cr_assert_eq(pipe(fds), 0);
    fflush(stdout);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(fds[1], STDOUT_FILENO);
        log_init("test", LOG_DEBUG);
        open_loop();
        loop_set_slow_turn_us(loop_current(), slow_turn_us);
        start("piggy", fn, NULL);
        close_loop();
        _exit(0);
    }
    close(fds[1]);
    while (len + 1 < size && (n = read(fds[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(fds[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(fiber, watchdog__long_turn__is_logged_with_the_fibers_name)
{
    char text[4096];

    capture_log(burning_cpu, 1 * MS, text, sizeof text);
    cr_assert_not_null(strstr(text, "slow turn"), "%s", text);
    cr_assert_not_null(strstr(text, "piggy"), "%s", text);
}

Test(fiber, watchdog__turn_within_its_limit__is_silent)
{
    char text[4096];

    capture_log(burning_cpu, 10000 * MS, text, sizeof text);
    cr_assert_null(strstr(text, "slow turn"), "%s", text);
}

FIBER(parking_longer_than_a_slow_turn)
{
    fiber_sleep(200 * MS);
}

Test(fiber, watchdog__long_wait__is_not_a_slow_turn)
{
    char text[4096];

    capture_log(parking_longer_than_a_slow_turn, 150 * MS, text, sizeof text);
    cr_assert_null(strstr(text, "slow turn"), "%s", text);
}

FIBER(keeping_a_hold)
{
    fiber_hold(2);
}

Test(fiber, end__with_holds_left__is_logged_with_the_fibers_name)
{
    char text[4096];

    capture_log(keeping_a_hold, 10000 * MS, text, sizeof text);
    cr_assert_not_null(strstr(text, "unbalanced"), "%s", text);
    cr_assert_not_null(strstr(text, "piggy"), "%s", text);
}

/* ---- resting ---- */

/* Pages of files that this process has mapped. */
static unsigned long file_kib(void)
{
    char line[128];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");

    cr_assert_not_null(status);
    while (kib == 0 && fgets(line, sizeof line, status))
        (void)sscanf(line, "RssFile: %lu", &kib);
    fclose(status);
    cr_assert_gt(kib, 0);
    return kib;
}

FIBER(busy_and_then_quiet)
{
    unsigned long before = file_kib();
    int64_t deadline_us = in_ms(20000);

    for (int i = 0; i < 1000; i++)
        fiber_yield();
    while (file_kib() > before - before / 4) {
        cr_assert_lt(clock_mono_us(), deadline_us, "%lu KiB before, %lu now", before, file_kib());
        cr_assert_eq(fiber_sleep(100 * MS), 0);
    }
}

Test(loop, first_quiet_second__gives_back_what_the_work_needed)
{
    run(busy_and_then_quiet, NULL);
}
