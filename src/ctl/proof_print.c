#include "ctl/proof_print.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/json/writer.h"
#include "ctl/dlq.h"
#include "ctl/facts.h"
#include "ctl/sheet.h"

#define SHOWN_LIMIT 50

static const char *number(struct arena *a, int64_t n)
{
    return arena_printf(a, "%" PRId64, n);
}

/* Milliseconds are enough for eyes. */
static const char *time_shown(struct arena *a, int64_t wall_us)
{
    char text[CLOCK_TEXT_SIZE];
    if (!wall_us)
        return "-";
    clock_format(wall_us, text);
    return arena_printf(a, "%.23sZ", text);
}

/* ---- the sums ---- */

static void print_sums(struct ctl *ctl, const struct proof_report *r)
{
    static const char *const titles[] = {
        "SUBSCRIBER", "EXPECTED", "HANDLED", "UNDER WAY", "DEAD", "GAPS"};
    struct arena *a = r->arena;
    struct sheet *s = sheet_new(a, titles, ARRAY_SIZE(titles));
    for (size_t q = 0; q < QUEUES_COUNT; q++) {
        const struct proof_tally *t = &r->proof->tally[q];
        sheet_add(s, (const char *const[]){queue_rows[q].service, number(a, t->expected),
                         number(a, t->handled), number(a, t->under_way), number(a, t->dead),
                         number(a, t->gaps)});
    }
    sheet_print(s, ctl->out);
}

/* ---- what is not handled ---- */

struct row {
    const struct proof_event *event;
    size_t queue; /* QUEUES_COUNT: the broker itself */
};

static bool row_is(const struct row *row, enum proof_state state)
{
    if (row->queue == QUEUES_COUNT)
        return state == PROOF_GAP && row->event->late;
    return row->event->marks[row->queue].state == state;
}

static const char *place_of(const struct row *row)
{
    if (row->queue < QUEUES_COUNT)
        return queue_rows[row->queue].service;
    return row->event->row.parked_us ? "the broker (set aside)" : "the broker (not published)";
}

static void print_list(
    struct ctl *ctl, const struct proof_report *r, enum proof_state state, const char *heading)
{
    const char *const titles[] = {"EVENT", "TYPE", "AGGREGATE", "PUBLISHER", "PUBLISHED AT", "AGE",
        state == PROOF_GAP ? "MISSING AT" : "AT", "CODE"};
    const struct proof *p = r->proof;
    struct arena *a = r->arena;
    struct sheet *s = sheet_new(a, titles, state == PROOF_DEAD ? 8 : 7);
    size_t found = 0;
    for (size_t i = 0; i < p->kept_count; i++)
        for (size_t q = 0; q <= QUEUES_COUNT; q++) {
            const struct row row = {&p->kept[i], q};
            const struct ledger_event *e = &row.event->row;
            if (!row_is(&row, state) || ++found > SHOWN_LIMIT)
                continue;
            sheet_add(s,
                (const char *const[]){e->event_id, e->type, e->aggregate_id, row.event->publisher,
                    time_shown(a, e->published_us), age_text(a, p->now_us - e->created_us),
                    place_of(&row), q < QUEUES_COUNT ? row.event->marks[q].note : NULL});
        }
    if (!found)
        return;
    fprintf(ctl->out, "\n%s\n", heading);
    sheet_print(s, ctl->out);
    if (found > SHOWN_LIMIT)
        fprintf(ctl->out, "and %zu more of this kind (--json names them)\n", found - SHOWN_LIMIT);
}

static int64_t total_dead(const struct proof *p)
{
    int64_t dead = 0;
    for (size_t q = 0; q < QUEUES_COUNT; q++)
        dead += p->tally[q].dead;
    return dead;
}

