#include "common/app/admission.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"

#define MS USEC_PER_MS
#define S  USEC_PER_SEC

static struct admission a;
static int64_t now;

static void begin(unsigned floor, unsigned ceiling)
{
    now = 1000 * S;
    admission_init(&a, floor, ceiling, now);
}

/* How many of `count` of a class come in. */
static unsigned enter(enum admission_class c, unsigned count)
{
    unsigned in = 0;
    for (unsigned i = 0; i < count; i++)
        in += admission_enter(&a, c, now);
    return in;
}

static void leave(enum admission_class c, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        admission_leave(&a, c, NULL, 0, now);
}

/* A crowd of `count` that stands for some intervals. */
static void stand(unsigned count)
{
    cr_assert_eq(enter(ADMIT_VITAL, count), count);
    for (int i = 0; i < 3; i++) {
        now += 150 * MS;
        cr_assert_eq(enter(ADMIT_VITAL, 1), 1);
        leave(ADMIT_VITAL, 1);
    }
}

Test(admission, burst__that_drains__comes_in_whole)
{
    begin(16, 16);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(enter(ADMIT_BROWSE, 23), 23);
        now += 30 * MS;
        leave(ADMIT_BROWSE, 23);
        now += 20 * MS;
    }
    cr_assert_not(a.overloaded);
    cr_assert_eq(a.shed[ADMIT_BROWSE], 0);
}

Test(admission, burst__beyond_all_measure__is_cut_and_is_overload)
{
    begin(16, 16);
    cr_assert_eq(enter(ADMIT_BROWSE, 100), 28);
    cr_assert(a.overloaded);
    cr_assert_eq(enter(ADMIT_CHECKOUT, 100), 0, "which leaves nobody more than the limit");
    leave(ADMIT_BROWSE, 14);
    cr_assert_eq(enter(ADMIT_CHECKOUT, 100), 2);
}

Test(admission, crowd__that_stands__has_browse_refused_before_cart_before_checkout)
{
    begin(16, 16);
    stand(16);
    cr_assert(a.overloaded);
    leave(ADMIT_VITAL, 8); /* half of the limit */
    cr_assert_eq(enter(ADMIT_BROWSE, 9), 4);
    cr_assert_eq(enter(ADMIT_CART, 9), 3);
    cr_assert_eq(enter(ADMIT_CHECKOUT, 9), 1);
    cr_assert_eq(a.in_flight, 16);
    cr_assert_eq(enter(ADMIT_VITAL, 1000), 1000);
    cr_assert_eq(a.shed[ADMIT_BROWSE], 5);
    cr_assert_eq(a.shed[ADMIT_CART], 6);
    cr_assert_eq(a.shed[ADMIT_CHECKOUT], 8);
    cr_assert_eq(a.shed[ADMIT_VITAL], 0);
}

Test(admission, overload__ends_a_second_after_the_last_refusal)
{
    begin(16, 16);
    stand(16);
    cr_assert_eq(enter(ADMIT_CHECKOUT, 1), 0);
    leave(ADMIT_VITAL, 16);
    now += 900 * MS;
    cr_assert_eq(enter(ADMIT_BROWSE, 13), 12);
    leave(ADMIT_BROWSE, 12);
    now += 1100 * MS;
    cr_assert_eq(enter(ADMIT_BROWSE, 13), 13);
    cr_assert_not(a.overloaded);
}

Test(admission, login__is_not_counted)
{
    begin(16, 16);
    cr_assert_eq(enter(ADMIT_LOGIN, 1000), 1000);
    cr_assert_eq(a.in_flight, 0);
    leave(ADMIT_LOGIN, 1000);
    cr_assert_eq(a.in_flight, 0);
}

Test(admission, told_of_a_crowd__refuses_the_lesser_classes_for_a_moment)
{
    begin(16, 16);
    admission_told(&a, 74, now);
    cr_assert_eq(enter(ADMIT_BROWSE, 1), 1);
    admission_told(&a, 80, now);
    cr_assert_eq(enter(ADMIT_BROWSE, 1), 0);
    cr_assert_eq(enter(ADMIT_CART, 1), 1);
    admission_told(&a, 95, now);
    cr_assert_eq(enter(ADMIT_CART, 1), 0);
    cr_assert_eq(enter(ADMIT_LOGIN, 1), 0);
    cr_assert_eq(enter(ADMIT_CHECKOUT, 1), 1);
    cr_assert_eq(enter(ADMIT_VITAL, 1), 1);
    cr_assert_not(a.overloaded, "it is somebody else who is");
    now += 300 * MS;
    cr_assert_eq(enter(ADMIT_BROWSE, 1), 1);
}

Test(admission, pressure__is_told_in_overload_only)
{
    begin(16, 16);
    cr_assert_eq(enter(ADMIT_CHECKOUT, 12), 12);
    cr_assert_eq(admission_pressure(&a), 0);
    stand(4);
    cr_assert_eq(admission_pressure(&a), 100);
    leave(ADMIT_CHECKOUT, 8);
    cr_assert_eq(admission_pressure(&a), 50);
}

/* ---- the limit ---- */

/* `width` at once, each `took_us`, for a time. */
static void work(struct admission_pace *pace, unsigned width, int64_t took_us, int64_t for_us)
{
    for (int64_t until = now + for_us; now < until;) {
        unsigned in = enter(ADMIT_CHECKOUT, width);
        now += took_us;
        for (unsigned i = 0; i < in; i++)
            admission_leave(&a, ADMIT_CHECKOUT, pace, took_us, now);
    }
}

