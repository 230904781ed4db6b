#pragma once

/* Reads one queue without changing it. Letters are taken unacknowledged, at most `limit` at a time,
 * each once; closing gives back all that were not acked, in their old places, and so does the
 * broker by itself when we die. Waits with its thread. */

#include "ctl/broker.h"

#define BROWSE_WHY_SIZE BROKER_WHY_SIZE

struct browse;
enum { BROWSE_NO_QUEUE = BROKER_NO_QUEUE, BROWSE_NOTHING = BROKER_NOTHING };
/* 0; BROWSE_NO_QUEUE; ERR_INVALID (the url), ERR_UNAVAILABLE (no broker there, no entry), both with
 * a sentence in `why`. */
int browse_open(const char *url, const char *queue, unsigned limit, struct browse **ret_browse,
    char why[static BROWSE_WHY_SIZE]);
unsigned browse_depth(const struct browse *b); /* what was in the queue when it was opened */
/* The next letter, copied into `a`; BROWSE_NOTHING when none came in time; ERR_UNAVAILABLE. */
int browse_next(
    struct browse *b, struct arena *a, int64_t timeout_us, struct bus_message **ret_message);
int browse_ack(struct browse *b, uint64_t tag);
/* NULL ok. 0 when the broker has all acks; else what was acked may come again. */
int browse_close(struct browse *b);
