/* The idempotent consumer. A batch of deliveries is one transaction: one statement enters all event
 * ids into the inbox and tells which are new, the handlers of the new ones run, one commit, then
 * one multiple-ack. When anything in the batch fails, the transaction is rolled back and each event
 * is handled alone, so that only the guilty one leaves the normal path:
 *
 *   permanent (unreadable, unknown, business no)
 *           -> a copy to the dead letters, with the reason in its headers
 *   transient
 *           -> a copy to the next retry tier; after the last tier: dead letters
 *   deadly (the processes that handled it died: suspect.c)
 *           -> dead letters, without another try
 *   our own database away
 *           -> nobody's fault: the batch waits here and is tried again, for as long as it takes
 *
 * What a handler wishes for and another system must do (a bank, a mail server) is done by the
 * service's workers, out of tables. So a dependency that is away, its breaker open or not, fails no
 * event: the work piles up there, and beyond WORK_LIMIT (backlog.c) the consumer pauses. The rest
 * stays in its queue, where it costs neither memory nor attempts.
 *
 * Whether the database is away is not read off the error (a handler that always times out looks the
 * same) but asked: while it answers a plain question, an event gets ATTEMPTS tries.
 *
 * A copy is confirmed by the broker before the original is acked: a crash in between makes a
 * duplicate, never a loss. Our own headers carry the story; the broker's death headers are not
 * copied, or a replayed message would be dropped as a dead-letter cycle. A dead letter is for
 * people: its JSON is laid out in lines, its secrets are masked.
 *
 * Who may send what: the broker checks that user_id is the sender's own user, so an event straight
 * from the exchange must carry its publisher's name there; without a user_id (a tool's message) the
 * routing key must be the event's type, as who may use which key is checked as well. What comes by
 * another way (the return of a retry tier, a replay, the default exchange) was put there by
 * ourselves or by ops, as only they have the right to; our copies keep the name of the first sender
 * in a header, which is worth nothing on any other way. */

#include "common/app/inbox.h"

#include <stdio.h>
#include <unistd.h>

#include "common/app/dispatch.h"
#include "common/app/metrics.h"
#include "common/app/outbox.h"
#include "common/app/periodic.h"
#include "common/app/service.h"
#include "common/app/suspect.h"
#include "common/app/work.h"
#include "common/contract/events.h"
#include "common/json/pretty.h"

#define RETRY_EXCHANGE        "order-events.retry"
#define DEAD_EXCHANGE         "order-events.dlx"
#define RETRY_TIERS           5
#define BATCH_LIMIT           50
#define SLICE_US              (50 * USEC_PER_MS)
#define ERROR_TEXT_LIMIT      512
#define ATTEMPTS              3
#define ATTEMPT_PAUSE_US      (20 * USEC_PER_MS)
#define COPY_TIME_US          (10 * USEC_PER_SEC)
#define COPY_ATTEMPTS         5
#define COPY_PAUSE_US         (250 * USEC_PER_MS)
#define DATABASE_ANSWER_US    (2 * USEC_PER_SEC)
#define DATABASE_PAUSE_US     (250 * USEC_PER_MS)
#define DATABASE_PAUSE_MAX_US (2 * USEC_PER_SEC)
#define FUTURE_LIMIT_US       (24 * 3600 * USEC_PER_SEC)
#define OPERATOR              "ops" /* the broker user of people and tools */

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
        "INSERT INTO inbox (event_id, type) SELECT id, type FROM unnest($1::uuid[], $2::text[]) "
        "AS new (id, type) ORDER BY id ON CONFLICT DO NOTHING RETURNING event_id",
        &inbox_table},
    [SQL_PURGE] = {"inbox_purge",
        "DELETE FROM inbox WHERE event_id IN (SELECT event_id FROM inbox "
        "WHERE handled_at < now() - interval '30 days' LIMIT " PURGE_LIMIT_TEXT ")"},
};
const size_t inbox_statements_count = ARRAY_SIZE(inbox_statements);

