#pragma once

/* Every test of this room runs its body on a fiber, with a bus to the one broker of this program.
 */

#include "common/bus/bus.h"
#include "support/rabbit_server.h"

struct rabbit_server *the_server(void);

struct fixture {
    struct loop *loop;
    struct bus *bus;
    struct rabbit_admin *admin;
    void (*body)(struct fixture *x);
};

/* Runs `body` with a bus of `heartbeat_s`, and with queue "q.<name>" declared empty and bound to
 * the topic exchange "x" by "<name>.#". */
void fixture_run(const char *name, unsigned heartbeat_s, void (*body)(struct fixture *x));

int64_t in_ms(int64_t ms); /* a deadline */
void sleep_ms(int64_t ms) PARKS;
/* Looks every few ms until the condition holds; false after `patience_ms`. */
#define EVENTUALLY(condition, patience_ms)                                                         \
    ({                                                                                             \
        int64_t eventually_until_ = in_ms(patience_ms);                                            \
        while (!(condition) && clock_mono_us() < eventually_until_)                                \
            sleep_ms(5);                                                                           \
        (condition);                                                                               \
    })

struct bus_message message_to(const char *exchange, const char *key, const char *id);
int publish_one(struct bus *b, const struct bus_message *m, int64_t deadline_us) PARKS;
/* `count` messages with ids "0", "1", ...; asserts that all are confirmed. */
void publish_numbered(struct bus *b, const char *key, size_t count) PARKS;

/* A consumer that notes what it gets. Ids are numbers below `seen`'s size. */
#define SEEN_LIMIT 20000
struct collector {
    struct bus_consumer *consumer;
    unsigned batches, deliveries, biggest_batch, out_of_order;
    long last_id;
    unsigned seen[SEEN_LIMIT];
    bool ack_each;
};
struct collector *collector_start(struct bus *b, const char *queue, unsigned batch_limit);
unsigned collector_distinct(const struct collector *c);
