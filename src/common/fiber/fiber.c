#include "common/fiber/fiber.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "common/base/arena.h"
#include "common/base/mem.h"
#include "common/fiber/private.h"

/* A fiber is a `struct task`: a stack, a place where it was left, and its view of the world. A task
 * is in exactly one place at any time:
 *
 *     FREE --spawn--> RUNNABLE --its turn--> RUNNING --park--> PARKED --wake--> RUNNABLE
 *      ^                  ^---------yield-------'  '--fn returned--> ENDED
 *      '-------------------the loop takes it back--------------------'
 *
 * Only the loop's own stack switches into a task, and a task only ever switches back to the loop,
 * so there is one way in (task_enter) and one way out (task_leave). A wake never switches: it puts
 * the task at the end of the run queue. Therefore nothing changes under a callback's or a fiber's
 * feet between two of its parks, and wakes happen in the order they were called.
 *
 * Outside of this file a fiber is known by a handle: its slot and a serial number, dressed as a
 * pointer that nobody can follow. Tasks are reused, serial numbers are not, so a handle of a fiber
 * that has ended is recognised: waking or cancelling it does nothing, joining it succeeds at once.
 *
 * What a task was made of (a stack, an arena with a chunk or two) stays with it for its slot's next
 * fiber. The free list is a stack, so the ones at its end are those that a peak needed and nobody
 * else does. Once a second the loop rests: what was free all that time is given back, but for a
 * few stacks.
 *
 * A park has exactly one outcome, the first that comes: wake, deadline or cancellation. Each goes
 * through task_wake(), which takes PARKED to RUNNABLE and disarms the timer; whoever comes later
 * finds the task not parked and learns that from the return value. */

enum {
    TURNS_PER_RUN = 256, /* before the loop looks at its sockets again */
    STACKS_KEPT = 256,
    STACKS_SPARED = 8, /* by a rest */
};

/* ---- handles ---- */

#define SLOT_BITS 14
static_assert(sizeof(uintptr_t) == 8, "a handle has 14 bits of slot and 50 of serial number");
static_assert(FIBER_LIMIT_MAX == 1 << SLOT_BITS, "a handle has 14 bits of slot");

static struct fiber *task_handle(const struct task *t)
{
    return (struct fiber *)(uintptr_t)(t->serial << SLOT_BITS | t->slot);
}

static struct scheduler *here(void)
{
    struct loop *l = loop_current();

    assert(l && "fibers live on the loop's thread");
    return loop_scheduler(l);
}

/* NULL when the fiber has ended. */
static struct task *task_of(const struct fiber *f)
{
    const struct scheduler *s = here();
    uintptr_t bits = (uintptr_t)f;
    unsigned slot = bits & (FIBER_LIMIT_MAX - 1);

    assert(f && slot < s->slot_count);
    struct task *t = s->slots[slot];
    return t->serial == bits >> SLOT_BITS && t->state != TASK_FREE ? t : NULL;
}

static struct task *task_running(void)
{
    struct loop *l = loop_current();

    return l ? loop_scheduler(l)->running : NULL;
}

static struct task *task_self(void)
{
    struct task *t = task_running();

    assert(t && "only a fiber may do this");
    return t;
}

/* ---- the run queue and the switch ---- */

static void run_queue_add(struct scheduler *s, struct task *t)
{
    t->state = TASK_RUNNABLE;
    t->next = NULL;
    if (s->run_tail)
        s->run_tail->next = t;
    else
        s->run_head = t;
    s->run_tail = t;
}

static struct task *run_queue_take(struct scheduler *s)
{
    struct task *t = s->run_head;

    s->run_head = t->next;
    if (!s->run_head)
        s->run_tail = NULL;
    assert(t->state == TASK_RUNNABLE);
    return t;
}

