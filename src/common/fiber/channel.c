#include <assert.h>
#include <errno.h>

#include "common/base/mem.h"
#include "common/fiber/private.h"
#include "common/fiber/queue.h"

/* A ring of pointers and two queues. Readers wait only while the ring is empty, writers only while
 * it is full; so a sent item goes either straight to the first reader or into the ring, and a
 * received one makes room for the first writer's. Items keep the order of their senders. */

void channel_init(struct channel *c, size_t capacity)
{
    assert(capacity > 0);
    *c = (struct channel){.slots = mem_array(capacity, sizeof(void *)), .capacity = capacity};
}

void channel_deinit(struct channel *c)
{
    assert(!c->readers.head && !c->writers.head);
    mem_free(c->slots);
    *c = (struct channel){0};
}

static void ring_put(struct channel *c, void *item)
{
    assert(c->count < c->capacity);
    c->slots[(c->head + c->count) % c->capacity] = item;
    c->count++;
}

static void *ring_take(struct channel *c)
{
    assert(c->count > 0);
    void *item = c->slots[c->head];
    c->head = (c->head + 1) % c->capacity;
    c->count--;
    return item;
}

bool channel_try_send(struct channel *c, void *item)
{
    struct fiber_waiter *reader;

    if (c->closed || c->count == c->capacity)
        return false;
    if (c->count == 0 && (reader = queue_wake(&c->readers)))
        reader->item = item;
    else
        ring_put(c, item);
    return true;
}

int channel_send(struct channel *c, void *item, int64_t deadline_us)
{
    struct fiber_waiter w = {.item = item};
    int r = fiber_may_wait();

    if (r < 0)
        return r;
    if (c->closed)
        return -EPIPE;
    if (channel_try_send(c, item))
        return 0;
    r = queue_wait(&c->writers, &w, "room in a channel", deadline_us);
    return r < 0 ? r : w.result;
}

bool channel_try_receive(struct channel *c, void **ret_item)
{
    struct fiber_waiter *writer;

    if (c->count == 0)
        return false;
    *ret_item = ring_take(c);
    if ((writer = queue_wake(&c->writers)))
        ring_put(c, writer->item);
    return true;
}

int channel_receive(struct channel *c, int64_t deadline_us, void **ret_item)
{
    struct fiber_waiter w = {0};
    int r = fiber_may_wait();

    if (r < 0)
        return r;
    if (channel_try_receive(c, ret_item))
        return 0;
    if (c->closed)
        return -EPIPE;
    r = queue_wait(&c->readers, &w, "an item in a channel", deadline_us);
    if (r == 0)
        r = w.result;
    if (r == 0)
        *ret_item = w.item;
    return r;
}

void channel_close(struct channel *c)
{
    struct fiber_waiter *w;

    c->closed = true;
    while ((w = queue_wake(&c->readers)))
        w->result = -EPIPE;
    while ((w = queue_wake(&c->writers)))
        w->result = -EPIPE; /* the item stays the sender's */
}
