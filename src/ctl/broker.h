#pragma once

/* One connection to the broker, to read one queue or stream: browse.c and stream.c stand on it.
 * broker.c alone speaks rabbitmq-c here; it waits with its thread, which nobody else needs. */

#include "common/base/arena.h"
#include "common/bus/bus.h"

#define BROKER_WHY_SIZE 200

/* Where in a stream to begin: at the chunk that holds the first event appended since a time; with
 * STREAM_LAST at the last chunk there is. */
enum stream_from { STREAM_FIRST, STREAM_OFFSET, STREAM_TIME, STREAM_LAST, STREAM_NEXT };
struct stream_start {
    enum stream_from from;
    int64_t offset, time_us; /* each only for its `from` */
};

struct broker;
enum { BROKER_NO_QUEUE = 1, BROKER_NOTHING = 2 };
/* 0; ERR_INVALID (the url), ERR_UNAVAILABLE (no broker there, no entry), both with a sentence in
 * `why`. */
int broker_open(const char *url, struct broker **ret_broker, char why[static BROKER_WHY_SIZE]);
void broker_free(struct broker *b); /* NULL ok; what is unacked goes back */
/* A round trip on the channel that deliveries come by. 0 with how many messages the broker believes
 * are there (of a stream it is seconds late); BROKER_NO_QUEUE; ERR_UNAVAILABLE with `why`. */
int broker_count(
    struct broker *b, const char *queue, unsigned *ret_count, char why[static BROKER_WHY_SIZE]);
/* Deliveries begin, at most `prefetch` unacked. `start`: for a stream, else NULL. */
int broker_consume(struct broker *b, const char *queue, unsigned prefetch,
    const struct stream_start *start, char why[static BROKER_WHY_SIZE]);
/* The next message, copied into `a`; `*ret_offset` is its place in a stream, else -1.
 * BROKER_NOTHING when none came in time; ERR_UNAVAILABLE. */
int broker_next(struct broker *b, struct arena *a, int64_t timeout_us,
    struct bus_message **ret_message, int64_t *ret_offset);
int broker_ack(struct broker *b, uint64_t tag, bool multiple);
/* Ends it politely and frees it. 0 when the broker has read all we sent. */
int broker_close(struct broker *b);
