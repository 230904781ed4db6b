/* replay: events of the audit stream go once more to one queue, and nowhere else.
 *
 * Only to a consumer that bears it (queues.c): one whose state is a function of the set of events
 * it was told, in whatever order and however often. Of those events that it has a handler for and
 * has not handled (its inbox knows), each batch is sent to the replay door with confirms, then
 * waited for until it is handled, and then the offset is written down in the consumer's own
 * database. A death at any point means that the last batch is looked at once more by whoever gives
 * the same command again.
 *
 * A rebuild first lets the service forget, in one transaction, what it learned from the events that
 * the stream can bring back, and that they were handled; the row of the replay is entered in the
 * same one and tells that something is missing until its end. What reaches the queue from then on
 * is learned as always, so a rebuild only owes what had been published before: it ends where the
 * stream ends or tells of later times. Before it begins it makes sure that the stream has every
 * event that would be forgotten. Where old events have been trimmed away, what they taught is kept:
 * all from before a day after the stream's beginning, for an event may be published that late. */

#include <stdio.h>

#include "common/app/service.h"
#include "ctl/databases.h"
#include "ctl/id_set.h"
#include "ctl/replay.h"
#include "ctl/summary.h"

#define BATCH_LIMIT      200
#define PUBLISH_US       (10 * USEC_PER_SEC)
#define PATIENCE_DEFAULT (30 * USEC_PER_SEC)
#define LOOK_US          (10 * USEC_PER_MS)
#define LOOK_MAX_US      (200 * USEC_PER_MS)
#define LATE_LIMIT_US    (24 * 3600 * USEC_PER_SEC)
#define CHECK_PAGE       2000

/* ---- sending ---- */

static int look(struct replay_run *run, const struct batch *b, bool *done)
{
    const char **ids = arena_array(fiber_arena(), b->count, sizeof(*ids));
    for (size_t i = 0; i < b->count; i++)
        ids[i] = b->at[i]->id;
    int r = b->count ? handled_look(run->handled, ids, b->count, done) : 0;
    return r == 0 ? 0 : database_failed(run->queue->service, r);
}

/* Takes out of the batch what is marked. */
static void take_out(struct batch *b, const bool *marked)
{
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++)
        if (!marked[i])
            b->at[kept++] = b->at[i];
    b->count = kept;
}

static bool noted(const struct replay_run *run, const struct batch *b, const char *result)
{
    const struct letter *const *letters = (const struct letter *const *)b->at;
    return result ? audit_outcome(&run->audit, letters, b->count, result)
                  : audit_intent(&run->audit, letters, b->count);
}

static int publish(struct replay_run *run, const struct batch *b)
{
    struct arena *a = fiber_arena();
    struct bus_message *messages = arena_array(a, b->count, sizeof(*messages));
    int *results = arena_array(a, b->count, sizeof(*results));
    int64_t refused = 0;
    for (size_t i = 0; i < b->count; i++) {
        messages[i] = letter_replay(a, b->at[i], ctl_operator(), run->stamp);
        results[i] = ERR_UNKNOWN;
    }
    (void)bus_publish(run->bus, messages, b->count, results, clock_mono_us() + PUBLISH_US);
    for (size_t i = 0; i < b->count; i++)
        refused += results[i] != 0;
    run->tally.sent += (int64_t)b->count - refused;
    run->tally.not_sent += refused;
    return refused == 0 ? 0
                        : ctl_fail(CTL_UNREACHABLE,
                              "%lld events were not taken by the broker; give the same command "
                              "again to go on",
                              (long long)refused);
}

/* Until all are handled. Some that are not in time are in a retry tier or among the dead letters,
 * and lost to nobody; when it is all of them, nobody consumes. */
