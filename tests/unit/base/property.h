#pragma once

/* Random cases for property tests. The seed is printed, and SOUK_SEED=<n> runs the same cases. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct property {
    uint64_t state;
};

static inline struct property property_begin(const char *name)
{
    const char *given = getenv("SOUK_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed =
        given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
    fprintf(stderr, "%s: SOUK_SEED=%" PRIu64 "\n", name, seed);
    return (struct property){seed};
}

/* splitmix64 */
static inline uint64_t property_next(struct property *p)
{
    uint64_t z = p->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t property_below(struct property *p, uint64_t bound)
{
    return property_next(p) % bound;
}
