#pragma once

/* The consuming half of the AMQP thread: one channel, its deliveries, their settlement. */

#include "common/bus/wire.h"

enum puller_channel {
    PULLER_NONE,
    PULLER_OPEN,     /* opened and consuming, or about to */
    PULLER_DRAINING, /* cancelled; the batch that is out may still settle */
    PULLER_CLOSING,
};

struct puller {
    enum puller_channel channel;
    const char *tag; /* of our consumer: the connection's name */
    struct consumer_wish wish;
    uint64_t generation; /* of the channel */
    struct bus_parcel *ready_head, *ready_tail;
    size_t ready_count;
    bool batch_out;
    int64_t handed_us, hand_after_us,
        gather_until_us; /* the last one; none before, or only a full one */
    uint8_t *marks;      /* enum mark, by tag modulo marks_count */
    size_t marks_count;
    uint64_t lowest, next_tag; /* known tags: lowest <= tag < next_tag */
    uint64_t delivered;
};

void puller_init(struct puller *p, const char *tag);
void puller_deinit(struct puller *p);
void puller_wish(struct puller *p, const struct consumer_wish *wish);
void puller_step(struct puller *p, struct wire *w); /* opens, drains, closes as wished; acks */
bool puller_idle(const struct puller *p);
/* 0, or negative when the broker's tags make no sense. */
int puller_deliver(struct puller *p, struct wire *w, struct bus_parcel *parcel);
void puller_refuse(struct puller *p, struct wire *w, uint64_t tag); /* dead-letters it */
void puller_settle(struct puller *p, struct wire *w, const struct settlement *s);
void puller_batch_done(struct puller *p); /* the one that was out has ended */
void puller_batch_back(struct puller *p, struct bus_batch *batch);
void puller_closed(struct puller *p);             /* channel.close-ok, or the connection is gone */
struct bus_batch *puller_batch(struct puller *p); /* the next one, or NULL */
int64_t puller_hand_after_us(const struct puller *p); /* when there will be one; USEC_NEVER */