static void print_verdict(struct ctl *ctl, const struct proof_report *r)
{
    const struct proof *p = r->proof;
    int64_t gaps = proof_gaps(p), dead = total_dead(p);
    for (const char *const *note = r->notes; *note; note++)
        fprintf(ctl->out, "note: %s\n", *note);
    if (dead)
        fprintf(
            ctl->out, "%" PRId64 " dead letter%s: soukctl dlq list\n", dead, dead == 1 ? "" : "s");
    if (!proof_at_rest(p))
        fputs(r->waited ? "not at rest: there are events under way still\n"
                        : "there are events under way (--wait 60s waits for them)\n",
            ctl->out);
    fprintf(ctl->out, "%" PRId64 " gap%s\n", gaps, gaps == 1 ? "" : "s");
}

void proof_print(struct ctl *ctl, const struct proof_report *r)
{
    const struct proof *p = r->proof;
    fprintf(ctl->out, "%" PRId64 " events since %s, %" PRId64 " of them not published\n", p->events,
        p->oldest_us ? time_shown(r->arena, p->oldest_us) : "ever", p->unpublished);
    print_sums(ctl, r);
    print_list(ctl, r, PROOF_GAP, "Gaps: neither handled, nor dead, nor on their way");
    print_list(ctl, r, PROOF_DEAD, "Dead letters");
    fputc('\n', ctl->out);
    print_verdict(ctl, r);
}

/* ---- one order ---- */

/* How much later than the event happened. */
static const char *later(struct arena *a, int64_t from_us, int64_t to_us)
{
    double ms = (double)(to_us - from_us) / 1000;
    return ms < 10000 ? arena_printf(a, "+%.0f ms", ms) : arena_printf(a, "+%.0f s", ms / 1000);
}

static const char *fate_of(struct arena *a, const struct proof_event *e, size_t queue)
{
    const struct proof_mark *m = &e->marks[queue];
    switch (m->state) {
    case PROOF_HANDLED:
        return arena_printf(a, "handled %s", later(a, e->row.created_us, m->at_us));
    case PROOF_UNDER_WAY:
        return "under way";
    case PROOF_DEAD:
        return arena_printf(a, "DEAD since %s: %s", time_shown(a, m->at_us), m->note);
    case PROOF_GAP:
        return "MISSING: neither handled, nor dead, nor on its way";
    case PROOF_NOT_MEANT:
        break;
    }
    return "";
}

static void print_event(
    struct ctl *ctl, struct arena *a, const struct proof_event *e, const char *order_id)
{
    const char *published =
        e->row.published_us
            ? arena_printf(a, "published %s", later(a, e->row.created_us, e->row.published_us))
        : e->row.parked_us ? "SET ASIDE: the broker has no place for it"
        : e->late          ? "NOT PUBLISHED"
                           : "not published yet";
    fprintf(ctl->out, "%s  %s  from %s, %s\n", time_shown(a, e->row.created_us),
        text_harmless(a, span_of(e->row.type)), e->publisher, published);
    fprintf(ctl->out, "    %s  %s\n", e->row.event_id,
        facts_of_body(a, span_of(e->row.body), order_id));
    for (size_t q = 0; q < QUEUES_COUNT; q++)
        if (e->marks[q].state != PROOF_NOT_MEANT)
            fprintf(ctl->out, "    %-13s %s\n", queue_rows[q].service, fate_of(a, e, q));
}

static int compare_events(const void *a, const void *b)
{
    const struct proof_event *const *left = a, *const *right = b;
    int64_t l = (*left)->row.created_us, r = (*right)->row.created_us;
    return l != r ? (l > r) - (l < r) : strcmp((*left)->row.event_id, (*right)->row.event_id);
}

static const struct proof_event **in_order(struct arena *a, const struct proof *p)
{
    const struct proof_event **list = arena_array(a, p->kept_count + 1, sizeof(*list));
    for (size_t i = 0; i < p->kept_count; i++)
        list[i] = &p->kept[i];
    qsort(list, p->kept_count, sizeof(*list), compare_events);
    return list;
}

