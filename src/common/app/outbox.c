/* The transactional outbox. An event is a row in the same transaction as the change it tells of.
 * The relay takes a window of unpublished rows in order, publishes them with confirms, then marks
 * those that were confirmed; a crash in between publishes again, which every inbox absorbs.
 *
 * One relay at a time per database: the claim takes a transaction-scoped advisory lock, so several
 * processes of a service may run and the events of one aggregate still leave in order (its rows are
 * serialised by the lock on the aggregate itself, and their sequence numbers with them). A message
 * that isn't confirmed stays and comes first in the next window. What was confirmed behind it is
 * marked all the same: it is out, and sending it again would only make a duplicate.
 *
 * The lock is held while the broker works, so the relay does not even begin while the publishing
 * connection is down or blocked; PUBLISH_TIME_US stays below the server's patience with idle
 * transactions. */

#include "common/app/outbox.h"

#include "common/app/metrics.h"
#include "common/app/periodic.h"
#include "common/app/service.h"
#include "common/app/work.h"
#include "common/base/uuid.h"
#include "common/fiber/sync.h"
#include "common/json/writer.h"

#define RELAY_WINDOW     "200"
#define RELAY_POLL_US    (500 * USEC_PER_MS)
#define PUBLISH_TIME_US  (4 * USEC_PER_SEC)
#define RETRY_FLOOR_US   (100 * USEC_PER_MS)
#define RETRY_CEILING_US (1 * USEC_PER_SEC)

struct outbox_row {
    int64_t seq;
    const char *event_id, *type, *correlation_id, *trace_parent, *body;
    int64_t created_at;
};
static const struct field outbox_fields[] = {
    FIELD_I64(struct outbox_row, seq, "seq"),
    FIELD_TEXT(struct outbox_row, event_id, "eventId"),
    FIELD_TEXT(struct outbox_row, type, "type"),
    FIELD_TEXT(struct outbox_row, correlation_id, "correlationId"),
    FIELD_TEXT(struct outbox_row, trace_parent, "traceParent"),
    FIELD_TEXT(struct outbox_row, body, "body"),
    FIELD_TIME(struct outbox_row, created_at, "createdAt"),
};
static const struct table outbox_table = TABLE("OutboxRow", struct outbox_row, outbox_fields);

struct outbox_lag {
    int64_t pending;
    double oldest_s;
};
static const struct field lag_fields[] = {
    FIELD_I64(struct outbox_lag, pending, "pending"),
    FIELD_REAL(struct outbox_lag, oldest_s, "oldestS"),
};
static const struct table lag_table = TABLE("OutboxLag", struct outbox_lag, lag_fields);

enum { SQL_INSERT, SQL_CLAIM, SQL_MARK, SQL_LAG, SQL_PURGE };

const struct pg_statement outbox_statements[] = {
    [SQL_INSERT] = {"outbox_insert",
        "INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, trace_parent, body) "
        "VALUES ($1, $2, $3, $4, $5, $6)"},
    /* The lock is taken once (an uncorrelated subquery) and goes with the transaction. */
    [SQL_CLAIM] = {"outbox_claim",
        "SELECT seq, event_id, type, correlation_id, trace_parent, body, created_at FROM outbox "
        "WHERE published_at IS NULL AND (SELECT pg_try_advisory_xact_lock(20011)) "
        "ORDER BY seq LIMIT " RELAY_WINDOW,
        &outbox_table},
    [SQL_MARK] = {"outbox_mark", "UPDATE outbox SET published_at = now() WHERE published_at IS "
                                 "NULL AND seq = ANY ($1::bigint[])"},
    [SQL_LAG] = {"outbox_lag",
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0) "
        "FROM outbox WHERE published_at IS NULL",
        &lag_table},
    [SQL_PURGE] = {"outbox_purge",
        "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox WHERE published_at < now() - "
        "interval '7 days' ORDER BY seq LIMIT " PURGE_LIMIT_TEXT ")"},
};
const size_t outbox_statements_count = ARRAY_SIZE(outbox_statements);

