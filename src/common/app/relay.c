/* The relay takes a window of events that aren't published, publishes them with confirms
 * (window.c), then marks in the outbox those that were confirmed; a crash in between publishes
 * again, which every inbox absorbs.
 *
 * A window comes from memory: what this process has just committed is known here (fresh.c), and all
 * that the outbox has to be told is what went out, a little later and for many windows at once.
 * Twice a second, and whenever something was committed that isn't in memory, it is read from the
 * outbox: what an earlier life left behind, what was in doubt when a connection was lost, what
 * others have put there. As long as such a look finds more than it can bring out that memory does
 * not know, or something is parked, or there are other processes of this service, every window is
 * read from the outbox.
 *
 * One such reader at a time per database: the claim takes a transaction-scoped advisory lock, so
 * several processes of a service may run and the events of one aggregate still leave in order (its
 * rows are serialised by the lock on the aggregate itself, and their sequence numbers with them). A
 * process that dies or hangs loses the lock with its connection, and the next one goes on where it
 * was.
 *
 * Within a window nothing overtakes another event of its aggregate. What was confirmed is marked
 * whatever became of the others: it is out, and sending it again would only make a duplicate.
 *
 * What becomes of an event that isn't confirmed:
 *
 *   the broker is away, blocks, or a queue is full
 *           -> it stays, and comes first in the next window, a little later
 *   no queue wants it, the broker forbids it, or it can't be sent at all
 *           -> trying at once is useless: it is parked, and what follows of its aggregate waits
 *              behind it. Everybody else passes. An alert tells; once a minute it is tried again,
 *              so that it goes by itself when the topology has been mended.
 *
 * With the topology of rabbitmq/definitions.json nothing is ever returned as unroutable, as the
 * alternate exchange takes what no queue is bound to. A return means that it is missing.
 *
 * The lock is held while the broker works, so the relay does not even begin while the publishing
 * connection is down or blocked; window_publish() has less time than the server's patience with
 * idle transactions. */

#include "common/app/relay.h"

#include <errno.h>

#include "common/app/fresh.h"
#include "common/app/metrics.h"
#include "common/app/processes.h"
#include "common/app/service.h"
#include "common/app/window.h"
#include "common/fiber/sync.h"

#define WINDOW_LIMIT_TEXT "200"
#define RELAY_POLL_US     (500 * USEC_PER_MS)
#define SECOND_LOOK_US    (20 * USEC_PER_MS)
#define MARK_AFTER_US     (50 * USEC_PER_MS)
#define MARKS_LIMIT       500
#define RETRY_FLOOR_US    (100 * USEC_PER_MS)
#define RETRY_CEILING_US  (1 * USEC_PER_SEC)
#define PARKED_RETRY_US   (60 * USEC_PER_SEC)
#define GATHER_SHARE      2
#define GATHER_MIN_US     (20 * USEC_PER_MS)
#define GATHER_MAX_US     (40 * USEC_PER_MS)

static const struct field outbox_fields[] = {
    FIELD_I64(struct outbox_row, seq, "seq"),
    FIELD_TEXT(struct outbox_row, event_id, "eventId"),
    FIELD_TEXT(struct outbox_row, type, "type"),
    FIELD_TEXT(struct outbox_row, aggregate_id, "aggregateId"),
    FIELD_TEXT(struct outbox_row, correlation_id, "correlationId"),
    FIELD_TEXT(struct outbox_row, trace_parent, "traceParent"),
    FIELD_TEXT(struct outbox_row, body, "body"),
    FIELD_TIME(struct outbox_row, created_at, "createdAt"),
    FIELD_I64(struct outbox_row, parks, "parks"),
};
static const struct table outbox_table = TABLE("OutboxRow", struct outbox_row, outbox_fields);

enum { SQL_LOCK, SQL_CLAIM, SQL_MARK, SQL_MARK_FRESH, SQL_PARK, SQL_UNPARK, SQL_ANY_PARKED };

