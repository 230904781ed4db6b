#include "load/histogram.h"

#include <math.h>
#include <string.h>

#define EXACT   (1 << (HISTOGRAM_FINE_BITS + 1)) /* below it a bucket is one us wide */
#define LONGEST ((INT64_C(1) << HISTOGRAM_TOP_BITS) - 1)

/* The eight highest bits of a time choose its bucket: the first of them is always set, seven are
 * the place within the power of two. */
static unsigned bucket_of(int64_t us)
{
    if (us < EXACT)
        return (unsigned)us;
    unsigned shift = 63U - (unsigned)__builtin_clzll((uint64_t)us) - HISTOGRAM_FINE_BITS;
    unsigned place = (unsigned)(us >> shift) - (1U << HISTOGRAM_FINE_BITS);
    return EXACT + ((shift - 1) << HISTOGRAM_FINE_BITS) + place;
}

static int64_t upper_edge(unsigned bucket)
{
    if (bucket < EXACT)
        return bucket;
    unsigned shift = ((bucket - EXACT) >> HISTOGRAM_FINE_BITS) + 1;
    int64_t place = (bucket - EXACT) & ((1U << HISTOGRAM_FINE_BITS) - 1);
    return ((place + (1 << HISTOGRAM_FINE_BITS) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, int64_t us)
{
    if (us < 0)
        us = 0;
    if (us > LONGEST)
        us = LONGEST;
    h->buckets[bucket_of(us)]++;
    h->count++;
    h->sum_us += us;
    if (us > h->max_us)
        h->max_us = us;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum_us += from->sum_us;
    if (from->max_us > into->max_us)
        into->max_us = from->max_us;
}

void histogram_reset(struct histogram *h)
{
    memset(h, 0, sizeof(*h));
}

int64_t histogram_percentile(const struct histogram *h, double percent)
{
    uint64_t wanted = (uint64_t)ceil(percent / 100 * (double)h->count), seen = 0;
    if (wanted < 1)
        wanted = 1;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= wanted) /* no time is above the maximum, whatever its bucket's edge is */
            return upper_edge(i) < h->max_us ? upper_edge(i) : h->max_us;
    }
    return h->max_us;
}
