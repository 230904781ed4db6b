#include <criterion/criterion.h>
#include <math.h>

#include "load/load.h"

#define SECOND USEC_PER_SEC

static struct schedule parsed(const char *text)
{
    struct schedule s = {0};
    const char *wrong = schedule_parse(span_of(text), 20 * SECOND, &s);
    cr_assert_null(wrong, "%s: %s", text, wrong);
    return s;
}

static size_t due_between(const struct schedule *s, int64_t from_us, int64_t to_us)
{
    size_t count = 0;
    for (double n = 0;; n++) {
        int64_t due_us = schedule_due(s, n);
        if (due_us < 0)
            return count;
        count += due_us >= from_us && due_us < to_us;
    }
}

Test(schedule, due__at_a_steady_rate__is_evenly_spaced_to_the_end)
{
    struct schedule s = parsed("50");
    cr_assert_eq(schedule_length(&s), 20 * SECOND);
    cr_assert_eq(schedule_due(&s, 0), 0);
    cr_assert_eq(schedule_due(&s, 1), 20000);
    cr_assert_eq(schedule_due(&s, 999), 19980000);
    cr_assert_eq(schedule_due(&s, 1000), -1);
}

Test(schedule, due__in_steps__changes_rate_where_the_step_is)
{
    struct schedule s = parsed("50,100,200@10s");
    cr_assert_eq(schedule_length(&s), 30 * SECOND);
    cr_assert_eq(due_between(&s, 0, 10 * SECOND), 500);
    cr_assert_eq(due_between(&s, 10 * SECOND, 20 * SECOND), 1000);
    cr_assert_eq(due_between(&s, 20 * SECOND, 30 * SECOND), 2000);
    cr_assert_eq(schedule_peak(&s), 200);
}

Test(schedule, due__in_a_ramp__grows_with_the_square_of_time_and_never_goes_back)
{
    struct schedule s = parsed("0-100@10s,100-20@4s,7@1s");
    int64_t before_us = -1;
    /* A half of the ramp's time has a quarter of its 500 visits. */
    cr_assert_eq(due_between(&s, 0, 5 * SECOND), 125);
    cr_assert_eq(due_between(&s, 0, 10 * SECOND), 500);
    cr_assert_eq(due_between(&s, 10 * SECOND, 14 * SECOND), 240);
    cr_assert_eq(due_between(&s, 14 * SECOND, 15 * SECOND), 7);
    for (double n = 0; n < 747; n += 0.25) {
        int64_t due_us = schedule_due(&s, n);
        cr_assert(
            due_us >= before_us && due_us < 15 * SECOND, "visit %g at %lld", n, (long long)due_us);
        before_us = due_us;
    }
    cr_assert_float_eq(schedule_rate(&s, 5 * SECOND), 50, 1e-9);
    cr_assert_float_eq(schedule_rate(&s, 12 * SECOND), 60, 1e-9);
    cr_assert_eq(schedule_rate(&s, 15 * SECOND), 0);
}

Test(schedule, due__at_random__keeps_the_rate_and_spreads_the_gaps)
{
    struct schedule s = parsed("500");
    struct chance c = {3};
    double n = 0, sum = 0, squares = 0, count = 0;
    int64_t before_us = 0;
    for (;; count++) {
        n += -log(1 - chance_part(&c));
        int64_t due_us = schedule_due(&s, n);
        if (due_us < 0)
            break;
        double gap = (double)(due_us - before_us) / USEC_PER_MS;
        sum += gap, squares += gap * gap;
        before_us = due_us;
    }
    double mean = sum / count, deviation = sqrt(squares / count - mean * mean);
    cr_assert(count > 9600 && count < 10400, "%g visits of 10000", count);
    /* Exponentially distributed gaps deviate by as much as they are long; even ones not at all. */
    cr_assert(deviation / mean > 0.95 && deviation / mean < 1.05, "%g ms, %g ms", mean, deviation);
}

Test(schedule, warm_up__of_a_ramp__has_a_rate_above_zero)
{
    struct schedule s = parsed("0-100@10s");
    schedule_warm_up(&s, 2 * SECOND);
    cr_assert_eq(schedule_length(&s), 12 * SECOND);
    cr_assert_eq(due_between(&s, 0, 2 * SECOND), 200);
    cr_assert_eq(due_between(&s, 2 * SECOND, 12 * SECOND), 500);
}

Test(schedule, parse__what_is_no_plan__is_refused_and_changes_nothing)
{
    static const char *const bad[] = {"", "x", "50@", "50@10", "50@-1s", "50@10s,100", "-5", "5-",
        "0", "0,0@5s", "1e3", "50@1d", "2000000", "50@10s,,60@5s", "5-6-7@1s", "50@0s"};
    struct schedule s = {.count = 77};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not_null(schedule_parse(span_of(bad[i]), SECOND, &s), "%s", bad[i]);
    cr_assert_eq(s.count, 77);
}

Test(chance, next__of_one_seed__is_always_the_same)
{
    struct chance a = {1}, b = {1}, other = {2};
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(chance_next(&a), chance_next(&b));
        double part = chance_part(&other);
        cr_assert(part >= 0 && part < 1);
    }
    cr_assert_neq(chance_next(&a), chance_next(&other));
}
