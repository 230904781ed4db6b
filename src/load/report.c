#include <stdlib.h>

#include "common/json/writer.h"
#include "load/load.h"
#include "load/watch.h"

/* ---- the verdict ---- */

static bool about_errors(const struct threshold *t)
{
    return t->metric == METRIC_ERRORS || t->metric == METRIC_SHED || t->metric == METRIC_WRONG ||
           t->metric == METRIC_LOST;
}

struct judgement run_judge(const struct run *r)
{
    struct judgement j = {.verdicts_count = r->o->thresholds_count};
    bool errors_judged = false;
    for (size_t i = 0; i < j.verdicts_count; i++) {
        const struct threshold *t = &r->o->thresholds[i];
        j.verdicts[i] = threshold_judge(t, &r->tally, run_seconds(r));
        j.failed = j.failed || j.verdicts[i].failed;
        errors_judged = errors_judged || about_errors(t);
    }
    /* A sale's buyers who are told to come again do so: that alone is no failure of it. */
    bool errors = false;
    for (size_t i = 0; i < r->tally.series_count; i++) {
        const struct series *s = r->tally.series[i];
        errors = errors || s->kinds[ANSWER_WRONG] + s->kinds[ANSWER_LOST] > 0 ||
                 (s->kinds[ANSWER_SHED] > 0 && !r->o->scenario->drive);
    }
    j.failed = j.failed || audit_failed(&r->audit) || tally_broken(&r->tally) > 0 ||
               (errors && !errors_judged) || tally_count(&r->tally, false) == 0;
    return j;
}

const struct histogram *run_visits(const struct run *r)
{
    struct histogram *h = ARENA_NEW(fiber_arena(), struct histogram);
    for (size_t i = 0; i < r->tally.series_count; i++)
        if (series_is_visit(r->tally.series[i]))
            histogram_merge(h, &r->tally.series[i]->all);
    return h;
}

/* ---- for people ---- */

static double ms(int64_t us)
{
    return (double)us / USEC_PER_MS;
}

static void print_series(const struct run *r, const struct series *s, FILE *to)
{
    const struct histogram *h = &s->all;
    double rate = run_seconds(r) > 0 ? (double)s->kinds[ANSWER_GOOD] / run_seconds(r) : 0;
    fprintf(to, "%-24s %9llu %8.1f %9.2f %9.2f %9.2f %9.2f %9.2f %6llu %6llu %6llu\n", s->name,
        (unsigned long long)s->kinds[ANSWER_GOOD], rate, ms(histogram_percentile(h, 50)),
        ms(histogram_percentile(h, 90)), ms(histogram_percentile(h, 99)),
        ms(histogram_percentile(h, 99.9)), ms(h->max_us), (unsigned long long)s->kinds[ANSWER_SHED],
        (unsigned long long)s->kinds[ANSWER_WRONG], (unsigned long long)s->kinds[ANSWER_LOST]);
}

const char *outcome_verdict(const struct outcome *o)
{
    if (o->kind == ANSWER_GOOD)
        return "as expected";
    return o->kind == ANSWER_AGAIN ? "as expected, asked again" : answer_kind_name(o->kind);
}

static void print_outcomes(const struct series *s, FILE *to)
{
    bool plain = s->outcomes_count == 1 && s->outcomes[0].kind == ANSWER_GOOD;
    for (size_t i = 0; i < s->outcomes_count && !plain && !series_is_visit(s); i++) {
        const struct outcome *o = &s->outcomes[i];
        fprintf(to, "  %-14s %-36s %9llu  %s\n", s->name, o->name, (unsigned long long)o->count,
            outcome_verdict(o));
        if (o->kind == ANSWER_WRONG && o->sample[0])
            fprintf(to, "      %s\n", o->sample);
    }
}

