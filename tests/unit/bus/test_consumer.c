#include <criterion/criterion.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "common/fiber/sync.h"
#include "fixture.h"

static PARKS void batches(struct fixture *x)
{
    publish_numbered(x->bus, "batches.a", 2000);
    struct collector *c = collector_start(x->bus, "q.batches", 40);
    cr_assert(EVENTUALLY(c->deliveries >= 2000, 20000));
    cr_assert_eq(bus_consumer_stop(c->consumer, in_ms(5000)), 0);
    cr_assert_eq(c->deliveries, 2000);
    cr_assert_eq(collector_distinct(c), 2000);
    cr_assert_eq(c->out_of_order, 0);
    cr_assert_leq(c->biggest_batch, 40);
    cr_assert_gt(c->biggest_batch, 1);
    cr_assert_eq(bus_state(x->bus).delivered, 2000);
    cr_assert_eq(rabbit_admin_depth(x->admin, "q.batches"), 0);
}

Test(consumer, consume__two_thousand__come_in_order_in_batches_and_are_acked)
{
    fixture_run("batches", 10, batches);
}

static PARKS void ack_each(struct fixture *x)
{
    struct collector *c = collector_start(x->bus, "q.each", 0);
    c->ack_each = true;
    publish_numbered(x->bus, "each.a", 500);
    cr_assert(EVENTUALLY(c->deliveries >= 500, 10000));
    cr_assert_eq(bus_consumer_stop(c->consumer, in_ms(5000)), 0);
    cr_assert_eq(collector_distinct(c), 500);
    cr_assert_eq(rabbit_admin_depth(x->admin, "q.each"), 0);
}

Test(consumer, consume__with_single_acks_while_they_are_published__all_are_acked)
{
    fixture_run("each", 10, ack_each);
}

/* Settles by the position in the batch: the first three ways differ. */
struct mixer {
    struct bus_consumer *consumer;
    unsigned calls, alone, deliveries, biggest_suspect_batch;
    int64_t biggest_count;
    bool redelivered_without_flag;
    unsigned lives[SEEN_LIMIT];
};

static void mix(void *ctx, struct bus_message *const *deliveries, size_t count)
{
    struct mixer *m = ctx;
    m->calls++;
    for (size_t i = 0; i < count; i++) {
        const struct bus_message *d = deliveries[i];
        long id = strtol(d->message_id, NULL, 10);
        m->deliveries++;
        if (d->delivery_count >= 2 && count > m->biggest_suspect_batch)
            m->biggest_suspect_batch = (unsigned)count;
        if (d->delivery_count > m->biggest_count)
            m->biggest_count = d->delivery_count;
        if (m->lives[id] > 0 && !d->redelivered)
            m->redelivered_without_flag = true;
        m->lives[id]++;
        if (id % 5 == 0 && m->lives[id] < 4)
            bus_requeue(m->consumer, d->tag);
        else if (id % 5 == 1 && m->lives[id] < 2)
            continue; /* left unsettled */
        else
            bus_ack(m->consumer, d->tag, false);
    }
}

static PARKS void mixed(struct fixture *x)
{
    struct mixer *m = arena_alloc(fiber_arena(), sizeof(*m));
    publish_numbered(x->bus, "mixed.a", 100);
    m->consumer = bus_consume(
        x->bus, &(struct bus_consumer_config){.queue = "q.mixed", .on_batch = mix, .ctx = m});
    cr_assert(EVENTUALLY(m->deliveries >= 100 + 20 * 3 + 20, 10000));
    cr_assert_eq(bus_consumer_stop(m->consumer, in_ms(5000)), 0);
    cr_assert_eq(m->deliveries, 100 + 20 * 3 + 20);
    cr_assert_eq(m->biggest_count, 3);
    cr_assert_eq(m->biggest_suspect_batch, 1);
    cr_assert_not(m->redelivered_without_flag);
    for (long id = 0; id < 100; id++)
        cr_assert_eq(m->lives[id], id % 5 == 0 ? 4 : id % 5 == 1 ? 2 : 1, "message %ld", id);
    cr_assert_eq(rabbit_admin_depth(x->admin, "q.mixed"), 0);
}

