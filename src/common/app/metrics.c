/* Metrics: a list of declared metrics, each with a short list of series found by its joined label
 * values. The numbers of routes, methods and codes are small, so a list walk is cheaper than it
 * looks; a limit on the series of one metric keeps a mistake in labels from eating the process:
 * what comes beyond it is counted under the label value "other". */

#include "common/app/metrics.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

#define SERIES_LIMIT 500
#define LABELS_LIMIT 4
#define VALUE_LIMIT  100
#define LABELS_SIZE  (LABELS_LIMIT * (VALUE_LIMIT + 32))

static const int64_t bucket_bounds_us[] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000};

struct metric_series {
    struct metric_series *next;
    char labels[LABELS_SIZE]; /* `route="/x",method="GET"`, or empty */
    double value;             /* histograms: the sum in seconds */
    uint64_t count;
    uint64_t buckets[ARRAY_SIZE(bucket_bounds_us)];
};

struct scrape_hook {
    struct scrape_hook *next;
    void (*fn)(void *ctx);
    void *ctx;
};

static struct metric *metrics, **metrics_end = &metrics;
static struct scrape_hook *hooks;

/* Writes one label value with the escapes of the text format. */
static size_t put_escaped(char *out, size_t size, const char *value)
{
    size_t n = 0;
    for (; *value && n + 3 < size; value++) {
        if (*value == '"' || *value == '\\' || *value == '\n')
            out[n++] = '\\';
        out[n++] = *value == '\n' ? 'n' : *value;
    }
    out[n] = 0;
    return n;
}

static void join_labels(
    const struct metric *m, const char *const values[static LABELS_LIMIT], char text[LABELS_SIZE])
{
    struct span rest = span_of(m->labels), name;
    char *at = text;
    for (size_t i = 0; m->labels && span_cut(&rest, ',', &name); i++) {
        assert(i < LABELS_LIMIT && name.len <= 24);
        if (i > 0)
            *at++ = ',';
        memcpy(at, name.ptr, name.len);
        at += name.len;
        *at++ = '=';
        *at++ = '"';
        at += put_escaped(at, VALUE_LIMIT, values[i] ? values[i] : "");
        *at++ = '"';
    }
    *at = 0;
}

static void read_values(const struct metric *m, va_list list, const char *values[LABELS_LIMIT])
{
    struct span rest = span_of(m->labels), name;
    for (size_t i = 0; m->labels && i < LABELS_LIMIT && span_cut(&rest, ',', &name); i++)
        values[i] = va_arg(list, const char *);
}

static struct metric_series *series_find(struct metric *m, const char *labels, bool make)
{
    size_t n = 0;
    struct metric_series **at = &m->series;
    for (; *at; at = &(*at)->next, n++)
        if (strcmp((*at)->labels, labels) == 0)
            return *at;
    if (n >= SERIES_LIMIT && !make)
        return NULL;
    *at = MEM_NEW(struct metric_series);
    snprintf((*at)->labels, LABELS_SIZE, "%s", labels);
    return *at;
}

static struct metric_series *series_of(struct metric *m, va_list list)
{
    static const char *const other[LABELS_LIMIT] = {"other", "other", "other", "other"};
    const char *values[LABELS_LIMIT] = {0};
    char labels[LABELS_SIZE];
    if (!m->registered) {
        m->registered = true;
        *metrics_end = m;
        metrics_end = &m->next;
    }
    read_values(m, list, values);
    join_labels(m, values, labels);
    struct metric_series *s = series_find(m, labels, false);
    if (s)
        return s;
    join_labels(m, other, labels);
    return series_find(m, labels, true);
}

void metric_add(struct metric *m, double value, ...)
{
    va_list values;
    va_start(values, value);
    series_of(m, values)->value += value;
    va_end(values);
}

void metric_set(struct metric *m, double value, ...)
{
    va_list values;
    va_start(values, value);
    series_of(m, values)->value = value;
    va_end(values);
}

void metric_observe_us(struct metric *m, int64_t us, ...)
{
    va_list values;
    va_start(values, us);
    struct metric_series *s = series_of(m, values);
    va_end(values);
    us = us > 0 ? us : 0; /* clocks of two machines differ */
    s->count++;
    s->value += (double)us / USEC_PER_SEC;
    for (size_t i = 0; i < ARRAY_SIZE(bucket_bounds_us); i++)
        if (us <= bucket_bounds_us[i])
            s->buckets[i]++;
}

void metrics_on_scrape(void (*fn)(void *ctx), void *ctx)
{
    struct scrape_hook *h = MEM_NEW(struct scrape_hook);
    *h = (struct scrape_hook){.next = hooks, .fn = fn, .ctx = ctx};
    hooks = h;
}

static void write_histogram(struct buf *out, const struct metric *m, const struct metric_series *s)
{
    const char *comma = *s->labels ? "," : "";
    for (size_t i = 0; i < ARRAY_SIZE(bucket_bounds_us); i++)
        buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %llu\n", m->name, s->labels, comma,
            (double)bucket_bounds_us[i] / USEC_PER_SEC, (unsigned long long)s->buckets[i]);
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", m->name, s->labels, comma,
        (unsigned long long)s->count);
    const char *open = *s->labels ? "{" : "", *close = *s->labels ? "}" : "";
    buf_printf(out, "%s_sum%s%s%s %.9g\n", m->name, open, s->labels, close, s->value);
    buf_printf(out, "%s_count%s%s%s %llu\n", m->name, open, s->labels, close,
        (unsigned long long)s->count);
}

void metrics_write(struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    for (struct scrape_hook *h = hooks; h; h = h->next)
        h->fn(h->ctx);
    for (struct metric *m = metrics; m; m = m->next) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, kinds[m->kind]);
        for (struct metric_series *s = m->series; s; s = s->next) {
            if (m->kind == METRIC_HISTOGRAM)
                write_histogram(out, m, s);
            else if (*s->labels)
                buf_printf(out, "%s{%s} %.17g\n", m->name, s->labels, s->value);
            else
                buf_printf(out, "%s %.17g\n", m->name, s->value);
        }
    }
}
