#pragma once

/* A small service that sends events to itself: what it publishes comes back through the exchange
 * into its own queue, and each handled event leaves a row in `effects`. The payload says how the
 * handler is to behave. Every test runs its body on a fiber of that service. */

#include <criterion/criterion.h>

#include "common/app/event.h"
#include "common/app/inbox.h"
#include "common/app/relay.h"
#include "common/app/service.h"
#include "common/app/work.h"
#include "support/pg_server.h"
#include "support/rabbit_server.h"

/* Of the running test alone: a broker that is killed just after a queue was made again under its
 * old name may not find its way back into it. */
extern char queue[32], dead_queue[40];

struct happened {
    const char *how; /* "well", "refused", "broken", "broken twice", "slow", "constraint" */
    int64_t number;
};
struct confided {
    const char *how, *token; /* the token is a secret */
};
extern const struct event_kind happened, confided, foreign, unrouted;
extern const struct pg_statement frame_statements[];
enum { SQL_EFFECT, SQL_SLEEP };

extern unsigned handler_runs; /* of "broken" and "slow" ones */
extern struct rabbit_admin *admin;

/* Around a test, outside the loop: an empty database and an empty queue. */
void frame_prepare(void);
void frame_clear(void);
const char *tier_name(int tier); /* 1 to 5; in static storage */
/* Runs `body` on the service; `pg_url` NULL: the test's database. */
void frame_run(void (*body)(void), const char *pg_url);
struct rabbit_server *the_server(void);

/* An event with its effect-to-be, committed in a transaction of its own and left to the relay. */
void publish_event(const struct event_kind *kind, const char *aggregate, const void *payload) PARKS;
void publish_happened(const char *how, int64_t number) PARKS;
/* A text straight into the exchange, past the outbox. `kind` NULL: routed as happened. */
struct straight {
    const char *body, *type, *routing_key;
    struct bus_header header; /* name NULL: none */
};
void publish_straight(struct straight s) PARKS;
/* The envelope of a happened event. */
const char *envelope(const char *event_id, const char *type, const char *version,
    const char *correlation_id, const char *payload);

/* Takes everything out of the queue's dead letters, into the fiber's arena. */
struct dead_letter {
    const char *body, *code, *text, *origin_user, *origin_key, *origin_queue, *consumer,
        *first_failed_at, *trace_parent, *type, *message_id;
    int64_t attempts;
};
size_t dead_letters(struct dead_letter *letters, size_t capacity) PARKS;

int64_t in_ms(int64_t ms);
void sleep_ms(int64_t ms) PARKS;
#define EVENTUALLY(condition, patience_ms)                                                         \
    ({                                                                                             \
        int64_t eventually_until_ = in_ms(patience_ms);                                            \
        while (!(condition) && clock_mono_us() < eventually_until_)                                \
            sleep_ms(10);                                                                          \
        (condition);                                                                               \
    })
long count_of(const char *from_where); /* SELECT count(*) FROM … */
