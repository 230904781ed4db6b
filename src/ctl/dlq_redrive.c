/* dlq redrive: letters go back to the one queue that failed on them, and nowhere else.
 *
 * A letter is published to the replay door with a confirm, and only then acked in the dead letter
 * queue. So a death at any point leaves it in the queue, in the dead letters, or in both: then it
 * goes twice, and the consumer's inbox absorbs the second. Every copy carries the run's stamp,
 * which consumers keep when they fail again: by it a run knows its own failures, and never takes a
 * letter a second time.
 *
 * Letters go in batches. After a canary, or after each batch with --stop-on-refail, the run waits
 * until each letter is in the service's inbox, or among the dead letters again. One that is neither
 * in time is in a retry tier, or its consumer is off: not known, so the run stops as well.
 *
 * A queue is worked in rounds of a few minutes with a fresh channel each, because the broker takes
 * letters away from a channel that holds them too long. */

#include "common/app/service.h"
#include "common/base/uuid.h"
#include "ctl/audit.h"
#include "ctl/databases.h"
#include "ctl/dlq.h"
#include "ctl/event_text.h"
#include "ctl/handled.h"
#include "ctl/summary.h"

#define BATCH_LIMIT      200
#define CAREFUL_BATCH    50
#define ROUND_US         (4 * 60 * USEC_PER_SEC)
#define PUBLISH_US       (10 * USEC_PER_SEC)
#define LOOK_US          (100 * USEC_PER_MS)
#define PATIENCE_DEFAULT (30 * USEC_PER_SEC)

struct tally {
    int64_t matched, redriven, handled, failed_again, not_known, not_sent, masked;
};

struct run {
    struct ctl *ctl;
    struct letter_filter filter;
    struct audit audit;
    const char *stamp;
    bool dry, careful;
    int64_t canary, rate, patience_us;
    struct bus *bus;
    struct tally tally;
};

/* What one queue's work knows beside its letters. */
struct lane {
    struct run *run;
    const struct queue_row *queue;
    struct handled *handled; /* NULL: nobody waits */
    struct settled sent;
    bool canary_sent, stop;
};

enum fate { FATE_PENDING, FATE_HANDLED, FATE_FAILED_AGAIN };

/* ---- sending ---- */

static bool is_own_failure(const struct run *run, const struct letter *l)
{
    const struct bus_header *h = bus_header_get(l->message, "souk-replayed-at");
    return h && h->text && strcmp(h->text, run->stamp) == 0;
}

/* A letter that has gone already is acked once more. */
static struct letters choose(struct lane *lane, struct dlq *d)
{
    struct run *run = lane->run;
    struct letters matching = dlq_select(d, &run->filter), chosen = {0};
    for (size_t i = 0; i < matching.count; i++) {
        struct letter *l = matching.at[i];
        if (is_own_failure(run, l))
            continue;
        if (settled_has(&lane->sent, l))
            (void)browse_ack(d->browse, l->message->tag);
        else if (event_is_masked(l->type, l->message->body))
            run->tally.masked++;
        else
            letters_add(d->arena, &chosen, l);
    }
    return chosen;
}

static int ack_sent(struct lane *lane, struct dlq *d, const struct letters *batch,
    const int *results, struct letters *sent, struct letters *kept)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct letter *l = batch->at[i];
        letters_add(d->arena, results[i] == 0 ? sent : kept, l);
        if (results[i] == 0)
            settled_add(&lane->sent, l);
        if (results[i] == 0 && browse_ack(d->browse, l->message->tag) != 0)
            return ctl_fail(CTL_UNREACHABLE, "the broker went away; run it again, nothing is lost");
    }
    return 0;
}

static bool told(const struct run *run, const struct letters *letters, const char *result)
{
    return letters->count == 0 ||
           audit_outcome(
               &run->audit, (const struct letter *const *)letters->at, letters->count, result);
}