static struct metric handled_total = {.name = "souk_events_handled_total",
    .help = "Events by what became of them.",
    .labels = "type,result"};
static struct metric lag_seconds = {.name = "souk_event_lag_seconds",
    .help = "From the event's timestamp to the commit of its handling.",
    .kind = METRIC_HISTOGRAM,
    .labels = "type"};
static struct metric retries_total = {.name = "souk_event_retries_total",
    .help = "Copies sent to the retry tiers.",
    .labels = "tier"};
static struct metric dead_letters_total = {.name = "souk_dead_letters_total",
    .help = "Copies sent to the dead letters, by what went wrong.",
    .labels = "code"};
static struct metric redeliveries_total = {
    .name = "souk_event_redeliveries_total", .help = "Deliveries that had come before."};
static struct metric in_hand_gauge = {.name = "souk_events_in_hand",
    .help = "Deliveries of the batch at hand, not yet settled.",
    .kind = METRIC_GAUGE};

/* One delivery on its way through a batch. */
struct incoming {
    struct bus_message *message;
    const struct consumer_row *row;
    struct envelope envelope; /* type NULL: it could not be read */
    struct event event;
    struct work work;
    enum { INCOMING_GOOD, INCOMING_IGNORED, INCOMING_DEAD, INCOMING_RETRY, INCOMING_STUCK } fate;
    bool duplicate; /* was handled before */
    const char *error_code;
    const char *error_text;
};

static struct metric paused_gauge = {.name = "souk_consumer_paused",
    .help = "1 while no events are taken, because too much work is unfinished.",
    .kind = METRIC_GAUGE};

static struct bus_consumer *consumer;
static const char *paused;

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

/* Straight from a publisher, not put into the queue by ourselves or by ops. */
static bool is_fresh(const struct bus_message *m)
{
    return m->exchange && strcmp(m->exchange, EVENT_EXCHANGE) == 0;
}

/* What an earlier copy says, if this is one. */
static const char *earlier(const struct bus_message *m, const char *name, const char *otherwise)
{
    const struct bus_header *h = is_fresh(m) ? NULL : bus_header_get(m, name);
    return h && h->text ? h->text : otherwise;
}

/* Who sent it first; an unnamed sender is NULL. */
static const char *origin_user(const struct bus_message *m)
{
    return is_fresh(m) ? m->user_id : earlier(m, "souk-origin-user", OPERATOR);
}

/* NULL when the event may come from where it came; else the name of who sent it. */
static const char *wrong_sender(
    const struct bus_message *m, const struct event_kind *kind, const char *type)
{
    const char *sender = m->user_id;
    if (!is_fresh(m))
        sender = origin_user(m);
    else if (strcmp(bus_user(app()->bus), app()->service->name) != 0)
        return NULL; /* this broker does not tell the services apart */
    if (!sender)     /* but the broker let it use the key */
        return strcmp(m->routing_key, type) == 0 ? NULL : "an unnamed user";
    return strcmp(sender, kind->publisher) == 0 || strcmp(sender, OPERATOR) == 0 ? NULL : sender;
}

static bool has_secrets(const struct table *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->fields[i].secret || (t->fields[i].sub && has_secrets(t->fields[i].sub)))
            return true;
    return false;
}

/* A dead letter that came back as it was: its secrets are no more. */
static bool secret_is_gone(const struct bus_message *m, const struct table *t, struct span payload)
{
    return !is_fresh(m) && has_secrets(t) && memmem(payload.ptr, payload.len, "\"***\"", 5) != NULL;
}

