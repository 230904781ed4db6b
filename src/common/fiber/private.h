#pragma once

/* What loop.c and fiber.c know of each other. For this room only. */

#include "common/fiber/fiber.h"
#include "common/fiber/stack.h"
#include "common/fiber/switch.h"
#include "common/fiber/timers.h"

enum task_state { TASK_FREE, TASK_RUNNABLE, TASK_RUNNING, TASK_PARKED, TASK_ENDED };

/* The fiber itself. `struct fiber *` outside of fiber.c is a handle, not its address. */
struct task {
    enum task_state state;
    unsigned slot;
    uint64_t serial; /* differs for every fiber that ever lived here */
    char name[32];
    struct task *next; /* in the run queue or the free list */

    struct switch_point point;
    struct stack stack;
    void *asan_frames;
    fiber_fn fn;
    void *arg;

    /* the present wait */
    const char *waits_for;
    int result;
    struct timer timer;
    int64_t parked_at_us;

    bool cancelled;
    unsigned shields;
    int64_t deadline_us;
    struct fiber *joiner;

    /* the world as the fiber sees it */
    struct arena *arena; /* made on demand; kept, empty, for the slot's next fiber, until a rest */
    struct error_stack errors;
    const struct log_context *log;
    void *local;
    int holds;
    uint64_t switches;
};

struct scheduler {
    struct task **slots;
    unsigned slot_count, slot_limit;
    struct task *free_tasks;
    unsigned free_stacks;  /* how many of the free tasks have one */
    unsigned spare_stacks; /* the fewest since the last rest: nobody has needed those */
    struct task *run_head, *run_tail;
    struct task *running;
    unsigned live;
    uint64_t turns;
    uint64_t last_serial;
    struct timers timers;
    int64_t now_us; /* read after every turn */
    int64_t slow_turn_us;

    struct switch_point home; /* the loop's own stack */
    const void *home_low;
    size_t home_size;
    void *home_asan_frames;
};

void scheduler_init(struct scheduler *s);
void scheduler_deinit(struct scheduler *s);
void scheduler_limit(struct scheduler *s, unsigned limit);
/* Runs the runnable fibers, those woken meanwhile too, for a bounded number of turns. */
void scheduler_run(struct scheduler *s);
/* Wakes those whose deadline has passed. */
void scheduler_expire(struct scheduler *s);
/* Gives back what the free tasks keep and nobody has needed since the last call. */
void scheduler_rest(struct scheduler *s);

struct scheduler *loop_scheduler(struct loop *l);
const struct scheduler *loop_scheduler_const(const struct loop *l);
