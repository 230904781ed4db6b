#pragma once

/* What a batch of events hands to a worker of its service: rows that its transaction has leased for
 * the worker, which then need not look for them in their table. The queue keeps copies, as the
 * batch's memory ends with the batch. It does not survive the process and need not: whoever looks
 * for what is due finds the rows when their lease has run out. Nothing here parks. */

#include "common/json/table.h"

struct handover {
    struct list items;
    int64_t until_us; /* the end of their lease, monotonic */
};

/* A queue; zeroed: empty. */
struct handovers {
    struct handed *first, *last;
    size_t count; /* items: those that wait, and those whose taker has not ended with them */
};

/* Puts copies of `items` (structs of the table) at the end. */
void handover_put(struct handovers *q, const struct table *t, struct list items, int64_t until_us);
/* The oldest that waits; NULL: none does. It is the arena's from now on, and gone with its next
 * reset. */
struct arena;
const struct handover *handover_take(struct handovers *q, struct arena *a);