static void describe_event(struct incoming *in)
{
    const struct bus_message *m = in->message;
    const struct envelope *e = &in->envelope;
    const struct bus_header *trace = bus_header_get(m, "traceparent");
    bool sound = e->correlation_id && correlation_valid(span_of(e->correlation_id));
    char *trace_parent = arena_alloc(fiber_arena(), TRACE_PARENT_SIZE);
    trace_parent_make(span_of(trace ? trace->text : NULL), trace_parent);
    in->event = (struct event){.id = e->event_id,
        .type = e->type,
        .version = e->event_version,
        .source = e->source,
        .aggregate_id = e->aggregate_id,
        .correlation_id = sound ? e->correlation_id : e->event_id,
        .timestamp_us = e->timestamp,
        .redelivered = m->redelivered};
    in->work = (struct work){
        .correlation_id = in->event.correlation_id, .trace_parent = trace_parent, .event = true};
}

static void incoming_read(struct incoming *in)
{
    struct arena *a = fiber_arena();
    struct json_errors errors = {0};
    struct envelope e;
    if (json_read(a, in->message->body, &envelope_table, JSON_LENIENT, &e, &errors) != 0)
        return condemn(in, "unreadable_event", errors_text(&errors));
    in->envelope = e;
    describe_event(in);
    in->row = row_find(e.type);
    if (!in->row) {
        if (event_kind_find(e.type))
            in->fate = INCOMING_IGNORED;
        else
            condemn(in, "unknown_event_type", arena_printf(a, "no event is called %s", e.type));
        return;
    }
    const struct event_kind *kind = in->row->kind;
    if (!major_matches(e.event_version, kind->version))
        return condemn(in, "unknown_event_version",
            arena_printf(
                a, "%s %s, this consumer knows %s", e.type, e.event_version, kind->version));
    /* Where the newest wins, an event of the year 9999 would win for ever. */
    if (e.timestamp > clock_wall_us() + FUTURE_LIMIT_US)
        return condemn(
            in, "implausible_timestamp", "its timestamp is over a day ahead of our clock");
    const char *sender = wrong_sender(in->message, kind, e.type);
    if (sender)
        return condemn(in, "wrong_publisher",
            arena_printf(a, "%s may be sent by %s, not by %s", e.type, kind->publisher, sender));
    void *payload = arena_alloc(a, kind->payload->size);
    if (json_read(a, e.payload, kind->payload, JSON_LENIENT, payload, &errors) != 0)
        return condemn(in, "invalid_payload", errors_text(&errors));
    if (secret_is_gone(in->message, kind->payload, e.payload))
        return condemn(in, "secret_is_gone",
            "a secret of this event was masked when it died; let its publisher make a new event");
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
    FAULT_OF("consumer_poison", in->event.id);
    int r = in->row->handle(tx, &in->event);
    work_end();
    return r;
}

static size_t take_all_new(
    struct incoming *list, size_t count, struct pg_result *entered, struct incoming **fresh)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (list[i].fate != INCOMING_GOOD)
            continue;
        list[i].duplicate = !take_new(entered, list[i].event.id);
        if (!list[i].duplicate)
            fresh[n++] = &list[i];
    }
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
    TRY(pg_reuse_plans(tx));
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

/* Errors that a database which is away, overloaded or just changing makes, but a slow or clumsy
 * handler as well. */
static bool worth_another_try(int r)
{
    return r == ERR_UNAVAILABLE || r == ERR_UNKNOWN || r == ERR_BUSY || r == ERR_TIMEOUT ||
           r == ERR_RETRY;
}

static bool database_answers(void)
{
    return pg_pool_check(app()->pg, clock_mono_us() + DATABASE_ANSWER_US) == 0;
}

/* Waits for the database as long as it takes; false when the process is told to stop. */
static bool handle_patiently(struct incoming *list, size_t count, int *ret_r)
{
    int64_t pause_us = DATABASE_PAUSE_US;
    for (unsigned attempts = 0;;) {
        error_clear();
        *ret_r = handle_all(list, count);
        if (!worth_another_try(*ret_r))
            return true;
        if (*ret_r == ERR_RETRY || database_answers()) {
            bool alone_next = count > 1 && *ret_r != ERR_RETRY;
            if (alone_next || ++attempts == ATTEMPTS)
                return true;
            (void)fiber_sleep(ATTEMPT_PAUSE_US << attempts);
            continue;
        }
        if (app()->draining || fiber_cancelled())
            return false;
        log_warn(
            "events wait for the database", LF_I64("count", count), LF_TEXT("trace", error_text()));
        (void)fiber_sleep(pause_us);
        pause_us = pause_us * 2 > DATABASE_PAUSE_MAX_US ? DATABASE_PAUSE_MAX_US : pause_us * 2;
    }
}