static int wait_handled(struct replay_run *run, struct batch *b)
{
    size_t all = b->count;
    int64_t deadline_us = clock_mono_us() + run->patience_us, pause_us = LOOK_US;
    while (b->count > 0 && clock_mono_us() < deadline_us) {
        bool *done = arena_array(fiber_arena(), b->count, sizeof(*done));
        (void)fiber_sleep(pause_us);
        int r = look(run, b, done);
        if (r != 0)
            return r;
        take_out(b, done);
        pause_us = pause_us * 2 > LOOK_MAX_US ? LOOK_MAX_US : pause_us * 2;
    }
    run->tally.late += b->count < all ? (int64_t)b->count : 0;
    return b->count < all ? 0
                          : ctl_fail(CTL_WRONG,
                                "%s does not handle what it is sent (is it running?); give the "
                                "same command again to go on",
                                run->queue->service);
}

static int send_batch(struct replay_run *run, struct batch *b)
{
    bool *done = arena_array(fiber_arena(), b->count + 1, sizeof(*done));
    run->tally.matched += (int64_t)b->count;
    int r = look(run, b, done);
    if (r != 0)
        return r;
    size_t before = b->count;
    take_out(b, done);
    run->tally.already += (int64_t)(before - b->count);
    if (b->count == 0 || run->dry)
        return 0;
    if (!noted(run, b, NULL))
        return CTL_WRONG;
    struct batch sent = {arena_array(fiber_arena(), b->count, sizeof(*sent.at)), b->count};
    memcpy(sent.at, b->at, b->count * sizeof(*sent.at));
    r = publish(run, b);
    if (r == 0)
        r = wait_handled(run, b);
    if (r == 0 && !noted(run, &sent, "replayed"))
        r = CTL_WRONG;
    return r;
}

static int keep_progress(struct replay_run *run, int64_t from_offset, int64_t sent)
{
    if (run->dry || run->replay.next_offset == from_offset)
        return 0;
    FAULT("replay_before_progress");
    int r = book_progress(
        run->book, run->replay.id, from_offset, run->replay.next_offset, run->last_event, sent);
    if (r == BOOK_TAKEN)
        return ctl_fail(CTL_WRONG, "somebody else goes on with this replay");
    return r == 0 ? 0 : database_failed(run->queue->service, r);
}

static void keep_rate(const struct replay_run *run, int64_t sent, int64_t began_us)
{
    int64_t due_us = run->rate ? began_us + sent * USEC_PER_SEC / run->rate : 0;
    if (due_us > clock_mono_us())
        (void)fiber_sleep(due_us - clock_mono_us());
}

static void work_batch(void *arg)
{
    struct replay_run *run = arg;
    struct batch b = {0};
    int64_t began_us = clock_mono_us(), from_offset = run->replay.next_offset,
            sent_before = run->tally.sent;
    size_t limit = run->rate && run->rate < BATCH_LIMIT ? (size_t)run->rate : BATCH_LIMIT;
    int r = replay_gather(run, limit, &b);
    if (r == 0)
        r = send_batch(run, &b);
    int64_t sent = run->tally.sent - sent_before;
    if (r == 0)
        r = keep_progress(run, from_offset, sent);
    if (r == 0 && !run->done)
        keep_rate(run, sent, began_us);
    run->result = r;
}

/* Each batch on a fiber of its own, for what it used is gone with that. */
static int each_batch(struct replay_run *run, fiber_fn work)
{
    for (run->done = false, run->result = 0; !run->done && run->result == 0;) {
        struct fiber *batch;
        if (fiber_spawn(run->ctl->loop, "batch", work, run, &batch) != 0)
            return ctl_fail(CTL_WRONG, "no memory for a batch");
        (void)fiber_join(batch, USEC_NEVER);
    }
    return run->result;
}

/* ---- what a rebuild may forget ---- */

struct cover {
    struct replay_run *run;
    int64_t forget_us, began_us, found;
    bool any;
};
static struct cover cover;

/* What the relay has sent twice is there twice, maybe pages apart. Counted twice, it would stand in
 * for one that is missing. */
static struct id_set compared;

