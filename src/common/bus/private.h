#pragma once

/* The loop's half: struct bus, and what bus.c and consumer.c call of each other. */

#include "common/bus/core.h"

struct bus {
    struct loop *loop;
    struct mailbox *box;
    struct worker *worker;
    struct bus_consumer *consumer; /* NULL: none */
    unsigned window_messages;
    size_t window_bytes;
    unsigned calls; /* bus_publish in progress */
    bool orphan;    /* freed, but a posted call still has to find us */
    struct buf scratch;
    char *blocked_reason;
};

void consumer_free(struct bus_consumer *c); /* NULL ok */
void consumer_start_batch(struct bus_consumer *c, struct bus_batch *batch);
void consumer_became_idle(struct bus_consumer *c, uint64_t serial);
void batch_free(struct bus_batch *batch); /* NULL ok */
