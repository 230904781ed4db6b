/* What was just committed is known here: it goes to the relay from memory, and the outbox is read
 * only for what isn't (relay.c). The rows in the outbox stay the truth; this list may be dropped at
 * any time.
 *
 * The order. The events of one aggregate must leave in the order of their commits, which its lock
 * gives them. We learn of a commit by its answer, and the answers of two transactions may cross on
 * their way: the server lets go of the lock before it answers. Both were announced by then,
 * whichever was first. So who settles while another transaction with an event of the same
 * aggregate is announced does not come in here: the relay reads the outbox, which has the order.
 * Nor does whoever comes behind one that is not here: until the outbox has been read, it could
 * overtake it. A commit of which we heard nothing may still happen: for a while the outbox has the
 * order of all. */

#include "common/app/fresh.h"

#include <string.h>

#include "common/app/relay.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

#define LIMIT    4000
#define DOUBT_US (30 * USEC_PER_SEC) /* far longer than a commit takes, once it was sent */

static struct {
    struct fresh_event *first, **end;
    size_t count;
    bool open, missed;
    int64_t doubt_until_us;
    struct fresh_events *announced;
} fresh = {.end = &fresh.first, .missed = true};

/* ---- the order ---- */

static bool shares_aggregate(const struct fresh_events *a, const struct fresh_events *b)
{
    for (const struct fresh_event *x = a->first; x; x = x->next)
        for (const struct fresh_event *y = b->first; y; y = y->next)
            if (strcmp(x->row.aggregate_id, y->row.aggregate_id) == 0)
                return true;
    return false;
}

static bool may_have_been_overtaken(const struct fresh_events *events)
{
    for (const struct fresh_events *e = fresh.announced; e; e = e->later)
        if (shares_aggregate(events, e))
            return true;
    return false;
}

void fresh_announce(struct fresh_events *events)
{
    events->later = fresh.announced;
    fresh.announced = events;
}

static void unlink_announced(const struct fresh_events *events)
{
    struct fresh_events **at = &fresh.announced;
    while (*at != events)
        at = &(*at)->later;
    *at = events->later;
}

/* ---- the list ---- */

/* Text and all in one block. */
static struct fresh_event *copy_of(const struct outbox_row *row)
{
    const char *const texts[] = {row->event_id, row->type, row->aggregate_id, row->correlation_id,
        row->trace_parent, row->body};
    size_t sizes[ARRAY_SIZE(texts)], size = 0;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        size += sizes[i] = texts[i] ? strlen(texts[i]) + 1 : 0;
    struct fresh_event *e = mem_alloc(sizeof(*e) + size);
    const char **const copies[] = {&e->row.event_id, &e->row.type, &e->row.aggregate_id,
        &e->row.correlation_id, &e->row.trace_parent, &e->row.body};
    char *at = (char *)(e + 1);
    for (size_t i = 0; i < ARRAY_SIZE(texts); at += sizes[i], i++)
        if (texts[i])
            *copies[i] = memcpy(at, texts[i], sizes[i]);
    e->row.created_at = row->created_at;
    return e;
}

static void append(struct fresh_event *e)
{
    *fresh.end = e;
    fresh.end = &e->next;
    fresh.count++;
}

void fresh_settle(struct fresh_events *events, bool committed)
{
    unlink_announced(events);
    if (!committed)
        return;
    bool taken = fresh.open && !fresh.missed && clock_mono_us() >= fresh.doubt_until_us &&
                 fresh.count < LIMIT && !may_have_been_overtaken(events);
    for (const struct fresh_event *e = events->first; e && taken; e = e->next)
        append(copy_of(&e->row));
    fresh.missed = fresh.missed || !taken;
    relay_nudge();
}

void fresh_doubt(struct fresh_events *events)
{
    unlink_announced(events);
    fresh.doubt_until_us = clock_mono_us() + DOUBT_US;
    fresh.missed = true;
    relay_nudge();
}

void fresh_free(struct fresh_event *list)
{
    while (list) {
        struct fresh_event *e = list;
        list = e->next;
        mem_free(e);
    }
}

void fresh_begin(bool open)
{
    fresh_free(fresh.first);
    fresh.first = NULL;
    fresh.end = &fresh.first;
    fresh.count = 0;
    fresh.open = open;
    fresh.missed = false;
}

bool fresh_is_open(void)
{
    return fresh.open;
}

size_t fresh_count(void)
{
    return fresh.count;
}

bool fresh_missed(void)
{
    return fresh.missed;
}

struct fresh_event *fresh_take(size_t limit, size_t *ret_count)
{
    struct fresh_event *list = fresh.first, **end = &list;
    size_t n = 0;
    for (; *end && n < limit; n++)
        end = &(*end)->next;
    fresh.first = *end;
    *end = NULL;
    if (!fresh.first)
        fresh.end = &fresh.first;
    fresh.count -= n;
    *ret_count = n;
    return list;
}

bool fresh_forget(const char *event_id)
{
    for (struct fresh_event **at = &fresh.first; *at; at = &(*at)->next) {
        struct fresh_event *e = *at;
        if (strcmp(e->row.event_id, event_id) != 0)
            continue;
        *at = e->next;
        if (!*at)
            fresh.end = at;
        fresh.count--;
        mem_free(e);
        return true;
    }
    return false;
}