const struct pg_statement relay_statements[] = {
    /* Tells whether the lock is ours; the claim by itself gives nothing to who doesn't have it. */
    [SQL_LOCK] = {"outbox_lock", "SELECT WHERE pg_try_advisory_xact_lock(20011)"},
    [SQL_CLAIM] = {"outbox_claim",
        "SELECT seq, event_id, type, aggregate_id, correlation_id, trace_parent, body, created_at, "
        "parks FROM outbox AS o "
        "WHERE published_at IS NULL AND parked_at IS NULL "
        "AND (SELECT pg_try_advisory_xact_lock(20011)) "
        "AND NOT EXISTS (SELECT FROM outbox AS p WHERE p.parked_at IS NOT NULL "
        "AND p.aggregate_id = o.aggregate_id AND p.seq < o.seq) "
        "ORDER BY seq LIMIT " WINDOW_LIMIT_TEXT,
        &outbox_table},
    [SQL_MARK] = {"outbox_mark", "UPDATE outbox SET published_at = now() WHERE published_at IS "
                                 "NULL AND seq = ANY ($1::bigint[])"},
    /* A mark that is lost makes a duplicate, so it needn't wait for the disk. */
    [SQL_MARK_FRESH] = {"outbox_mark_fresh",
        "UPDATE outbox SET published_at = now() WHERE published_at IS NULL "
        "AND event_id = ANY ($1::uuid[]) "
        "AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'"},
    [SQL_PARK] = {"outbox_park",
        "UPDATE outbox AS o SET parked_at = now(), parked_reason = n.reason, parks = parks + 1 "
        "FROM unnest($1::bigint[], $2::text[]) AS n (seq, reason) "
        "WHERE o.seq = n.seq AND o.published_at IS NULL"},
    [SQL_UNPARK] = {"outbox_unpark",
        "UPDATE outbox SET parked_at = NULL WHERE seq = ANY (ARRAY(SELECT seq FROM outbox "
        "WHERE parked_at IS NOT NULL ORDER BY parked_at, seq LIMIT " WINDOW_LIMIT_TEXT "))"},
    /* In an order that only the index of the parked ones has. A plan is kept that was made while
     * nothing was known of the table, when almost all seemed to be parked and the first one near.
     */
    [SQL_ANY_PARKED] = {"outbox_any_parked",
        "SELECT FROM outbox WHERE parked_at IS NOT NULL ORDER BY aggregate_id LIMIT 1"},
};
const size_t relay_statements_count = ARRAY_SIZE(relay_statements);

static struct fiber_signal wake;
static struct fiber *relay;
static bool nudged;     /* since the last window began */
static bool told;       /* to read the outbox */
static int64_t read_us; /* the last time that it was */
static int64_t looked_us, gather_us = GATHER_MIN_US;

void relay_nudge(void)
{
    nudged = true;
    fiber_signal_all(&wake);
}

void outbox_wake(void)
{
    told = true;
    relay_nudge();
}

/* ---- what became of a window ---- */

/* Writes down what is out and what is parked, in one round trip. */
static int save(struct pg_tx *tx, const struct window *w, bool *ret_parked_went)
{
    struct buf out = {0}, aside = {0}, reasons = {0};
    bool parked_went = false;
    for (size_t i = 0; i < w->count; i++) {
        const char *reason = window_parking_reason(w, i);
        if (w->results[i] == 0)
            pg_array_put_i64(&out, w->rows[i]->seq);
        else if (reason) {
            pg_array_put_i64(&aside, w->rows[i]->seq);
            pg_array_put(&reasons, reason);
        }
        parked_went |= w->results[i] == 0 && w->rows[i]->parks > 0;
    }
    bool any_out = out.len > 0, any_aside = aside.len > 0;
    const char *out_seqs = pg_array_text(&out), *aside_seqs = pg_array_text(&aside),
               *aside_reasons = pg_array_text(&reasons);
    if (any_out)
        TRY(pg_queue(tx, &relay_statements[SQL_MARK], PG_ARGS(PG_TEXT(out_seqs))));
    if (any_aside)
        TRY(pg_queue(
            tx, &relay_statements[SQL_PARK], PG_ARGS(PG_TEXT(aside_seqs), PG_TEXT(aside_reasons))));
    if (parked_went)
        TRY(pg_queue(tx, &relay_statements[SQL_UNPARK], PG_NO_ARGS));
    if (any_out || any_aside)
        TRY(pg_commit(tx));
    *ret_parked_went = parked_went;
    return 0;
}

/* ---- windows from the outbox ---- */

struct progress {
    bool full;
    size_t claimed, gone; /* gone: published or parked */
};

#define OTHER_RELAY 100 /* an outcome: another process reads the outbox now */

