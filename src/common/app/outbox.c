/* The transactional outbox. An event is a row in the same transaction as the change it tells of;
 * the relay (relay.c) brings it to the exchange. Here is what puts events in, and what looks at how
 * the outbox is doing.
 *
 * Late and parked are two things. What waits for the broker makes the service late, and in the end
 * unready; what the broker has no place for (and what waits behind it) has an alert of its own, and
 * is no reason to take no more traffic. */

#include "common/app/outbox.h"

#include "common/app/fresh.h"
#include "common/app/metrics.h"
#include "common/app/periodic.h"
#include "common/app/relay.h"
#include "common/app/service.h"
#include "common/app/work.h"
#include "common/base/uuid.h"
#include "common/json/writer.h"

struct outbox_look {
    int64_t pending, held, parked;
    double oldest_s;
};
static const struct field look_fields[] = {
    FIELD_I64(struct outbox_look, pending, "pending"),
    FIELD_REAL(struct outbox_look, oldest_s, "oldestS"),
    FIELD_I64(struct outbox_look, held, "held"),
    FIELD_I64(struct outbox_look, parked, "parked"),
};
static const struct table look_table = TABLE("OutboxLook", struct outbox_look, look_fields);

enum { SQL_INSERT, SQL_INSERT_MANY, SQL_LOOK, SQL_PURGE };

const struct pg_statement outbox_statements[] = {
    [SQL_INSERT] = {"outbox_insert",
        "INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, trace_parent, body) "
        "VALUES ($1, $2, $3, $4, $5, $6)"},
    [SQL_INSERT_MANY] = {"outbox_insert_many",
        "INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, trace_parent, body) "
        "SELECT id, type, aggregate, correlation, trace, body FROM unnest($1::uuid[], $2::text[], "
        "$3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY "
        "AS e (id, type, aggregate, correlation, trace, body, n) ORDER BY n"},
    /* Whether one is parked is asked first, as the relay does, by the index that has no others. */
    [SQL_LOOK] = {"outbox_look",
        "SELECT count(*) FILTER (WHERE NOT held), "
        "coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE NOT held)), 0), "
        "count(*) FILTER (WHERE held), "
        "CASE WHEN (SELECT aggregate_id FROM outbox WHERE parked_at IS NOT NULL "
        "ORDER BY aggregate_id LIMIT 1) IS NULL THEN 0 "
        "ELSE (SELECT count(*) FROM outbox WHERE parked_at IS NOT NULL) END "
        "FROM (SELECT created_at, EXISTS (SELECT FROM outbox AS p WHERE p.parked_at IS NOT NULL "
        "AND p.aggregate_id = o.aggregate_id AND p.seq < o.seq) AS held "
        "FROM outbox AS o WHERE published_at IS NULL AND parked_at IS NULL OFFSET 0) AS waiting",
        &look_table},
    [SQL_PURGE] = {"outbox_purge",
        "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE published_at < now() - "
        "interval '" OUTBOX_KEPT_TEXT "' ORDER BY seq LIMIT " PURGE_LIMIT_TEXT ")"},
};
const size_t outbox_statements_count = ARRAY_SIZE(outbox_statements);

static struct metric pending_gauge = {.name = "souk_outbox_pending",
    .help = "Events on their way to the broker, not yet confirmed.",
    .kind = METRIC_GAUGE};
static struct metric age_gauge = {.name = "souk_outbox_oldest_seconds",
    .help = "Age of the oldest of them.",
    .kind = METRIC_GAUGE};
static struct metric parked_gauge = {.name = "souk_outbox_parked",
    .help = "Events set aside, for which the broker has no place.",
    .kind = METRIC_GAUGE};
static struct metric held_gauge = {.name = "souk_outbox_held",
    .help = "Events behind a parked one of the same aggregate.",
    .kind = METRIC_GAUGE};
static struct metric memory_gauge = {.name = "souk_outbox_from_memory",
    .help = "1 while what was just committed goes out from memory, 0 while all is read anew.",
    .kind = METRIC_GAUGE};

static double last_age_s;
static int64_t last_parked;

/* ---- adding ---- */

static void write_envelope(struct buf *out, const struct event_kind *kind, const char *event_id,
    const char *aggregate_id, const char *correlation_id, const void *payload)
{
    struct json_writer w = json_writer_on(out);
    json_object_begin(&w);
    json_put_text(&w, "eventId", event_id);
    json_put_text(&w, "eventType", kind->type);
    json_put_text(&w, "type", kind->type);
    json_put_text(&w, "eventVersion", kind->version);
    json_put_time(&w, "timestamp", clock_wall_us());
    json_put_text(&w, "source", arena_printf(fiber_arena(), "%s-service", kind->publisher));
    json_put_text(&w, "aggregateId", aggregate_id);
    json_put_text(&w, "correlationId", correlation_id);
    json_key(&w, "payload");
    json_struct(&w, kind->payload, payload);
    json_object_end(&w);
}

