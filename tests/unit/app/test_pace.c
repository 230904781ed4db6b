#include "common/app/pace.h"

#include "rig.h"

#define MS USEC_PER_MS

static struct pace p;
static int64_t now;

static void begin(double limit)
{
    now = 1000 * USEC_PER_SEC;
    pace_init(&p, now);
    p.limit = p.middle = limit;
}

/* The same lag is heard for so long. */
static void hear(int64_t lag_us, int64_t for_us)
{
    for (int64_t until_us = now + for_us; now < until_us; now += 10 * MS)
        pace_heard(&p, lag_us, now);
}

Test(pace, events_that_are_late__let_fewer_sales_be_under_way)
{
    begin(64);
    hear(300 * MS, 110 * MS);
    cr_assert(p.limit > 56 && p.limit < 58, "at once: %f", p.limit);
    hear(300 * MS, 1000 * MS);
    cr_assert(p.limit > 49 && p.limit < 52, "and a little at a time: %f", p.limit);
    hear(199 * MS, 110 * MS);
    cr_assert(p.limit > 54 && p.limit < 58, "of which only that stays: %f", p.limit);
}

Test(pace, the_later_they_are__the_fewer_it_lets)
{
    begin(64);
    hear(2000 * MS, 110 * MS);
    cr_assert(p.limit > 32 && p.limit < 35, "%f", p.limit);
}

Test(pace, events_that_are_very_late__do_not_stop_the_shop)
{
    begin(64);
    hear(9000 * MS, 10 * USEC_PER_SEC);
    cr_assert_eq(p.limit, 2, "%f", p.limit);
}

Test(pace, the_latest_of_several_services__counts)
{
    begin(64);
    pace_heard(&p, 300 * MS, now);
    hear(1 * MS, 110 * MS);
    cr_assert_lt(p.limit, 64);
}

Test(pace, events_in_time__let_more_be_under_way_if_somebody_waits)
{
    begin(10);
    hear(10 * MS, 1000 * MS);
    cr_assert_eq(p.middle, 10, "nobody waited");
    cr_assert(p.limit > 14 && p.limit < 15, "a few more at once: %f", p.limit);
    for (int i = 0; i < 10; i++) {
        p.full = true;
        hear(10 * MS, 100 * MS);
    }
    cr_assert(p.limit > 20, "%f", p.limit);
    p.full = true;
    double before = p.middle;
    hear(190 * MS, 110 * MS);
    cr_assert(p.middle > before && p.middle < 1.01 * before, "slowly where it is almost late: %f",
        p.middle);
}

Test(pace, a_backlog__is_no_reason_to_wait)
{
    begin(64);
    hear(3600 * USEC_PER_SEC, 1000 * MS);
    cr_assert_eq(p.middle, 64);
    cr_assert(p.limit > 90 && p.limit < 91, "as if nothing were late: %f", p.limit);
}

/* A sale takes a tenth of a second, of 250 a second the events can be handled, and how late they
 * are is known 300 ms later. */
Test(pace, a_crowd_that_stays__has_a_limit_that_settles)
{
    static double lag_s[4000];
    double least = 1024, most = 0;
    begin(32);
    for (int i = 0; i < (int)ARRAY_SIZE(lag_s); i++, now += 10 * MS) {
        double before = i ? lag_s[i - 1] : 0, sales_per_s = p.limit / 0.1;
        lag_s[i] = before + 0.01 * (sales_per_s / 250 - 1);
        if (lag_s[i] < 0.02)
            lag_s[i] = 0.02;
        p.full = true;
        pace_heard(&p, (int64_t)(lag_s[i < 30 ? 0 : i - 30] * (double)USEC_PER_SEC), now);
        if (i < 2000)
            continue;
        least = p.limit < least ? p.limit : least;
        most = p.limit > most ? p.limit : most;
    }
    cr_assert(least > 23 && most < 27, "%f to %f", least, most);
    cr_assert(lag_s[3999] > 0.18 && lag_s[3999] < 0.22, "%f", lag_s[3999]);
}