/* "file:line<file:line: what happened" the other way round: it is read in a narrow column. */
static const char *sentence_first(const char *trace)
{
    const char *colon = strstr(trace, ": ");
    return colon ? arena_printf(fiber_arena(), "%s (%.*s)", colon + 2, (int)(colon - trace), trace)
                 : arena_strdup(fiber_arena(), trace);
}

static void judge(struct incoming *in, int r)
{
    if (r == 0)
        return;
    if (r > 0) {
        const struct outcome_row *row = outcome_find(r);
        const char *refusal =
            arena_printf(fiber_arena(), "refused by the constraint %s", pg_constraint());
        condemn(in, row ? row->code : "refused", row ? row->title : refusal);
        return;
    }
    in->fate = INCOMING_RETRY;
    in->error_code = error_name(r);
    in->error_text = sentence_first(error_text());
}

static void handle_alone(struct incoming *in)
{
    int r;
    if (handle_patiently(in, 1, &r))
        judge(in, r);
    else
        in->fate = INCOMING_STUCK;
}

static void handle_slice(struct incoming *list, size_t count)
{
    size_t good = 0;
    int r = 0;
    for (size_t i = 0; i < count; i++)
        good += list[i].fate == INCOMING_GOOD;
    bool patient = good < 2 || handle_patiently(list, count, &r);
    if (good > 1 && patient && r == 0)
        return;
    if (good > 1)
        log_debug("batch falls back to one by one", LF_I64("count", good),
            LF_TEXT("trace", error_text()));
    for (size_t i = 0; i < count; i++)
        if (list[i].fate == INCOMING_GOOD && patient)
            handle_alone(&list[i]);
        else if (list[i].fate == INCOMING_GOOD)
            list[i].fate = INCOMING_STUCK;
}

/* A transaction keeps its row locks from the first handler to the commit, and requests wait for
 * some of them (a checkout's hold for the stock it shares with a backlog of commits). So what takes
 * longer than SLICE_US is cut in two from then on, and grows again while it is quick. */
static void handle_batch(struct incoming *list, size_t count)
{
    static size_t slice = BATCH_LIMIT;
    for (size_t at = 0, n; at < count; at += n) {
        n = count - at < slice ? count - at : slice;
        int64_t begun_us = clock_mono_us();
        handle_slice(list + at, n);
        int64_t took_us = clock_mono_us() - begun_us;
        if (took_us > SLICE_US && n > 1)
            slice = n / 2;
        else if (took_us < SLICE_US / 2 && n == slice && slice < BATCH_LIMIT)
            slice++;
    }
}

/* ---- copies to the tiers and to the dead letters ---- */

/* A dead letter that somebody moved back (the RabbitMQ page moves it with all its headers) begins
 * at the first tier again. */