static int insert_one(struct pg_tx *tx, const struct outbox_row *e)
{
    return pg_queue(tx, &outbox_statements[SQL_INSERT],
        PG_ARGS(PG_TEXT(e->event_id), PG_TEXT(e->type), PG_TEXT(e->aggregate_id),
            PG_TEXT(e->correlation_id), PG_TEXT(e->trace_parent), PG_TEXT(e->body)));
}

static int insert_many(struct pg_tx *tx, const struct fresh_event *first)
{
    struct buf ids = {0}, types = {0}, aggregates = {0}, correlations = {0}, traces = {0},
               bodies = {0};
    for (const struct fresh_event *e = first; e; e = e->next) {
        pg_array_put(&ids, e->row.event_id);
        pg_array_put(&types, e->row.type);
        pg_array_put(&aggregates, e->row.aggregate_id);
        pg_array_put(&correlations, e->row.correlation_id);
        pg_array_put(&traces, e->row.trace_parent);
        pg_array_put(&bodies, e->row.body);
    }
    return pg_queue(tx, &outbox_statements[SQL_INSERT_MANY],
        PG_ARGS(PG_TEXT(pg_array_text(&ids)), PG_TEXT(pg_array_text(&types)),
            PG_TEXT(pg_array_text(&aggregates)), PG_TEXT(pg_array_text(&correlations)),
            PG_TEXT(pg_array_text(&traces)), PG_TEXT(pg_array_text(&bodies))));
}

/* One statement for all, when the transaction ends. */
static int insert_events(struct pg_tx *tx, void *arg)
{
    struct fresh_events *events = arg;
    TRY(events->first->next ? insert_many(tx, events->first) : insert_one(tx, &events->first->row));
    fresh_announce(events);
    return 0;
}

static void events_ended(void *arg, int r)
{
    if (r == ERR_UNKNOWN)
        fresh_doubt(arg);
    else
        fresh_settle(arg, r == 0);
}

static void append(struct pg_tx *tx, struct fresh_event *e)
{
    static const struct pg_end end = {insert_events, events_ended};
    void **slot = pg_at_commit(tx, &end);
    struct fresh_events *events = *slot;
    if (!events) {
        *slot = events = ARENA_NEW(fiber_arena(), struct fresh_events);
        events->end = &events->first;
    }
    *events->end = e;
    events->end = &e->next;
}

int outbox_add(
    struct pg_tx *tx, const struct event_kind *kind, const char *aggregate_id, const void *payload)
{
    struct arena *a = fiber_arena();
    char *event_id = arena_alloc(a, UUID_TEXT_SIZE);
    const char *correlation_id = correlation_current();
    const struct work *work = work_current();
    struct buf body = {0};
    int r = 0;
    uuid_make(event_id);
    write_envelope(&body, kind, event_id, aggregate_id, correlation_id, payload);
    if (body.len <= BUS_BODY_LIMIT) {
        struct fresh_event *e = ARENA_NEW(a, struct fresh_event);
        e->row = (struct outbox_row){.event_id = event_id,
            .type = kind->type,
            .aggregate_id = arena_strdup(a, aggregate_id),
            .correlation_id = arena_strdup(a, correlation_id),
            .trace_parent = work ? arena_strdup(a, work->trace_parent) : NULL,
            .body = arena_strndup(a, body.ptr, body.len),
            .created_at = clock_wall_us()};
        append(tx, e);
    } else { /* it could never be published and would stay in the relay's way */
        error_note("%s of %zu bytes is too big for the broker", kind->type, body.len);
        r = ERR(ERR_INVALID);
    }
    buf_deinit(&body);
    return r;
}

/* ---- gauges and age ---- */

static int outbox_look(void)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &outbox_statements[SQL_LOOK], PG_NO_ARGS, &result));
    const struct outbox_look *look = PG_ROW(result, struct outbox_look, 0);
    metric_set(&pending_gauge, (double)look->pending);
    metric_set(&age_gauge, look->oldest_s);
    metric_set(&parked_gauge, (double)look->parked);
    metric_set(&held_gauge, (double)look->held);
    last_age_s = look->oldest_s;
    last_parked = look->parked;
    return 0;
}

double outbox_age_s(void)
{
    return last_age_s;
}

int64_t outbox_parked(void)
{
    return last_parked;
}

static void set_memory_gauge(void *ctx)
{
    metric_set(&memory_gauge, fresh_is_open());
}

static int outbox_purge(void)
{
    return purge(&outbox_statements[SQL_PURGE]);
}

int outbox_start(void)
{
    TRY(relay_start());
    metrics_on_scrape(set_memory_gauge, NULL);
    TRY(app_every("outbox gauges", 5 * USEC_PER_SEC, outbox_look));
    TRY(app_every("outbox purge", 3600 * USEC_PER_SEC, outbox_purge));
    return 0;
}

int outbox_stop(int64_t deadline_us)
{
    return relay_stop(deadline_us);
}
