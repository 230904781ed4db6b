#include "load/schedule.h"

#include <math.h>
#include <stdlib.h>

/* The number of visits due by a time is the area under the rate. Each stage is a trapezium, so the
 * way back, from a number of visits to a time, is the root of a quadratic equation. Evenly spaced
 * visits are the whole numbers; random ones (a Poisson process) are sums of exponentially
 * distributed gaps, sent the same way: one function serves both, through ramps and steps. */

static double seconds(int64_t us)
{
    return (double)us / USEC_PER_SEC;
}

bool duration_read(struct span text, int64_t *ret_us)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"ms", USEC_PER_MS}, {"s", USEC_PER_SEC}, {"m", 60 * USEC_PER_SEC},
        {"h", 3600 * USEC_PER_SEC}};
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        size_t n = strlen(units[i].name);
        int64_t number;
        if (text.len <= n || memcmp(text.ptr + text.len - n, units[i].name, n) != 0 ||
            !span_to_i64(span_make(text.ptr, text.len - n), &number))
            continue;
        if (number < 1 || number > 86400 * USEC_PER_SEC / units[i].us)
            return false;
        return *ret_us = number * units[i].us, true;
    }
    return false;
}

static bool rate_read(struct span text, double *ret_rate)
{
    char number[24], *end;
    if (text.len == 0 || text.len >= sizeof(number) ||
        strspn(memcpy(number, text.ptr, text.len), "0123456789.") < text.len)
        return false;
    number[text.len] = '\0';
    double rate = strtod(number, &end);
    if (*end || !(rate <= 1e6))
        return false;
    return *ret_rate = rate, true;
}

static const char *stage_parse(struct span text, struct schedule_stage *ret_stage)
{
    struct span rate, from;
    *ret_stage = (struct schedule_stage){0};
    (void)span_cut(&text, '@', &rate);
    if (text.ptr && !duration_read(text, &ret_stage->length_us))
        return "the time after '@' must be like 30s, 500ms or 2m";
    (void)span_cut(&rate, '-', &from);
    if (!rate_read(from, &ret_stage->from))
        return "a rate must be a number from 0 to 1000000";
    ret_stage->to = ret_stage->from;
    if (rate.ptr && !rate_read(rate, &ret_stage->to))
        return "a ramp must be like 0-200@30s";
    return NULL;
}

const char *schedule_parse(struct span text, int64_t length_us, struct schedule *ret_schedule)
{
    struct schedule s = {0};
    struct span piece;
    bool any_time = false;
    while (span_cut(&text, ',', &piece)) {
        if (s.count == SCHEDULE_STAGES_LIMIT)
            return "there are more than 32 stages";
        const char *wrong = stage_parse(piece, &s.stages[s.count]);
        if (wrong)
            return wrong;
        any_time = s.stages[s.count].length_us > 0 || any_time;
        s.count++;
    }
    int64_t length = any_time ? 0 : length_us / (int64_t)s.count;
    for (size_t i = s.count; i-- > 0;) {
        if (s.stages[i].length_us > 0)
            length = s.stages[i].length_us;
        else if (length == 0)
            return "the last stage has no time, others have";
        s.stages[i].length_us = length;
    }
    if (schedule_peak(&s) <= 0)
        return "nothing is ever due at a rate of 0";
    *ret_schedule = s;
    return NULL;
}

void schedule_warm_up(struct schedule *s, int64_t length_us)
{
    if (length_us <= 0 || s->count == SCHEDULE_STAGES_LIMIT)
        return;
    double rate = s->stages[0].from > 0 ? s->stages[0].from : s->stages[0].to;
    memmove(s->stages + 1, s->stages, s->count * sizeof(s->stages[0]));
    s->stages[0] = (struct schedule_stage){rate, rate, length_us};
    s->count++;
}

int64_t schedule_length(const struct schedule *s)
{
    int64_t us = 0;
    for (size_t i = 0; i < s->count; i++)
        us += s->stages[i].length_us;
    return us;
}

double schedule_rate(const struct schedule *s, int64_t at_us)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct schedule_stage *stage = &s->stages[i];
        if (at_us < stage->length_us)
            return stage->from +
                   (stage->to - stage->from) * (double)at_us / (double)stage->length_us;
        at_us -= stage->length_us;
    }
    return 0;
}

double schedule_peak(const struct schedule *s)
{
    double peak = 0;
    for (size_t i = 0; i < s->count; i++)
        peak = fmax(peak, fmax(s->stages[i].from, s->stages[i].to));
    return peak;
}

int64_t schedule_due(const struct schedule *s, double n)
{
    int64_t begun_us = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct schedule_stage *stage = &s->stages[i];
        double length = seconds(stage->length_us);
        double visits = (stage->from + stage->to) / 2 * length;
        if (n < visits) {
            /* from * t + slope / 2 * t^2 = n, in the form that also holds for a slope of 0 */
            double slope = (stage->to - stage->from) / length;
            double root = sqrt(fmax(0, stage->from * stage->from + 2 * slope * n));
            double t = n > 0 ? 2 * n / (stage->from + root) : 0;
            return begun_us + (int64_t)(fmin(t, length) * USEC_PER_SEC);
        }
        n -= visits;
        begun_us += stage->length_us;
    }
    return -1;
}
