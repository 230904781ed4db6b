/* The report as one HTML page that needs nothing else: no script, no font, no picture. It follows
 * the reader's choice of a light or a dark screen, and prints. */

#include <math.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "load/load.h"
#include "load/plot.h"
#include "load/watch.h"

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fbfaf8;--card:#fff;--ink:#1f2328;--soft:#6a7078;"
    "--rule:#e4e2dd;--good:#1a7f4b;--bad:#c0362c;"
    "--c0:#2a6fbb;--c1:#d9822b;--c2:#3a9a5b;--c3:#b8433a;--c4:#7d5bb5;--c5:#8a6d4f;--c6:#cf6ba8;"
    "--c7:#5f6b76;--c8:#9a9a1f;--c9:#1f9aa8}"
    "@media(prefers-color-scheme:dark){:root{--paper:#16181b;--card:#1e2125;--ink:#e7e6e3;"
    "--soft:#9aa1a9;--rule:#33373d;--good:#4cc38a;--bad:#f0766b;"
    "--c0:#6aa9ec;--c1:#f0a75a;--c2:#6fcb8d;--c3:#ef857c;--c4:#b295e6;--c5:#c5a582;--c6:#eb9fcd;"
    "--c7:#a5b0bb;--c8:#cfcf62;--c9:#62c9d6}}"
    "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);"
    "font:15px/1.5 system-ui,'Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif}"
    "main{max-width:1180px;margin:0 auto;padding:32px 24px 64px}"
    "h1{font-size:27px;line-height:1.2;margin:0;letter-spacing:-.01em}h2{font-size:17px;margin:"
    "36px 0 12px}"
    "header{display:flex;justify-content:space-between;align-items:flex-start;gap:24px}"
    "header p{margin:6px 0 0;color:var(--soft)}"
    ".verdict{font-weight:600;padding:6px 16px;border-radius:99px;color:#fff;white-space:nowrap}"
    ".passed{background:var(--good)}.failed{background:var(--bad)}"
    "@media(prefers-color-scheme:dark){.verdict{color:#14171a}}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:"
    "24px 0}"
    ".tiles div,figure,.table{background:var(--card);border:1px solid "
    "var(--rule);border-radius:10px}"
    ".tiles div{padding:12px 16px}.tiles "
    "b{display:block;white-space:nowrap;font-size:22px;font-weight:600;line-height:1.25;"
    "font-variant-numeric:tabular-nums}.tiles span{color:var(--soft);font-size:13px}"
    ".tiles i{font-style:normal;font-size:15px;font-weight:400;color:var(--soft)}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:"
    "16px}"
    "figure{margin:0;padding:14px 16px "
    "10px;break-inside:avoid}figcaption{font-weight:600;margin-bottom:4px}"
    "small{font-weight:400;color:var(--soft);font-size:13px}"
    "figure>svg{display:block;width:100%;height:auto}"
    "svg text{font-size:15px;fill:var(--soft);font-variant-numeric:tabular-nums}"
    "text.y{text-anchor:end}text.x{text-anchor:middle}"
    ".grid{stroke:var(--rule);stroke-width:1;fill:none}"
    ".line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
    ".dashed{stroke-dasharray:5 4}.area{fill:var(--c);opacity:.13}.dot{fill:var(--c)}"
    ".c0{--c:var(--c0)}.c1{--c:var(--c1)}.c2{--c:var(--c2)}.c3{--c:var(--c3)}.c4{--c:var(--c4)}"
    ".c5{--c:var(--c5)}.c6{--c:var(--c6)}.c7{--c:var(--c7)}.c8{--c:var(--c8)}.c9{--c:var(--c9)}"
    ".legend{display:flex;flex-wrap:wrap;gap:2px 16px;margin:6px 0 "
    "0;font-size:13px;color:var(--soft)}"
    ".legend span{white-space:nowrap}.legend "
    "svg{width:22px;height:6px;margin-right:6px;vertical-align:middle}"
    ".table{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-"
    "nums}"
    "th,td{padding:6px 12px;text-align:right;border-top:1px solid var(--rule);white-space:nowrap}"
    "thead th{border:0;color:var(--soft);font-weight:500;font-size:13px}"
    "th:first-child,td:first-child,.l{text-align:left}td.w{white-space:normal;text-align:left;"
    "font:12px/1.4 ui-monospace,'DejaVu Sans "
    "Mono',monospace;color:var(--soft);word-break:break-word}"
    ".bad{color:var(--bad);font-weight:600}.ok{color:var(--good);font-weight:600}"
    "footer{margin-top:32px;color:var(--soft);font-size:13px}";