static void task_enter(struct scheduler *s, struct task *t)
{
    const struct log_context *outer = log_context_swap(t->log);

    error_stack_swap(&t->errors);
    t->state = TASK_RUNNING;
    t->switches++;
    s->running = t;
    stack_switch_begin(&s->home_asan_frames, t->stack.low, t->stack.size);
    switch_to(&s->home, &t->point);
    stack_switch_end(s->home_asan_frames, NULL, NULL);
    s->running = NULL;
    error_stack_swap(NULL);
    t->log = log_context_swap(outer);
}

/* The state says why; comes back at the task's next turn, or never when it has ended. */
static void task_leave(struct scheduler *s, struct task *t)
{
    assert(s->running == t && t->state != TASK_RUNNING);
    stack_switch_begin(t->state == TASK_ENDED ? NULL : &t->asan_frames, s->home_low, s->home_size);
    switch_to(&t->point, &s->home);
    stack_switch_end(t->asan_frames, &s->home_low, &s->home_size);
    assert(s->running == t && t->state == TASK_RUNNING);
}

static bool task_wake(struct scheduler *s, struct task *t, int result)
{
    if (t->state != TASK_PARKED)
        return false;
    t->result = result;
    t->waits_for = NULL;
    timer_disarm(&s->timers, &t->timer);
    run_queue_add(s, t);
    return true;
}

/* ---- birth and end ---- */

/* The fiber's last act, still on its own stack: what its arena adopted may wake others or log. */
static void task_finish(struct task *t)
{
    if (t->arena)
        arena_reset(t->arena);
    if (t->holds != 0 || t->shields != 0)
        log_error("fiber ended unbalanced", LF_TEXT("fiber", t->name), LF_I64("holds", t->holds),
            LF_I64("shields", t->shields));
    if (t->joiner)
        fiber_wake(t->joiner, 0);
}

static void task_main(void *arg)
{
    struct task *t = arg;
    struct scheduler *s = here();

    stack_switch_end(NULL, &s->home_low, &s->home_size);
    t->fn(t->arg);
    task_finish(t);
    t->state = TASK_ENDED;
    task_leave(s, t);
}

static struct task *task_take(struct scheduler *s)
{
    struct task *t = s->free_tasks;

    if (t) {
        s->free_tasks = t->next;
        return t;
    }
    if (s->slot_count == s->slot_limit)
        return NULL;
    t = MEM_NEW(struct task);
    t->slot = s->slot_count;
    s->slots[s->slot_count++] = t;
    return t;
}

static void task_forget(struct task *t)
{
    arena_free(t->arena);
    t->arena = NULL;
}

static void task_strip(struct task *t)
{
    stack_deinit(&t->stack);
    task_forget(t);
}

/* Those with a stack go to the front, so that they are used first. */
static void task_give_back(struct scheduler *s, struct task *t)
{
    t->state = TASK_FREE;
    if (t->stack.low && s->free_stacks >= STACKS_KEPT)
        task_strip(t);
    if (t->stack.low) {
        s->free_stacks++;
        t->next = s->free_tasks;
        s->free_tasks = t;
        return;
    }
    struct task **end = &s->free_tasks;
    while (*end)
        end = &(*end)->next;
    t->next = NULL;
    *end = t;
}

static int task_equip(struct scheduler *s, struct task *t)
{
    if (!t->stack.low)
        return stack_init(&t->stack);
    s->free_stacks--;
    if (s->free_stacks < s->spare_stacks)
        s->spare_stacks = s->free_stacks;
    stack_renew(&t->stack);
    return 0;
}

int fiber_spawn(struct loop *l, const char *name, fiber_fn fn, void *arg, struct fiber **ret_fiber)
{
    assert(l == loop_current());
    struct scheduler *s = loop_scheduler(l);
    struct task *t = task_take(s);

    if (!t)
        return -EBUSY;
    int r = task_equip(s, t);
    if (r < 0) {
        task_give_back(s, t);
        return r;
    }
    *t = (struct task){
        .slot = t->slot,
        .serial = ++s->last_serial,
        .stack = t->stack,
        .arena = t->arena,
        .fn = fn,
        .arg = arg,
        .deadline_us = USEC_NEVER,
    };
    snprintf(t->name, sizeof t->name, "%s", name);
    switch_prepare(&t->point, t->stack.low, t->stack.size, task_main, t);
    s->live++;
    run_queue_add(s, t);
    if (ret_fiber)
        *ret_fiber = task_handle(t);
    return 0;
}