Test(consumer, settle__acked_requeued_and_forgotten_ones_mixed__each_lives_as_often_as_it_must)
{
    fixture_run("mixed", 10, mixed);
}

/* ---- what a message looks like on the other side ---- */

struct keeper {
    struct bus_consumer *consumer;
    unsigned count;
    struct bus_message *kept[8]; /* texts and bodies copied */
};

static void keep(void *ctx, struct bus_message *const *deliveries, size_t count)
{
    struct keeper *k = ctx;
    for (size_t i = 0; i < count && k->count < ARRAY_SIZE(k->kept); i++) {
        struct bus_message *m = MEM_NEW(struct bus_message);
        *m = *deliveries[i];
        m->exchange = mem_strdup(m->exchange);
        m->routing_key = mem_strdup(m->routing_key);
        m->message_id = mem_strdup(m->message_id);
        m->type = mem_strdup(m->type);
        m->correlation_id = mem_strdup(m->correlation_id);
        m->app_id = mem_strdup(m->app_id);
        m->user_id = mem_strdup(m->user_id);
        m->content_type = mem_strdup(m->content_type);
        m->origin_queue = mem_strdup(m->origin_queue);
        for (size_t h = 0; h < m->headers_count; h++) {
            m->headers[h].name = mem_strdup(m->headers[h].name);
            m->headers[h].text = mem_strdup(m->headers[h].text);
        }
        m->body.ptr = mem_strndup(m->body.ptr, m->body.len);
        k->kept[k->count++] = m;
    }
    bus_ack(k->consumer, deliveries[count - 1]->tag, true);
}

static void keeper_free(struct keeper *k)
{
    for (unsigned i = 0; i < k->count; i++) {
        struct bus_message *m = k->kept[i];
        const char *texts[] = {m->exchange, m->routing_key, m->message_id, m->type,
            m->correlation_id, m->app_id, m->user_id, m->content_type, m->origin_queue,
            m->body.ptr};
        for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
            mem_free((void *)(uintptr_t)texts[t]);
        for (size_t h = 0; h < m->headers_count; h++) {
            mem_free((void *)(uintptr_t)m->headers[h].name);
            mem_free((void *)(uintptr_t)m->headers[h].text);
        }
        mem_free(m);
    }
}

static void keeper_start(struct keeper *k, struct bus *b, const char *queue)
{
    k->consumer =
        bus_consume(b, &(struct bus_consumer_config){.queue = queue, .on_batch = keep, .ctx = k});
}

static PARKS void round_trip(struct fixture *x)
{
    static char text[1201];
    struct keeper k = {0};
    memset(text, 'h', sizeof(text) - 1);
    struct bus_message m = {.exchange = "x",
        .routing_key = "trip.a",
        .message_id = "id-1",
        .type = "order.created",
        .correlation_id = "corr",
        .app_id = "souk-order",
        .timestamp_s = 1700000000,
        .body = SPAN("{\"a\":1}")};
    for (int i = 0; i < BUS_HEADERS_LIMIT - 3; i++)
        m.headers[m.headers_count++] = (struct bus_header){.name = "filler", .text = text};
    m.headers[m.headers_count++] = (struct bus_header){.name = "attempt", .value = -7};
    m.headers[m.headers_count++] = (struct bus_header){.name = "x-first-death-queue", .text = "q"};
    m.headers[m.headers_count++] = (struct bus_header){.name = "x-delivery-count", .value = 9};
    cr_assert_eq(publish_one(x->bus, &m, in_ms(5000)), 0);
    keeper_start(&k, x->bus, "q.trip");
    cr_assert(EVENTUALLY(k.count == 1, 5000));
    const struct bus_message *d = k.kept[0];
    cr_assert_str_eq(d->exchange, "x");
    cr_assert_str_eq(d->routing_key, "trip.a");
    cr_assert_str_eq(d->message_id, "id-1");
    cr_assert_str_eq(d->type, "order.created");
    cr_assert_str_eq(d->correlation_id, "corr");
    cr_assert_str_eq(d->app_id, "souk-order");
    cr_assert_str_eq(d->content_type, "application/json");
    cr_assert_str_eq(d->origin_queue, "q.trip");
    cr_assert_not_null(d->user_id);
    cr_assert_eq(d->timestamp_s, 1700000000);
    cr_assert_eq(d->delivery_count, 0);
    cr_assert_not(d->redelivered);
    cr_assert(span_equal(d->body, SPAN("{\"a\":1}")));
    cr_assert_eq(d->headers_count, BUS_HEADERS_LIMIT - 2);
    cr_assert_str_eq(bus_header_get(d, "filler")->text, text);
    cr_assert_null(bus_header_get(d, "attempt")->text);
    cr_assert_eq(bus_header_get(d, "attempt")->value, -7);
    cr_assert_null(bus_header_get(d, "x-first-death-queue"));
    cr_assert_null(bus_header_get(d, "x-delivery-count"));
    cr_assert_eq(bus_consumer_stop(k.consumer, in_ms(5000)), 0);
    keeper_free(&k);
}

