/* First everything is read, outbox by outbox and page by page: of each page the inboxes of its
 * subscribers are asked what they do not have. What is missing somewhere is kept by name. Then the
 * broker is looked at, for the queues that miss something only, and after that the inboxes are
 * asked once more about the missing: an event that was in a queue, a tier or in a consumer's hands
 * at one look and is in the inbox at the next is no gap. Whoever moves forward (outbox, queue,
 * tier, inbox) is looked at in this direction, so nothing slips past between two looks except what
 * goes back from a tier into its queue just then; the caller settles a second time before it
 * believes in a gap. */

#include "ctl/proof.h"

#include <stdlib.h>

#define BIT(queue) (1U << (queue))

/* ---- judging ---- */

enum proof_state proof_judge(const struct sighting *s, int64_t grace_us)
{
    if (s->handled)
        return PROOF_HANDLED;
    if (s->dead)
        return PROOF_DEAD;
    if (!s->published || s->retrying || s->queued || s->age_us < grace_us)
        return PROOF_UNDER_WAY;
    return PROOF_GAP;
}

static int64_t age_of(const struct proof *p, const struct ledger_event *e)
{
    return p->now_us - (e->published_us ? e->published_us : e->created_us);
}

static bool is_late(const struct proof *p, const struct ledger_event *e)
{
    return !e->published_us && (e->parked_us || age_of(p, e) >= p->grace_us);
}

/* ---- reading ---- */

/* Subscribers by type; an outbox has a dozen types and a million events. */
struct meaning {
    struct meaning *next;
    const char *type;
    unsigned queues;
};

struct reading {
    const struct proof_config *config;
    struct proof *p;
    struct meaning *meanings;
};

static unsigned meant_for(struct reading *r, const char *type)
{
    for (struct meaning *m = r->meanings; m; m = m->next)
        if (strcmp(m->type, type) == 0)
            return m->queues;
    struct meaning *m = ARENA_NEW(r->p->arena, struct meaning);
    m->type = arena_strdup(r->p->arena, type);
    m->queues = r->config->meant(r->config->meant_ctx, type);
    m->next = r->meanings;
    r->meanings = m;
    return m->queues;
}

static struct proof_event *keep(struct proof *p, const struct ledger_event *row, size_t service)
{
    struct arena *a = p->arena;
    if (p->kept_count == p->kept_capacity) {
        size_t capacity = p->kept_capacity ? p->kept_capacity * 2 : 64;
        struct proof_event *more = arena_array(a, capacity, sizeof(*more));
        if (p->kept_count)
            memcpy(more, p->kept, p->kept_count * sizeof(*more));
        p->kept = more;
        p->kept_capacity = capacity;
    }
    struct proof_event *e = &p->kept[p->kept_count++];
    e->row = *row;
    e->row.event_id = arena_strdup(a, row->event_id);
    e->row.type = arena_strdup(a, row->type);
    e->row.aggregate_id = arena_strdup(a, row->aggregate_id);
    e->row.correlation_id = arena_strdup(a, row->correlation_id);
    e->row.body = arena_strdup(a, row->body);
    e->publisher = ctl_services[service];
    return e;
}

/* One page while it is being looked up: which queues each event is meant for, and lacks. */
struct page {
    struct list events;
    unsigned *meant, *missing;
};

static int ask_inbox(struct reading *r, size_t queue, const struct page *page)
{
    struct arena *a = fiber_arena();
    size_t n = 0, *places = arena_array(a, page->events.len, sizeof(*places));
    const char **ids = arena_array(a, page->events.len, sizeof(*ids));
    for (size_t i = 0; i < page->events.len; i++)
        if (page->meant[i] & BIT(queue)) {
            places[n] = i;
            ids[n++] = LIST_AT(page->events, struct ledger_event, i)->event_id;
        }
    if (n == 0)
        return 0;
    bool *missing = arena_array(a, n, sizeof(*missing));
    TRY(ledger_missing(r->p->ledger, &queue_rows[queue], ids, n, missing));
    for (size_t i = 0; i < n; i++)
        if (missing[i])
            page->missing[places[i]] |= BIT(queue);
    return 0;
}

static void take_in(struct reading *r, const struct page *page, size_t i, size_t service)
{
    struct proof *p = r->p;
    const struct ledger_event *row = LIST_AT(page->events, struct ledger_event, i);
    bool wanted = p->window.order_id || page->missing[i] || !row->published_us;
    p->events++;
    if (p->oldest_us == 0 || row->created_us < p->oldest_us)
        p->oldest_us = row->created_us;
    struct proof_event *e =
        wanted && p->kept_count < PROOF_KEPT_LIMIT ? keep(p, row, service) : NULL;
    for (size_t q = 0; q < QUEUES_COUNT; q++) {
        bool missing = page->missing[i] & BIT(q);
        if (!(page->meant[i] & BIT(q)))
            continue;
        p->tally[q].expected++;
        if (e)
            e->marks[q].state = missing ? PROOF_GAP : PROOF_HANDLED;
        else if (missing)
            *(row->published_us ? &p->tally[q].unnamed_missing : &p->tally[q].unnamed_waiting) += 1;
    }
    p->unpublished += !row->published_us;
    p->set_aside += row->parked_us != 0;
    if (!e && is_late(p, row))
        p->late++;
}

static int read_page(struct reading *r, size_t service, struct list events)
{
    struct arena *a = fiber_arena();
    struct page page = {events, arena_array(a, events.len, sizeof(unsigned)),
        arena_array(a, events.len, sizeof(unsigned))};
    for (size_t i = 0; i < events.len; i++)
        page.meant[i] = meant_for(r, LIST_AT(events, struct ledger_event, i)->type);
    for (size_t q = 0; q < QUEUES_COUNT; q++)
        TRY(ask_inbox(r, q, &page));
    for (size_t i = 0; i < events.len; i++)
        take_in(r, &page, i, service);
    return 0;
}

