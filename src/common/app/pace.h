#pragma once

/* How fast a sale may begin, so that what follows from the sales before it keeps up. */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/span.h"
#include "common/fiber/fiber.h"

/* The rule. Pure: no clock, no fibers. Lags in microseconds. */
struct pace {
    double limit;  /* sales under way */
    double middle; /* what it comes back to */
    unsigned under_way;
    bool full; /* somebody had to wait since the limit was last judged */
    int64_t worst_us, judge_us;
};
void pace_init(struct pace *p, int64_t now_us);
/* Somebody's events are so late. Of several told in a tenth of a second the worst counts. */
void pace_heard(struct pace *p, int64_t lag_us, int64_t now_us);

/* How late events are: the mean of those in the last tenth of a second that had some; 0 when that
 * was 400 ms ago, for batches come that far apart. Those of a backlog don't count. Pure, too. */
struct pace_lag {
    int64_t sum_us, count, until_us; /* of the tenth of a second that is running */
    int64_t mean_us, made_us;        /* of one before, and when that ended */
};
void pace_lag_add(struct pace_lag *l, int64_t lag_us, int64_t now_us);
int64_t pace_lag_mean(struct pace_lag *l, int64_t now_us);

/* A service that begins sales: shows how it goes in its metrics. */
void pace_start(void);
/* Before and after a sale of this service. Waits for its turn, half a second at most: who has
 * waited so long begins all the same. 0; -ECANCELED, ERR_TIMEOUT: it has not begun. */
int pace_enter(void) PARKS;
void pace_leave(void);

/* Private to the application room: our own consumer's lag, and what services tell each other with
 * their answers, in the header of that name. */
#define LAG_HEADER "X-Event-Lag"
void pace_consumed(int64_t lag_us);
/* The mean lag, in ms; in the fiber's arena. */
const char *pace_tells(void);
void pace_told(struct span value);