static double ms(int64_t us)
{
    return (double)us / USEC_PER_MS;
}

/* ---- head ---- */

static void tile(struct buf *out, const char *what, const char *unit, const char *fmt, double value)
{
    char text[48];
    /* The formats are this file's own. */
    snprintf(text, sizeof(text), fmt[0] == '0' ? "%.0f" : fmt[0] == '1' ? "%.1f" : "%.2f", value);
    buf_printf(out, "<div><b>%s <i>%s</i></b><span>%s</span></div>", text, unit, what);
}

static void head_write(const struct run *r, const struct judgement *j, struct buf *out)
{
    char at[CLOCK_TEXT_SIZE];
    clock_format(r->begun_wall_us, at);
    buf_put_text(out,
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content=\"width=device-width,initial-scale=1\"><title>souk-load ");
    html_put(out, r->o->scenario->name);
    buf_printf(out, "</title><style>%s</style><main><header><div><h1>", style);
    html_put(out, r->o->scenario->name);
    buf_put_text(out, "</h1><p>");
    html_put(out, r->o->scenario->doc);
    buf_put_text(out, "<br>");
    html_put(out, r->o->direct ? "the services, past the gateway" : r->o->target);
    buf_printf(out, " &middot; %.19s UTC &middot; %.1f s%s &middot; ", at, run_seconds(r),
        r->interrupted ? ", interrupted" : "");
    if (r->o->open_loop)
        buf_printf(out, "open loop, up to %g/s, %s", schedule_peak(&r->o->schedule),
            r->o->poisson ? "at random intervals" : "evenly spaced");
    else
        buf_printf(out, "%s, %zu users", r->o->scenario->drive ? "all at once" : "closed loop",
            r->shop.shoppers_count);
    buf_printf(out, "</p></div><span class=\"verdict %s\">%s</span></header>\n",
        j->failed ? "failed" : "passed", j->failed ? "failed" : "passed");
}

static void tiles_write(const struct run *r, struct buf *out)
{
    const struct histogram *h = run_visits(r);
    double cpu = 0;
    buf_put_text(out, "<div class=tiles>");
    tile(out, "visits", "", "0", (double)h->count);
    tile(out, "visits", "/s", "1", (double)h->count / run_seconds(r));
    tile(out, "p50 of a visit", "ms", "2", ms(histogram_percentile(h, 50)));
    tile(out, "p99 of a visit", "ms", "2", ms(histogram_percentile(h, 99)));
    tile(out, "errors", "", "0", (double)tally_count(&r->tally, true));
    tile(out, "shed", "", "0", (double)tally_shed(&r->tally));
    for (size_t i = 0; r->watch && i < r->watch->parts_count; i++)
        cpu += watch_cpu(r->watch, i, r->counted_from_us, r->counted_to_us);
    if (cpu > 0 && h->count > 0)
        tile(out, "CPU of a visit", "ms", "2", cpu * 1000 / (double)h->count);
    buf_put_text(out, "</div>\n");
}

/* ---- plots ---- */

/* Numbers for lines; they live until the page is written. */
static double *numbers(size_t count)
{
    return arena_array(fiber_arena(), count ? count : 1, sizeof(double));
}