Test(consumer, delivery__with_big_headers__carries_everything_but_the_brokers_own)
{
    fixture_run("trip", 10, round_trip);
}

static PARKS void sizes(struct fixture *x)
{
    static const size_t lens[] = {0, 1, 32760, 32761, 65520, BUS_BODY_LIMIT};
    char *body = mem_alloc(BUS_BODY_LIMIT);
    struct keeper k = {0};
    struct bus_message m[ARRAY_SIZE(lens)];
    int results[ARRAY_SIZE(lens)];
    for (size_t i = 0; i < BUS_BODY_LIMIT; i++)
        body[i] = (char)('a' + i * 7 % 26);
    for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
        m[i] = message_to("x", "sizes.a", "1");
        m[i].body = span_make(body, lens[i]);
    }
    cr_assert_eq(bus_publish(x->bus, m, ARRAY_SIZE(lens), results, in_ms(20000)), 0);
    keeper_start(&k, x->bus, "q.sizes");
    cr_assert(EVENTUALLY(k.count == ARRAY_SIZE(lens), 10000));
    for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
        cr_assert_eq(results[i], 0);
        cr_assert_eq(k.kept[i]->body.len, lens[i]);
        cr_assert(span_equal(k.kept[i]->body, m[i].body));
    }
    cr_assert_eq(bus_consumer_stop(k.consumer, in_ms(5000)), 0);
    keeper_free(&k);
    mem_free(body);
}

Test(consumer, delivery__of_any_size_up_to_the_limit__arrives_byte_for_byte)
{
    fixture_run("sizes", 10, sizes);
}

static PARKS void odd_ones(struct fixture *x)
{
    struct keeper k = {0};
    struct bus_message last = message_to("x", "odd.z", "last");
    rabbit_admin_publish_odd(x->admin, "q.odd", 10);
    rabbit_admin_publish_odd(x->admin, "q.odd", BUS_BODY_LIMIT + 1);
    cr_assert(EVENTUALLY(rabbit_admin_depth(x->admin, "q.odd") == 2, 5000));
    cr_assert_eq(publish_one(x->bus, &last, in_ms(5000)), 0);
    keeper_start(&k, x->bus, "q.odd");
    cr_assert(EVENTUALLY(k.count == 2, 10000));
    cr_assert_null(k.kept[0]->message_id);
    cr_assert_eq(k.kept[0]->headers_count, BUS_HEADERS_LIMIT);
    cr_assert_null(bus_header_get(k.kept[0], "deep"));
    cr_assert_eq(bus_header_get(k.kept[0], "h2")->value, 2);
    cr_assert_str_eq(k.kept[1]->message_id, "last");
    cr_assert_eq(bus_consumer_stop(k.consumer, in_ms(5000)), 0);
    cr_assert_eq(rabbit_admin_depth(x->admin, "q.odd"), 0);
    keeper_free(&k);
}

Test(consumer, delivery__with_nested_headers_or_too_big__stops_nothing)
{
    fixture_run("odd", 10, odd_ones);
}

/* ---- pausing, stopping, competing ---- */

