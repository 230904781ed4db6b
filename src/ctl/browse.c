#include "ctl/browse.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/mem.h"

/* A quorum queue's client takes 32 acks at once and keeps what comes after them until those are
 * written; a channel that is closed meanwhile forgets them. So there is a moment between. */
#define ACK_MOMENT_US (100 * USEC_PER_MS)

struct browse {
    struct broker *broker;
    unsigned depth;
    bool acked;
};

int browse_open(const char *url, const char *queue, unsigned limit, struct browse **ret_browse,
    char why[static BROWSE_WHY_SIZE])
{
    struct broker *broker;
    unsigned depth;
    TRY(broker_open(url, &broker, why));
    int r = broker_count(broker, queue, &depth, why);
    if (r == 0)
        r = broker_consume(broker, queue, limit, NULL, why);
    if (r != 0) {
        broker_free(broker);
        return r;
    }
    struct browse *b = MEM_NEW(struct browse);
    *b = (struct browse){.broker = broker, .depth = depth};
    *ret_browse = b;
    return 0;
}

unsigned browse_depth(const struct browse *b)
{
    return b->depth;
}

int browse_next(
    struct browse *b, struct arena *a, int64_t timeout_us, struct bus_message **ret_message)
{
    int64_t offset;
    return broker_next(b->broker, a, timeout_us, ret_message, &offset);
}

int browse_ack(struct browse *b, uint64_t tag)
{
    b->acked = true;
    return broker_ack(b->broker, tag, false);
}

int browse_close(struct browse *b)
{
    if (!b)
        return 0;
    if (b->acked) {
        struct arena *unwanted = arena_new();
        struct bus_message *m;
        (void)browse_next(b, unwanted, ACK_MOMENT_US, &m);
        arena_free(unwanted);
    }
    int r = broker_close(b->broker);
    mem_free(b);
    return r;
}