static int send_batch(
    struct lane *lane, struct dlq *d, const struct letters *batch, struct letters *ret_sent)
{
    struct run *run = lane->run;
    struct letters sent = {0}, kept = {0};
    struct bus_message *messages = arena_array(d->arena, batch->count, sizeof(*messages));
    int *results = arena_array(d->arena, batch->count, sizeof(*results));
    if (!audit_intent(&run->audit, (const struct letter *const *)batch->at, batch->count))
        return CTL_WRONG;
    for (size_t i = 0; i < batch->count; i++) {
        messages[i] = letter_replay(d->arena, batch->at[i], ctl_operator(), run->stamp);
        results[i] = ERR_UNKNOWN;
    }
    (void)bus_publish(run->bus, messages, batch->count, results, clock_mono_us() + PUBLISH_US);
    FAULT("redrive_before_ack");
    int r = ack_sent(lane, d, batch, results, &sent, &kept);
    run->tally.redriven += (int64_t)sent.count;
    run->tally.not_sent += (int64_t)kept.count;
    if (!told(run, &sent, "redriven") || !told(run, &kept, "not_sent"))
        r = r ? r : CTL_WRONG;
    if (r == 0 && kept.count)
        r = ctl_fail(CTL_WRONG,
            "%zu letters were not taken by the broker and stay where they are (is %s.0 bound?)",
            kept.count, lane->queue->queue);
    *ret_sent = sent;
    return r;
}

/* ---- waiting for what becomes of them ---- */

static void note_arrival(const struct run *run, const struct letter *arrival,
    const struct letters *sent, enum fate *fates)
{
    if (!is_own_failure(run, arrival))
        return;
    for (size_t i = 0; i < sent->count; i++)
        if (fates[i] == FATE_PENDING && strcmp(sent->at[i]->id, arrival->id) == 0) {
            fates[i] = FATE_FAILED_AGAIN;
            return;
        }
}

static int note_handled(struct lane *lane, struct dlq *d, const struct letters *sent,
    enum fate *fates, size_t *ret_pending)
{
    const char **ids = arena_array(d->arena, sent->count, sizeof(*ids));
    size_t *places = arena_array(d->arena, sent->count, sizeof(*places)), n = 0;
    for (size_t i = 0; i < sent->count; i++)
        if (fates[i] == FATE_PENDING) {
            ids[n] = sent->at[i]->id;
            places[n++] = i;
        }
    bool *done = arena_array(d->arena, sent->count, sizeof(*done));
    int r = n > 0 ? handled_look(lane->handled, ids, n, done) : 0;
    if (r != 0)
        return database_failed(lane->queue->service, r);
    *ret_pending = n;
    for (size_t i = 0; i < n; i++)
        if (done[i]) {
            fates[places[i]] = FATE_HANDLED;
            --*ret_pending;
        }
    return 0;
}

static int watch(struct lane *lane, struct dlq *d, const struct letters *sent, enum fate *fates)
{
    int64_t deadline_us = clock_mono_us() + lane->run->patience_us;
    for (;;) {
        struct letter *arrival;
        size_t pending = 0;
        int r = dlq_arrival(d, LOOK_US, &arrival);
        while (r == 0 && arrival) {
            note_arrival(lane->run, arrival, sent, fates);
            r = dlq_arrival(d, 0, &arrival);
        }
        if (r == 0)
            r = note_handled(lane, d, sent, fates, &pending);
        if (r != 0 || pending == 0 || clock_mono_us() > deadline_us)
            return r;
    }
}

static int judge(struct lane *lane, struct dlq *d, const struct letters *sent)
{
    struct run *run = lane->run;
    struct letters by_fate[3] = {{0}};
    enum fate *fates = arena_array(d->arena, sent->count, sizeof(*fates));
    int r = watch(lane, d, sent, fates);
    if (r != 0)
        return r;
    for (size_t i = 0; i < sent->count; i++)
        letters_add(d->arena, &by_fate[fates[i]], sent->at[i]);
    run->tally.handled += (int64_t)by_fate[FATE_HANDLED].count;
    run->tally.failed_again += (int64_t)by_fate[FATE_FAILED_AGAIN].count;
    run->tally.not_known += (int64_t)by_fate[FATE_PENDING].count;
    lane->stop = by_fate[FATE_HANDLED].count < sent->count;
    return told(run, &by_fate[FATE_HANDLED], "handled") &&
                   told(run, &by_fate[FATE_FAILED_AGAIN], "failed_again") &&
                   told(run, &by_fate[FATE_PENDING], "not_known")
               ? 0
               : CTL_WRONG;
}

