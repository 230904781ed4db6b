#pragma once

/* RabbitMQ: one AMQP thread per process with two connections (consume, publish), one channel each;
 * bounded queues and an eventfd between it and the loop. The only includer of rabbitmq-c is this
 * room. A frozen or missing broker never delays the loop: publishes fail or wait in their own
 * fiber. */

#include "common/base/buf.h"
#include "common/fiber/fiber.h"

#define BUS_HEADERS_LIMIT 24
#define BUS_BODY_LIMIT    (1024 * 1024)
/* A delivery that came back this often may have killed somebody: it is handed out alone. */
#define BUS_SUSPECT_COUNT 2

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
    const char *url;                  /* amqp://user:pass@host:port/vhost; no amqps */
    const char *name;                 /* connection name in the UI: "souk-order" */
    unsigned heartbeat_s;             /* default 10 */
    unsigned publish_window_messages; /* unconfirmed, default 256 */
    unsigned publish_window_bytes;    /* default 256 KiB */
};
/* Starts the thread; connects with jittered back-off for ever. NULL: `url` is no AMQP url. */
struct bus *bus_new(struct loop *l, const struct bus_config *config);
/* NULL ok. Closes both connections politely; takes the calling thread up to 2 s (unless a host name
 * is just being looked up). No fiber may be in bus_publish and no batch may run any more. */
void bus_free(struct bus *b);

/* The broker's name for us: the url's user. */
const char *bus_user(const struct bus *b);

struct bus_state {
    bool publish_connected, consume_connected;
    bool blocked;               /* connection.blocked from the broker */
    const char *blocked_reason; /* "" when not blocked; until the next bus_state */
    uint64_t published, confirmed, returned, nacked, delivered, reconnects;
    int64_t last_error_us; /* of a connection; monotonic, 0: never */
};
struct bus_state bus_state(const struct bus *b);

/* Publishes `count` messages (persistent, mandatory, user_id = the connection's user, content_type
 * application/json unless given) and waits for each one's confirm. `results[i]`:
 *   0             confirmed and routed
 *   BUS_RETURNED  confirmed, but no queue wants it
 *   BUS_NACKED    the broker could not take it (a full or broken queue): again, later
 *   ERR_UNKNOWN   sent, and the connection went before the confirm came: publish it again
 *   ERR_TIMEOUT, ERR_CANCELED  the wait ended first; it may still be published
 *   ERR_PROTOCOL  the broker closed the channel because of this message (no right to publish it, no
 *                 such exchange): again is useless before somebody mends that. With several
 *                 messages under way it is named only when they are published again.
 *   ERR_INVALID, -EMSGSIZE  a name over 255 bytes, a header text over 4 KiB, more than 24 headers;
 *                 a body over BUS_BODY_LIMIT or headers over 32 KiB together
 * Returns 0 when every message has a result that is not negative, or the first negative one.
 * Messages may be more than the window: it slides. `messages` is only read until the function
 * returns. The broker's own headers (x-death, x-first-death-*, x-delivery-count) are never sent, so
 * a delivery may be published again as it is. */
enum { BUS_RETURNED = 1, BUS_NACKED = 2 };
int bus_publish(struct bus *b, const struct bus_message *messages, size_t count, int *results,
    int64_t deadline_us) PARKS;

/* Consumes one queue. `on_batch` runs on a fiber with 1..batch_limit deliveries: everything that is
 * there; under load batches that are not full come 5 to 60 ms apart. Deliveries of one queue
 * are never handled by two fibers at once (order is kept). It must settle each delivery by bus_ack
 * / bus_requeue before it returns; unsettled ones are requeued. Deliveries live in the fiber's
 * arena. After a reconnect the tags of the old channel are void: bus_ack on them is a no-op, the
 * broker redelivers. A delivery with delivery_count >= BUS_SUSPECT_COUNT comes alone. Of the
 * headers the flat ones arrive (text, cut at 4 KiB, and whole numbers), at most BUS_HEADERS_LIMIT;
 * a body over BUS_BODY_LIMIT is dead-lettered. A queue that does not exist is asked for again with
 * back-off. */
struct bus_consumer;
typedef void (*bus_batch_fn)(void *ctx, struct bus_message *const *deliveries, size_t count);
struct bus_consumer_config {
    const char *queue;
    unsigned prefetch;    /* default 100 */
    unsigned batch_limit; /* default 50 */
    int64_t gather_us;    /* at least so long from one batch to the next, unless it is full */
    unsigned sharers;     /* consumers like this one on the queue, it included; default 1 */
    bus_batch_fn on_batch;
    void *ctx;
};
struct bus_consumer *bus_consume(
    struct bus *b, const struct bus_consumer_config *config); /* one per bus; freed with it */
/* Only for deliveries of the batch that is running; `multiple`: and all of it before `tag`. Sent
 * when the batch has ended. */
void bus_ack(struct bus_consumer *c, uint64_t tag, bool multiple);
void bus_requeue(struct bus_consumer *c, uint64_t tag);
/* Pause: cancels at the broker, gives back what is prefetched when the running batch has ended;
 * resume consumes again. For work that piles up and for draining. */
void bus_consumer_pause(struct bus_consumer *c);
void bus_consumer_resume(struct bus_consumer *c);
/* Stops consuming and waits until the running batch has ended and the broker has its acks. After
 * ERR_TIMEOUT it may be called again. Not from within on_batch. */
int bus_consumer_stop(struct bus_consumer *c, int64_t deadline_us) PARKS;
