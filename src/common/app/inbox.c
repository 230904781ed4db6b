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
 * same) but asked: while it answers a plain question, an event gets ATTEMPTS tries. */

#include "common/app/inbox.h"

#include "common/app/dispatch.h"
#include "common/app/incoming.h"
#include "common/app/metrics.h"
#include "common/app/outbox.h"
#include "common/app/pace.h"
#include "common/app/periodic.h"
#include "common/app/processes.h"
#include "common/app/service.h"
#include "common/app/suspect.h"
#include "common/app/work.h"

#define BATCH_LIMIT           50
#define SLICE_US              (50 * USEC_PER_MS)
#define REST_LIMIT_US         (1 * USEC_PER_SEC)
#define BACKLOG_AGE_US        (30 * USEC_PER_SEC)
#define ATTEMPTS              3
#define ATTEMPT_PAUSE_US      (20 * USEC_PER_MS)
#define DATABASE_ANSWER_US    (2 * USEC_PER_SEC)
#define DATABASE_PAUSE_US     (250 * USEC_PER_MS)
#define DATABASE_PAUSE_MAX_US (2 * USEC_PER_SEC)

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

struct metric inbox_handled_total = {.name = "souk_events_handled_total",
    .help = "Events by what became of them.",
    .labels = "type,result"};
static struct metric lag_seconds = {.name = "souk_event_lag_seconds",
    .help = "From the event's timestamp to the commit of its handling.",
    .kind = METRIC_HISTOGRAM,
    .labels = "type"};
static struct metric redeliveries_total = {
    .name = "souk_event_redeliveries_total", .help = "Deliveries that had come before."};
static struct metric in_hand_gauge = {.name = "souk_events_in_hand",
    .help = "Deliveries of the batch at hand, not yet settled.",
    .kind = METRIC_GAUGE};

static struct metric paused_gauge = {.name = "souk_consumer_paused",
    .help = "1 while no events are taken, because too much work is unfinished.",
    .kind = METRIC_GAUGE};

static struct bus_consumer *consumer;
static const char *paused;

/* ---- handling ---- */

static const char *array_of(struct incoming *list, size_t count, bool types)
{
    struct buf array = {0};
    for (size_t i = 0; i < count; i++)
        if (list[i].fate == INCOMING_GOOD)
            pg_array_put(&array, types ? list[i].row->kind->type : list[i].event.id);
    return pg_array_text(&array);
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
    const struct service *s = app()->service;
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
    if (fresh_count && s->after_batch)
        TRY(s->after_batch(tx));
    FAULT("consumer_before_commit");
    TRY(pg_commit(tx));
    FAULT("consumer_after_commit");
    if (fresh_count && s->batch_committed)
        s->batch_committed();
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
        incoming_condemn(in, row ? row->code : "refused", row ? row->title : refusal);
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

/* ---- the batch ---- */

static void count_handled(const struct incoming *in)
{
    bool good = in->fate == INCOMING_GOOD && !in->duplicate;
    metric_add(&inbox_handled_total, 1, in->event.type,
        good            ? "handled"
        : in->duplicate ? "duplicate"
                        : "ignored");
    if (good) {
        int64_t lag_us = clock_wall_us() - in->event.timestamp_us;
        metric_observe_us(&lag_seconds, lag_us, in->event.type);
        pace_consumed(lag_us);
    }
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
            settled[i] = in->fate != INCOMING_STUCK && incoming_copy(in) == 0;
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

/* A backlog could be worked off as fast as the machine goes, and whoever shops meanwhile would wait
 * for the same processors and the same database. So a consumer whose batches come full, and of
 * events that are BACKLOG_AGE_US old, works for BACKLOG_SHARE percent of the time. Younger ones are
 * what is being bought now: to put them off would only make a backlog of them. */
int64_t inbox_rest_us(size_t count, int64_t age_us, int64_t worked_us, int64_t share)
{
    if (count < BATCH_LIMIT || age_us < BACKLOG_AGE_US)
        return 0;
    int64_t rest_us = worked_us * (100 - share) / share;
    return rest_us < REST_LIMIT_US ? rest_us : REST_LIMIT_US;
}

/* When the newest that can be read was told; 0: there is none. */
static int64_t newest_us(const struct incoming *list, size_t count)
{
    while (count > 0 && list[count - 1].event.timestamp_us == 0)
        count--;
    return count > 0 ? list[count - 1].event.timestamp_us : 0;
}

static void leave_room(const struct incoming *list, size_t count, int64_t begun_us)
{
    int64_t told_us = newest_us(list, count);
    if (told_us == 0)
        return;
    int64_t rest_us = inbox_rest_us(count, clock_wall_us() - told_us, clock_mono_us() - begun_us,
        processes_share(config_i64("BACKLOG_SHARE"), 1));
    if (rest_us && !app()->draining)
        (void)fiber_sleep(rest_us);
}

static void on_batch(void *ctx, struct bus_message *const *deliveries, size_t count)
{
    int64_t begun_us = clock_mono_us();
    struct incoming *list = arena_array(fiber_arena(), count, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list[i].message = deliveries[i];
        metric_add(&redeliveries_total, deliveries[i]->redelivered);
        if (suspect_is_guilty(deliveries[i]))
            incoming_condemn(&list[i], "killed_consumer",
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
    periodics_nudge_late();
    leave_room(list, count, begun_us);
}

static int inbox_purge(void)
{
    TRY(suspects_purge());
    return purge(&inbox_statements[SQL_PURGE]);
}

/* Series that are there from the start, so that the first retry is an increase. */
static void metrics_begin(void)
{
    incoming_metrics_begin();
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
    consumer = bus_consume(app()->bus, &(struct bus_consumer_config){.queue = app()->service->queue,
                                           .batch_limit = BATCH_LIMIT,
                                           .gather_us = app()->service->gather_us,
                                           .sharers = processes_count(),
                                           .on_batch = on_batch});
    return app_every("inbox purge", 3600 * USEC_PER_SEC, inbox_purge);
}

int inbox_stop(int64_t deadline_us)
{
    return consumer ? bus_consumer_stop(consumer, deadline_us) : 0;
}