Test(pace, lag__is_the_mean_of_the_last_tenth_of_a_second)
{
    struct pace_lag l = {0};
    now = 1000 * USEC_PER_SEC;
    cr_assert_eq(pace_lag_mean(&l, now), 0);
    pace_lag_add(&l, 10 * MS, now);
    pace_lag_add(&l, 30 * MS, now + 50 * MS);
    pace_lag_add(&l, 3600 * USEC_PER_SEC, now + 60 * MS);
    cr_assert_eq(pace_lag_mean(&l, now + 90 * MS), 0, "it is not over");
    cr_assert_eq(pace_lag_mean(&l, now + 110 * MS), 20 * MS, "a backlog is left out");
    cr_assert_eq(pace_lag_mean(&l, now + 190 * MS), 20 * MS);
    cr_assert_eq(pace_lag_mean(&l, now + 220 * MS), 20 * MS, "batches are some time apart");
    cr_assert_eq(pace_lag_mean(&l, now + 510 * MS), 0, "and then there were none");
    pace_lag_add(&l, 10 * MS, now + 520 * MS);
    cr_assert_eq(pace_lag_mean(&l, now + 2000 * MS), 0, "what is long ago is not told");
}

Test(pace, lag__of_batches_that_are_some_time_apart__is_told_all_the_time)
{
    struct pace_lag l = {0};
    now = 1000 * USEC_PER_SEC;
    for (int64_t end_us = now + 3 * USEC_PER_SEC, at_us = now; now < end_us; now += 10 * MS) {
        if (now >= at_us) {
            pace_lag_add(&l, 400 * MS, now);
            at_us += 250 * MS;
        }
        if (now > end_us - 2 * USEC_PER_SEC)
            cr_assert_eq(pace_lag_mean(&l, now), 400 * MS);
    }
}

/* ---- taking turns ---- */

static unsigned inside, most_inside, bought;

static void buy(void *arg)
{
    cr_assert_eq(pace_enter(), 0);
    if (++inside > most_inside)
        most_inside = inside;
    (void)fiber_sleep(5 * MS);
    inside--;
    bought++;
    pace_leave();
}

static void crowd(void)
{
    struct fiber *shoppers[200];
    for (size_t i = 0; i < ARRAY_SIZE(shoppers); i++)
        cr_assert_eq(fiber_spawn(app()->loop, "shopper", buy, NULL, &shoppers[i]), 0);
    for (size_t i = 0; i < ARRAY_SIZE(shoppers); i++)
        cr_assert_eq(fiber_join(shoppers[i], clock_mono_us() + 20 * USEC_PER_SEC), 0);
    cr_assert_eq(bought, 200);
    cr_assert_geq(most_inside, 32);
}
Test(pace, a_crowd__takes_turns_and_everybody_buys)
{
    rig_run(crowd);
}

static void stay(void *arg)
{
    cr_assert_eq(pace_enter(), 0);
    (void)fiber_sleep(1500 * MS);
    pace_leave();
}

static void patience(void)
{
    struct fiber *f[32];
    for (size_t i = 0; i < ARRAY_SIZE(f); i++)
        cr_assert_eq(fiber_spawn(app()->loop, "slow", stay, NULL, &f[i]), 0);
    (void)fiber_sleep(10 * MS);
    int64_t begun_us = clock_mono_us();
    cr_assert_eq(pace_enter(), 0);
    int64_t waited_us = clock_mono_us() - begun_us;
    cr_assert(waited_us >= 400 * MS && waited_us < 1400 * MS, "%lld", (long long)waited_us);
    pace_leave();
    for (size_t i = 0; i < ARRAY_SIZE(f); i++)
        cr_assert_eq(fiber_join(f[i], clock_mono_us() + 5 * USEC_PER_SEC), 0);
}
Test(pace, who_has_waited_half_a_second__begins_all_the_same)
{
    rig_run(patience);
}