static int compare_page(const struct batch *b)
{
    int64_t found = 0;
    size_t n = 0;
    const char **ids = arena_array(fiber_arena(), b->count + 1, sizeof(*ids));
    for (size_t i = 0; i < b->count; i++)
        if (id_set_add(&compared, b->at[i]->id))
            ids[n++] = b->at[i]->id;
    int r = n ? book_handled(cover.run->book, cover.forget_us, cover.began_us, ids, n, &found) : 0;
    cover.found += found;
    return r == 0 ? 0 : database_failed(cover.run->queue->service, r);
}

static void check_page(void *arg)
{
    struct replay_run *run = arg;
    struct batch b = {0};
    run->result = replay_gather(run, CHECK_PAGE, &b);
    if (run->result == 0)
        run->result = compare_page(&b);
}

/* Of the events that are kept, the oldest. */
static int look_at_first(struct replay_run *run)
{
    struct bus_message *m;
    int r = replay_read(run, &m);
    if (r == STREAM_END)
        return ctl_fail(
            CTL_WRONG, "the stream %s is empty: there is nothing to rebuild from", STREAM_AUDIT);
    if (r != 0)
        return r;
    bool whole = run->replay.next_offset == 1;
    cover.forget_us = whole ? 0 : m->timestamp_s * USEC_PER_SEC + LATE_LIMIT_US;
    if (cover.forget_us > cover.began_us)
        return ctl_fail(CTL_WRONG, "the stream was trimmed and holds less than a day: a rebuild "
                                   "would have nothing to go by");
    return 0;
}

/* Sets what may be forgotten. The stream is read to its end for it, which costs about 10 µs an
 * event. */
static int check_cover(struct replay_run *run)
{
    int64_t handled = 0;
    cover = (struct cover){.run = run, .began_us = clock_wall_us()};
    int r = look_at_first(run);
    replay_close(run);
    run->replay.next_offset = 0;
    if (r != 0)
        return r;
    r = book_handled(run->book, cover.forget_us, cover.began_us, NULL, 0, &handled);
    if (r != 0)
        return database_failed(run->queue->service, r);
    r = each_batch(run, check_page);
    id_set_deinit(&compared);
    replay_close(run);
    run->replay.next_offset = 0;
    run->tally = (struct tally){0};
    if (r != 0 || cover.found >= handled)
        return r;
    return ctl_fail(CTL_WRONG,
        "%s has handled %lld events that are not in the stream: a rebuild would lose them",
        run->queue->service, (long long)(handled - cover.found));
}

/* ---- beginning, going on, ending ---- */

static int begin(struct replay_run *run)
{
    char id[UUID_TEXT_SIZE];
    int64_t now_us = clock_wall_us();
    uuid_make(id);
    run->replay = (struct replay){.id = arena_strdup(run->arena, id),
        .who = ctl_operator(),
        .what = run->replay.what,
        .rebuild = run->rebuild,
        .since_us = run->since_us,
        .until_us = run->until_us};
    run->audit.run = run->replay.id;
    run->audit.reason = run->replay.what;
    run->begun_s = now_us / USEC_PER_SEC;
    int r = run->rebuild ? check_cover(run) : 0;
    if (r != 0 || run->dry)
        return r;
    if (!noted(run, &(struct batch){0}, NULL))
        return CTL_WRONG;
    r = book_begin(run->book, &run->replay, cover.forget_us);
    FAULT("replay_begun");
    if (r == BOOK_TAKEN)
        return ctl_fail(CTL_WRONG, "somebody else began a replay just now");
    if (r != 0)
        return database_failed(run->queue->service, r);
    /* What comes by itself does so from the commit on. */
    run->begun_s = clock_wall_us() / USEC_PER_SEC;
    return 0;
}

