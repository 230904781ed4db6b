/* A stream sends as many messages as there is credit, and an ack gives credit back; it does not
 * take anything away. So acks go out in bundles, whether or not the reader is done with the
 * message: the reader keeps its own offset, the broker keeps none.
 *
 * Times: a stream knows when a chunk of messages was appended, and starts at a whole chunk. What
 * happened since T was appended since T (but for clocks that differ a little), never before. So
 * reading starts a little early, and what is older by its own timestamp is left out.
 *
 * The end: the broker counts a stream's messages only every few seconds. But the same process of
 * the broker that reads the stream for our channel also answers what is asked on it: after a
 * silence and an answer without a message before it, there was nothing more. */

#include "ctl/stream.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/mem.h"

#define PREFETCH        200
#define ACK_BUNDLE      50
#define CLOCKS_APART_US (60 * USEC_PER_SEC)

struct stream {
    struct broker *broker;
    char *queue;
    int64_t since_s; /* 0: all */
    unsigned unacked;
    uint64_t last_tag;
};

static int attach(
    struct stream *s, const struct stream_start *start, char why[static BROKER_WHY_SIZE])
{
    unsigned count;
    struct stream_start at = *start;
    if (at.from == STREAM_TIME) {
        s->since_s = at.time_us / USEC_PER_SEC;
        at.time_us = at.time_us > CLOCKS_APART_US ? at.time_us - CLOCKS_APART_US : 0;
    }
    TRY(broker_count(s->broker, s->queue, &count, why));
    return broker_consume(s->broker, s->queue, PREFETCH, &at, why);
}

int stream_open(const char *url, const char *queue, const struct stream_start *start,
    struct stream **ret_stream, char why[static BROKER_WHY_SIZE])
{
    struct broker *broker;
    TRY(broker_open(url, &broker, why));
    struct stream *s = MEM_NEW(struct stream);
    *s = (struct stream){.broker = broker, .queue = mem_strdup(queue)};
    int r = attach(s, start, why);
    if (r != 0) {
        broker_free(s->broker);
        mem_free(s->queue);
        mem_free(s);
        return r;
    }
    *ret_stream = s;
    return 0;
}

static int give_credit(struct stream *s)
{
    if (s->unacked == 0)
        return 0;
    s->unacked = 0;
    return broker_ack(s->broker, s->last_tag, true);
}

static int take(struct stream *s, struct arena *a, int64_t timeout_us, struct bus_message **ret_m,
    int64_t *ret_offset)
{
    TRY(broker_next(s->broker, a, timeout_us, ret_m, ret_offset));
    s->last_tag = (*ret_m)->tag;
    return ++s->unacked >= ACK_BUNDLE ? give_credit(s) : 0;
}

/* BROKER_NOTHING once the broker has said so as well. */
static int take_or_end(struct stream *s, struct arena *a, int64_t timeout_us,
    struct bus_message **ret_m, int64_t *ret_offset)
{
    char why[BROKER_WHY_SIZE];
    unsigned count;
    int r = take(s, a, timeout_us, ret_m, ret_offset);
    if (r != BROKER_NOTHING)
        return r;
    TRY(give_credit(s));
    r = broker_count(s->broker, s->queue, &count, why);
    if (r != 0)
        return ERR(ERR_UNAVAILABLE); /* the stream has gone, or the broker */
    return take(s, a, 0, ret_m, ret_offset);
}

int stream_next(struct stream *s, struct arena *a, int64_t timeout_us,
    struct bus_message **ret_message, int64_t *ret_offset)
{
    int64_t deadline_us = clock_mono_us() + timeout_us;
    for (;;) {
        struct bus_message *m;
        int64_t offset, left_us = deadline_us - clock_mono_us();
        TRY(take_or_end(s, a, left_us > 0 ? left_us : 0, &m, &offset));
        if (m->timestamp_s && m->timestamp_s < s->since_s)
            continue;
        *ret_message = m;
        *ret_offset = offset;
        return 0;
    }
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    (void)broker_close(s->broker);
    mem_free(s->queue);
    mem_free(s);
}