static int read_outbox(struct reading *r, size_t service)
{
    int64_t after_seq = 0;
    for (;;) {
        struct list events;
        arena_reset(fiber_arena());
        TRY(ledger_page(r->p->ledger, service, &r->p->window, after_seq, &events));
        if (events.len == 0)
            return 0;
        after_seq = LIST_AT(events, struct ledger_event, events.len - 1)->seq;
        TRY(read_page(r, service, events));
        if (r->config->progress)
            r->config->progress(r->p->events, ctl_services[service]);
    }
}

int proof_read(const struct proof_config *config, struct proof *ret_proof, const char **ret_service)
{
    struct proof p = {.arena = arena_new(),
        .ledger = config->ledger,
        .window = config->window,
        .grace_us = config->grace_us,
        .now_us = clock_wall_us()};
    struct reading r = {.config = config, .p = &p};
    int result = 0;
    for (size_t i = 0; result == 0 && i < SERVICES_COUNT; i++) {
        *ret_service = ctl_services[i];
        result = read_outbox(&r, i);
    }
    if (result != 0)
        proof_deinit(&p);
    else
        *ret_proof = p;
    return result;
}

/* ---- settling ---- */

/* Of the events that are kept and meant for this queue: when it handled them. */
static int ask_again(struct proof *p, size_t queue)
{
    size_t n = 0;
    struct arena *a = fiber_arena();
    struct proof_event **asked = arena_array(a, p->kept_count, sizeof(struct proof_event *));
    const char **ids = arena_array(a, p->kept_count, sizeof(*ids));
    for (size_t i = 0; i < p->kept_count; i++)
        if (p->kept[i].marks[queue].state != PROOF_NOT_MEANT) {
            ids[n] = p->kept[i].row.event_id;
            asked[n++] = &p->kept[i];
        }
    if (n == 0)
        return 0;
    int64_t *handled_us = arena_array(a, n, sizeof(*handled_us));
    TRY(ledger_handled(p->ledger, &queue_rows[queue], ids, n, handled_us));
    for (size_t i = 0; i < n; i++)
        asked[i]->marks[queue] =
            (struct proof_mark){handled_us[i] ? PROOF_HANDLED : PROOF_GAP, handled_us[i], NULL};
    return 0;
}

static void judge(
    struct proof *p, struct proof_event *e, size_t queue, const struct whereabouts *held)
{
    struct proof_mark *m = &e->marks[queue];
    if (m->state == PROOF_NOT_MEANT)
        return;
    const struct held_letter *dead = whereabouts_find(&held->dead, e->row.event_id);
    const struct sighting s = {.published = e->row.published_us != 0,
        .handled = m->state == PROOF_HANDLED,
        .dead = dead != NULL,
        .retrying = whereabouts_find(&held->retrying, e->row.event_id) != NULL,
        .queued = held->queued,
        .age_us = age_of(p, &e->row)};
    m->state = proof_judge(&s, p->grace_us);
    if (m->state == PROOF_DEAD)
        *m = (struct proof_mark){PROOF_DEAD, dead->failed_us, arena_strdup(p->arena, dead->code)};
}

static void count_up(struct proof *p, size_t queue, const struct whereabouts *held)
{
    struct proof_tally *t = &p->tally[queue];
    t->dead = t->gaps = 0;
    t->under_way = t->unnamed_waiting;
    for (size_t i = 0; i < p->kept_count; i++) {
        enum proof_state state = p->kept[i].marks[queue].state;
        t->under_way += state == PROOF_UNDER_WAY;
        t->dead += state == PROOF_DEAD;
        t->gaps += state == PROOF_GAP;
    }
    *(held->queued ? &t->under_way : &t->gaps) += t->unnamed_missing;
    t->handled = t->expected - t->under_way - t->dead - t->gaps;
}

int proof_settle(
    struct proof *p, const struct whereabouts held[QUEUES_COUNT], const char **ret_service)
{
    p->now_us = clock_wall_us();
    for (size_t q = 0; q < QUEUES_COUNT; q++) {
        *ret_service = queue_rows[q].service;
        TRY(ask_again(p, q));
        for (size_t i = 0; i < p->kept_count; i++)
            judge(p, &p->kept[i], q, &held[q]);
        count_up(p, q, &held[q]);
        p->partial = p->partial || held[q].partial;
    }
    for (size_t i = 0; i < p->kept_count; i++)
        p->kept[i].late = is_late(p, &p->kept[i].row);
    return 0;
}

unsigned proof_missing(const struct proof *p)
{
    unsigned queues = 0;
    for (size_t q = 0; q < QUEUES_COUNT; q++) {
        bool missing = p->tally[q].unnamed_missing > 0;
        for (size_t i = 0; !missing && i < p->kept_count; i++)
            missing = p->kept[i].row.published_us && p->kept[i].marks[q].state > PROOF_HANDLED;
        queues |= missing ? BIT(q) : 0;
    }
    return queues;
}

int64_t proof_gaps(const struct proof *p)
{
    int64_t gaps = p->late;
    for (size_t q = 0; q < QUEUES_COUNT; q++)
        gaps += p->tally[q].gaps;
    for (size_t i = 0; i < p->kept_count; i++)
        gaps += p->kept[i].late;
    return gaps;
}

bool proof_at_rest(const struct proof *p)
{
    for (size_t q = 0; q < QUEUES_COUNT; q++)
        if (p->tally[q].under_way)
            return false;
    return p->unpublished == p->set_aside;
}

void proof_deinit(struct proof *p)
{
    arena_free(p->arena);
    *p = (struct proof){0};
}
