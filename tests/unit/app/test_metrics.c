#include "common/app/metrics.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct buf out;

static const char *scraped(void)
{
    buf_reset(&out);
    metrics_write(&out);
    return out.ptr ? out.ptr : "";
}

static void forget(void)
{
    buf_deinit(&out);
}
TestSuite(metrics, .fini = forget);

Test(metrics, counter__with_labels__has_help_type_and_one_line_a_series)
{
    static struct metric m = {.name = "a_total", .help = "Things.", .labels = "kind,result"};
    metric_add(&m, 1, "x", "good");
    metric_add(&m, 2, "x", "bad");
    metric_add(&m, 1.5, "x", "good");
    cr_assert_str_eq(scraped(), "# HELP a_total Things.\n# TYPE a_total counter\n"
                                "a_total{kind=\"x\",result=\"good\"} 2.5\n"
                                "a_total{kind=\"x\",result=\"bad\"} 2\n");
}

Test(metrics, gauge__without_labels__has_its_last_value)
{
    static struct metric m = {.name = "b", .help = "B.", .kind = METRIC_GAUGE};
    metric_set(&m, 5);
    metric_set(&m, -3);
    cr_assert_str_eq(scraped(), "# HELP b B.\n# TYPE b gauge\nb -3\n");
}

Test(metrics, histogram__counts_into_every_bucket_that_is_wide_enough)
{
    static struct metric m = {
        .name = "c_seconds", .help = "C.", .kind = METRIC_HISTOGRAM, .labels = "r"};
    metric_observe_us(&m, 500, "x");      /* on the first bound */
    metric_observe_us(&m, 3000, "x");     /* within 5 ms */
    metric_observe_us(&m, 60000000, "x"); /* beyond all bounds */
    metric_observe_us(&m, -5, "x");       /* clocks that differ: now */
    const char *text = scraped();
    cr_assert(strstr(text, "# TYPE c_seconds histogram\n"));
    cr_assert(strstr(text, "c_seconds_bucket{r=\"x\",le=\"0.0005\"} 2\n"), "%s", text);
    cr_assert(strstr(text, "c_seconds_bucket{r=\"x\",le=\"0.0025\"} 2\n"));
    cr_assert(strstr(text, "c_seconds_bucket{r=\"x\",le=\"0.005\"} 3\n"));
    cr_assert(strstr(text, "c_seconds_bucket{r=\"x\",le=\"10\"} 3\n"));
    cr_assert(strstr(text, "c_seconds_bucket{r=\"x\",le=\"+Inf\"} 4\n"));
    cr_assert(strstr(text, "c_seconds_sum{r=\"x\"} 60.0035\n"), "%s", text);
    cr_assert(strstr(text, "c_seconds_count{r=\"x\"} 4\n"));
}

Test(metrics, label_values__are_escaped_and_cut)
{
    static struct metric m = {.name = "d_total", .help = "D.", .labels = "v,w"};
    char longer[4096];
    memset(longer, 'y', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    metric_add(&m, 1, "a\"b\\c\nd", NULL);
    metric_add(&m, 1, longer, longer);
    const char *text = scraped();
    cr_assert(strstr(text, "d_total{v=\"a\\\"b\\\\c\\nd\",w=\"\"} 1\n"), "%s", text);
    cr_assert(strstr(text, "yyyy\",w=\"yyyy"));
    cr_assert_lt(strlen(text), 500);
}

Test(metrics, series_beyond_the_limit__are_counted_as_other)
{
    static struct metric m = {.name = "e_total", .help = "E.", .labels = "id"};
    char id[16];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 700; i++) {
            snprintf(id, sizeof(id), "n%d", i);
            metric_add(&m, 1, id);
        }
    const char *text = scraped();
    cr_assert(strstr(text, "e_total{id=\"n0\"} 2\n"));
    cr_assert(strstr(text, "e_total{id=\"n499\"} 2\n"));
    cr_assert_null(strstr(text, "\"n500\""));
    cr_assert(strstr(text, "e_total{id=\"other\"} 400\n"));
}

static void set_seven(void *ctx)
{
    metric_set(ctx, 7);
}

Test(metrics, on_scrape__runs_before_each_writing)
{
    static struct metric m = {.name = "f", .help = "F.", .kind = METRIC_GAUGE};
    metrics_on_scrape(set_seven, &m);
    cr_assert(strstr(scraped(), "f 7\n"));
    metric_set(&m, 1);
    cr_assert(strstr(scraped(), "f 7\n"));
}
