/* The idempotent consumer. A batch of deliveries is one transaction: one statement enters all event
 * ids into the inbox and tells which are new, the handlers of the new ones run, one commit, then
 * one multiple-ack. When anything in the batch fails, the transaction is rolled back and each event
 * is handled alone, so that only the guilty one leaves the normal path:
 *
 *   permanent (unreadable, unknown, business no)  -> a copy to the dead letters, with the reason in
 * its headers transient                                     -> a copy to the next retry tier; after
 * the last tier: dead letters our own database away                         -> nobody's fault: the
 * batch waits here and is tried again
 *
 * A copy is confirmed by the broker before the original is acked: a crash in between makes a
 * duplicate, never a loss. Our own headers carry the story; the broker's death headers are not
 * copied, or a replayed message would be dropped as a dead-letter cycle. */

#include "common/app/inbox.h"

#include <stdio.h>
#include <unistd.h>

#include "common/app/dispatch.h"
#include "common/app/metrics.h"
#include "common/app/outbox.h"
#include "common/app/periodic.h"
#include "common/app/service.h"
#include "common/app/work.h"
#include "common/contract/events.h"

#define RETRY_EXCHANGE        "order-events.retry"
#define DEAD_EXCHANGE         "order-events.dlx"
#define RETRY_TIERS           5
#define ERROR_TEXT_LIMIT      512
#define COPY_TIME_US          (10 * USEC_PER_SEC)
#define DATABASE_PAUSE_US     (250 * USEC_PER_MS)
#define DATABASE_PAUSE_MAX_US (5 * USEC_PER_SEC)

struct envelope {
    const char *event_id, *event_type, *type, *event_version, *source, *aggregate_id,
        *correlation_id;
    int64_t timestamp;
    struct span payload;
};
static const struct field envelope_fields[] = {
    FIELD_UUID(struct envelope, event_id, "eventId", .required = true),
    FIELD_TEXT(struct envelope, event_type, "eventType", .max = 128),
    FIELD_TEXT(struct envelope, type, "type", .required = true, .max = 128),
    FIELD_TEXT(struct envelope, event_version, "eventVersion", .required = true, .max = 16),
    FIELD_TEXT(struct envelope, source, "source", .max = 64),
    FIELD_TEXT(struct envelope, aggregate_id, "aggregateId", .required = true, .max = 128),
    FIELD_TEXT(struct envelope, correlation_id, "correlationId", .max = 128),
    FIELD_TIME(struct envelope, timestamp, "timestamp", .required = true),
    FIELD_RAW(struct envelope, payload, "payload", .required = true),
};
static const struct table envelope_table = TABLE("EventEnvelope", struct envelope, envelope_fields);

struct inbox_row {
    const char *event_id;
};
static const struct field inbox_fields[] = {FIELD_TEXT(struct inbox_row, event_id, "eventId")};
static const struct table inbox_table = TABLE("InboxRow", struct inbox_row, inbox_fields);

enum { SQL_ENTER, SQL_PURGE };
const struct pg_statement inbox_statements[] = {
    [SQL_ENTER] = {"inbox_enter",
        "INSERT INTO inbox (event_id, type) SELECT * FROM unnest($1::uuid[], $2::text[]) "
        "ON CONFLICT DO NOTHING RETURNING event_id",
        &inbox_table},
    [SQL_PURGE] = {"inbox_purge",
        "DELETE FROM inbox WHERE handled_at < now() - interval '30 days'"},
};
const size_t inbox_statements_count = ARRAY_SIZE(inbox_statements);

static struct metric handled_total = {.name = "souk_events_handled_total",
    .help = "Events by what became of them.",
    .labels = "type,result"};
static struct metric lag_seconds = {.name = "souk_event_lag_seconds",
    .help = "From the event's timestamp to the commit of its handling.",
    .kind = METRIC_HISTOGRAM,
    .labels = "type"};

/* One delivery on its way through a batch. */
struct incoming {
    struct bus_message *message;
    const struct consumer_row *row;
    struct event event;
    struct work work;
    enum { INCOMING_GOOD, INCOMING_IGNORED, INCOMING_DEAD, INCOMING_RETRY, INCOMING_STUCK } fate;
    const char *error_code;
    const char *error_text;
};

static struct bus_consumer *consumer;

/* ---- reading ---- */

static const struct consumer_row *row_find(const char *type)
{
    const struct service *s = app()->service;
    for (size_t i = 0; i < s->consumers_count; i++) {
        const struct consumer_row *row = &s->consumers[i];
        if (strcmp(row->kind->type, type) == 0 || (row->alias && strcmp(row->alias, type) == 0))
            return row;
    }
    return NULL;
}

