#pragma once

/* What the broker holds of the events that a consumer has not handled: its queue's depth, and who
 * lies in the retry tiers and in its dead letters. Live queues are only counted: to look into one
 * would take its messages away from the consumer for a moment. */

#include "ctl/ctl.h"
#include "ctl/queues.h"

struct held_letter {
    const char *id, *code;
    int64_t failed_us;
};
struct held_list {
    struct held_letter *at; /* by id */
    size_t count, capacity;
};
struct whereabouts {
    bool queued;  /* the queue was never empty while we looked */
    bool partial; /* more letters than could be looked at */
    struct held_list dead, retrying;
};

/* Looks for the queues of `wanted` (bits by their place); all else in `held` is zeroed. 0, or an
 * exit code after a sentence. */
int whereabouts_look(struct ctl *ctl, struct arena *a, unsigned wanted,
    struct whereabouts held[static QUEUES_COUNT]) PARKS;
const struct held_letter *whereabouts_find(const struct held_list *list, const char *id);
void whereabouts_add(struct arena *a, struct held_list *list, const struct held_letter *letter);
void whereabouts_sort(struct held_list *list); /* after the last one was added */

/* Messages that wait in live queues and in retry tiers; who waits most is named in `what`, which
 * lives in `a`. 0 or ERR_UNAVAILABLE, silently. */
int whereabouts_count(struct ctl *ctl, struct arena *a, unsigned *ret_count, const char **ret_what);