static PARKS void pause_resume(struct fixture *x)
{
    struct collector *c = collector_start(x->bus, "q.pause", 10);
    publish_numbered(x->bus, "pause.a", 100);
    cr_assert(EVENTUALLY(c->deliveries == 100, 10000));
    for (int round = 0; round < 3; round++) {
        bus_consumer_pause(c->consumer);
        cr_assert_eq(bus_consumer_stop(c->consumer, in_ms(5000)), 0);
        unsigned before = c->deliveries;
        publish_numbered(x->bus, "pause.a", 100);
        cr_assert(EVENTUALLY(rabbit_admin_depth(x->admin, "q.pause") == 100, 5000));
        cr_assert_eq(c->deliveries, before);
        bus_consumer_resume(c->consumer);
        cr_assert(EVENTUALLY(c->deliveries == before + 100, 10000));
    }
    /* faster than the broker can follow */
    publish_numbered(x->bus, "pause.a", 2000);
    for (int i = 0; i < 20; i++) {
        bus_consumer_pause(c->consumer);
        fiber_yield();
        bus_consumer_resume(c->consumer);
        sleep_ms(i % 4);
    }
    cr_assert(EVENTUALLY(collector_distinct(c) == 2000, 20000));
    cr_assert_eq(bus_consumer_stop(c->consumer, in_ms(5000)), 0);
    cr_assert_eq(rabbit_admin_depth(x->admin, "q.pause"), 0);
    /* One, should the broker's channel crash over it: it did once in a hundred times on a full
     * machine. */
    cr_assert_leq(bus_state(x->bus).reconnects, 1);
}

Test(consumer, pause__holds_nothing__and_resume_goes_on)
{
    fixture_run("pause", 10, pause_resume);
}

struct slow {
    struct bus_consumer *consumer;
    unsigned running, finished, deliveries;
};

static PARKS void handle_slowly(void *ctx, struct bus_message *const *deliveries, size_t count)
{
    struct slow *s = ctx;
    s->running++;
    cr_assert_eq(s->running, 1, "two batches at once");
    sleep_ms(300);
    bus_ack(s->consumer, deliveries[count - 1]->tag, true);
    s->deliveries += (unsigned)count;
    s->running--;
    s->finished++;
}

static PARKS void stop_drains(struct fixture *x)
{
    struct slow s = {0};
    publish_numbered(x->bus, "drain.a", 50);
    s.consumer = bus_consume(
        x->bus, &(struct bus_consumer_config){
                    .queue = "q.drain", .batch_limit = 5, .on_batch = handle_slowly, .ctx = &s});
    cr_assert(EVENTUALLY(s.running == 1, 5000));
    cr_assert_eq(bus_consumer_stop(s.consumer, in_ms(50)), ERR_TIMEOUT);
    cr_assert_eq(bus_consumer_stop(s.consumer, in_ms(5000)), 0);
    cr_assert_eq(s.running, 0);
    cr_assert_eq(s.finished, 1);
    cr_assert(EVENTUALLY(rabbit_admin_depth(x->admin, "q.drain") == 50 - (int)s.deliveries, 5000));
}

Test(consumer, stop__while_a_batch_runs__waits_for_it_and_gives_the_rest_back)
{
    fixture_run("drain", 10, stop_drains);
}

static PARKS void wait_for_latch(void *arg)
{
    struct latch *released = arg;
    (void)latch_wait(released, "release", USEC_NEVER, NULL);
}

static PARKS void no_fiber_left(struct fixture *x)
{
    struct latch released = LATCH_INIT;
    publish_numbered(x->bus, "busy.a", 20);
    while (fiber_spawn(x->loop, "filler", wait_for_latch, &released, NULL) == 0)
        continue;
    struct collector *c = collector_start(x->bus, "q.busy", 10);
    sleep_ms(500);
    cr_assert_eq(c->deliveries, 0);
    latch_set(&released, 0);
    cr_assert(EVENTUALLY(c->deliveries == 20, 5000));
    cr_assert_eq(c->out_of_order, 0);
    cr_assert_eq(bus_consumer_stop(c->consumer, in_ms(5000)), 0);
    cr_assert_eq(bus_state(x->bus).delivered, 20);
    cr_assert_eq(rabbit_admin_depth(x->admin, "q.busy"), 0);
}

Test(consumer, consume__while_no_fiber_can_be_had__tries_the_same_batch_again)
{
    fixture_run("busy", 10, no_fiber_left);
}