/* ---- rounds ---- */

static size_t batch_size(const struct lane *lane)
{
    const struct run *run = lane->run;
    size_t size = run->careful ? CAREFUL_BATCH : BATCH_LIMIT;
    if (run->canary && !lane->canary_sent)
        return (size_t)run->canary < size ? (size_t)run->canary : size;
    return run->rate && (size_t)run->rate < size ? (size_t)run->rate : size;
}

static void keep_rate(const struct run *run, size_t count, int64_t began_us)
{
    if (!run->rate)
        return;
    int64_t due_us = began_us + (int64_t)count * USEC_PER_SEC / run->rate;
    if (due_us > clock_mono_us())
        (void)fiber_sleep(due_us - clock_mono_us());
}

static int work_round(struct lane *lane, struct dlq *d, const struct letters *chosen)
{
    struct run *run = lane->run;
    for (size_t at = 0; at < chosen->count && !lane->stop;) {
        int64_t began_us = clock_mono_us();
        size_t size = batch_size(lane), left = chosen->count - at;
        struct letters sent, batch = {.at = chosen->at + at, .count = size < left ? size : left};
        bool wait = run->careful || (run->canary && !lane->canary_sent);
        int r = send_batch(lane, d, &batch, &sent);
        if (r == 0 && wait)
            r = judge(lane, d, &sent);
        if (r != 0)
            return r;
        lane->canary_sent = true;
        at += batch.count;
        if (clock_mono_us() - d->opened_us > ROUND_US)
            return 0;
        if (at < chosen->count && !lane->stop)
            keep_rate(run, batch.count, began_us);
    }
    return 0;
}

static void show_chosen(const struct run *run, const struct letters *chosen)
{
    if (run->ctl->json || !chosen->count)
        return;
    dlq_print(run->ctl, chosen);
    fflush(run->ctl->out);
}

/* `*ret_more`: the queue is worth another round. */
static int redrive_round(struct lane *lane, bool first, bool *ret_more)
{
    struct run *run = lane->run;
    struct dlq d;
    int r = dlq_open(run->ctl, lane->queue, &d);
    if (r != 0)
        return r;
    struct letters chosen = choose(lane, &d);
    int64_t sent_before = run->tally.redriven;
    if (first)
        show_chosen(run, &chosen);
    if (!run->dry)
        r = work_round(lane, &d, &chosen);
    size_t sent = (size_t)(run->tally.redriven - sent_before);
    *ret_more = !run->dry && !lane->stop && sent > 0 && (d.partial || sent < chosen.count);
    run->tally.matched += (int64_t)(*ret_more ? sent : chosen.count); /* the rest is met again */
    if (d.partial && sent == 0 && r == 0)
        r = ctl_fail(CTL_WRONG,
            "%s holds more letters than can be looked at: handle or drop some first",
            lane->queue->dead_letters);
    int closed = dlq_close(&d);
    return r ? r : closed;
}

static int redrive_queue(struct run *run, const struct queue_row *queue)
{
    struct lane lane = {.run = run, .queue = queue, .sent = {.arena = fiber_arena()}};
    bool more = true, waits = run->careful || run->canary;
    int r = 0;
    if (waits && !run->dry) {
        const char *variable;
        lane.handled = handled_new(fiber_arena(), run->ctl->loop, queue, &variable);
        if (!lane.handled)
            return ctl_fail(CTL_USAGE,
                "--canary and --stop-on-refail look into the inbox of %s: set %s (./souk ctl does)",
                queue->service, variable);
    }
    for (bool first = true; r == 0 && more; first = false)
        r = redrive_round(&lane, first, &more);
    handled_free(lane.handled);
    if (r == 0)
        r = dlq_settle_rest(run->ctl, queue, &lane.sent);
    if (r == 0 && lane.stop)
        r = ctl_fail(CTL_WRONG, "stopped at %s: not every letter was handled", queue->queue);
    return r;
}