static void print_watched(const struct run *r, FILE *to)
{
    const struct watch *w = r->watch;
    double all = 0, services = 0, services_mb = 0;
    if (!w || w->samples_count == 0)
        return;
    const struct watch_sample *last = &w->samples[w->samples_count - 1];
    fputs("\nCPU (cores) and memory (MB)\n ", to);
    for (size_t i = 0; i < w->parts_count; i++) {
        double used = watch_cpu(w, i, r->counted_from_us, r->counted_to_us);
        fprintf(to, " %s %.2f/%.0f", w->parts[i].name, used / run_seconds(r), last->memory_mb[i]);
        all += used;
        services += watch_is_service(w, i) ? used : 0;
        services_mb += watch_is_service(w, i) ? last->memory_mb[i] : 0;
    }
    if (w->parts_count > 0)
        fprintf(to, "\n  services %.2f/%.0f, all %.2f; souk-load itself %.3f, %.1f %% of that\n",
            services / run_seconds(r), services_mb, all / run_seconds(r),
            r->own_cpu_s / run_seconds(r), all > 0 ? r->own_cpu_s / all * 100 : 0);
}

static void print_promises(const struct run *r, const struct judgement *j, FILE *to)
{
    char value[THRESHOLD_VALUE_SIZE];
    if (r->tally.promises_count + j->verdicts_count > 0)
        fputs("\n", to);
    for (size_t i = 0; i < r->tally.promises_count; i++) {
        const struct promise *p = &r->tally.promises[i];
        fprintf(to, "%s %s: kept %llu times, broken %llu times%s%s\n",
            p->broken ? "FAILED" : "ok    ", p->sentence, (unsigned long long)p->kept,
            (unsigned long long)p->broken, p->broken ? ": " : "", p->sample);
    }
    for (size_t i = 0; i < j->verdicts_count; i++) {
        threshold_show(&r->o->thresholds[i], j->verdicts[i].value, value);
        fprintf(to, "%s %s: %s\n", j->verdicts[i].failed ? "FAILED" : "ok    ",
            r->o->thresholds[i].text, j->verdicts[i].unmeasured ? "was not measured" : value);
    }
}

static void print_audit(const struct audit *audit, FILE *to)
{
    if (!audit->asked)
        return;
    fprintf(
        to, "\n%s audit: %s\n", audit_failed(audit) ? "FAILED" : "ok    ", audit_verdict(audit));
    for (size_t i = 0; i < audit->count; i++) {
        const struct audit_line *l = &audit->lines[i];
        if (l->holds)
            continue;
        fprintf(to, "       %-4s %s: not so %lld times\n", l->name, l->sentence,
            (long long)l->differences);
        for (size_t k = 0; k < l->first.len; k++)
            fprintf(to, "            %s\n", *LIST_AT(l->first, const char *const, k));
    }
}

/* The last line is for scripts: it has always this form. */
static void print_summary(const struct run *r, const struct judgement *j, FILE *to)
{
    const struct histogram *visits = run_visits(r);
    fprintf(to,
        "souk-load %s: %llu visits in %.1f s, %.1f/s, p50 %.2f ms, p99 %.2f ms, %llu errors, "
        "%llu shed%s: %s\n",
        r->o->scenario->name, (unsigned long long)visits->count, run_seconds(r),
        run_seconds(r) > 0 ? (double)visits->count / run_seconds(r) : 0,
        ms(histogram_percentile(visits, 50)), ms(histogram_percentile(visits, 99)),
        (unsigned long long)tally_count(&r->tally, true), (unsigned long long)tally_shed(&r->tally),
        r->interrupted ? ", interrupted" : "", j->failed ? "FAILED" : "passed");
}

void report_print(const struct run *r, const struct judgement *j, FILE *to)
{
    fprintf(to, "%-24s %9s %8s %9s %9s %9s %9s %9s %6s %6s %6s\n", "times in ms", "good", "/s",
        "p50", "p90", "p99", "p99.9", "max", "shed", "wrong", "lost");
    for (size_t i = 0; i < r->tally.series_count; i++)
        print_series(r, r->tally.series[i], to);
    for (size_t i = 0; i < r->tally.series_count; i++)
        print_outcomes(r->tally.series[i], to);
    if (r->waited > 0)
        fprintf(to, "%llu visits waited for a shopper, which is in their times: more --shoppers?\n",
            (unsigned long long)r->waited);
    print_watched(r, to);
    print_promises(r, j, to);
    print_audit(&r->audit, to);
    print_summary(r, j, to);
}

