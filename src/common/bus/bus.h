#pragma once

/* RabbitMQ: one AMQP thread per process with two connections (consume, publish), one channel each;
 * bounded queues and an eventfd between it and the loop. The only includer of rabbitmq-c is this
 * room. A frozen or missing broker never delays the loop: publishes fail or wait in their own
 * fiber. */

#include "common/base/buf.h"
#include "common/fiber/fiber.h"

#define BUS_HEADERS_LIMIT 24
#define BUS_BODY_LIMIT    (1024 * 1024)

struct bus_header {
    const char *name;
    const char *text; /* NULL: `value` is an integer */
    int64_t value;
};

struct bus_message {
    const char *exchange, *routing_key;
    const char *message_id, *type, *correlation_id, *app_id, *user_id, *content_type;
    int64_t timestamp_s;
    struct bus_header headers[BUS_HEADERS_LIMIT];
    size_t headers_count;
    struct span body;
    /* deliveries only */
    uint64_t tag;
    bool redelivered;
    int64_t delivery_count;   /* x-delivery-count, 0 at first */
    const char *origin_queue; /* the queue it was consumed from */
};
const struct bus_header *bus_header_get(const struct bus_message *m, const char *name);

struct bus;
struct bus_config {
    const char *url;                  /* amqp://user:pass@host:port/vhost */
    const char *name;                 /* connection name in the UI: "souk-order" */
    unsigned heartbeat_s;             /* default 10 */
    unsigned publish_window_messages; /* unconfirmed, default 256 */
    unsigned publish_window_bytes;    /* default 256 KiB */
};
/* Starts the thread; connects with jittered back-off for ever. */
struct bus *bus_new(struct loop *l, const struct bus_config *config);
void bus_free(struct bus *b); /* closes both connections politely within 2 s */

struct bus_state {
    bool publish_connected, consume_connected;
    bool blocked; /* connection.blocked from the broker */
    const char *blocked_reason;
    uint64_t published, confirmed, returned, nacked, delivered, reconnects;
    int64_t last_error_us; /* monotonic, 0: never */
};
struct bus_state bus_state(const struct bus *b);

/* Publishes `count` messages (persistent, mandatory, user_id = the connection's user) and waits for
 * each one's confirm. `results[i]`: 0 confirmed and routed; BUS_RETURNED (unroutable); BUS_NACKED;
 * negative: unknown, publish it again. Returns 0 when every message has a result, or the first
 * negative result. Messages may be more than the window: it slides. All memory of `messages` is
 * only read until the function returns. */
enum { BUS_RETURNED = 1, BUS_NACKED = 2 };
int bus_publish(struct bus *b, const struct bus_message *messages, size_t count, int *results,
    int64_t deadline_us) PARKS;

/* Consumes one queue. `on_batch` runs on a fiber with 1..batch_limit deliveries: everything that is
 * there, without waiting to fill up. Deliveries of one queue are never handled by two fibers at
 * once (order is kept). It must settle each delivery by bus_ack / bus_requeue before it returns;
 * unsettled ones are requeued. Deliveries live in the fiber's arena. After a reconnect the tags of
 * the old channel are void: bus_ack on them is a no-op, the broker redelivers. */
struct bus_consumer;
typedef void (*bus_batch_fn)(void *ctx, struct bus_message *const *deliveries, size_t count);
struct bus_consumer_config {
    const char *queue;
    unsigned prefetch;    /* default 100 */
    unsigned batch_limit; /* default 50 */
    bus_batch_fn on_batch;
    void *ctx;
};
struct bus_consumer *bus_consume(
    struct bus *b, const struct bus_consumer_config *config); /* one per bus */
void bus_ack(struct bus_consumer *c, uint64_t tag, bool multiple);
void bus_requeue(struct bus_consumer *c, uint64_t tag);
/* Pause: cancels at the broker, keeps nothing prefetched; resume consumes again. For open breakers
 * and draining. */
void bus_consumer_pause(struct bus_consumer *c);
void bus_consumer_resume(struct bus_consumer *c);
/* Stops consuming and waits until the running batch has ended and its acks are sent. */
int bus_consumer_stop(struct bus_consumer *c, int64_t deadline_us) PARKS;
