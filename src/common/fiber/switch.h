#pragma once

/* Moving the processor from one stack to another: the only machine-dependent part of the tree. */

#include <stddef.h>

/* -DSWITCH_UCONTEXT takes the portable way on every processor, to test it. */
#if !defined(SWITCH_UCONTEXT) && !defined(__ILP32__) &&                                            \
    (defined(__x86_64__) || defined(__aarch64__))
#define SWITCH_ASSEMBLY 1
#else
#define SWITCH_ASSEMBLY 0
#include <ucontext.h>
#endif

/* Where a flow of control was left. */
struct switch_point {
#if SWITCH_ASSEMBLY
    void *sp; /* everything else lies on the stack above it */
#else
    ucontext_t context;
    void (*entry)(void *arg);
    void *arg;
#endif
};

/* Makes `p` the beginning of `entry(arg)` on the given stack. `entry` must never return. */
void switch_prepare(
    struct switch_point *p, void *stack_low, size_t size, void (*entry)(void *arg), void *arg);

/* Leaves the present flow at `from` and goes on at `to`; returns when somebody switches back. */
void switch_to(struct switch_point *from, struct switch_point *to);