/* 0, also when some were parked; negative when something is still to be sent; OTHER_RELAY. */
static int publish_claimed(struct window *w, struct progress *ret_progress)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct pg_result claimed;
    bool parked_went = false;
    TRY(pg_begin(app()->pg, &tx));
    TRY(pg_reuse_plans(tx));
    TRY(pg_queue_expect(tx, &relay_statements[SQL_LOCK], PG_NO_ARGS, 1, OTHER_RELAY));
    TRY(pg_run(tx, &relay_statements[SQL_CLAIM], PG_NO_ARGS, &claimed));
    if (claimed.rows.len == 0)
        return 0;
    window_begin(w, claimed.rows.len);
    for (size_t i = 0; i < w->count; i++)
        w->rows[i] = PG_ROW(claimed, struct outbox_row, i);
    window_publish(w);
    FAULT("relay_before_claimed_mark");
    TRY(save(tx, w, &parked_went));
    told = told || parked_went;
    ret_progress->claimed = w->count;
    ret_progress->full = w->count == WINDOW_LIMIT;
    return window_tell(w, &ret_progress->gone) ? ERR(ERR_UNAVAILABLE) : 0;
}

/* Nothing is parked, so nothing has to wait behind it. */
static int none_is_parked(bool *ret_none)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &relay_statements[SQL_ANY_PARKED], PG_NO_ARGS, &result));
    *ret_none = result.affected == 0;
    return 0;
}

/* Drops from memory what went out of the outbox; true: all of it was there. */
static bool forget_all(const struct window *w)
{
    size_t known = 0;
    for (size_t i = 0; i < w->count; i++)
        known += w->results[i] == 0 && fresh_forget(w->rows[i]->event_id);
    return known == w->count;
}

/* A look finds what is in memory as well, and in a crowd no more than that fits into its window.
 * Then memory has the rest, in order, and stays open. */
static int relay_from_outbox(struct progress *ret_progress)
{
    struct window w = {0};
    bool none_parked = false, complete = fresh_is_open() && !fresh_missed();
    told = false;
    if (!complete)
        fresh_begin(fresh_is_open());
    int r = publish_claimed(&w, ret_progress);
    complete = forget_all(&w) && complete;
    if (r == 0 && processes_count() == 1)
        r = none_is_parked(&none_parked);
    bool all_out = r == 0 && none_parked && (complete || !ret_progress->full);
    if (all_out != fresh_is_open()) {
        told = told || fresh_missed();
        fresh_begin(all_out);
    }
    read_us = clock_mono_us();
    return r < 0 ? ERR(r) : 0;
}

/* ---- windows from memory ---- */

/* What went out and isn't marked yet. */
static struct {
    struct buf ids;
    size_t count;
    int64_t since_us;
} unmarked;

static int mark(void)
{
    if (unmarked.count == 0)
        return 0;
    struct pg_result result;
    struct buf text = unmarked.ids;
    unmarked.ids = (struct buf){0};
    unmarked.count = 0;
    const char *ids = pg_array_text(&text);
    FAULT("relay_before_mark");
    return pg_query(app()->pg, &relay_statements[SQL_MARK_FRESH], PG_ARGS(PG_TEXT(ids)), &result);
}

static void mark_later(const struct outbox_row *row)
{
    if (unmarked.count == 0)
        unmarked.since_us = clock_mono_us();
    pg_array_put(&unmarked.ids, row->event_id);
    unmarked.count++;
}

static int64_t mark_at_us(void)
{
    return unmarked.count == 0             ? USEC_NEVER
           : unmarked.count >= MARKS_LIMIT ? 0
                                           : unmarked.since_us + MARK_AFTER_US;
}

/* What isn't confirmed the outbox still has, and so has what follows. */
static int relay_from_memory(struct progress *ret_progress)
{
    struct window w;
    size_t count;
    bool confirmed = true;
    struct fresh_event *list = fresh_take(WINDOW_LIMIT, &count), *e = list;
    window_begin(&w, count);
    for (size_t i = 0; i < count; i++, e = e->next)
        w.rows[i] = &e->row;
    window_publish(&w);
    for (size_t i = 0; i < count; i++)
        if (w.results[i] == 0) {
            window_tell_confirmed(w.rows[i]);
            mark_later(w.rows[i]);
            ret_progress->gone++;
        } else {
            confirmed = false;
        }
    ret_progress->claimed = count;
    fresh_free(list);
    if (!confirmed)
        fresh_begin(false);
    told = told || !confirmed;
    return 0;
}

