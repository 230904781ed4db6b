#pragma once

/* The house's own macros. There are few; each has one paragraph. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Marks a function that may park the calling fiber: other fibers run before it returns, so state
 * reached through globals may have changed. Under clang it is a (dummy) thread-safety capability
 * that the loop's own callbacks do not hold, so a parking call from a callback is a warning. */
#if defined(__clang__)
struct __attribute__((capability("fiber"))) fiber_context {
    int unused;
};
extern struct fiber_context in_fiber;
#define PARKS __attribute__((requires_capability(in_fiber)))
#else
#define PARKS
#endif

/* Checks a printf-like function's arguments. */
#define PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))

/* Runs `dispose(&variable)` when the variable leaves its scope. */
#define CLEANUP(dispose) __attribute__((cleanup(dispose)))

/* Number of elements of a true array. */
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* From a member's address to its struct. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Evaluates and returns early on a negative or positive code: one line per failing step. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        int try_r_ = (expr);                                                                       \
        if (try_r_ != 0)                                                                           \
            return try_r_ < 0 ? ERR(try_r_) : try_r_;                                              \
    } while (0)