static void line_add(struct plot *p, const char *name, unsigned color, size_t count,
    const double *x, const double *y)
{
    if (p->lines_count < PLOT_LINES_LIMIT && count > 0)
        p->lines[p->lines_count++] =
            (struct plot_line){.name = name, .color = color % 10, .count = count, .x = x, .y = y};
}

static bool steps_only(const struct series *s)
{
    return !series_is_visit(s);
}

static double *seconds_axis(size_t count)
{
    double *x = numbers(count);
    for (size_t i = 0; i < count; i++)
        x[i] = (double)i + 0.5;
    return x;
}

/* The last second is seldom a whole one, and would look like a fall. */
static size_t seconds_shown(const struct run *r)
{
    size_t whole = (size_t)(run_seconds(r) + 0.1);
    size_t n = whole < r->tally.moment ? whole : r->tally.moment;
    return n > 0 ? n : 1;
}

static size_t moments_shown(const struct run *r, const struct series *s)
{
    size_t n = seconds_shown(r);
    return n < s->moments_count ? n : s->moments_count;
}

static void latency_plot(const struct run *r, struct buf *out)
{
    struct plot p = {.title = "Latency over time",
        .x_unit = "seconds",
        .y_unit = "ms",
        .y_axis = PLOT_LOG,
        .y_least = 0.01,
        .x_most = (double)seconds_shown(r)};
    unsigned color = 0, steps = 0;
    for (size_t i = 0; i < r->tally.series_count; i++)
        steps += steps_only(r->tally.series[i]);
    p.note = steps > 3 ? "p99 of each second" : "p99 of each second solid, p50 dashed";
    for (size_t i = 0; i < r->tally.series_count; i++) {
        const struct series *s = r->tally.series[i];
        size_t n = moments_shown(r, s);
        if (!steps_only(s) || s->all.count == 0)
            continue;
        double *p99 = numbers(n), *p50 = numbers(n), *x = seconds_axis(n);
        for (size_t k = 0; k < n; k++) {
            p99[k] = s->moments[k].good ? ms(s->moments[k].p99_us) : -1;
            p50[k] = s->moments[k].good ? ms(s->moments[k].p50_us) : -1;
        }
        line_add(&p, s->name, color++, n, x, p99);
        if (steps > 3)
            continue;
        line_add(&p, arena_printf(fiber_arena(), "%s p50", s->name), color - 1, n, x, p50);
        p.lines[p.lines_count - 1].dashed = true;
    }
    plot_write(&p, out);
}

static void percentile_plot(const struct run *r, struct buf *out)
{
    static const double ticks[] = {0, 1, 2, 3, 4, 5};
    static const char *const names[] = {"0", "90", "99", "99.9", "99.99", "99.999"};
    enum { POINTS = 161 };
    double most = 1;
    struct plot p = {.title = "Percentiles",
        .x_unit = "percent of the answers",
        .y_unit = "ms",
        .y_axis = PLOT_LOG,
        .y_least = 0.01,
        .ticks = ticks,
        .tick_names = names};
    unsigned color = 0;
    for (size_t i = 0; i < r->tally.series_count; i++) {
        const struct series *s = r->tally.series[i];
        if (!steps_only(s) || s->all.count == 0)
            continue;
        /* The axis counts nines; beyond one answer in all there is nothing to tell. */
        double nines = fmin(5, log10((double)s->all.count));
        double *x = numbers(POINTS), *y = numbers(POINTS);
        for (int k = 0; k < POINTS; k++) {
            x[k] = nines * k / (POINTS - 1);
            y[k] = ms(histogram_percentile(&s->all, 100 * (1 - pow(10, -x[k]))));
        }
        most = fmax(most, nines);
        line_add(&p, s->name, color++, POINTS, x, y);
    }
    p.x_most = ceil(most);
    p.ticks_count = (size_t)p.x_most + 1;
    plot_write(&p, out);
}