static struct metric published = {.name = "souk_events_published_total",
    .help = "Events confirmed by the broker.",
    .labels = "type"};
static struct metric failures = {
    .name = "souk_outbox_failures_total", .help = "Relay rounds that did not end with a confirm."};
static struct metric pending_gauge = {
    .name = "souk_outbox_pending", .help = "Events not yet confirmed.", .kind = METRIC_GAUGE};
static struct metric age_gauge = {.name = "souk_outbox_oldest_seconds",
    .help = "Age of the oldest event not yet confirmed.",
    .kind = METRIC_GAUGE};

static struct fiber_signal wake;
static double last_age_s;
static struct fiber *relay;
static bool nudged;

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

int outbox_add(
    struct pg_tx *tx, const struct event_kind *kind, const char *aggregate_id, const void *payload)
{
    char event_id[UUID_TEXT_SIZE];
    const char *correlation_id = correlation_current();
    const struct work *work = work_current();
    struct buf body = {0};
    int r = ERR_INVALID;
    uuid_make(event_id);
    write_envelope(&body, kind, event_id, aggregate_id, correlation_id, payload);
    if (body.len <= BUS_BODY_LIMIT)
        r = pg_queue(tx, &outbox_statements[SQL_INSERT],
            PG_ARGS(PG_TEXT(event_id), PG_TEXT(kind->type), PG_TEXT(aggregate_id),
                PG_TEXT(correlation_id), PG_TEXT(work ? work->trace_parent : NULL),
                PG_SPAN(buf_span(&body))));
    else /* it could never be published and would stay in the relay's way */
        error_note("%s of %zu bytes is too big for the broker", kind->type, body.len);
    buf_deinit(&body);
    work_adds_event();
    return r < 0 ? ERR(r) : r;
}

void outbox_wake(void)
{
    nudged = true;
    fiber_signal_all(&wake);
}

/* What the running work added is committed by now; what others added may not be. */
void outbox_nudge(void)
{
    if (!work_current() || work_take_added())
        outbox_wake();
}

/* ---- relaying ---- */

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

/* "{1,2,3}" of the confirmed rows. */
static const char *confirmed_seqs(
    const struct pg_result *rows, const int *results, size_t *ret_count)
{
    struct buf list = {0};
    size_t n = 0;
    for (size_t i = 0; i < rows->rows.len; i++)
        if (results[i] == 0)
            buf_printf(&list, "%c%lld", n++ ? ',' : '{',
                (long long)PG_ROW(*rows, struct outbox_row, i)->seq);
    buf_put_char(&list, '}');
    const char *text = arena_strndup(fiber_arena(), list.ptr, list.len);
    buf_deinit(&list);
    *ret_count = n;
    return text;
}

static int mark(struct pg_tx *tx, const struct pg_result *rows, const int *results, size_t *ret_n)
{
    size_t n;
    const char *seqs = confirmed_seqs(rows, results, &n);
    if (n) {
        TRY(pg_queue(tx, &outbox_statements[SQL_MARK], PG_ARGS(PG_TEXT(seqs))));
        TRY(pg_commit(tx));
    }
    for (size_t i = 0; i < rows->rows.len; i++)
        if (results[i] == 0)
            metric_add(&published, 1, PG_ROW(*rows, struct outbox_row, i)->type);
    *ret_n = n;
    return 0;
}

static void log_first_failure(const struct pg_result *rows, const int *results)
{
    size_t at = 0;
    while (results[at] == 0)
        at++;
    const struct outbox_row *row = PG_ROW(*rows, struct outbox_row, at);
    const char *why = results[at] == BUS_RETURNED ? "no queue is bound: check the topology"
                      : results[at] == BUS_NACKED ? "the broker refused it"
                                                  : error_name(results[at]);
    metric_add(&failures, 1);
    log_warn("event not confirmed, will be sent again", LF_TEXT("eventId", row->event_id),
        LF_TEXT("type", row->type), LF_TEXT("why", why));
}