static void condemn(struct incoming *in, const char *code, const char *text)
{
    in->fate = INCOMING_DEAD;
    in->error_code = code;
    in->error_text = text;
}

static const char *errors_text(const struct json_errors *errors)
{
    return errors->count
               ? arena_printf(fiber_arena(), "%s: %s", errors->at[0].pointer, errors->at[0].detail)
               : "unreadable";
}

static bool major_matches(const char *given, const char *known)
{
    size_t n = strcspn(known, ".");
    return strncmp(given, known, n) == 0 && (given[n] == '.' || given[n] == 0);
}

static void incoming_read(struct incoming *in)
{
    struct arena *a = fiber_arena();
    struct json_errors errors = {0};
    struct envelope e;
    const struct bus_message *m = in->message;
    if (json_read(a, m->body, &envelope_table, JSON_LENIENT, &e, &errors) != 0)
        return condemn(in, "unreadable_event", errors_text(&errors));
    in->event = (struct event){.id = e.event_id,
        .type = e.type,
        .version = e.event_version,
        .source = e.source,
        .aggregate_id = e.aggregate_id,
        .correlation_id = e.correlation_id,
        .timestamp_us = e.timestamp,
        .redelivered = m->redelivered};
    const struct bus_header *trace = bus_header_get(m, "traceparent");
    in->work = (struct work){.correlation_id = e.correlation_id,
        .trace_parent = trace ? trace->text : NULL,
        .event = true};
    in->row = row_find(e.type);
    if (!in->row) {
        if (event_kind_find(e.type))
            in->fate = INCOMING_IGNORED;
        else
            condemn(in, "unknown_event_type", arena_printf(a, "no event is called %s", e.type));
        return;
    }
    if (!major_matches(e.event_version, in->row->kind->version))
        return condemn(in, "unknown_event_version",
            arena_printf(a, "%s %s, this consumer knows %s", e.type, e.event_version,
                in->row->kind->version));
    if (m->user_id && strcmp(m->user_id, in->row->kind->publisher) != 0 &&
        !bus_header_get(m, "souk-origin-user"))
        return condemn(in, "wrong_publisher",
            arena_printf(a, "%s may be sent by %s, not by %s", e.type, in->row->kind->publisher,
                m->user_id));
    void *payload = arena_alloc(a, in->row->kind->payload->size);
    if (json_read(a, e.payload, in->row->kind->payload, JSON_LENIENT, payload, &errors) != 0)
        return condemn(in, "invalid_payload", errors_text(&errors));
    in->event.payload = payload;
}

/* ---- handling ---- */

/* "{a,b}" for an array argument: ids and types hold no character that would need quotes. */
static const char *array_of(struct incoming *list, size_t count, bool types)
{
    struct buf text = {0};
    buf_put_char(&text, '{');
    for (size_t i = 0, n = 0; i < count; i++)
        if (list[i].fate == INCOMING_GOOD)
            buf_printf(&text, "%s\"%s\"", n++ ? "," : "",
                types ? list[i].row->kind->type : list[i].event.id);
    buf_put_char(&text, '}');
    const char *copy = arena_strndup(fiber_arena(), text.ptr, text.len);
    buf_deinit(&text);
    return copy;
}

/* Each entered id is handed out once, so a duplicate inside one batch is handled once. */
static bool take_new(struct pg_result *entered, const char *id)
{
    for (size_t i = 0; i < entered->rows.len; i++) {
        struct inbox_row *row = PG_ROW(*entered, struct inbox_row, i);
        if (row->event_id && strcmp(row->event_id, id) == 0)
            return row->event_id = NULL, true;
    }
    return false;
}

static int handle_one(struct pg_tx *tx, struct incoming *in)
{
    work_begin(&in->work);
    int r = in->row->handle(tx, &in->event);
    work_end();
    return r;
}

static size_t take_all_new(
    struct incoming *list, size_t count, struct pg_result *entered, struct incoming **fresh)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (list[i].fate == INCOMING_GOOD && take_new(entered, list[i].event.id))
            fresh[n++] = &list[i];
    return n;
}

static int prepare_batch(struct pg_tx *tx, struct incoming *const *fresh, size_t count)
{
    const struct service *s = app()->service;
    const struct event **events = arena_array(fiber_arena(), count, sizeof(*events));
    if (!s->before_batch || count == 0)
        return 0;
    for (size_t i = 0; i < count; i++)
        events[i] = &fresh[i]->event;
    return s->before_batch(tx, events, count);
}

