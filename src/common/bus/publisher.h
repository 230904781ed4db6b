#pragma once

/* The publishing half of the AMQP thread: a queue of jobs, a window of unconfirmed ones. */

#include "common/bus/wire.h"

struct publisher {
    struct job_queue pending, finished;
    struct bus_job **open; /* by tag modulo the window */
    unsigned window;
    size_t window_bytes;
    uint64_t lowest, next_tag; /* open tags: lowest <= tag < next_tag */
    unsigned open_count;
    size_t open_bytes;
    bool ready, blocked;
    unsigned careful; /* jobs still to be sent one at a time */
    uint64_t published, confirmed, returned, nacked;
};

void publisher_init(struct publisher *p, unsigned window, size_t window_bytes);
void publisher_deinit(
    struct publisher *p); /* ends every job as unknown; take `finished` after it */
void publisher_fill(struct publisher *p, struct wire *w); /* sends what the window allows */
void publisher_purge(struct publisher *p);                /* ends what nobody waits for any more */
void publisher_settled(struct publisher *p, uint64_t tag, bool multiple, bool nacked);
void publisher_returned(struct publisher *p, uint64_t fingerprint);
/* The channel is gone; `refused`: the broker closed it because of one of the open messages. */
void publisher_lost(struct publisher *p, bool refused);