int fiber_join(struct fiber *f, int64_t deadline_us)
{
    int r = fiber_may_wait();
    if (r < 0)
        return r;
    struct task *t = task_of(f);
    if (!t)
        return 0;
    assert(t != task_self() && !t->joiner && "one joiner, and not itself");
    t->joiner = fiber_current();
    r = fiber_park("another fiber's end", deadline_us);
    t = task_of(f);
    if (t)
        t->joiner = NULL;
    return r;
}

/* ---- waiting ---- */

int fiber_may_wait(void)
{
    const struct task *t = task_self();

    return t->cancelled && t->shields == 0 ? -ECANCELED : 0;
}

int fiber_park(const char *what, int64_t deadline_us)
{
    struct scheduler *s = here();
    struct task *t = task_self();
    int64_t limit_us = deadline_us < t->deadline_us ? deadline_us : t->deadline_us;
    int r = fiber_may_wait();

    if (r < 0)
        return r;
    if (limit_us <= s->now_us)
        return -ETIMEDOUT;
    if (limit_us != USEC_NEVER)
        timer_arm(&s->timers, &t->timer, limit_us);
    t->waits_for = what;
    t->state = TASK_PARKED;
    task_leave(s, t);
    assert(t->timer.place == 0);
    return t->result;
}

bool fiber_wake(struct fiber *f, int result)
{
    struct task *t = task_of(f);

    return t && task_wake(here(), t, result);
}

void fiber_cancel(struct fiber *f)
{
    struct task *t = task_of(f);

    if (!t)
        return;
    t->cancelled = true;
    if (t->shields == 0)
        task_wake(here(), t, -ECANCELED);
}

void fiber_yield(void)
{
    struct scheduler *s = here();
    struct task *t = task_self();

    run_queue_add(s, t);
    task_leave(s, t);
}

int fiber_sleep(int64_t duration_us)
{
    int64_t now_us = clock_mono_us();
    int64_t until_us = duration_us < USEC_NEVER - now_us ? now_us + duration_us : USEC_NEVER;
    bool cut_short = fiber_deadline() < until_us;
    int r = fiber_park("sleep", until_us);

    return r == -ETIMEDOUT && !cut_short ? 0 : r;
}

/* ---- deadlines and shields ---- */

int64_t fiber_deadline(void)
{
    const struct task *t = task_running();

    return t ? t->deadline_us : USEC_NEVER;
}

int64_t fiber_deadline_push(int64_t deadline_us)
{
    struct task *t = task_self();
    int64_t outer = t->deadline_us;

    if (deadline_us < outer)
        t->deadline_us = deadline_us;
    return outer;
}

void fiber_deadline_pop(int64_t outer)
{
    task_self()->deadline_us = outer;
}

struct fiber_shield fiber_shield_begin(int64_t deadline_us)
{
    struct task *t = task_self();
    struct fiber_shield shield = {.outer_deadline_us = t->deadline_us};

    t->shields++;
    t->deadline_us = deadline_us;
    return shield;
}

void fiber_shield_end(struct fiber_shield s)
{
    struct task *t = task_self();

    assert(t->shields > 0);
    t->shields--;
    t->deadline_us = s.outer_deadline_us;
}

/* ---- what a fiber has and is ---- */

struct fiber *fiber_current(void)
{
    const struct task *t = task_running();

    return t ? task_handle(t) : NULL;
}

const char *fiber_name(const struct fiber *f)
{
    const struct task *t = task_of(f);

    return t ? t->name : "(ended)";
}

uint64_t fiber_id(const struct fiber *f)
{
    return (uintptr_t)f >> 10;
}

struct arena *fiber_arena(void)
{
    struct task *t = task_self();

    if (!t->arena)
        t->arena = arena_new();
    return t->arena;
}

