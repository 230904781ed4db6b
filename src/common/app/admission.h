#pragma once

/* How much a process lets in at once, and who has to stay outside first. Pure: no clock, no loop.
 *
 * Private to the application room; front.c asks it about each request. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum admission_class {
    ADMIT_BROWSE,
    ADMIT_CART,
    ADMIT_LOGIN, /* waits for a password's hash, behind a limit of its own: not counted here */
    ADMIT_CHECKOUT,
    ADMIT_VITAL, /* never refused: health, and what services ask of each other */
    ADMISSION_CLASSES,
};
const char *admission_class_name(enum admission_class c);

/* How long one kind of request takes when there is no crowd. Zeroed: not known yet. */
struct admission_pace {
    int64_t base_us, learned_us; /* when */
    int64_t sum_us;              /* of those since */
    unsigned count;
};

struct admission {
    unsigned floor, ceiling; /* of the limit */
    double limit;
    unsigned in_flight;
    bool overloaded;
    int64_t refused_us; /* the last time; 0: never */

    /* the present interval */
    int64_t interval_end_us;
    unsigned least, most; /* in flight */

    /* since the limit was last judged */
    unsigned judged_most;
    unsigned samples;
    int64_t took_us, expected_us;

    /* what a caller has told */
    unsigned told_percent;
    int64_t told_until_us;

    uint64_t admitted[ADMISSION_CLASSES], shed[ADMISSION_CLASSES];
};

void admission_init(struct admission *a, unsigned floor, unsigned ceiling, int64_t now_us);

/* May one more come in? Who may is in flight until admission_leave(). */
bool admission_enter(struct admission *a, enum admission_class c, int64_t now_us);
/* `pace` NULL: nothing is to be learned from how long it took. */
void admission_leave(struct admission *a, enum admission_class c, struct admission_pace *pace,
    int64_t took_us, int64_t now_us);

/* How full it is here, in percent of the limit, for those whom we call: what they do for their
 * lesser classes is taken away from what we wait for. 0: no overload. */
unsigned admission_pressure(const struct admission *a);
void admission_told(struct admission *a, unsigned percent, int64_t now_us);