/* All good ones of the list in one transaction. 0; else nothing was done. */
static int handle_all(struct incoming *list, size_t count)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result entered;
    struct incoming **fresh = arena_array(fiber_arena(), count, sizeof(*fresh));
    TRY(pg_begin(app()->pg, &tx));
    TRY(pg_run(tx, &inbox_statements[SQL_ENTER],
        PG_ARGS(PG_TEXT(array_of(list, count, false)), PG_TEXT(array_of(list, count, true))),
        &entered));
    size_t fresh_count = take_all_new(list, count, &entered, fresh);
    TRY(prepare_batch(tx, fresh, fresh_count));
    for (size_t i = 0; i < fresh_count; i++)
        TRY(handle_one(tx, fresh[i]));
    FAULT("consumer_before_commit");
    TRY(pg_commit(tx));
    FAULT("consumer_after_commit");
    return 0;
}

/* Our own database is not the event's fault. */
static bool database_away(int r)
{
    return r == ERR_UNAVAILABLE || r == ERR_UNKNOWN || r == ERR_BUSY || r == ERR_TIMEOUT;
}

/* Waits for the database as long as it takes; false when the process is told to stop. */
static bool handle_patiently(struct incoming *list, size_t count, int *ret_r)
{
    for (int64_t pause_us = DATABASE_PAUSE_US;; pause_us *= 2) {
        error_clear();
        *ret_r = handle_all(list, count);
        if (!database_away(*ret_r))
            return true;
        if (app()->draining || fiber_cancelled())
            return false;
        log_warn(
            "events wait for the database", LF_I64("count", count), LF_TEXT("trace", error_text()));
        if (pause_us > DATABASE_PAUSE_MAX_US)
            pause_us = DATABASE_PAUSE_MAX_US;
        (void)fiber_sleep(pause_us);
    }
}

static void judge(struct incoming *in, int r)
{
    if (r == 0)
        return;
    if (r > 0) {
        const struct outcome_row *row = outcome_find(r);
        condemn(in, row ? row->code : "refused", row ? row->title : "refused by a constraint");
        return;
    }
    in->fate = INCOMING_RETRY;
    in->error_code = error_name(r);
    in->error_text = arena_strdup(fiber_arena(), error_text());
}

static void handle_batch(struct incoming *list, size_t count)
{
    size_t good = 0;
    for (size_t i = 0; i < count; i++)
        good += list[i].fate == INCOMING_GOOD;
    int r = 0;
    if (good == 0)
        return;
    if (!handle_patiently(list, count, &r)) {
        for (size_t i = 0; i < count; i++)
            list[i].fate = INCOMING_STUCK;
        return;
    }
    if (r == 0)
        return;
    log_debug(
        "batch falls back to one by one", LF_I64("count", good), LF_TEXT("trace", error_text()));
    for (size_t i = 0; i < count; i++) {
        if (list[i].fate != INCOMING_GOOD)
            continue;
        if (handle_patiently(&list[i], 1, &r))
            judge(&list[i], r);
        else
            list[i].fate = INCOMING_STUCK;
    }
}

/* ---- copies to the tiers and to the dead letters ---- */

static int64_t attempts_of(const struct bus_message *m)
{
    const struct bus_header *h = bus_header_get(m, "souk-attempts");
    return h && !h->text && h->value >= 0 ? h->value : 0;
}

static void put_header(struct bus_message *m, const char *name, const char *text)
{
    if (text && m->headers_count < BUS_HEADERS_LIMIT)
        m->headers[m->headers_count++] = (struct bus_header){.name = name, .text = text};
}

static const char *time_text(int64_t wall_us)
{
    char *text = arena_alloc(fiber_arena(), CLOCK_TEXT_SIZE);
    clock_format(wall_us, text);
    return text;
}

static const char *origin_header(
    const struct bus_message *m, const char *name, const char *otherwise)
{
    const struct bus_header *h = bus_header_get(m, name);
    return h && h->text ? h->text : otherwise;
}