static int64_t attempts_of(const struct bus_message *m)
{
    const struct bus_header *h = bus_header_get(m, "souk-attempts");
    if (!h || is_fresh(m) || bus_header_get(m, "souk-dead-at"))
        return 0;
    return !h->text && h->value >= 0 ? h->value : 0;
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

/* At most `limit` bytes, not ending inside a character. */
static const char *cut_text(const char *text, size_t limit)
{
    size_t n = strnlen(text ? text : "", limit + 1);
    if (n > limit)
        for (n = limit; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    return arena_strndup(fiber_arena(), text ? text : "", n);
}

static struct span masked_body(const struct envelope *e, const struct table *payload)
{
    struct arena *a = fiber_arena();
    struct json_errors errors;
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out), inner;
    struct envelope masked = *e;
    void *value = arena_alloc(a, payload->size);
    if (json_read(a, e->payload, payload, JSON_LENIENT, value, &errors) == 0) {
        inner = json_writer_on(&out);
        json_struct_masked(&inner, payload, value);
    } else {
        buf_put_text(&out, "\"*** (unreadable, and it may hold secrets)\"");
    }
    masked.payload = span_make(arena_strndup(a, out.ptr, out.len), out.len);
    buf_reset(&out);
    json_struct(&w, &envelope_table, &masked);
    struct span body = span_make(arena_strndup(a, out.ptr, out.len), out.len);
    buf_deinit(&out);
    return body;
}

/* What the contract calls a secret. When the envelope can't be read, the message's own type must
 * tell whether there may be secrets in it. */
static struct span without_secrets(const struct incoming *in)
{
    const char *type = in->envelope.type ? in->envelope.type : in->message->type;
    const struct event_kind *kind = in->row ? in->row->kind : type ? event_kind_find(type) : NULL;
    if (!kind || !has_secrets(kind->payload))
        return in->message->body;
    return in->envelope.type ? masked_body(&in->envelope, kind->payload)
                             : SPAN("\"*** (unreadable, and it may hold secrets)\"");
}

/* The body for a dead letter: laid out for the page, which does not break lines, and without what a
 * member's name alone calls a secret, in types that we don't know as well. */
static struct span dead_body(const struct incoming *in)
{
    struct span body = without_secrets(in);
    struct buf out = {0};
    if (!text_is_object(body))
        return body;
    json_pretty(body, true, &out);
    if (out.len > BUS_BODY_LIMIT) {
        buf_reset(&out);
        json_compact(body, true, &out);
    }
    body = out.len > BUS_BODY_LIMIT
               ? SPAN("\"*** (too big once its secrets are masked)\"")
               : span_make(arena_strndup(fiber_arena(), out.ptr, out.len), out.len);
    buf_deinit(&out);
    return body;
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
    if (dead)
        to.body = dead_body(in);
    put_header(&to, "souk-error-code", in->error_code);
    put_header(&to, "souk-error", cut_text(in->error_text, ERROR_TEXT_LIMIT));
    put_header(&to, "souk-consumer", app()->service->name);
    put_header(&to, "souk-host", host);
    put_header(&to, "souk-first-failed-at", earlier(from, "souk-first-failed-at", now));
    put_header(&to, "souk-last-failed-at", now);
    put_header(&to, "souk-origin-queue", queue);
    put_header(&to, "souk-origin-key", earlier(from, "souk-origin-key", from->routing_key));
    const char *sender = origin_user(from);
    bool doubted = strcmp(in->error_code, "wrong_publisher") == 0;
    put_header(&to, "souk-origin-user", sender ? sender : doubted ? "unknown" : OPERATOR);
    put_header(&to, "souk-dead-at", dead ? now : NULL);
    /* By these soukctl knows what failed again. */
    put_header(&to, "souk-replayed-by", earlier(from, "souk-replayed-by", NULL));
    put_header(&to, "souk-replayed-at", earlier(from, "souk-replayed-at", NULL));
    put_header(&to, "traceparent", in->work.trace_parent);
    to.headers[to.headers_count++] =
        (struct bus_header){.name = "souk-attempts", .value = attempts};
    return to;
}

static void tell_copied(const struct incoming *in, bool dead, int64_t attempts)
{
    const char *type = in->event.type ? in->event.type : "unreadable";
    metric_add(&handled_total, 1, in->row ? type : "unknown", dead ? "dead_letter" : "retry");
    if (dead)
        metric_add(&dead_letters_total, 1, in->error_code);
    else
        metric_add(&retries_total, 1, arena_printf(fiber_arena(), "%lld", (long long)attempts + 1));
    log_warn(dead ? "event goes to the dead letters" : "event will be retried",
        LF_TEXT("type", type), LF_TEXT("eventId", in->event.id), LF_TEXT("code", in->error_code),
        LF_TEXT("error", in->error_text), LF_I64("attempts", attempts));
}

/* Sends one copy; on success the original may be acked. An original that could not be copied goes
 * back into the queue, which costs it one of its deliveries: so not at the first difficulty. */
static int send_copy(struct incoming *in)
{
    int64_t attempts = attempts_of(in->message);
    bool dead = in->fate == INCOMING_DEAD || attempts >= RETRY_TIERS;
    struct bus_message copy = copy_of(in, dead, dead ? attempts : attempts + 1);
    for (int i = 0; i < COPY_ATTEMPTS && !(i > 0 && app()->draining); i++) {
        int result = ERR_UNKNOWN;
        int r = bus_publish(app()->bus, &copy, 1, &result, clock_mono_us() + COPY_TIME_US);
        if (r == 0 && result == 0)
            return tell_copied(in, dead, attempts), 0;
        log_error("an event's copy was not taken", LF_TEXT("eventId", in->event.id),
            LF_TEXT("key", copy.routing_key),
            LF_TEXT("why", result == BUS_RETURNED ? "no queue is bound: check the topology"
                           : result == BUS_NACKED ? "the broker refused it"
                                                  : error_name(result)));
        error_clear();
        (void)fiber_sleep(COPY_PAUSE_US << i);
    }
    return ERR(ERR_UNAVAILABLE);
}

/* ---- the batch ---- */

static void count_handled(const struct incoming *in)
{
    bool good = in->fate == INCOMING_GOOD && !in->duplicate;
    metric_add(&handled_total, 1, in->event.type,
        good            ? "handled"
        : in->duplicate ? "duplicate"
                        : "ignored");
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
        metric_add(&redeliveries_total, deliveries[i]->redelivered);
        if (suspect_is_guilty(deliveries[i]))
            condemn(&list[i], "killed_consumer",
                arena_printf(fiber_arena(), "%d processes died while they handled it alone",
                    SUSPECT_DEATHS));
        else
            incoming_read(&list[i]);
    }
    metric_set(&in_hand_gauge, (double)count);
    handle_batch(list, count);
    settle(list, count);
    for (size_t i = 0; i < count; i++)
        suspect_acquit(deliveries[i]);
    metric_set(&in_hand_gauge, 0);
    for (size_t i = 0; i < count; i++)
        if (list[i].work.added) {
            outbox_wake();
            break;
        }
    periodics_nudge_late();
}