static PARKS void compete(struct fixture *x)
{
    struct bus *other = bus_new(
        x->loop, &(struct bus_config){.url = rabbit_server_url(the_server()), .name = "other"});
    struct collector *a = collector_start(x->bus, "q.compete", 20);
    struct collector *b = collector_start(other, "q.compete", 20);
    cr_assert(EVENTUALLY(
        bus_state(x->bus).consume_connected && bus_state(other).consume_connected, 5000));
    sleep_ms(200);
    publish_numbered(x->bus, "compete.a", 2000);
    cr_assert(EVENTUALLY(a->deliveries + b->deliveries >= 2000, 20000));
    cr_assert_eq(bus_consumer_stop(a->consumer, in_ms(5000)), 0);
    cr_assert_eq(bus_consumer_stop(b->consumer, in_ms(5000)), 0);
    bus_free(other);
    for (int i = 0; i < 2000; i++)
        cr_assert_eq(a->seen[i] + b->seen[i], 1);
    cr_assert_gt(a->deliveries, 200);
    cr_assert_gt(b->deliveries, 200);
}

Test(consumer, consume__two_on_one_queue__share_it_and_handle_each_message_once)
{
    fixture_run("compete", 10, compete);
}

/* How long after the one before each batch came. */
#define STAMPS 9
struct stamps {
    struct bus_consumer *consumer;
    unsigned calls;
    int64_t last_us, apart_us[STAMPS + 1];
};

static void stamp(void *ctx, struct bus_message *const *deliveries, size_t count)
{
    struct stamps *s = ctx;
    int64_t now_us = clock_mono_us();
    s->apart_us[s->calls++] = now_us - s->last_us;
    s->last_us = now_us;
    bus_ack(s->consumer, deliveries[count - 1]->tag, true);
}

static int by_length(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The next message is always there already; the median pause. Alone it would be 25 ms. */
static PARKS void sharing(struct fixture *x)
{
    struct stamps s = {0};
    s.consumer =
        bus_consume(x->bus, &(struct bus_consumer_config){
                                .queue = "q.sharing", .sharers = 2, .on_batch = stamp, .ctx = &s});
    for (unsigned i = 0; i <= STAMPS; i++) {
        publish_numbered(x->bus, "sharing.a", 1);
        cr_assert(EVENTUALLY(s.calls == i + 1, 10000));
    }
    cr_assert_eq(bus_consumer_stop(s.consumer, in_ms(5000)), 0);
    qsort(s.apart_us + 1, STAMPS, sizeof(s.apart_us[0]), by_length);
    cr_assert_geq(s.apart_us[1 + STAMPS / 2], 45 * USEC_PER_MS);
}

Test(consumer, consume__one_of_two_on_a_queue__gathers_twice_as_long_as_one_alone)
{
    fixture_run("sharing", 10, sharing);
}

static PARKS void late_queue(struct fixture *x)
{
    rabbit_admin_delete_queue(x->admin, "q.late");
    struct collector *c = collector_start(x->bus, "q.late", 10);
    cr_assert(EVENTUALLY(bus_state(x->bus).last_error_us > 0, 5000));
    rabbit_admin_queue(x->admin, "q.late");
    rabbit_admin_bind(x->admin, "q.late", "x", "late.#");
    publish_numbered(x->bus, "late.a", 10);
    cr_assert(EVENTUALLY(c->deliveries == 10, 15000));
    uint64_t reconnects = bus_state(x->bus).reconnects;
    rabbit_admin_delete_queue(x->admin, "q.late");
    cr_assert(EVENTUALLY(bus_state(x->bus).reconnects > reconnects, 5000));
    rabbit_admin_queue(x->admin, "q.late");
    rabbit_admin_bind(x->admin, "q.late", "x", "late.#");
    publish_numbered(x->bus, "late.a", 10);
    cr_assert(EVENTUALLY(c->deliveries == 20, 15000));
    cr_assert_eq(bus_consumer_stop(c->consumer, in_ms(5000)), 0);
}

Test(consumer, consume__a_queue_that_comes_late_or_is_made_anew__finds_it)
{
    fixture_run("late", 10, late_queue);
}