bool fiber_cancelled(void)
{
    const struct task *t = task_running();

    return t && t->cancelled;
}

void fiber_set_local(void *pointer)
{
    task_self()->local = pointer;
}

void *fiber_local(void)
{
    const struct task *t = task_running();

    return t ? t->local : NULL;
}

void fiber_hold(int delta)
{
    struct task *t = task_self();

    t->holds += delta;
    assert(t->holds >= 0);
}

int fiber_holds(void)
{
    const struct task *t = task_running();

    return t ? t->holds : 0;
}

/* ---- the scheduler, driven by the loop ---- */

void scheduler_init(struct scheduler *s)
{
    s->now_us = clock_mono_us();
    s->slow_turn_us = 50 * USEC_PER_MS;
    scheduler_limit(s, FIBER_LIMIT);
}

void scheduler_limit(struct scheduler *s, unsigned limit)
{
    assert(limit >= s->slot_count && limit <= FIBER_LIMIT_MAX);
    s->slots = mem_resize(s->slots, limit * sizeof(struct task *));
    s->slot_limit = limit;
}

void scheduler_deinit(struct scheduler *s)
{
    assert(s->live == 0 && !s->run_head && "a parked fiber is never freed, only unwound");
    for (unsigned i = 0; i < s->slot_count; i++) {
        stack_deinit(&s->slots[i]->stack);
        arena_free(s->slots[i]->arena);
        mem_free(s->slots[i]);
    }
    mem_free(s->slots);
    timers_deinit(&s->timers);
}

static void scheduler_turn(struct scheduler *s, struct task *t)
{
    int64_t began_us = s->now_us;

    task_enter(s, t);
    s->turns++;
    s->now_us = clock_mono_us();
    if (s->now_us - began_us > s->slow_turn_us)
        log_warn("slow turn", LF_TEXT("fiber", t->name), LF_MS("tookMs", s->now_us - began_us));
    if (t->state == TASK_ENDED) {
        s->live--;
        task_give_back(s, t);
    } else {
        t->parked_at_us = s->now_us;
    }
}

void scheduler_run(struct scheduler *s)
{
    s->now_us = clock_mono_us();
    for (int i = 0; i < TURNS_PER_RUN && s->run_head; i++)
        scheduler_turn(s, run_queue_take(s));
}

void scheduler_expire(struct scheduler *s)
{
    struct timer *due;

    if (s->timers.count == 0)
        return;
    s->now_us = clock_mono_us();
    while ((due = timers_expire(&s->timers, s->now_us)))
        task_wake(s, CONTAINER_OF(due, struct task, timer), -ETIMEDOUT);
}

void scheduler_rest(struct scheduler *s)
{
    unsigned used = s->free_stacks - s->spare_stacks; /* since the last rest: the first ones */
    unsigned place = 0;

    for (struct task *t = s->free_tasks; t && t->stack.low; t = t->next, place++) {
        if (place >= used + STACKS_SPARED)
            task_strip(t);
        else if (place >= used)
            task_forget(t);
    }
    if (s->spare_stacks > STACKS_SPARED)
        s->free_stacks = used + STACKS_SPARED;
    s->spare_stacks = s->free_stacks;
}

unsigned fiber_live(const struct loop *l)
{
    return loop_scheduler_const(l)->live;
}

size_t fiber_list(const struct loop *l, struct fiber_info *infos, size_t capacity)
{
    const struct scheduler *s = loop_scheduler_const(l);
    int64_t now_us = clock_mono_us();
    size_t n = 0;

    for (unsigned i = 0; i < s->slot_count && n < capacity; i++) {
        const struct task *t = s->slots[i];

        if (t->state == TASK_FREE)
            continue;
        infos[n++] = (struct fiber_info){
            .name = t->name,
            .id = t->serial,
            .waits_for = t->waits_for,
            .waited_us = t->state == TASK_PARKED ? now_us - t->parked_at_us : 0,
            .switches = t->switches,
        };
    }
    return n;
}
