#pragma once

/* A dead letter as operators see it: which queue, why, what, since when. */

#include "common/base/arena.h"
#include "common/base/clock.h"
#include "common/bus/bus.h"
#include "ctl/queues.h"

#define GROUP_SIZE 9

struct letter {
    const struct queue_row *queue;
    const struct bus_message *message;
    const char *id;   /* the event's; "body:..." where the message has none */
    const char *code; /* why; "broker:REASON" when the broker moved it by itself */
    const char *error, *type;
    int64_t failed_us;      /* wall; when it last failed, 0: unknown */
    char group[GROUP_SIZE]; /* stands for queue, code and type */
};

/* Everything in `*ret_letter` lives in `a` or in the message. */
void letter_read(struct arena *a, const struct queue_row *queue, const struct bus_message *message,
    struct letter *ret_letter);

struct letter_filter {
    const struct queue_row *queue;
    const char *ids; /* parted by commas */
    const char *code, *type, *group;
    int64_t older_us, newer_us; /* age; 0: any */
    int64_t now_us;
};
/* NULL members match everything. A letter of unknown age is neither older nor newer. */
bool letter_matches(const struct letter_filter *f, const struct letter *l);

/* The message as it goes back to its one queue: through the replay door, without what the failure
 * and the broker had written on it (a broker that finds its own death headers drops a message that
 * comes a second time), with who sends it and the run's stamp. */
struct bus_message letter_replay(
    struct arena *a, const struct letter *l, const char *who, const char *stamp);
/* The message as it lies, for its dead letter queue. */
struct bus_message letter_again(struct arena *a, const struct letter *l);
/* Sets a header; a `text` of NULL sets none. */
void letter_mark(struct bus_message *m, const char *name, const char *text);