/* ---- for programs ---- */

static void put_double(struct json_writer *w, const char *name, double value)
{
    json_key(w, name);
    json_double(w, value);
}

static void put_outcomes(struct json_writer *w, const struct series *s)
{
    json_key(w, "outcomes");
    json_array_begin(w);
    for (size_t i = 0; i < s->outcomes_count; i++) {
        const struct outcome *o = &s->outcomes[i];
        json_object_begin(w);
        json_put_text(w, "outcome", o->name);
        json_put_text(w, "kind", answer_kind_name(o->kind));
        json_put_i64(w, "count", (int64_t)o->count);
        if (o->sample[0])
            json_put_text(w, "sample", o->sample);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_moments(struct json_writer *w, const struct series *s)
{
    json_key(w, "seconds");
    json_array_begin(w);
    for (size_t i = 0; i < s->moments_count; i++) {
        const struct moment *m = &s->moments[i];
        json_object_begin(w);
        json_put_i64(w, "good", m->good);
        json_put_i64(w, "shed", m->shed);
        json_put_i64(w, "wrong", m->wrong);
        json_put_i64(w, "lost", m->lost);
        put_double(w, "p50Ms", ms(m->p50_us));
        put_double(w, "p99Ms", ms(m->p99_us));
        put_double(w, "maxMs", ms(m->max_us));
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_series(struct json_writer *w, const struct run *r, const struct series *s)
{
    static const struct {
        const char *name;
        double percent;
    } percentiles[] = {{"p50Ms", 50}, {"p90Ms", 90}, {"p95Ms", 95}, {"p99Ms", 99}, {"p999Ms", 99.9},
        {"p9999Ms", 99.99}};
    json_key(w, s->name);
    json_object_begin(w);
    json_put_i64(w, "count", (int64_t)series_count(s, false));
    json_put_i64(w, "errors", (int64_t)series_count(s, true));
    for (int k = 0; k < ANSWER_KINDS; k++)
        json_put_i64(w, answer_kind_name((enum answer_kind)k), (int64_t)s->kinds[k]);
    put_double(w, "perSecond", (double)s->kinds[ANSWER_GOOD] / run_seconds(r));
    for (size_t i = 0; i < ARRAY_SIZE(percentiles); i++)
        put_double(
            w, percentiles[i].name, ms(histogram_percentile(&s->all, percentiles[i].percent)));
    put_double(w, "maxMs", ms(s->all.max_us));
    put_double(w, "meanMs", s->all.count ? ms(s->all.sum_us) / (double)s->all.count : 0);
    put_outcomes(w, s);
    put_moments(w, s);
    json_object_end(w);
}

static void put_watched(struct json_writer *w, const struct run *r)
{
    const struct watch *seen = r->watch;
    double all = 0;
    json_key(w, "cpuSeconds");
    json_object_begin(w);
    for (size_t i = 0; seen && i < seen->parts_count; i++) {
        double used = watch_cpu(seen, i, r->counted_from_us, r->counted_to_us);
        all += used;
        put_double(w, seen->parts[i].name, used);
    }
    json_object_end(w);
    put_double(w, "ownCpuSeconds", r->own_cpu_s);
    put_double(w, "ownCpuShare", all > 0 ? r->own_cpu_s / all : 0);
    json_key(w, "memoryMb");
    json_object_begin(w);
    for (size_t i = 0; seen && seen->samples_count > 0 && i < seen->parts_count; i++)
        put_double(w, seen->parts[i].name, seen->samples[seen->samples_count - 1].memory_mb[i]);
    json_object_end(w);
    json_key(w, "queuesMost");
    json_object_begin(w);
    for (size_t q = 0; seen && q < seen->queues_count; q++) {
        int64_t most = 0;
        for (size_t i = 0; i < seen->samples_count; i++)
            most = seen->samples[i].waiting[q] > most ? seen->samples[i].waiting[q] : most;
        json_put_i64(w, seen->queues[q], most);
    }
    json_object_end(w);
}

static void put_audit(struct json_writer *w, const struct audit *audit)
{
    json_key(w, "audit");
    json_array_begin(w);
    for (size_t i = 0; i < audit->count; i++) {
        const struct audit_line *l = &audit->lines[i];
        json_object_begin(w);
        json_put_text(w, "invariant", l->name);
        json_put_text(w, "sentence", l->sentence);
        json_put_bool(w, "holds", l->holds);
        json_put_i64(w, "count", l->count);
        json_put_i64(w, "differences", l->differences);
        json_key(w, "first");
        json_array_begin(w);
        for (size_t k = 0; k < l->first.len; k++)
            json_text(w, *LIST_AT(l->first, const char *const, k));
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_verdicts(struct json_writer *w, const struct run *r, const struct judgement *j)
{
    char value[THRESHOLD_VALUE_SIZE];
    json_key(w, "promises");
    json_array_begin(w);
    for (size_t i = 0; i < r->tally.promises_count; i++) {
        const struct promise *p = &r->tally.promises[i];
        json_object_begin(w);
        json_put_text(w, "promise", p->sentence);
        json_put_i64(w, "kept", (int64_t)p->kept);
        json_put_i64(w, "broken", (int64_t)p->broken);
        json_put_text(w, "sample", p->sample);
        json_object_end(w);
    }
    json_array_end(w);
    json_key(w, "thresholds");
    json_array_begin(w);
    for (size_t i = 0; i < j->verdicts_count; i++) {
        json_object_begin(w);
        json_put_text(w, "failIf", r->o->thresholds[i].text);
        json_put_bool(w, "failed", j->verdicts[i].failed);
        threshold_show(&r->o->thresholds[i], j->verdicts[i].value, value);
        json_put_text(w, "measured", j->verdicts[i].unmeasured ? NULL : value);
        json_object_end(w);
    }
    json_array_end(w);
}

void report_json(const struct run *r, const struct judgement *j, struct buf *out)
{
    struct json_writer w = json_writer_on(out);
    json_object_begin(&w);
    json_put_text(&w, "scenario", r->o->scenario->name);
    json_put_text(&w, "target", r->o->direct ? "direct" : r->o->target);
    json_put_time(&w, "startedAt", r->begun_wall_us);
    json_put_i64(&w, "seed", r->o->seed);
    json_put_text(&w, "loop", r->o->open_loop ? "open" : "closed");
    put_double(&w, "peakRate", r->o->open_loop ? schedule_peak(&r->o->schedule) : 0);
    json_put_i64(&w, "shoppers", (int64_t)r->shop.shoppers_count);
    put_double(&w, "seconds", run_seconds(r));
    json_put_bool(&w, "interrupted", r->interrupted);
    json_put_bool(&w, "failed", j->failed);
    json_put_i64(&w, "answers", (int64_t)tally_count(&r->tally, false));
    json_put_i64(&w, "errors", (int64_t)tally_count(&r->tally, true));
    json_put_i64(&w, "shed", (int64_t)tally_shed(&r->tally));
    json_put_i64(&w, "waitedForShopper", (int64_t)r->waited);
    json_key(&w, "series");
    json_object_begin(&w);
    for (size_t i = 0; i < r->tally.series_count; i++)
        put_series(&w, r, r->tally.series[i]);
    json_object_end(&w);
    put_verdicts(&w, r, j);
    put_audit(&w, &r->audit);
    put_watched(&w, r);
    json_object_end(&w);
    buf_put_char(out, '\n');
}
