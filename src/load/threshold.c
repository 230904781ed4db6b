#include "load/threshold.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    enum threshold_metric metric;
} metrics[] = {
    {"mean", METRIC_MEAN},
    {"max", METRIC_MAX},
    {"rate", METRIC_RATE},
    {"count", METRIC_COUNT},
    {"good", METRIC_GOOD},
    {"errors", METRIC_ERRORS},
    {"shed", METRIC_SHED},
    {"wrong", METRIC_WRONG},
    {"lost", METRIC_LOST},
};

static bool is_time(enum threshold_metric m)
{
    return m == METRIC_PERCENTILE || m == METRIC_MEAN || m == METRIC_MAX;
}

static bool number_read(struct span text, double *ret_number)
{
    char digits[32], *end;
    if (text.len == 0 || text.len >= sizeof(digits) || strchr("0123456789", text.ptr[0]) == NULL)
        return false;
    memcpy(digits, text.ptr, text.len);
    digits[text.len] = '\0';
    if (strspn(digits, "0123456789.") < text.len)
        return false;
    *ret_number = strtod(digits, &end);
    return *end == '\0';
}

static bool metric_read(struct span text, struct threshold *t)
{
    if (text.len > 1 && text.ptr[0] == 'p' &&
        number_read(span_make(text.ptr + 1, text.len - 1), &t->percent)) {
        t->metric = METRIC_PERCENTILE;
        return t->percent > 0 && t->percent <= 100;
    }
    for (size_t i = 0; i < ARRAY_SIZE(metrics); i++)
        if (span_equal(text, span_of(metrics[i].name)))
            return t->metric = metrics[i].metric, true;
    return false;
}

/* Names of series have dots, and so does p99.9: the longest rest that is a metric is it. */
static const char *left_parse(struct span left, struct threshold *t)
{
    if (metric_read(left, t))
        return is_time(t->metric) || t->metric == METRIC_RATE
                   ? "a time or a rate needs a series: checkout.p99"
                   : NULL;
    for (size_t i = 0; i < left.len; i++) {
        if (left.ptr[i] != '.' || !metric_read(span_make(left.ptr + i + 1, left.len - i - 1), t))
            continue;
        if (i == 0 || i >= sizeof(t->series))
            return "there is no such series";
        memcpy(t->series, left.ptr, i);
        return NULL;
    }
    return "it must begin like checkout.p99, add.errors or browse.rate";
}

static const char *value_parse(struct span right, struct threshold *t)
{
    static const struct {
        const char *unit;
        double us;
    } units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}};
    size_t digits = 0;
    while (digits < right.len && strchr("0123456789.", right.ptr[digits]))
        digits++;
    struct span unit = span_trim(span_make(right.ptr + digits, right.len - digits));
    if (!number_read(span_make(right.ptr, digits), &t->value))
        return "what follows the comparison must be a number";
    if (is_time(t->metric)) {
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
            if (span_equal(unit, span_of(units[i].unit)))
                return t->value *= units[i].us, NULL;
        return "a time needs its unit: us, ms or s";
    }
    t->share = span_equal(unit, SPAN("%"));
    if (t->share && (t->metric == METRIC_RATE || t->metric == METRIC_COUNT))
        return "only good, errors, shed, wrong and lost can be a share";
    return unit.len == 0 || t->share ? NULL : "a number has no unit, or %";
}

const char *threshold_parse(struct span text, struct threshold *ret_threshold)
{
    struct threshold t = {0};
    text = span_trim(text);
    if (text.len >= sizeof(t.text))
        return "it is too long";
    memcpy(t.text, text.ptr, text.len);
    size_t at = strcspn(t.text, "<>"), after = at + 1;
    if (at == text.len)
        return "it needs one of > >= < <=";
    bool equal = t.text[after] == '=';
    if (t.text[at] == '>')
        t.op = equal ? OP_AT_LEAST : OP_ABOVE;
    else
        t.op = equal ? OP_AT_MOST : OP_BELOW;
    after += equal;
    const char *wrong = left_parse(span_trim(span_make(t.text, at)), &t);
    if (!wrong)
        wrong = value_parse(span_trim(span_make(t.text + after, text.len - after)), &t);
    if (!wrong)
        *ret_threshold = t;
    return wrong;
}

/* ---- judging ---- */

static double of_kind(const struct threshold *t, const struct series *s)
{
    switch (t->metric) {
    case METRIC_GOOD:
    case METRIC_RATE:
        return (double)s->kinds[ANSWER_GOOD];
    case METRIC_SHED:
        return (double)s->kinds[ANSWER_SHED];
    case METRIC_WRONG:
        return (double)s->kinds[ANSWER_WRONG];
    case METRIC_LOST:
        return (double)s->kinds[ANSWER_LOST];
    case METRIC_ERRORS:
        return (double)series_count(s, true);
    case METRIC_COUNT:
    case METRIC_PERCENTILE:
    case METRIC_MEAN:
    case METRIC_MAX:
        break;
    }
    return (double)series_count(s, false);
}

static double time_of(const struct threshold *t, const struct histogram *h)
{
    if (t->metric == METRIC_PERCENTILE)
        return (double)histogram_percentile(h, t->percent);
    return t->metric == METRIC_MAX ? (double)h->max_us : (double)h->sum_us / (double)h->count;
}

static bool holds(enum threshold_op op, double a, double b)
{
    switch (op) {
    case OP_ABOVE:
        return a > b;
    case OP_AT_LEAST:
        return a >= b;
    case OP_BELOW:
        return a < b;
    case OP_AT_MOST:
        break;
    }
    return a <= b;
}

struct verdict threshold_judge(const struct threshold *t, const struct tally *tally, double seconds)
{
    double value = 0, answers = 0;
    const struct series *one = t->series[0] ? tally_find(tally, t->series) : NULL;
    if (t->series[0]) {
        if (!one || (is_time(t->metric) && one->all.count == 0))
            return (struct verdict){.failed = true, .unmeasured = true};
        value = is_time(t->metric) ? time_of(t, &one->all) : of_kind(t, one);
        answers = (double)series_count(one, false);
    } else {
        for (size_t i = 0; i < tally->series_count; i++) {
            if (series_is_visit(tally->series[i]))
                continue;
            value += of_kind(t, tally->series[i]);
            answers += (double)series_count(tally->series[i], false);
        }
    }
    if (t->metric == METRIC_RATE)
        value = seconds > 0 ? value / seconds : 0;
    if (t->share)
        value = answers > 0 ? value / answers * 100 : 0;
    return (struct verdict){.failed = holds(t->op, value, t->value), .value = value};
}

void threshold_show(const struct threshold *t, double value, char text[static THRESHOLD_VALUE_SIZE])
{
    if (is_time(t->metric))
        snprintf(text, THRESHOLD_VALUE_SIZE, "%.2f ms", value / 1000);
    else if (t->share)
        snprintf(text, THRESHOLD_VALUE_SIZE, "%.2f %%", value);
    else
        snprintf(text, THRESHOLD_VALUE_SIZE, t->metric == METRIC_RATE ? "%.1f" : "%.0f", value);
}