/* ---- the command ---- */

static void report(const struct run *run)
{
    const struct tally *t = &run->tally;
    const struct summary_row rows[] = {{"matched", "matched", t->matched, .always = true},
        {"redriven", "redriven", t->redriven, .always = true},
        {"handled", "seen handled", t->handled}, {"failedAgain", "failed again", t->failed_again},
        {"notKnown", "not known yet (in a retry tier, or the consumer is off)", t->not_known},
        {"notSent", "not taken by the broker", t->not_sent},
        {"masked", "can't go: their secrets were masked", t->masked}};
    summary_print(run->ctl, run->audit.run, run->dry, rows, ARRAY_SIZE(rows));
}

static int redrive_all(struct run *run)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < queue_rows_count; i++)
        if (!run->filter.queue || run->filter.queue == &queue_rows[i])
            r = redrive_queue(run, &queue_rows[i]);
    return r;
}

static int run_fill(struct run *run, const struct args *args)
{
    bool any;
    int r = dlq_filter(args, &run->filter, &any);
    if (r != 0)
        return r;
    if (any && !args_given(args, "all"))
        return ctl_fail(CTL_USAGE, "say which letters (--group, --code, --id, ...), or --all");
    run->dry = args_given(args, "dry-run");
    run->careful = args_given(args, "stop-on-refail");
    run->canary = args_number(args, "canary", 0);
    run->rate = args_number(args, "rate", 0);
    run->patience_us = args_number(args, "wait", PATIENCE_DEFAULT);
    return 0;
}

static int redrive_run(struct ctl *ctl, const struct args *args)
{
    char id[UUID_TEXT_SIZE], stamp[CLOCK_TEXT_SIZE];
    struct run run = {.ctl = ctl, .stamp = stamp};
    uuid_make(id);
    clock_format(clock_wall_us(), stamp);
    run.audit = (struct audit){.path = ctl->audit_path, .action = "redrive", .run = id};
    int r = run_fill(&run, args);
    if (r != 0)
        return r;
    if (!*ctl->amqp_url)
        return ctl_fail(CTL_USAGE, "OPS_AMQP_URL is not set; ./souk ctl sets it");
    if (!run.dry)
        run.bus = bus_new(ctl->loop, &(struct bus_config){.url = ctl->amqp_url, .name = "soukctl"});
    if (!run.dry && !run.bus)
        return ctl_fail(CTL_USAGE, "OPS_AMQP_URL is no amqp:// address");
    r = redrive_all(&run);
    if (run.bus)
        bus_free(run.bus);
    report(&run);
    const struct tally *t = &run.tally;
    return r == 0 && (t->failed_again || t->not_known || t->not_sent || t->masked) ? CTL_WRONG : r;
}

static const struct option_row redrive_options[] = {DLQ_FILTER_OPTIONS,
    {"all", NULL, OPTION_FLAG, "every dead letter"},
    {"dry-run", NULL, OPTION_FLAG, "only show which"},
    {"canary", "N", OPTION_COUNT, "first N of each queue, and the rest only when all were handled"},
    {"rate", "N", OPTION_COUNT, "at most N a second"},
    {"stop-on-refail", NULL, OPTION_FLAG, "wait after every batch, stop when one fails again"},
    {"wait", "TIME", OPTION_DURATION, "how long to wait for a batch (30s)"}};
const struct command dlq_redrive_command = {"dlq", "redrive", NULL,
    "Sends dead letters back to the one queue that failed on them.\n"
    "Run it twice, or kill it half-way: each event takes effect once.",
    "soukctl dlq redrive --group 1f3a90bc --dry-run\n"
    "soukctl dlq redrive --group 1f3a90bc --canary 3 --rate 50 --stop-on-refail\n"
    "soukctl dlq redrive --queue order --code ETIMEDOUT --newer-than 2h\n"
    "soukctl dlq redrive --id 0190c5b4-8d0e-7c3e-a0f2-5b9d6a1c7e42",
    redrive_options, ARRAY_SIZE(redrive_options), redrive_run};
