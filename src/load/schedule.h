#pragma once

/* When visits are due. A plan is stages of a steady or a steadily changing rate:
 *
 *     200            200 a second, for the run's duration
 *     50,100,200@30s steps of 30 s each: a stage without a time has that of the next one with one
 *     0-300@1m,300@2m   a ramp, then a plateau
 */

#include "common/base/arena.h"
#include "common/base/clock.h"

#define SCHEDULE_STAGES_LIMIT 32

struct schedule_stage {
    double from, to; /* per second */
    int64_t length_us;
};

struct schedule {
    size_t count;
    struct schedule_stage stages[SCHEDULE_STAGES_LIMIT];
};

/* "20s", "1500ms", "2m", "1h"; above 0, at most a day. False and untouched when it is none. */
bool duration_read(struct span text, int64_t *ret_us);

/* NULL, or what is wrong with it (a constant). Stages without a time share `length_us`. */
const char *schedule_parse(struct span text, int64_t length_us, struct schedule *ret_schedule);
/* Puts a stage of the first stage's rate in front. */
void schedule_warm_up(struct schedule *s, int64_t length_us);

int64_t schedule_length(const struct schedule *s);
double schedule_rate(const struct schedule *s, int64_t at_us); /* 0 past the end */
double schedule_peak(const struct schedule *s);
/* When the `n`th visit is due (from 0, need not be whole), after the start; -1: not before the end.
 */
int64_t schedule_due(const struct schedule *s, double n);