void proof_print_order(struct ctl *ctl, const struct proof_report *r)
{
    const struct proof_event **list = in_order(r->arena, r->proof);
    for (; *list; list++)
        print_event(ctl, r->arena, *list, r->proof->window.order_id);
    fputc('\n', ctl->out);
    fprintf(ctl->out, "%" PRId64 " events\n", r->proof->events);
    print_verdict(ctl, r);
}

/* ---- for machines ---- */

static const char *state_name(enum proof_state state)
{
    static const char *const names[] = {
        [PROOF_NOT_MEANT] = "notMeant",
        [PROOF_HANDLED] = "handled",
        [PROOF_UNDER_WAY] = "underWay",
        [PROOF_DEAD] = "dead",
        [PROOF_GAP] = "gap",
    };
    return names[state];
}

static void json_event(struct json_writer *w, const struct proof_event *e)
{
    json_object_begin(w);
    json_put_text(w, "eventId", e->row.event_id);
    json_put_text(w, "type", e->row.type);
    json_put_text(w, "publisher", e->publisher);
    json_put_text(w, "aggregateId", e->row.aggregate_id);
    json_put_text(w, "correlationId", e->row.correlation_id);
    json_put_time(w, "createdAt", e->row.created_us);
    json_put_time(w, "publishedAt", e->row.published_us);
    json_put_time(w, "parkedAt", e->row.parked_us);
    json_put_bool(w, "late", e->late);
    json_key(w, "subscribers");
    json_array_begin(w);
    for (size_t q = 0; q < QUEUES_COUNT; q++) {
        const struct proof_mark *m = &e->marks[q];
        if (m->state == PROOF_NOT_MEANT)
            continue;
        json_object_begin(w);
        json_put_text(w, "service", queue_rows[q].service);
        json_put_text(w, "state", state_name(m->state));
        json_put_time(w, m->state == PROOF_DEAD ? "failedAt" : "handledAt", m->at_us);
        if (m->note)
            json_put_text(w, "code", m->note);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static void json_sums(struct json_writer *w, const struct proof *p)
{
    json_key(w, "subscribers");
    json_array_begin(w);
    for (size_t q = 0; q < QUEUES_COUNT; q++) {
        const struct proof_tally *t = &p->tally[q];
        json_object_begin(w);
        json_put_text(w, "service", queue_rows[q].service);
        json_put_i64(w, "expected", t->expected);
        json_put_i64(w, "handled", t->handled);
        json_put_i64(w, "underWay", t->under_way);
        json_put_i64(w, "dead", t->dead);
        json_put_i64(w, "gaps", t->gaps);
        json_object_end(w);
    }
    json_array_end(w);
}

static bool is_notable(const struct proof *p, const struct proof_event *e)
{
    if (p->window.order_id || !e->row.published_us)
        return true;
    for (size_t q = 0; q < QUEUES_COUNT; q++)
        if (e->marks[q].state > PROOF_HANDLED)
            return true;
    return false;
}

void proof_print_json(struct ctl *ctl, const struct proof_report *r)
{
    const struct proof *p = r->proof;
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    const struct proof_event **list = in_order(r->arena, p);
    json_object_begin(&w);
    json_put_i64(&w, "gaps", proof_gaps(p));
    json_put_i64(&w, "dead", total_dead(p));
    json_put_bool(&w, "atRest", proof_at_rest(p));
    json_put_i64(&w, "events", p->events);
    json_put_i64(&w, "unpublished", p->unpublished);
    json_put_time(&w, "oldestAt", p->oldest_us);
    json_sums(&w, p);
    json_key(&w, p->window.order_id ? "timeline" : "unhandled");
    json_array_begin(&w);
    for (; *list; list++)
        if (is_notable(p, *list))
            json_event(&w, *list);
    json_array_end(&w);
    json_key(&w, "notes");
    json_array_begin(&w);
    for (const char *const *note = r->notes; *note; note++)
        json_text(&w, *note);
    json_array_end(&w);
    json_object_end(&w);
    fprintf(ctl->out, "%s\n", out.ptr);
    buf_deinit(&out);
}