/* The copy's own headers are the ops interface in the RabbitMQ page. */
static struct bus_message copy_of(struct incoming *in, bool dead, int64_t attempts)
{
    struct bus_message *from = in->message, to = *from;
    const char *queue = app()->service->queue, *now = time_text(clock_wall_us());
    static char host[64];
    if (!*host && gethostname(host, sizeof(host) - 1) != 0)
        snprintf(host, sizeof(host), "unknown");
    to.exchange = dead ? DEAD_EXCHANGE : RETRY_EXCHANGE;
    to.routing_key = dead ? arena_printf(fiber_arena(), "%s.dlq", queue)
                          : arena_printf(fiber_arena(), "%s.%lld", queue, (long long)attempts);
    to.user_id = NULL;
    to.headers_count = 0;
    put_header(&to, "souk-error-code", in->error_code);
    put_header(&to, "souk-error",
        arena_printf(
            fiber_arena(), "%.*s", ERROR_TEXT_LIMIT, in->error_text ? in->error_text : ""));
    put_header(&to, "souk-consumer", app()->service->name);
    put_header(&to, "souk-host", host);
    put_header(&to, "souk-first-failed-at", origin_header(from, "souk-first-failed-at", now));
    put_header(&to, "souk-last-failed-at", now);
    put_header(&to, "souk-origin-queue", queue);
    put_header(&to, "souk-origin-key", origin_header(from, "souk-origin-key", from->routing_key));
    /* Always there: the copy is ours, and must not be taken for an event that we invented. */
    put_header(&to, "souk-origin-user",
        origin_header(from, "souk-origin-user", from->user_id ? from->user_id : "unknown"));
    put_header(&to, "traceparent", origin_header(from, "traceparent", NULL));
    to.headers[to.headers_count++] =
        (struct bus_header){.name = "souk-attempts", .value = attempts};
    return to;
}

/* Sends one copy; on success the original may be acked. */
static int send_copy(struct incoming *in)
{
    int64_t attempts = attempts_of(in->message);
    bool dead = in->fate == INCOMING_DEAD || attempts >= RETRY_TIERS;
    struct bus_message copy = copy_of(in, dead, dead ? attempts : attempts + 1);
    int result = ERR_UNKNOWN;
    int r = bus_publish(app()->bus, &copy, 1, &result, clock_mono_us() + COPY_TIME_US);
    if (r != 0 || result != 0)
        return ERR(ERR_UNAVAILABLE);
    const char *type = in->event.type ? in->event.type : "unreadable";
    metric_add(&handled_total, 1, in->row ? type : "unknown", dead ? "dead_letter" : "retry");
    log_warn(dead ? "event goes to the dead letters" : "event will be retried",
        LF_TEXT("type", type), LF_TEXT("eventId", in->event.id), LF_TEXT("code", in->error_code),
        LF_TEXT("error", in->error_text), LF_I64("attempts", attempts));
    return 0;
}

/* ---- the batch ---- */

static void count_handled(const struct incoming *in)
{
    bool good = in->fate == INCOMING_GOOD;
    metric_add(&handled_total, 1, in->event.type, good ? "handled" : "ignored");
    if (good)
        metric_observe_us(&lag_seconds, clock_wall_us() - in->event.timestamp_us, in->event.type);
}

static void settle(struct incoming *list, size_t count)
{
    bool all = true, *settled = arena_array(fiber_arena(), count, sizeof(bool));
    for (size_t i = 0; i < count; i++) {
        struct incoming *in = &list[i];
        settled[i] = true;
        if (in->fate == INCOMING_GOOD || in->fate == INCOMING_IGNORED)
            count_handled(in);
        else
            settled[i] = in->fate != INCOMING_STUCK && send_copy(in) == 0;
        all = all && settled[i];
    }
    if (all) {
        bus_ack(consumer, list[count - 1].message->tag, true);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (settled[i])
            bus_ack(consumer, list[i].message->tag, false);
}

static void on_batch(void *ctx, struct bus_message *const *deliveries, size_t count)
{
    struct incoming *list = arena_array(fiber_arena(), count, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list[i].message = deliveries[i];
        incoming_read(&list[i]);
    }
    handle_batch(list, count);
    settle(list, count);
    outbox_nudge();
    periodics_nudge_late();
}

static int inbox_purge(void)
{
    return pg_query(app()->pg, &inbox_statements[SQL_PURGE], PG_NO_ARGS, NULL);
}

int inbox_start(void)
{
    consumer = bus_consume(app()->bus,
        &(struct bus_consumer_config){.queue = app()->service->queue, .on_batch = on_batch});
    return app_every("inbox purge", 3600 * USEC_PER_SEC, inbox_purge);
}

int inbox_stop(int64_t deadline_us)
{
    return consumer ? bus_consumer_stop(consumer, deadline_us) : 0;
}