static bool broker_listens(void)
{
    struct bus_state s = bus_state(app()->bus);
    return s.publish_connected && !s.blocked;
}

/* One window: 0 with the number of rows marked; negative when some or all are still to be sent. */
static int relay_window(size_t *ret_marked)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result rows;
    *ret_marked = 0;
    if (!broker_listens())
        return ERR(ERR_UNAVAILABLE);
    TRY(pg_begin(app()->pg, &tx));
    TRY(pg_run(tx, &outbox_statements[SQL_CLAIM], PG_NO_ARGS, &rows));
    if (rows.rows.len == 0)
        return 0;
    struct arena *a = fiber_arena();
    size_t count = rows.rows.len;
    struct bus_message *messages = arena_array(a, count, sizeof(*messages));
    int *results = arena_array(a, count, sizeof(*results));
    for (size_t i = 0; i < count; i++) {
        message_of(PG_ROW(rows, struct outbox_row, i), &messages[i]);
        results[i] = ERR_UNKNOWN;
    }
    FAULT("relay_before_publish");
    int r = bus_publish(app()->bus, messages, count, results, clock_mono_us() + PUBLISH_TIME_US);
    FAULT("relay_before_mark");
    TRY(mark(tx, &rows, results, ret_marked));
    if (*ret_marked == count)
        return 0;
    log_first_failure(&rows, results);
    return ERR(r < 0 ? r : ERR_UNAVAILABLE);
}

/* Window after window until nothing is left, or until a window was not confirmed as a whole. */
static int relay_all(bool *ret_progress)
{
    size_t marked;
    *ret_progress = false;
    do {
        nudged = false;
        int r = relay_window(&marked);
        arena_reset(fiber_arena());
        *ret_progress = *ret_progress || marked > 0;
        if (r != 0)
            return r;
    } while (marked > 0 || nudged);
    return 0;
}

static void relay_run(void *arg)
{
    int64_t pause_us = RETRY_FLOOR_US;
    bool progress;
    while (!app()->draining && !fiber_cancelled()) {
        int r = relay_all(&progress);
        if (r == 0 || progress)
            pause_us = RETRY_FLOOR_US;
        if (r == 0 && !nudged) {
            (void)fiber_signal_wait(&wake, "outbox nudge", clock_mono_us() + RELAY_POLL_US);
        } else if (r != 0) {
            log_debug("relay pauses", LF_TEXT("error", error_name(r)), LF_MS("pauseMs", pause_us));
            (void)fiber_sleep(pause_us);
            pause_us = pause_us * 2 > RETRY_CEILING_US ? RETRY_CEILING_US : pause_us * 2;
        }
        error_clear();
    }
}

int outbox_stop(int64_t deadline_us)
{
    bool progress;
    outbox_wake();
    if (relay)
        TRY(fiber_join(relay, deadline_us));
    relay = NULL;
    int64_t outer = fiber_deadline_push(deadline_us);
    int r = relay_all(&progress);
    fiber_deadline_pop(outer);
    if (r != 0)
        log_warn("events wait for the next start", LF_TEXT("error", error_name(r)));
    return 0;
}

/* ---- gauges and age ---- */

static int outbox_look(void)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &outbox_statements[SQL_LAG], PG_NO_ARGS, &result));
    const struct outbox_lag *lag = PG_ROW(result, struct outbox_lag, 0);
    metric_set(&pending_gauge, (double)lag->pending);
    metric_set(&age_gauge, lag->oldest_s);
    last_age_s = lag->oldest_s;
    return 0;
}

double outbox_age_s(void)
{
    return last_age_s;
}

static int outbox_purge(void)
{
    return purge(&outbox_statements[SQL_PURGE]);
}

int outbox_start(void)
{
    TRY(fiber_spawn(app()->loop, "outbox relay", relay_run, NULL, &relay));
    TRY(app_every("outbox gauges", 5 * USEC_PER_SEC, outbox_look));
    TRY(app_every("outbox purge", 3600 * USEC_PER_SEC, outbox_purge));
    return 0;
}
