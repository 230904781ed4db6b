#include <stdio.h>
#include <stdlib.h>

#include "common/fiber/switch.h"
#include "common/fiber/sync.h"

/* What the fiber room's basic steps cost, in nanoseconds each. Run it alone on an idle machine:
 * `meson test -C build --benchmark fiber_switch -v`. */

enum { ROUNDS = 1000000 };

static int64_t began_us;

static void watch_start(void)
{
    began_us = clock_mono_us();
}

static void watch_stop(const char *what, int64_t steps)
{
    double ns = (double)(clock_mono_us() - began_us) * 1000.0 / (double)steps;

    printf("%-52s %8.1f ns\n", what, ns);
}

/* ---- the bare switch ---- */

static struct switch_point home, other;

static void switching_back(void *arg)
{
    for (;;)
        switch_to(&other, &home);
}

static void bench_switch(void)
{
    size_t size = 64 * (size_t)1024;
    void *stack = aligned_alloc(64, size);

    switch_prepare(&other, stack, size, switching_back, NULL);
    watch_start();
    for (int i = 0; i < ROUNDS; i++)
        switch_to(&home, &other);
    watch_stop("switch to another stack (half of there and back)", (int64_t)ROUNDS * 2);
    free(stack);
}

/* ---- through the scheduler ---- */

static PARKS void yielding(void *arg)
{
    for (int i = 0; i < ROUNDS / 4; i++)
        fiber_yield();
}

static void bench_yield(struct loop *l)
{
    for (int i = 0; i < 4; i++)
        fiber_spawn(l, "yield", yielding, NULL, NULL);
    watch_start();
    loop_run(l, true);
    watch_stop("yield, four fibers in turn", ROUNDS);
}

static struct fiber_signal ping, pong;

static PARKS void answering(void *arg)
{
    const int64_t *deadline_us = arg;

    for (int i = 0; i < ROUNDS / 2; i++) {
        fiber_signal_wait(&ping, "ping", *deadline_us);
        fiber_signal_one(&pong);
    }
}

static PARKS void asking(void *arg)
{
    const int64_t *deadline_us = arg;

    for (int i = 0; i < ROUNDS / 2; i++) {
        fiber_signal_one(&ping);
        fiber_signal_wait(&pong, "pong", *deadline_us);
    }
}

static void bench_ping_pong(struct loop *l, const char *what, int64_t deadline_us)
{
    fiber_spawn(l, "answer", answering, &deadline_us, NULL);
    fiber_spawn(l, "ask", asking, &deadline_us, NULL);
    watch_start();
    loop_run(l, true);
    watch_stop(what, ROUNDS);
}

/* A thousand others with deadlines of their own make the heap ten levels deep. */
static struct latch release;

static PARKS void waiting_aside(void *arg)
{
    latch_wait(&release, "aside", clock_mono_us() + 600 * USEC_PER_SEC, NULL);
}

static PARKS void asking_then_releasing(void *arg)
{
    asking(arg);
    latch_set(&release, 0);
}

static void bench_deep_heap(struct loop *l)
{
    int64_t deadline_us = clock_mono_us() + 300 * USEC_PER_SEC;

    for (int i = 0; i < 1000; i++)
        fiber_spawn(l, "aside", waiting_aside, NULL, NULL);
    fiber_spawn(l, "answer", answering, &deadline_us, NULL);
    fiber_spawn(l, "ask", asking_then_releasing, &deadline_us, NULL);
    watch_start();
    loop_run(l, true);
    watch_stop("park and wake, nearest deadline of 1000", ROUNDS);
}

static PARKS void ending_at_once(void *arg) {}

static PARKS void using_its_arena(void *arg)
{
    arena_alloc(fiber_arena(), 200);
}

static PARKS void spawning(void *arg)
{
    fiber_fn fn = *(fiber_fn *)arg;

    for (int i = 0; i < ROUNDS; i++) {
        fiber_spawn(loop_current(), "short", fn, NULL, NULL);
        if (i % 64 == 63)
            fiber_yield();
    }
}

static void bench_spawn(struct loop *l, const char *what, fiber_fn fn)
{
    fiber_spawn(l, "spawner", spawning, &fn, NULL);
    watch_start();
    loop_run(l, true);
    watch_stop(what, ROUNDS);
}

int main(void)
{
    struct loop *l = loop_new();

    loop_set_slow_turn_us(l, 10 * USEC_PER_SEC);
    bench_switch();
    bench_yield(l);
    bench_ping_pong(l, "park and wake, no deadline", USEC_NEVER);
    bench_ping_pong(l, "park and wake, deadline far away", clock_mono_us() + 600 * USEC_PER_SEC);
    bench_deep_heap(l);
    bench_spawn(l, "spawn, run and end", ending_at_once);
    bench_spawn(l, "the same with 200 bytes from its arena", using_its_arena);
    loop_free(l);
    return 0;
}
