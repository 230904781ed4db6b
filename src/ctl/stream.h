#pragma once

/* Reads a stream queue (the audit stream) in its order, without changing it; any number may read at
 * once. A message's offset is its place for ever: whoever keeps the last offset it has dealt with
 * opens again at the next one after a lost connection or a death. Offsets may have gaps. Waits with
 * its thread. */

#include "ctl/broker.h"

#define STREAM_AUDIT "order-events.audit"

struct stream;
enum { STREAM_NO_QUEUE = BROKER_NO_QUEUE, STREAM_END = BROKER_NOTHING };
/* STREAM_FIRST begins with the oldest that is kept, and so does an offset that is kept no more; an
 * offset or a time yet to come begins with what comes next. STREAM_TIME leaves out what happened
 * before it by its own timestamp (whole seconds), and so does not depend on when that was
 * published. 0; STREAM_NO_QUEUE; ERR_INVALID (the url), ERR_UNAVAILABLE, each with a sentence. */
int stream_open(const char *url, const char *queue, const struct stream_start *start,
    struct stream **ret_stream, char why[static BROKER_WHY_SIZE]);
/* The next message, copied into `a`. STREAM_END: none came within `timeout_us`, and the broker was
 * asked after that: all that was in the stream a moment ago has been given. More may come, so a
 * tail just asks again. ERR_UNAVAILABLE: the connection is lost; close it, and open a new one. */
int stream_next(struct stream *s, struct arena *a, int64_t timeout_us,
    struct bus_message **ret_message, int64_t *ret_offset);
void stream_close(struct stream *s); /* NULL ok */