static void go_on(struct replay_run *run, const struct replay *r)
{
    const char *what = run->replay.what;
    run->replay = *r;
    run->replay.id = arena_strdup(run->arena, r->id);
    run->replay.what = what;
    run->since_us = r->since_us;
    run->until_us = r->until_us;
    run->begun_s = clock_wall_us() / USEC_PER_SEC;
    run->audit.run = run->replay.id;
    run->audit.reason = what;
    snprintf(run->last_event, sizeof(run->last_event), "%s", r->last_event);
    fprintf(stderr, "soukctl: going on with what %s began: %lld events so far\n", r->who,
        (long long)r->sent);
}

static int begin_or_go_on(struct replay_run *run)
{
    struct replay *unfinished;
    int r = book_unfinished(run->book, &unfinished);
    if (r != 0)
        return database_failed(run->queue->service, r);
    if (!unfinished || run->again || run->dry)
        return begin(run);
    if (strcmp(unfinished->what, run->replay.what) == 0) {
        go_on(run, unfinished);
        return 0;
    }
    if (unfinished->rebuild)
        return ctl_fail(CTL_WRONG, "a rebuild is half done: first soukctl replay --to %s --rebuild",
            run->queue->queue);
    return begin(run);
}

static int finish(struct replay_run *run)
{
    if (run->dry)
        return 0;
    int r = book_end(run->book, run->replay.id);
    if (r != 0)
        return database_failed(run->queue->service, r);
    if (!noted(run, &(struct batch){0}, "done"))
        return CTL_WRONG;
    return run->tally.late == 0 ? 0
                                : ctl_fail(CTL_WRONG,
                                      "%lld events were sent and not handled in time: they are in "
                                      "the retry tiers or among the dead letters (dlq list)",
                                      (long long)run->tally.late);
}

static int replay_all(struct replay_run *run)
{
    int r = begin_or_go_on(run);
    if (r == 0)
        r = each_batch(run, work_batch);
    replay_close(run);
    return r == 0 ? finish(run) : r;
}

/* ---- the command ---- */

static void report(const struct replay_run *run)
{
    const struct tally *t = &run->tally;
    const struct summary_row rows[] = {{"rebuild", NULL, run->rebuild, .is_flag = true},
        {"read", "events read", t->read, .always = true},
        {"matched", "of them for this queue", t->matched, .always = true},
        {"alreadyHandled", "already handled", t->already, .always = true},
        {"replayed", "replayed", t->sent, .always = true}, {"late", "not handled in time", t->late},
        {"notSent", "not taken by the broker", t->not_sent}};
    summary_print(run->ctl, run->replay.id, run->dry, rows, ARRAY_SIZE(rows));
    if (run->dry && run->rebuild && !run->ctl->json)
        fputs("the stream has all that would be forgotten\n", run->ctl->out);
}

static int read_time(const struct args *args, const char *option, int64_t *ret_us)
{
    const char *text = args_text(args, option);
    if (!text || since_parse(text, ret_us))
        return 0;
    return ctl_fail(CTL_USAGE,
        "--%s %s: must be an age like 2h, or a time like 2026-01-31T08:00:00Z", option, text);
}

static const char *or_dash(const struct args *args, const char *option)
{
    const char *text = args_text(args, option);
    return text ? text : "-";
}

static int run_fill(struct replay_run *run, const struct args *args)
{
    const char *to = args_text(args, "to");
    run->queue = to ? queue_find(to) : NULL;
    if (!to)
        return ctl_fail(CTL_USAGE, "--to QUEUE is needed");
    if (!run->queue)
        return ctl_fail(CTL_USAGE, "--to %s: there is no such queue", to);
    if (run->queue->no_replay)
        return ctl_fail(CTL_USAGE,
            "%s takes no replay: %s. Single events that failed go back with "
            "dlq redrive",
            run->queue->queue, run->queue->no_replay);
    run->rebuild = args_given(args, "rebuild");
    run->dry = args_given(args, "dry-run");
    run->again = args_given(args, "again");
    run->type = args_text(args, "type");
    run->rate = args_number(args, "rate", 0);
    run->patience_us = args_number(args, "wait", PATIENCE_DEFAULT);
    bool part = args_given(args, "since") || args_given(args, "until") || run->type;
    if (run->rebuild == part)
        return ctl_fail(CTL_USAGE, "%s",
            part ? "--rebuild takes all: no --since, --until, --type"
                 : "say since when (--since 2h), or --rebuild");
    run->until_us = clock_wall_us();
    int r = read_time(args, "since", &run->since_us);
    if (r == 0)
        r = read_time(args, "until", &run->until_us);
    run->replay.what =
        run->rebuild ? "rebuild"
                     : arena_printf(run->arena, "since %s until %s type %s", or_dash(args, "since"),
                           or_dash(args, "until"), or_dash(args, "type"));
    return r;
}

