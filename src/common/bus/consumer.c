/* The loop's half of consuming: one fiber per batch, one batch at a time. The batch's memory is the
 * AMQP thread's one block per delivery, adopted by the fiber's arena. Only tags of the batch that
 * is running can be settled; whatever its handler leaves open is requeued when it returns. */

#include <assert.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "common/bus/private.h"

#define PREFETCH       100
#define PREFETCH_LIMIT 65535
#define BATCH_LIMIT    50

struct bus_consumer {
    struct bus *bus;
    char *queue;
    bus_batch_fn on_batch;
    void *ctx;
    struct bus_batch *batch; /* that is running; NULL: none */
    struct consumer_wish wish;
    uint64_t idle_serial;
    struct fiber_signal became_idle;
};

void batch_free(struct bus_batch *batch)
{
    if (batch == NULL)
        return;
    for (size_t i = 0; i < batch->count; i++)
        mem_free(batch->parcels[i]);
    mem_free(batch);
}

static void batch_dispose(void *batch)
{
    batch_free(batch);
}

/* ---- settling ---- */

static void list_add(struct settlement_list *list, uint64_t tag, bool requeue)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = mem_resize(list->items, list->capacity * sizeof(*list->items));
    }
    list->items[list->count++] = (struct settlement){.tag = tag, .requeue = requeue};
}

/* Settles the batch's open deliveries whose tags lie in first..last. The AMQP thread hears of it at
 * the end of the batch, which is one wake-up for all. */
static void settle_range(struct bus_consumer *c, uint64_t first, uint64_t last, bool requeue)
{
    struct mailbox *box = c->bus->box;
    if (c->batch == NULL)
        return;
    pthread_mutex_lock(&box->lock);
    for (size_t i = 0; i < c->batch->count; i++) {
        struct bus_parcel *p = c->batch->parcels[i];
        if (p->settled || p->message.tag < first || p->message.tag > last)
            continue;
        p->settled = true;
        list_add(&box->settlements, p->message.tag, requeue);
    }
    pthread_mutex_unlock(&box->lock);
}

void bus_ack(struct bus_consumer *c, uint64_t tag, bool multiple)
{
    settle_range(c, multiple ? 0 : tag, tag, false);
}

void bus_requeue(struct bus_consumer *c, uint64_t tag)
{
    settle_range(c, tag, tag, true);
}

/* ---- batches ---- */

static void run_batch(void *arg)
{
    struct bus_consumer *c = arg;
    struct bus_batch *batch = c->batch;
    struct mailbox *box = c->bus->box;
    arena_adopt(fiber_arena(), batch, batch_dispose);
    struct bus_message **deliveries = arena_array(fiber_arena(), batch->count, sizeof(*deliveries));
    for (size_t i = 0; i < batch->count; i++) {
        deliveries[i] = &batch->parcels[i]->message;
        deliveries[i]->origin_queue = c->queue;
    }
    c->on_batch(c->ctx, deliveries, batch->count);
    settle_range(c, 0, UINT64_MAX, true);
    c->batch = NULL;
    pthread_mutex_lock(&box->lock);
    box->batch_done = true;
    mailbox_wake(box);
    pthread_mutex_unlock(&box->lock);
}

void consumer_start_batch(struct bus_consumer *c, struct bus_batch *batch)
{
    char name[32];
    assert(c->batch == NULL);
    c->batch = batch;
    snprintf(name, sizeof(name), "bus %s", c->queue);
    if (fiber_spawn(c->bus->loop, name, run_batch, c, NULL) == 0)
        return;
    struct mailbox *box = c->bus->box;
    c->batch = NULL;
    pthread_mutex_lock(&box->lock);
    box->batch_back = batch;
    mailbox_wake(box);
    pthread_mutex_unlock(&box->lock);
}

/* ---- the consumer ---- */

static void publish_wish(struct bus_consumer *c)
{
    struct mailbox *box = c->bus->box;
    c->wish.serial++;
    pthread_mutex_lock(&box->lock);
    box->wish = c->wish;
    mailbox_wake(box);
    pthread_mutex_unlock(&box->lock);
}

static unsigned number_or(unsigned number, unsigned fallback)
{
    return number ? number : fallback;
}

struct bus_consumer *bus_consume(struct bus *b, const struct bus_consumer_config *config)
{
    assert(b->consumer == NULL && "one consumer per bus");
    struct bus_consumer *c = MEM_NEW(struct bus_consumer);
    c->bus = b;
    c->queue = mem_strndup(config->queue, 255);
    c->on_batch = config->on_batch;
    c->ctx = config->ctx;
    unsigned prefetch = number_or(config->prefetch, PREFETCH);
    c->wish = (struct consumer_wish){.queue = c->queue,
        .prefetch = prefetch < PREFETCH_LIMIT ? prefetch : PREFETCH_LIMIT,
        .batch_limit = number_or(config->batch_limit, BATCH_LIMIT),
        .sharers = number_or(config->sharers, 1),
        .gather_us = config->gather_us,
        .run = true};
    b->consumer = c;
    publish_wish(c);
    return c;
}

void consumer_free(struct bus_consumer *c)
{
    if (c == NULL)
        return;
    assert(c->batch == NULL && "a batch is still running: bus_consumer_stop first");
    mem_free(c->queue);
    mem_free(c);
}

void bus_consumer_pause(struct bus_consumer *c)
{
    if (!c->wish.run)
        return;
    c->wish.run = false;
    publish_wish(c);
}

void bus_consumer_resume(struct bus_consumer *c)
{
    if (c->wish.run)
        return;
    c->wish.run = true;
    publish_wish(c);
}

void consumer_became_idle(struct bus_consumer *c, uint64_t serial)
{
    if (serial <= c->idle_serial)
        return;
    c->idle_serial = serial;
    fiber_signal_all(&c->became_idle);
}

int bus_consumer_stop(struct bus_consumer *c, int64_t deadline_us)
{
    bus_consumer_pause(c);
    while (!c->wish.run && c->idle_serial < c->wish.serial) {
        int r = fiber_signal_wait(&c->became_idle, "consumer's last batch", deadline_us);
        if (r < 0)
            return ERR(r);
    }
    return 0;
}