static void rate_plot(const struct run *r, struct buf *out)
{
    size_t n = seconds_shown(r);
    double *good = numbers(n), *due = numbers(n), *x = seconds_axis(n);
    struct plot p = {.title = "Throughput",
        .x_unit = "seconds",
        .y_unit = "visits per second",
        .x_most = (double)seconds_shown(r)};
    for (size_t i = 0; i < r->tally.series_count; i++) {
        const struct series *s = r->tally.series[i];
        for (size_t k = 0; k < s->moments_count && k < n; k++)
            if (series_is_visit(s))
                good[k] += s->moments[k].good;
    }
    for (size_t k = 0; k < n; k++) {
        due[k] = schedule_rate(&r->o->schedule, r->o->warmup_us + (int64_t)(x[k] * USEC_PER_SEC));
        if (due[k] <= 0)
            due[k] = -1;
    }
    line_add(&p, "done", 2, n, x, good);
    p.lines[0].area = true;
    if (r->o->open_loop) {
        line_add(&p, "due", 7, n, x, due);
        p.lines[p.lines_count - 1].dashed = true;
    }
    plot_write(&p, out);
}

static void error_plot(const struct run *r, struct buf *out)
{
    static const unsigned colors[ANSWER_KINDS] = {
        [ANSWER_SHED] = 1, [ANSWER_WRONG] = 3, [ANSWER_LOST] = 4};
    size_t n = seconds_shown(r);
    struct plot p = {.title = "Errors and refusals",
        .note = "shed: 429 or 503 with Retry-After; lost: no answer",
        .x_unit = "seconds",
        .y_unit = "answers per second",
        .x_most = (double)seconds_shown(r)};
    for (int kind = ANSWER_SHED; kind < ANSWER_KINDS; kind++) {
        double *y = numbers(n);
        for (size_t i = 0; i < r->tally.series_count; i++) {
            const struct series *s = r->tally.series[i];
            for (size_t k = 0; k < s->moments_count && k < n && steps_only(s); k++) {
                const struct moment *m = &s->moments[k];
                y[k] += kind == ANSWER_SHED ? m->shed : kind == ANSWER_WRONG ? m->wrong : m->lost;
            }
        }
        line_add(&p, answer_kind_name((enum answer_kind)kind), colors[kind], n, seconds_axis(n), y);
    }
    plot_write(&p, out);
}

/* The places of the watch's samples that lie within what was counted. */
static double *sample_axis(const struct run *r, size_t *ret_first, size_t *ret_count)
{
    const struct watch *w = r->watch;
    double *x = numbers(w->samples_count);
    size_t n = 0;
    *ret_first = 0;
    for (size_t i = 0; i < w->samples_count; i++) {
        double at = (double)(w->samples[i].at_us - r->counted_from_us) / USEC_PER_SEC;
        if (at < -0.5 || at > run_seconds(r) + 2)
            continue;
        if (n == 0)
            *ret_first = i;
        x[n++] = fmin(fmax(at, 0), fmax(1, run_seconds(r)));
    }
    *ret_count = n;
    return x;
}

static void cpu_plot(const struct run *r, struct buf *out)
{
    const struct watch *w = r->watch;
    size_t first, n;
    double *x = sample_axis(r, &first, &n);
    struct plot p = {.title = "CPU by part",
        .x_unit = "seconds",
        .y_unit = "cores",
        .x_most = fmax(1, run_seconds(r))};
    if (n < 2)
        return;
    for (size_t part = 0; part < w->parts_count; part++) {
        double *y = numbers(n);
        for (size_t i = 1; i < n; i++) {
            const struct watch_sample *a = &w->samples[first + i - 1], *b = a + 1;
            double passed = (double)(b->at_us - a->at_us) / USEC_PER_SEC;
            /* In less the kernel's ticks would show more than the process. */
            y[i] = passed > 0.3 ? fmax(0, (b->cpu_s[part] - a->cpu_s[part]) / passed) : -1;
        }
        line_add(&p, w->parts[part].name, (unsigned)part, n - 1, x + 1, y + 1);
        p.lines[p.lines_count - 1].dashed = part >= 10;
    }
    plot_write(&p, out);
}