static int connect_all(struct replay_run *run)
{
    const char *variable;
    int r = services_load(run->arena, &run->services);
    if (r != 0)
        return r;
    if (!*run->ctl->amqp_url)
        return ctl_fail(CTL_USAGE, "OPS_AMQP_URL is not set; ./souk ctl sets it");
    run->handled = handled_new(run->arena, run->ctl->loop, run->queue, &variable);
    run->book = book_new(run->arena, run->ctl->loop, run->queue, &variable);
    if (!run->book || !run->handled)
        return ctl_fail(CTL_USAGE,
            "a replay is entered in the database of %s: set %s (./souk ctl does)",
            run->queue->service, variable);
    run->bus = run->dry ? NULL
                        : bus_new(run->ctl->loop,
                              &(struct bus_config){.url = run->ctl->amqp_url, .name = "soukctl"});
    return run->dry || run->bus ? 0 : ctl_fail(CTL_USAGE, "OPS_AMQP_URL is no amqp:// address");
}

static int replay_run(struct ctl *ctl, const struct args *args)
{
    char stamp[CLOCK_TEXT_SIZE];
    struct replay_run run = {.ctl = ctl, .stamp = stamp, .arena = fiber_arena()};
    clock_format(clock_wall_us(), stamp);
    run.audit = (struct audit){.path = ctl->audit_path, .action = "replay"};
    int r = run_fill(&run, args);
    if (r == 0)
        r = connect_all(&run);
    if (r == 0) {
        r = replay_all(&run);
        if (r == 0 || run.tally.read > 0)
            report(&run);
    }
    bus_free(run.bus);
    book_free(run.book);
    handled_free(run.handled);
    return r;
}

static const struct option_row replay_options[] = {
    {"to", "QUEUE", OPTION_TEXT, "to this queue alone (or its service: aibuddy)"},
    {"since", "TIME", OPTION_TEXT, "what happened since (90m, 2h, 3d, 2026-11-21T10:00:00Z)"},
    {"until", "TIME", OPTION_TEXT, "and until; default: now"},
    {"type", "PATTERN", OPTION_TEXT, "only these events (order.created, order.*)"},
    {"rebuild", NULL, OPTION_FLAG, "forget what was learned and learn it again from all events"},
    {"rate", "N", OPTION_COUNT, "at most N events a second"},
    {"dry-run", NULL, OPTION_FLAG, "only count"},
    {"again", NULL, OPTION_FLAG, "from the start, not from where an unfinished one stopped"},
    {"wait", "TIME", OPTION_DURATION, "how long a batch may take to be handled (30s)"},
};
const struct command replay_command = {"replay", NULL, NULL,
    "Sends events of the audit stream once more to one queue.\n"
    "Only events that its consumer has not handled are sent, and only to a consumer that declares\n"
    "that it bears it: replayed events never mail or charge. Killed or interrupted, the same "
    "command\n"
    "goes on where it was. --rebuild lets the service forget first; until it is done, the "
    "service's\n"
    "/readyz?verbose says so.",
    "soukctl replay --to ai-events-queue --since 2h --dry-run\n"
    "soukctl replay --to ai-events-queue --since 2026-11-21T10:00:00Z --type 'order.*' --rate 100\n"
    "soukctl replay --to ai-events-queue --rebuild",
    replay_options, ARRAY_SIZE(replay_options), replay_run};