static int inbox_purge(void)
{
    TRY(suspects_purge());
    return purge(&inbox_statements[SQL_PURGE]);
}

/* Series that are there from the start, so that the first retry is an increase. */
static void metrics_begin(void)
{
    static const char *const tiers[RETRY_TIERS] = {"1", "2", "3", "4", "5"};
    for (size_t i = 0; i < RETRY_TIERS; i++)
        metric_add(&retries_total, 0, tiers[i]);
    metric_add(&redeliveries_total, 0);
    metric_set(&in_hand_gauge, 0);
    metric_set(&paused_gauge, 0);
}

void inbox_pause(const char *reason)
{
    if (!consumer || app()->draining)
        return;
    if (!paused)
        log_warn("consumer pauses", LF_TEXT("reason", reason));
    paused = reason;
    metric_set(&paused_gauge, 1);
    bus_consumer_pause(consumer);
}

void inbox_resume(void)
{
    if (!paused || app()->draining)
        return;
    log_info("consumer goes on");
    paused = NULL;
    metric_set(&paused_gauge, 0);
    bus_consumer_resume(consumer);
}

const char *inbox_paused(void)
{
    return paused;
}

int inbox_start(void)
{
    metrics_begin();
    consumer = bus_consume(app()->bus,
        &(struct bus_consumer_config){
            .queue = app()->service->queue, .batch_limit = BATCH_LIMIT, .on_batch = on_batch});
    return app_every("inbox purge", 3600 * USEC_PER_SEC, inbox_purge);
}

int inbox_stop(int64_t deadline_us)
{
    return consumer ? bus_consumer_stop(consumer, deadline_us) : 0;
}