/* ---- the relay ---- */

static bool broker_listens(void)
{
    struct bus_state s = bus_state(app()->bus);
    return s.publish_connected && !s.blocked;
}

static bool outbox_is_due(void)
{
    return told || fresh_missed() || !fresh_is_open() || clock_mono_us() >= read_us + RELAY_POLL_US;
}

static int relay_window(struct progress *ret_progress)
{
    *ret_progress = (struct progress){0};
    bool due = outbox_is_due();
    if (due || clock_mono_us() >= mark_at_us())
        TRY(mark());
    if (!broker_listens()) {
        fresh_begin(false);
        return ERR(ERR_UNAVAILABLE);
    }
    if (due)
        return relay_from_outbox(ret_progress);
    return fresh_count() > 0 ? relay_from_memory(ret_progress) : 0;
}

/* A window has its price, whatever its size. So under load the next one waits until
 * GATHER_SHARE times as long as the last one took are over, and longer where processes have a part
 * of the events each; after a quiet moment it doesn't. */
static void gather(void)
{
    int64_t until_us = looked_us + gather_us, now = clock_mono_us();
    if (now < until_us)
        (void)fiber_sleep(until_us - now);
}

/* Window after window until there is nothing left, or one was not confirmed as a whole. */
static int relay_all(bool *ret_found, bool *ret_progress)
{
    struct progress p;
    *ret_found = *ret_progress = false;
    do {
        gather();
        nudged = false;
        looked_us = clock_mono_us();
        int r = relay_window(&p);
        int64_t least_us = usec_clamp(processes_count() * GATHER_MIN_US, 0, GATHER_MAX_US);
        gather_us =
            usec_clamp(GATHER_SHARE * (clock_mono_us() - looked_us), least_us, GATHER_MAX_US);
        arena_reset(fiber_arena());
        *ret_found |= p.claimed > 0;
        *ret_progress |= p.gone > 0;
        if (r != 0)
            return r;
    } while (p.full || nudged || told || fresh_count() > 0);
    return 0;
}

/* A nudge that finds nothing has perhaps met another process's relay at work, which has not seen
 * our event: so look again soon. */
static void wait_for_work(bool was_nudged, bool found)
{
    bool again_soon = was_nudged && !found && !fresh_is_open();
    int64_t until_us = clock_mono_us() + (again_soon ? SECOND_LOOK_US : RELAY_POLL_US);
    if (!nudged)
        (void)fiber_signal_wait(
            &wake, "outbox nudge", until_us < mark_at_us() ? until_us : mark_at_us());
}

static void relay_run(void *arg)
{
    int64_t pause_us = RETRY_FLOOR_US;
    while (!app()->draining && !fiber_cancelled()) {
        bool was_nudged = nudged, found, progress;
        int r = relay_all(&found, &progress);
        if (r == 0 || progress)
            pause_us = RETRY_FLOOR_US;
        if (r == 0) {
            wait_for_work(was_nudged, found);
        } else {
            log_debug("relay pauses", LF_TEXT("error", error_name(r)), LF_MS("pauseMs", pause_us));
            (void)fiber_sleep(pause_us);
            pause_us = pause_us * 2 > RETRY_CEILING_US ? RETRY_CEILING_US : pause_us * 2;
        }
        error_clear();
    }
}

int relay_retry_parked(void)
{
    struct pg_result result;
    bool none;
    TRY(none_is_parked(&none));
    if (none)
        return 0;
    TRY(pg_query(app()->pg, &relay_statements[SQL_UNPARK], PG_NO_ARGS, &result));
    if (result.affected > 0)
        outbox_wake();
    return 0;
}

int relay_stop(int64_t deadline_us)
{
    bool found, progress;
    outbox_wake();
    if (relay)
        TRY(fiber_join(relay, deadline_us));
    relay = NULL;
    int64_t outer = fiber_deadline_push(deadline_us);
    int r = relay_all(&found, &progress), marked = mark();
    fiber_deadline_pop(outer);
    r = r ? r : marked;
    if (r != 0)
        log_warn("events wait for the next start", LF_TEXT("error", error_name(r)));
    return 0;
}

int relay_start(void)
{
    TRY(fiber_spawn(app()->loop, "outbox relay", relay_run, NULL, &relay));
    return app_every("outbox parked", PARKED_RETRY_US, relay_retry_parked);
}