static void queue_plot(const struct run *r, struct buf *out)
{
    const struct watch *w = r->watch;
    size_t first, n;
    double *x = sample_axis(r, &first, &n);
    struct plot p = {.title = "Waiting in queues",
        .note = "as the broker counts, every five seconds",
        .x_unit = "seconds",
        .y_unit = "messages",
        .x_most = fmax(1, run_seconds(r))};
    for (size_t q = 0; q < w->queues_count; q++) {
        double *y = numbers(n);
        for (size_t i = 0; i < n; i++)
            y[i] = (double)w->samples[first + i].waiting[q];
        line_add(&p, w->queues[q], (unsigned)q, n, x, y);
    }
    if (w->queues_known)
        plot_write(&p, out);
}

/* ---- tables ---- */

static void count_cell(struct buf *out, uint64_t count)
{
    buf_printf(out, "<td%s>%llu", count ? " class=bad" : "", (unsigned long long)count);
}

static void series_table(const struct run *r, struct buf *out)
{
    static const double percents[] = {50, 90, 95, 99, 99.9};
    buf_put_text(out,
        "<h2>Steps <small>ms from when it was due; percentiles are at most 0.8 % too high"
        "</small></h2><div class=table><table><thead><tr><th><th>good<th>/s<th>p50<th>p90"
        "<th>p95<th>p99<th>p99.9<th>max<th>shed<th>wrong<th>lost<tbody>");
    for (size_t i = 0; i < r->tally.series_count; i++) {
        const struct series *s = r->tally.series[i];
        buf_put_text(out, "<tr><td>");
        html_put(out, s->name);
        buf_printf(out, "<td>%llu<td>%.1f", (unsigned long long)s->kinds[ANSWER_GOOD],
            (double)s->kinds[ANSWER_GOOD] / run_seconds(r));
        for (size_t k = 0; k < ARRAY_SIZE(percents); k++)
            buf_printf(out, "<td>%.2f", ms(histogram_percentile(&s->all, percents[k])));
        buf_printf(out, "<td>%.2f", ms(s->all.max_us));
        for (int kind = ANSWER_SHED; kind < ANSWER_KINDS; kind++)
            count_cell(out, s->kinds[kind]);
    }
    buf_put_text(out, "</table></div>\n");
}

static void outcome_table(const struct run *r, struct buf *out)
{
    buf_put_text(out,
        "<h2>Answers</h2><div class=table><table><thead><tr><th>step<th class=l>answer"
        "<th>times<th class=l>verdict<th class=l>the first of them<tbody>");
    for (size_t i = 0; i < r->tally.series_count; i++) {
        const struct series *s = r->tally.series[i];
        for (size_t k = 0; k < s->outcomes_count && steps_only(s); k++) {
            const struct outcome *o = &s->outcomes[k];
            buf_put_text(out, "<tr><td>");
            html_put(out, s->name);
            buf_put_text(out, "<td class=l>");
            html_put(out, o->name);
            buf_printf(out, "<td>%llu<td class=\"l %s\">%s<td class=w>",
                (unsigned long long)o->count, o->kind < ANSWER_SHED ? "" : "bad",
                outcome_verdict(o));
            html_put(out, o->sample);
        }
    }
    buf_put_text(out, "</table></div>\n");
}

static void verdict_row(struct buf *out, bool failed, const char *what, const char *seen)
{
    buf_printf(
        out, "<tr><td class=%s>%s<td class=l>", failed ? "bad" : "ok", failed ? "failed" : "ok");
    html_put(out, what);
    buf_put_text(out, "<td class=l>");
    html_put(out, seen);
}

