#pragma once

/* The six consumers' queues. */

#include "common/base/span.h"

struct queue_row {
    const char *service, *queue, *dead_letters;
};
#define QUEUES_COUNT 6
extern const struct queue_row queue_rows[QUEUES_COUNT];
extern const size_t queue_rows_count;
/* By the service's name, the queue's, or the dead letter queue's; NULL: there is none. */
const struct queue_row *queue_find(const char *name);
