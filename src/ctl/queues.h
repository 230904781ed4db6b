#pragma once

/* The six consumers' queues. */

#include "common/base/span.h"

struct queue_row {
    const char *service, *queue, *dead_letters;
    /* Why events of the past may not be sent to it once more from the audit stream; NULL: they may,
     * because its consumer's state is a function of the set of events, and it keeps the table
     * `replays`. The inbox alone is no reason: it forgets after 30 days. */
    const char *no_replay;
};
#define QUEUES_COUNT 6
extern const struct queue_row queue_rows[QUEUES_COUNT];
extern const size_t queue_rows_count;
/* By the service's name, the queue's, or the dead letter queue's; NULL: there is none. */
const struct queue_row *queue_find(const char *name);
