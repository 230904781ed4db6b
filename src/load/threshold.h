#pragma once

/* What makes a run fail:  SERIES.METRIC OP VALUE, as in
 *
 *     checkout.p99>50ms    visit.buy.max >= 2s    errors>1%    browse.rate < 500    add.wrong > 0
 *
 * Metrics: pNN (p50, p99.9), mean, max: a time in us, ms or s; rate: good answers per second;
 * count, good, errors, shed, wrong, lost: a number, or with % a share of all answers. Without a
 * series it is about all answers together. */

#include "load/tally.h"

#define THRESHOLD_TEXT_SIZE 96

enum threshold_metric {
    METRIC_PERCENTILE,
    METRIC_MEAN,
    METRIC_MAX,
    METRIC_RATE,
    METRIC_COUNT,
    METRIC_GOOD,
    METRIC_ERRORS,
    METRIC_SHED,
    METRIC_WRONG,
    METRIC_LOST,
};

enum threshold_op { OP_ABOVE, OP_AT_LEAST, OP_BELOW, OP_AT_MOST };

struct threshold {
    char text[THRESHOLD_TEXT_SIZE], series[TALLY_NAME_SIZE]; /* series "": all */
    enum threshold_metric metric;
    double percent; /* of METRIC_PERCENTILE */
    enum threshold_op op;
    bool share;   /* the value is in percent of all answers */
    double value; /* times in us */
};

/* NULL, or what is wrong with it (a constant). */
const char *threshold_parse(struct span text, struct threshold *ret_threshold);

struct verdict {
    bool failed;
    bool unmeasured; /* there is no such series, or no answer to take the time of */
    double value;    /* what was measured, in the threshold's unit */
};
/* What has not been measured has failed. `seconds`: how long it was measured. */
struct verdict threshold_judge(
    const struct threshold *t, const struct tally *tally, double seconds);
/* "62.1 ms", "3.2 %", "17" */
#define THRESHOLD_VALUE_SIZE 32
void threshold_show(
    const struct threshold *t, double value, char text[static THRESHOLD_VALUE_SIZE]);
