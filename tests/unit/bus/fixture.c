#include "fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"

struct rabbit_server *the_server(void)
{
    static struct rabbit_server *attached;
    if (attached == NULL)
        attached = rabbit_server_attach();
    cr_assert_not_null(attached);
    return attached;
}

static void run_body(void *arg)
{
    struct fixture *x = arg;
    x->body(x);
    bus_free(x->bus);
}

void fixture_run(const char *name, unsigned heartbeat_s, void (*body)(struct fixture *x))
{
    char queue[64], key[64];
    struct fixture x = {.body = body, .admin = rabbit_admin_new(the_server())};
    snprintf(queue, sizeof(queue), "q.%s", name);
    snprintf(key, sizeof(key), "%s.#", name);
    rabbit_admin_exchange(x.admin, "x", "topic", false);
    rabbit_admin_queue(x.admin, queue);
    rabbit_admin_bind(x.admin, queue, "x", key);

    x.loop = loop_new();
    x.bus = bus_new(x.loop,
        &(struct bus_config){
            .url = rabbit_server_url(the_server()), .name = name, .heartbeat_s = heartbeat_s});
    cr_assert_not_null(x.bus);
    cr_assert_eq(fiber_spawn(x.loop, "test", run_body, &x, NULL), 0);
    loop_run(x.loop, true);
    loop_free(x.loop);
    rabbit_admin_free(x.admin);
}

int64_t in_ms(int64_t ms)
{
    return clock_mono_us() + ms * USEC_PER_MS;
}

void sleep_ms(int64_t ms)
{
    (void)fiber_sleep(ms * USEC_PER_MS);
}

struct bus_message message_to(const char *exchange, const char *key, const char *id)
{
    return (struct bus_message){.exchange = exchange,
        .routing_key = key,
        .message_id = id,
        .type = "test.happened",
        .body = SPAN("{}")};
}

int publish_one(struct bus *b, const struct bus_message *m, int64_t deadline_us)
{
    int result = -1;
    int r = bus_publish(b, m, 1, &result, deadline_us);
    cr_assert_eq(r, result < 0 ? result : 0);
    return result;
}

void publish_numbered(struct bus *b, const char *key, size_t count)
{
    struct bus_message *messages = mem_array(count, sizeof(*messages));
    char(*ids)[24] = mem_array(count, sizeof(*ids));
    int *results = mem_array(count, sizeof(*results));
    for (size_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%zu", i);
        messages[i] = message_to("x", key, ids[i]);
        results[i] = -1;
    }
    cr_assert_eq(bus_publish(b, messages, count, results, in_ms(60000)), 0);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(results[i], 0, "message %zu: %d", i, results[i]);
    mem_free(messages);
    mem_free(ids);
    mem_free(results);
}

static void collect(void *ctx, struct bus_message *const *deliveries, size_t count)
{
    struct collector *c = ctx;
    c->batches++;
    c->biggest_batch = count > c->biggest_batch ? (unsigned)count : c->biggest_batch;
    for (size_t i = 0; i < count; i++) {
        long id = strtol(deliveries[i]->message_id, NULL, 10);
        c->deliveries++;
        c->out_of_order += id <= c->last_id;
        c->last_id = id;
        c->seen[id]++;
        if (c->ack_each)
            bus_ack(c->consumer, deliveries[i]->tag, false);
    }
    if (!c->ack_each)
        bus_ack(c->consumer, deliveries[count - 1]->tag, true);
}

struct collector *collector_start(struct bus *b, const char *queue, unsigned batch_limit)
{
    struct collector *c = arena_alloc(fiber_arena(), sizeof(*c));
    c->last_id = -1;
    c->consumer = bus_consume(
        b, &(struct bus_consumer_config){
               .queue = queue, .batch_limit = batch_limit, .on_batch = collect, .ctx = c});
    return c;
}

unsigned collector_distinct(const struct collector *c)
{
    unsigned n = 0;
    for (size_t i = 0; i < SEEN_LIMIT; i++)
        n += c->seen[i] > 0;
    return n;
}
