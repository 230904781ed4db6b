#pragma once

/* Times in buckets that grow with them, as HdrHistogram keeps them: exact up to 255 us, above that
 * 128 buckets to every power of two. A percentile is the upper edge of its bucket, so it is never
 * too low and at most 1/128 (0.79 %) too high; count, sum and maximum are exact. 17 KB each. */

#include "common/base/macros.h"

#define HISTOGRAM_TOP_BITS  40 /* 12.7 days in us; what is longer counts as that */
#define HISTOGRAM_FINE_BITS 7
#define HISTOGRAM_BUCKETS                                                                          \
    ((1 << (HISTOGRAM_FINE_BITS + 1)) +                                                            \
        ((HISTOGRAM_TOP_BITS - HISTOGRAM_FINE_BITS - 1) << HISTOGRAM_FINE_BITS))

struct histogram {
    uint64_t count;
    int64_t sum_us, max_us;
    uint32_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *h, int64_t us); /* below 0 counts as 0 */
void histogram_merge(struct histogram *into, const struct histogram *from);
void histogram_reset(struct histogram *h);
/* `percent` (0 to 100) of the times are at or below it, in us; 0 when there are none. */
int64_t histogram_percentile(const struct histogram *h, double percent);