Test(admission, limit__grows_while_it_is_used_and_nobody_waits)
{
    struct admission_pace pace = {0};
    begin(4, 64);
    work(&pace, 2, 10 * MS, 5 * S);
    cr_assert_eq((int)a.limit, 8, "it was not made use of: %f", a.limit);
    for (unsigned width = 4; width < 100; width *= 2)
        work(&pace, width, 12 * MS, 3 * S);
    cr_assert_eq((int)a.limit, 64);
}

Test(admission, limit__shrinks_to_its_floor_when_all_wait)
{
    struct admission_pace pace = {0};
    begin(16, 256);
    work(&pace, 8, 10 * MS, 5 * S);
    cr_assert_eq(pace.base_us, 10 * MS);
    work(&pace, 40, 90 * MS, 5 * S);
    cr_assert_eq((int)a.limit, 16);
    work(&pace, 40, 30 * MS, 5 * S);
    cr_assert_eq((int)a.limit, 16, "three times the base is borne, and no more is let in");
}

Test(admission, base__is_forgotten_slowly)
{
    struct admission_pace pace = {0};
    begin(16, 256);
    work(&pace, 2, 10 * MS, S);
    work(&pace, 2, 50 * MS, 20 * S);
    cr_assert(pace.base_us < 13 * MS, "%lld", (long long)pace.base_us);
    work(&pace, 2, 50 * MS, 600 * S);
    cr_assert_eq(pace.base_us, 50 * MS);
    work(&pace, 2, 10 * MS, S);
    cr_assert_eq(pace.base_us, 10 * MS, "what is quicker is believed at once");
}

/* ---- all of it: a shop that can do so much and no more ---- */

/* Work in flight shares the machine evenly. A visit looks, adds, checks out; who is refused goes.
 */
enum { STEPS = 3, CROWD = 4096 };
static const enum admission_class step_class[STEPS] = {ADMIT_BROWSE, ADMIT_CART, ADMIT_CHECKOUT};
static const double step_work_us[STEPS] = {300, 700, 3000}; /* 250 visits a second */

struct shop {
    struct visit {
        unsigned step; /* STEPS: nobody */
        int64_t since;
        double left_us;
    } visits[CROWD];
    struct admission_pace paces[STEPS];
    unsigned sold;
    unsigned refused[STEPS];
    int64_t took_us[CROWD * 4]; /* of checkouts */
};
static struct shop shop;

static void step_begin(struct visit *v)
{
    if (v->step < STEPS && !admission_enter(&a, step_class[v->step], now)) {
        shop.refused[v->step]++;
        v->step = STEPS;
    }
    if (v->step == STEPS)
        return;
    v->since = now;
    v->left_us = step_work_us[v->step];
}

static void step_end(struct visit *v)
{
    int64_t took_us = now - v->since;
    admission_leave(&a, step_class[v->step], &shop.paces[v->step], took_us, now);
    if (v->step == STEPS - 1)
        shop.took_us[shop.sold++ % (CROWD * 4)] = took_us;
    v->step++;
    step_begin(v);
}

static void visit_begin(void)
{
    for (size_t i = 0; i < CROWD; i++)
        if (shop.visits[i].step == STEPS) {
            shop.visits[i].step = 0;
            step_begin(&shop.visits[i]);
            return;
        }
}

/* In slices of half a millisecond; at least 4 ms of work alone: only one of it at a time. */
static void run(double per_second, int64_t for_us)
{
    const int64_t slice_us = 500;
    double due = 0;
    shop.sold = 0;
    memset(shop.refused, 0, sizeof(shop.refused));
    for (int64_t until = now + for_us; now < until;) {
        unsigned busy = 0;
        now += slice_us;
        for (due += per_second * (double)slice_us / S; due >= 1; due--)
            visit_begin();
        for (size_t i = 0; i < CROWD; i++)
            busy += shop.visits[i].step < STEPS;
        for (size_t i = 0; i < CROWD; i++)
            if (shop.visits[i].step < STEPS &&
                (shop.visits[i].left_us -= (double)slice_us / busy) <= 0)
                step_end(&shop.visits[i]);
    }
}

static int by_time(const void *x, const void *y)
{
    int64_t l = *(const int64_t *)x, r = *(const int64_t *)y;
    return l < r ? -1 : l > r;
}

static int64_t p99(void)
{
    qsort(shop.took_us, shop.sold, sizeof(*shop.took_us), by_time);
    return shop.took_us[shop.sold * 99 / 100];
}

Test(admission, three_times_too_much__sells_as_much_as_ever_and_as_quickly)
{
    begin(16, 256);
    for (size_t i = 0; i < CROWD; i++)
        shop.visits[i].step = STEPS;
    run(200, 10 * S);
    unsigned refused = shop.refused[0] + shop.refused[1] + shop.refused[2];
    cr_assert_eq(refused, 0);
    run(750, 20 * S);
    cr_assert(shop.sold >= 20 * 250 * 9 / 10, "%u sold", shop.sold);
    cr_assert(p99() <= 80 * MS, "%lld us", (long long)p99());
    cr_assert(shop.refused[0] > 10 * shop.refused[1], "%u %u", shop.refused[0], shop.refused[1]);
    cr_assert(shop.refused[2] * 100 <= shop.sold, "%u", shop.refused[2]);
    run(200, 2 * S);
    run(200, 5 * S);
    refused = shop.refused[0] + shop.refused[1] + shop.refused[2];
    cr_assert_eq(refused, 0, "calm again");
    cr_assert(p99() <= 40 * MS, "%lld us", (long long)p99());
}
