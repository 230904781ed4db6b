#include "ctl/replay.h"

#include <stdio.h>

#include "common/base/error.h"
#include "ctl/ctl.h"

#define SCAN_LIMIT      20000 /* events passed over before the offset is written down */
#define QUIET_US        (300 * USEC_PER_MS)
#define CLOCKS_APART_S  60
#define REOPEN_ATTEMPTS 10
#define REOPEN_PAUSE_US USEC_PER_SEC

_Static_assert((int)STREAM_END != CTL_WRONG && (int)STREAM_END != CTL_UNREACHABLE,
    "reading tells the end from a failure");

/* Silent about a broker that is away (CTL_UNREACHABLE, `why` filled): the caller may try again. */
static int open_at(
    struct replay_run *run, const struct stream_start *start, char why[static BROKER_WHY_SIZE])
{
    int r = stream_open(run->ctl->amqp_url, STREAM_AUDIT, start, &run->stream, why);
    if (r == STREAM_NO_QUEUE)
        return ctl_fail(CTL_WRONG, "the broker has no stream %s: import rabbitmq/definitions.json",
            STREAM_AUDIT);
    if (r == ERR_INVALID)
        return ctl_fail(CTL_USAGE, "%s", why);
    return r == 0 ? 0 : CTL_UNREACHABLE;
}

void replay_close(struct replay_run *run)
{
    stream_close(run->stream);
    run->stream = NULL;
}

/* After the last event that was dealt with: it must still be there, or else this is not the stream
 * that the offset is of. */
static int open_after_last(struct replay_run *run, char why[static BROKER_WHY_SIZE])
{
    struct bus_message *m;
    int64_t offset, before = run->replay.next_offset - 1;
    int r = open_at(run, &(struct stream_start){.from = STREAM_OFFSET, .offset = before}, why);
    if (r != 0)
        return r;
    r = stream_next(run->stream, fiber_arena(), QUIET_US, &m, &offset);
    if (r < 0) {
        replay_close(run);
        snprintf(why, BROKER_WHY_SIZE, "the connection was lost");
        return CTL_UNREACHABLE;
    }
    bool same =
        r == 0 && offset == before && m->message_id && strcmp(m->message_id, run->last_event) == 0;
    return same ? 0
                : ctl_fail(CTL_WRONG,
                      "the stream is no longer the one that was read up to offset %lld: begin "
                      "anew with --again",
                      (long long)before);
}

static int open_stream(struct replay_run *run, char why[static BROKER_WHY_SIZE])
{
    if (run->replay.next_offset)
        return open_after_last(run, why);
    return open_at(run,
        &(struct stream_start){
            .from = run->since_us ? STREAM_TIME : STREAM_FIRST, .time_us = run->since_us},
        why);
}

/* Where it never was connected it gives up at once; a connection that was lost is made again, for
 * the broker may be starting. */
static int reopen(struct replay_run *run)
{
    char why[BROKER_WHY_SIZE] = "no answer";
    bool lost = run->stream != NULL;
    int r;
    replay_close(run);
    for (int attempt = 0;; attempt++) {
        if (lost)
            (void)fiber_sleep(REOPEN_PAUSE_US);
        r = open_stream(run, why);
        if (r != CTL_UNREACHABLE)
            return r;
        if (!lost || attempt == REOPEN_ATTEMPTS)
            return broker_unreachable(why);
        error_clear();
    }
}

int replay_read(struct replay_run *run, struct bus_message **ret_message)
{
    for (int failures = 0;; failures++) {
        int64_t offset;
        if (!run->stream || failures > 0) {
            int opened = failures > REOPEN_ATTEMPTS
                             ? broker_unreachable("the connection is lost again and again")
                             : reopen(run);
            if (opened != 0)
                return opened;
        }
        int r = stream_next(run->stream, fiber_arena(), QUIET_US, ret_message, &offset);
        if (r < 0)
            continue;
        if (r == 0) {
            const char *id = (*ret_message)->message_id;
            run->replay.next_offset = offset + 1;
            snprintf(run->last_event, sizeof(run->last_event), "%s", id ? id : "");
            run->tally.read++;
        }
        return r;
    }
}

static bool is_wanted(const struct replay_run *run, const struct bus_message *m)
{
    if (!m->type || !m->message_id || !uuid_valid(span_of(m->message_id)) ||
        !service_handles(&run->services, run->queue->service, m->type))
        return false;
    if (run->type && !topic_matches(run->type, m->type))
        return false;
    return run->rebuild || (m->timestamp_s >= run->since_us / USEC_PER_SEC &&
                               m->timestamp_s <= run->until_us / USEC_PER_SEC);
}

int replay_gather(struct replay_run *run, size_t limit, struct batch *b)
{
    b->at = arena_array(fiber_arena(), limit, sizeof(*b->at));
    for (int scanned = 0; b->count < limit && scanned < SCAN_LIMIT; scanned++) {
        struct bus_message *m;
        int r = replay_read(run, &m);
        run->done = r == STREAM_END || (r == 0 && m->timestamp_s > run->begun_s + CLOCKS_APART_S);
        if (run->done || r != 0)
            return run->done ? 0 : r;
        if (!is_wanted(run, m))
            continue;
        struct letter *l = ARENA_NEW(fiber_arena(), struct letter);
        *l = (struct letter){
            .queue = run->queue, .message = m, .id = m->message_id, .type = m->type, .code = ""};
        b->at[b->count++] = l;
    }
    return 0;
}