/* All in one row when they hold. */
static void audit_rows(const struct audit *audit, struct buf *out)
{
    verdict_row(out, audit_failed(audit), "the audit after the run", audit_verdict(audit));
    for (size_t i = 0; i < audit->count; i++) {
        const struct audit_line *l = &audit->lines[i];
        if (!l->holds)
            verdict_row(out, true, arena_printf(fiber_arena(), "%s: %s", l->name, l->sentence),
                l->first.len ? *LIST_AT(l->first, const char *const, 0) : "");
    }
}

static void verdict_table(const struct run *r, const struct judgement *j, struct buf *out)
{
    char value[THRESHOLD_VALUE_SIZE];
    if (r->tally.promises_count + j->verdicts_count == 0 && !r->audit.asked)
        return;
    buf_put_text(out, "<h2>Promises, limits, books</h2><div class=table><table><tbody>");
    for (size_t i = 0; i < r->tally.promises_count; i++) {
        const struct promise *p = &r->tally.promises[i];
        verdict_row(out, p->broken > 0, p->sentence,
            arena_printf(fiber_arena(), "kept %llu times, broken %llu times%s%s",
                (unsigned long long)p->kept, (unsigned long long)p->broken, p->broken ? ": " : "",
                p->sample));
    }
    for (size_t i = 0; i < j->verdicts_count; i++) {
        threshold_show(&r->o->thresholds[i], j->verdicts[i].value, value);
        verdict_row(out, j->verdicts[i].failed,
            arena_printf(fiber_arena(), "fails if %s", r->o->thresholds[i].text),
            j->verdicts[i].unmeasured ? "was not measured" : value);
    }
    if (r->audit.asked)
        audit_rows(&r->audit, out);
    buf_put_text(out, "</table></div>\n");
}

static void cpu_table(const struct run *r, struct buf *out)
{
    const struct watch *w = r->watch;
    const struct histogram *h = run_visits(r);
    if (!w || w->parts_count == 0 || w->samples_count == 0)
        return;
    buf_put_text(out, "<h2>Parts</h2><div class=table><table><thead><tr><th><th>CPU s<th>cores"
                      "<th>ms a visit<th>memory MB<tbody>");
    for (size_t i = 0; i < w->parts_count; i++) {
        double used = watch_cpu(w, i, r->counted_from_us, r->counted_to_us);
        buf_printf(out, "<tr><td>%s<td>%.2f<td>%.3f<td>%.3f<td>%.1f", w->parts[i].name, used,
            used / run_seconds(r), h->count ? used * 1000 / (double)h->count : 0,
            w->samples[w->samples_count - 1].memory_mb[i]);
    }
    buf_printf(out, "<tr><td>souk-load itself<td>%.2f<td>%.3f<td>%.3f<td></table></div>\n",
        r->own_cpu_s, r->own_cpu_s / run_seconds(r),
        h->count ? r->own_cpu_s * 1000 / (double)h->count : 0);
}

void page_write(const struct run *r, const struct judgement *j, struct buf *out)
{
    head_write(r, j, out);
    tiles_write(r, out);
    verdict_table(r, j, out);
    buf_put_text(out, "<h2>What happened</h2><div class=plots>\n");
    latency_plot(r, out);
    percentile_plot(r, out);
    rate_plot(r, out);
    error_plot(r, out);
    if (r->watch) {
        cpu_plot(r, out);
        queue_plot(r, out);
    }
    buf_put_text(out, "</div>\n");
    series_table(r, out);
    outcome_table(r, out);
    cpu_table(r, out);
    buf_printf(out,
        "<footer>souk-load, seed %lld, %zu shoppers. %llu visits waited for a free shopper, "
        "which is in their times.</footer></main></html>\n",
        (long long)r->o->seed, r->shop.shoppers_count, (unsigned long long)r->waited);
}
