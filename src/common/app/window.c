/* Within a window an event leaves only when the one before it of the same aggregate is confirmed,
 * so whatever happens to one, nothing overtakes it. Mostly each aggregate is there once, and the
 * window is one round. */

#include "common/app/window.h"

#include <errno.h>

#include "common/app/metrics.h"
#include "common/app/outbox.h"
#include "common/app/service.h"

#define PUBLISH_TIME_US (4 * USEC_PER_SEC)
#define NO_PRIOR        SIZE_MAX
enum { WAITS = 1000 }; /* a result: not sent, what is before it has to go first */

static struct metric published = {.name = "souk_events_published_total",
    .help = "Events confirmed by the broker.",
    .labels = "type"};
static struct metric parked = {.name = "souk_events_parked_total",
    .help = "Events set aside because no queue wants them (unroutable), the broker forbids them "
            "(refused) or they can't be sent (unsendable).",
    .labels = "type,reason"};
static struct metric failures = {
    .name = "souk_outbox_failures_total", .help = "Relay rounds that did not end with a confirm."};

static size_t hash_of(const char *text)
{
    size_t hash = 2166136261U;
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619U;
    return hash;
}

/* Links each row to the one before it of its aggregate, through a table of the last ones. */
static void find_priors(struct window *w)
{
    enum { SLOTS = 4 * WINDOW_LIMIT };
    size_t last[SLOTS];
    for (size_t s = 0; s < SLOTS; s++)
        last[s] = NO_PRIOR;
    for (size_t i = 0; i < w->count; i++) {
        const char *aggregate = w->rows[i]->aggregate_id;
        size_t s = hash_of(aggregate) % SLOTS;
        while (last[s] != NO_PRIOR && strcmp(w->rows[last[s]]->aggregate_id, aggregate) != 0)
            s = (s + 1) % SLOTS;
        w->prior[i] = last[s];
        last[s] = i;
    }
}

void window_begin(struct window *w, size_t count)
{
    *w = (struct window){.rows = arena_array(fiber_arena(), count, sizeof(*w->rows)),
        .count = count,
        .prior = arena_array(fiber_arena(), count, sizeof(*w->prior)),
        .results = arena_array(fiber_arena(), count, sizeof(*w->results))};
    for (size_t i = 0; i < count; i++)
        w->results[i] = WAITS;
}

/* ---- publishing ---- */

static void message_of(const struct outbox_row *row, struct bus_message *m)
{
    *m = (struct bus_message){.exchange = EVENT_EXCHANGE,
        .routing_key = row->type,
        .message_id = row->event_id,
        .type = row->type,
        .correlation_id = row->correlation_id,
        .app_id = app()->service->name,
        .content_type = "application/json",
        .timestamp_s = row->created_at / USEC_PER_SEC,
        .body = span_of(row->body)};
    if (row->trace_parent)
        m->headers[m->headers_count++] =
            (struct bus_header){.name = "traceparent", .text = row->trace_parent};
    m->headers[m->headers_count++] =
        (struct bus_header){.name = "cloudEvents_specversion", .text = "1.0"};
    m->headers[m->headers_count++] =
        (struct bus_header){.name = "cloudEvents_id", .text = row->event_id};
    m->headers[m->headers_count++] =
        (struct bus_header){.name = "cloudEvents_type", .text = row->type};
    m->headers[m->headers_count++] =
        (struct bus_header){.name = "cloudEvents_source", .text = app()->service->name};
}

/* Publishes every row whose turn it is. 0 with their number; negative: not all were confirmed. */
static int publish_round(struct window *w, int64_t deadline_us, size_t *ret_count)
{
    struct arena *a = fiber_arena();
    size_t *at = arena_array(a, w->count, sizeof(*at)), n = 0;
    for (size_t i = 0; i < w->count; i++)
        if (w->results[i] == WAITS && (w->prior[i] == NO_PRIOR || w->results[w->prior[i]] == 0))
            at[n++] = i;
    *ret_count = n;
    if (n == 0)
        return 0;
    struct bus_message *messages = arena_array(a, n, sizeof(*messages));
    int *results = arena_array(a, n, sizeof(*results));
    for (size_t i = 0; i < n; i++) {
        message_of(w->rows[at[i]], &messages[i]);
        results[i] = ERR_UNKNOWN;
    }
    int r = bus_publish(app()->bus, messages, n, results, deadline_us);
    for (size_t i = 0; i < n; i++)
        w->results[at[i]] = results[i];
    return r < 0 ? ERR(r) : 0;
}

void window_publish(struct window *w)
{
    int64_t deadline_us = clock_mono_us() + PUBLISH_TIME_US;
    size_t count;
    int r;
    find_priors(w);
    FAULT("relay_before_publish");
    do
        r = publish_round(w, deadline_us, &count);
    while (r == 0 && count > 0);
    error_clear();
}

/* ---- what became of them ---- */

/* Why trying again at once is useless; NULL: it isn't. */
static const char *parking_reason(int result)
{
    return result == BUS_RETURNED   ? "unroutable"
           : result == ERR_PROTOCOL ? "refused"
           : result == ERR_INVALID  ? "unsendable"
           : result == -EMSGSIZE    ? "unsendable"
                                    : NULL;
}

const char *window_parking_reason(const struct window *w, size_t i)
{
    return parking_reason(w->results[i]);
}

static bool behind_a_parked_one(const struct window *w, size_t i)
{
    while (w->results[i] == WAITS && w->prior[i] != NO_PRIOR)
        i = w->prior[i];
    return parking_reason(w->results[i]) != NULL;
}

void window_tell_confirmed(const struct outbox_row *row)
{
    metric_add(&published, 1, row->type);
}

static void tell_parked(const struct outbox_row *row, const char *reason)
{
    metric_add(&parked, 1, row->type, reason);
    if (row->parks == 0)
        log_error("event parked: the broker has no place for it", LF_TEXT("eventId", row->event_id),
            LF_TEXT("type", row->type), LF_TEXT("reason", reason));
}

static void tell_unconfirmed(const struct outbox_row *row, int result)
{
    metric_add(&failures, 1);
    log_warn("event not confirmed, will be sent again", LF_TEXT("eventId", row->event_id),
        LF_TEXT("type", row->type),
        LF_TEXT("why", result == BUS_NACKED ? "the broker refused it" : error_name(result)));
}

bool window_tell(const struct window *w, size_t *ret_gone)
{
    bool again = false;
    size_t gone = 0;
    for (size_t i = 0; i < w->count; i++) {
        const struct outbox_row *row = w->rows[i];
        const char *reason = parking_reason(w->results[i]);
        gone += w->results[i] == 0 || reason;
        if (w->results[i] == 0)
            window_tell_confirmed(row);
        else if (reason)
            tell_parked(row, reason);
        else if (!behind_a_parked_one(w, i)) {
            if (!again)
                tell_unconfirmed(row, w->results[i]);
            again = true;
        }
    }
    *ret_gone = gone;
    return again;
}
