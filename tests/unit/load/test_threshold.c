#include <criterion/criterion.h>

#include "load/threshold.h"

static struct threshold parsed(const char *text)
{
    struct threshold t = {0};
    const char *wrong = threshold_parse(span_of(text), &t);
    cr_assert_null(wrong, "%s: %s", text, wrong);
    return t;
}

Test(threshold, parse__of_each_kind__gives_series_metric_and_value)
{
    struct threshold t = parsed("checkout.p99>50ms");
    cr_assert_str_eq(t.series, "checkout");
    cr_assert_eq(t.metric, METRIC_PERCENTILE);
    cr_assert_float_eq(t.percent, 99, 1e-9);
    cr_assert_eq(t.op, OP_ABOVE);
    cr_assert_float_eq(t.value, 50000, 1e-9);

    t = parsed(" visit.buy.p99.9 >= 1.5 s ");
    cr_assert_str_eq(t.series, "visit.buy");
    cr_assert_float_eq(t.percent, 99.9, 1e-9);
    cr_assert_eq(t.op, OP_AT_LEAST);
    cr_assert_float_eq(t.value, 1.5e6, 1e-6);

    t = parsed("errors>1%");
    cr_assert_str_eq(t.series, "");
    cr_assert(t.share);
    t = parsed("browse.rate<=500");
    cr_assert_eq(t.op, OP_AT_MOST);
    cr_assert_eq(t.metric, METRIC_RATE);
    t = parsed("double-click.wrong>0");
    cr_assert_str_eq(t.series, "double-click");
    cr_assert_not(t.share);
}

Test(threshold, parse__what_is_no_threshold__is_refused)
{
    static const char *const bad[] = {"", "checkout", "checkout.p99", "checkout.p99=5ms",
        "checkout.p99>5", "checkout.p99>5%", "checkout.p101>5ms", "checkout.p0>5ms",
        "checkout.px>5ms", ".p99>5ms", "p99>5ms", "rate<5", "errors>5ms", "errors>x", "add.rate>5%",
        "errors>-1", "checkout.p99>5msx", "checkout.p99>>5ms", "checkout.p99>.ms",
        "checkout.speed>5"};
    struct threshold t;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not_null(threshold_parse(span_of(bad[i]), &t), "%s", bad[i]);
}

static void fill(struct tally *t)
{
    struct series *add = tally_series(t, "add"), *visit = tally_series(t, "visit.buy");
    for (int i = 1; i <= 90; i++)
        tally_answer(t, add, ANSWER_GOOD, "200", SPAN(""), i);
    for (int i = 0; i < 10; i++)
        tally_answer(t, add, ANSWER_SHED, "503", SPAN(""), 1);
    for (int i = 0; i < 500; i++)
        tally_answer(t, visit, ANSWER_WRONG, "a step failed", SPAN(""), 1);
    tally_tick(t);
}

static bool fails(const struct tally *t, const char *text)
{
    struct threshold threshold = parsed(text);
    return threshold_judge(&threshold, t, 9).failed;
}

Test(threshold, judge__around_what_was_measured__fails_on_one_side_only)
{
    struct tally t = {0};
    fill(&t);
    cr_assert(fails(&t, "add.p50>44us"));
    cr_assert_not(fails(&t, "add.p50>45us"));
    cr_assert(fails(&t, "add.p50>=45us"));
    cr_assert(fails(&t, "add.max<91us"));
    cr_assert_not(fails(&t, "add.max<90us"));
    cr_assert(fails(&t, "add.rate<10.1"));
    cr_assert_not(fails(&t, "add.rate<10"));
    cr_assert(fails(&t, "add.shed>9%"));
    cr_assert_not(fails(&t, "add.shed>10%"));
    cr_assert_not(fails(&t, "errors>0"), "what was shed is no error");
    cr_assert(fails(&t, "shed>9"));
    cr_assert_not(fails(&t, "shed>10"), "failed visits are not counted again");
    tally_deinit(&t);
}

Test(threshold, judge__of_what_was_never_measured__fails)
{
    struct tally t = {0};
    fill(&t);
    struct threshold missing = parsed("checkout.p99>50ms"), untimed = parsed("visit.buy.p99>50ms");
    cr_assert(threshold_judge(&missing, &t, 9).unmeasured);
    cr_assert(threshold_judge(&missing, &t, 9).failed);
    cr_assert(threshold_judge(&untimed, &t, 9).failed);
    tally_deinit(&t);
}

Test(threshold, show__of_each_unit__is_for_people)
{
    char text[THRESHOLD_VALUE_SIZE];
    struct threshold t = parsed("add.p99>1ms");
    threshold_show(&t, 62130, text);
    cr_assert_str_eq(text, "62.13 ms");
    t = parsed("errors>1%");
    threshold_show(&t, 0.5, text);
    cr_assert_str_eq(text, "0.50 %");
    t = parsed("errors>1");
    threshold_show(&t, 17, text);
    cr_assert_str_eq(text, "17");
}
