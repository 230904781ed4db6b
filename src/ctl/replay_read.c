#include "ctl/replay.h"

#include <stdio.h>

#include "ctl/ctl.h"

#define SCAN_LIMIT      20000 /* events passed over before the offset is written down */
#define QUIET_US        (300 * USEC_PER_MS)
#define CLOCKS_APART_S  60
#define REOPEN_ATTEMPTS 10
#define REOPEN_PAUSE_US USEC_PER_SEC

_Static_assert((int)STREAM_END != CTL_WRONG && (int)STREAM_END != CTL_UNREACHABLE,
    "reading tells the end from a failure");

static int stream_lost(const char *why)
{
    return ctl_fail(
        CTL_UNREACHABLE, "the stream %s can't be read: %s", STREAM_AUDIT, *why ? why : "no answer");
}

static int open_at(struct replay_run *run, const struct stream_start *start)
{
    char why[BROKER_WHY_SIZE] = "";
    int r = stream_open(run->ctl->amqp_url, STREAM_AUDIT, start, &run->stream, why);
    if (r == STREAM_NO_QUEUE)
        return ctl_fail(CTL_WRONG, "there is no stream %s", STREAM_AUDIT);
    return r == 0 ? 0 : stream_lost(why);
}

void replay_close(struct replay_run *run)
{
    stream_close(run->stream);
    run->stream = NULL;
}

/* After the last event that was dealt with: it must still be there, or else this is not the stream
 * that the offset is of. */
static int open_after_last(struct replay_run *run)
{
    struct bus_message *m;
    int64_t offset, before = run->replay.next_offset - 1;
    int r = open_at(run, &(struct stream_start){.from = STREAM_OFFSET, .offset = before});
    if (r != 0)
        return r;
    r = stream_next(run->stream, fiber_arena(), QUIET_US, &m, &offset);
    if (r < 0)
        return stream_lost("");
    bool same =
        r == 0 && offset == before && m->message_id && strcmp(m->message_id, run->last_event) == 0;
    return same ? 0
                : ctl_fail(CTL_WRONG,
                      "the stream is no longer the one that was read up to offset %lld: begin "
                      "anew with --again",
                      (long long)before);
}

static int open_stream(struct replay_run *run)
{
    if (run->replay.next_offset)
        return open_after_last(run);
    return open_at(run, &(struct stream_start){.from = run->since_us ? STREAM_TIME : STREAM_FIRST,
                            .time_us = run->since_us});
}

int replay_read(struct replay_run *run, struct bus_message **ret_message)
{
    for (int attempt = 0;;) {
        int64_t offset;
        int r = run->stream
                    ? stream_next(run->stream, fiber_arena(), QUIET_US, ret_message, &offset)
                    : ERR_UNAVAILABLE;
        if (r == 0) {
            const char *id = (*ret_message)->message_id;
            run->replay.next_offset = offset + 1;
            snprintf(run->last_event, sizeof(run->last_event), "%s", id ? id : "");
            run->tally.read++;
        }
        if (r >= 0)
            return r;
        if (++attempt > REOPEN_ATTEMPTS)
            return stream_lost("");
        if (run->stream)
            (void)fiber_sleep(REOPEN_PAUSE_US);
        replay_close(run);
        r = open_stream(run);
        if (r != 0 && (r != CTL_UNREACHABLE || attempt == REOPEN_ATTEMPTS))
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
