#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "load/histogram.h"
#include "load/load.h"

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The least time that so many percent are at or below. */
static int64_t exact(const int64_t *sorted, size_t count, double percent)
{
    size_t rank = (size_t)ceil(percent / 100 * (double)count);
    return sorted[rank > 0 ? rank - 1 : 0];
}

static void compare_with_exact(int64_t *times, size_t count)
{
    static const double percents[] = {0, 1, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100};
    struct histogram *h = MEM_NEW(struct histogram);
    for (size_t i = 0; i < count; i++)
        histogram_add(h, times[i]);
    qsort(times, count, sizeof(*times), compare);
    for (size_t i = 0; i < ARRAY_SIZE(percents); i++) {
        int64_t right = exact(times, count, percents[i]),
                told = histogram_percentile(h, percents[i]);
        cr_assert(told >= right && (double)(told - right) <= (double)right / 128,
            "p%g is %lld, told as %lld", percents[i], (long long)right, (long long)told);
    }
    cr_assert_eq(h->count, count);
    cr_assert_eq(h->max_us, times[count - 1]);
    mem_free(h);
}

Test(histogram, percentile__of_times_over_seven_powers_of_ten__is_within_a_128th)
{
    enum { COUNT = 200000 };
    int64_t *times = mem_array(COUNT, sizeof(*times));
    struct chance c = {7};
    for (size_t i = 0; i < COUNT; i++)
        times[i] = (int64_t)pow(10, 8 * chance_part(&c));
    compare_with_exact(times, COUNT);
    mem_free(times);
}

Test(histogram, percentile__of_every_edge_between_buckets__is_within_a_128th)
{
    int64_t times[3 * 40];
    size_t count = 0;
    for (int power = 1; power < 40; power++)
        for (int64_t off = -1; off <= 1; off++)
            times[count++] = (INT64_C(1) << power) + off;
    compare_with_exact(times, count);
}

Test(histogram, percentile__of_short_times__is_exact)
{
    struct histogram *h = MEM_NEW(struct histogram);
    for (int64_t us = 1; us <= 100; us++)
        histogram_add(h, us);
    cr_assert_eq(histogram_percentile(h, 50), 50);
    cr_assert_eq(histogram_percentile(h, 99), 99);
    cr_assert_eq(histogram_percentile(h, 99.9), 100);
    cr_assert_eq(h->sum_us, 5050);
    mem_free(h);
}

Test(histogram, add__beyond_what_there_are_buckets_for__counts_at_the_ends)
{
    struct histogram *h = MEM_NEW(struct histogram);
    cr_assert_eq(histogram_percentile(h, 50), 0);
    histogram_add(h, -5);
    cr_assert_eq(histogram_percentile(h, 100), 0);
    histogram_add(h, INT64_MAX);
    cr_assert_eq(histogram_percentile(h, 100), (INT64_C(1) << HISTOGRAM_TOP_BITS) - 1);
    mem_free(h);
}

Test(histogram, merge__of_two__is_as_if_all_had_been_added_to_one)
{
    struct histogram *a = MEM_NEW(struct histogram), *b = MEM_NEW(struct histogram);
    struct histogram *all = MEM_NEW(struct histogram);
    for (int64_t us = 1; us < 5000000; us = us * 3 / 2 + 1) {
        histogram_add(us % 2 ? a : b, us);
        histogram_add(all, us);
    }
    histogram_merge(a, b);
    cr_assert_arr_eq(a, all, sizeof(*a));
    histogram_reset(a);
    cr_assert_eq(a->count, 0);
    mem_free(a);
    mem_free(b);
    mem_free(all);
}
