#include <criterion/criterion.h>
#include <stdlib.h>

#include "ctl/services.h"
#include "ctl/topology.h"
#include "unit/ctl/definitions_path.h"

static struct arena *test_arena(void)
{
    static struct arena *arena; /* goes with the test's process */
    return arena ? arena : (arena = arena_new());
}

Test(topology, topic_matches__words__by_rabbitmqs_rule)
{
    static const struct {
        const char *pattern, *key;
        bool matches;
    } cases[] = {
        {"order.created", "order.created", true},
        {"order.created", "order.creates", false},
        {"order.created", "order", false},
        {"order", "order.created", false},
        {"order.*", "order.created", true},
        {"order.*", "order", false},
        {"order.*", "order.", true},
        {"order.*", "order.created.late", false},
        {"*", "order", true},
        {"*", "", false},
        {"*.*", "order.created", true},
        {"*.created", "order.created", true},
        {"order*", "orders", false},
        {"#", "", true},
        {"#", "a.b.c", true},
        {"user.#", "user", true},
        {"user.#", "user.password.reset", true},
        {"user.#", "users.password", false},
        {"#.created", "created", true},
        {"#.created", "order.created", true},
        {"#.created", "order.created.late", false},
        {"a.#.z", "a.z", true},
        {"a.#.z", "a.b.z.c.z", true},
        {"a.#.z", "a.b.z.c", false},
        {"#.b.#", "a.b.c", true},
        {"#.b.#", "a.c", false},
        {"#.#", "", true},
        {"#.*", "", false},
        {"#.*", "a", true},
        {"*.#.*", "a", false},
        {"*.#.*", "a.b.c", true},
        {"", "", true},
        {"", "a", false},
        {"a..b", "a..b", true},
        {"a.*.b", "a..b", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        cr_assert_eq(topic_matches(cases[i].pattern, cases[i].key), cases[i].matches, "%s, %s",
            cases[i].pattern, cases[i].key);
}

Test(topology, topic_matches__many_hashes__ends_soon)
{
    cr_assert_not(topic_matches("#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.a.#.b",
        "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a"));
}

static struct topology read_text(const char *text)
{
    struct topology t = {0};
    const char *wrong = topology_read(test_arena(), span_of(text), &t);
    cr_assert_null(wrong, "%s", wrong);
    return t;
}

#define EXCHANGE(name, type) "{\"vhost\":\"/\",\"name\":\"" name "\",\"type\":\"" type "\"}"
#define BINDING(from, kind, to, key)                                                               \
    "{\"vhost\":\"/\",\"source\":\"" from "\",\"destination\":\"" to                               \
    "\",\"destination_type\":\"" kind "\",\"routing_key\":\"" key "\"}"

static const char small[] = "{\"exchanges\":[" EXCHANGE("order-events", "topic") "," EXCHANGE(
    "far", "fanout") "," EXCHANGE("near", "direct") "],\"bindings\":[" BINDING("order-events",
    "queue", "order-queue", "payment.*") "," BINDING("order-events", "queue", "order-queue",
    "payment.#") "," BINDING("order-events", "queue", "order-events.audit",
    "#") "," BINDING("order-events", "exchange", "far", "user.#") "," BINDING("far", "queue",
    "cart-queue", "whatever") "," BINDING("near", "queue", "cart-queue", "x") "," BINDING("far",
    "exchange", "order-events", "") "]}";

Test(topology, queues_for__two_bindings_to_one_queue__once)
{
    struct topology t = read_text(small);
    const struct queue_row *const *q = topology_queues_for(test_arena(), &t, "payment.completed");
    cr_assert_eq(q[0], queue_find("order-queue"));
    cr_assert_null(q[1]);
}

Test(topology, queues_for__nobody_asked__the_audit_stream_does_not_count)
{
    struct topology t = read_text(small);
    cr_assert_null(topology_queues_for(test_arena(), &t, "product.updated")[0]);
    cr_assert(topology_reaches(&t, "order-events", "product.updated", "order-events.audit"));
}

Test(topology, reaches__by_another_exchange__even_in_a_circle)
{
    struct topology t = read_text(small);
    cr_assert(topology_reaches(&t, "order-events", "user.registered", "cart-queue"));
    cr_assert_not(topology_reaches(&t, "order-events", "user.registered", "sofa-queue"));
    cr_assert(topology_reaches(&t, "near", "x", "cart-queue"));
    cr_assert_not(topology_reaches(&t, "near", "y", "cart-queue"));
}

Test(topology, read__a_bad_document__is_named)
{
    struct topology t;
    cr_assert_not_null(topology_read(test_arena(), SPAN("no"), &t));
    cr_assert_str_eq(topology_read(test_arena(), SPAN("{\"queues\":[{\"vhost\":\"/\"}]}"), &t),
        "/queues/0/name: is required");
}

Test(topology, read__arguments__in_one_form)
{
    struct topology t = read_text("{\"queues\":[{\"vhost\":\"/\",\"name\":\"a\",\"arguments\":"
                                  "{\"x-b\": 1, \"x-a\":2}},{\"vhost\":\"/\",\"name\":\"b\"}]}");
    cr_assert(span_equal(
        LIST_AT(t.queues, struct topology_queue, 0)->arguments, SPAN("{\"x-a\":2,\"x-b\":1}")));
    cr_assert(span_equal(LIST_AT(t.queues, struct topology_queue, 1)->arguments, SPAN("{}")));
}

Test(topology, load__the_trees_own_file__has_six_consumers)
{
    struct topology t;
    setenv("SOUK_DEFINITIONS", DEFINITIONS_PATH, 1);
    cr_assert_eq(topology_load(test_arena(), &t), 0);
    cr_assert_eq(
        topology_queues_for(test_arena(), &t, "order.created")[3], queue_find("ai-events-queue"));
    for (size_t i = 0; i < queue_rows_count; i++)
        cr_assert(topology_reaches(
            &t, "order-events.dlx", queue_rows[i].dead_letters, queue_rows[i].dead_letters));
}

Test(topology, consumers__a_wildcard_without_a_row__is_not_handled)
{
    struct topology t = read_text(small);
    struct service_tables order;
    cr_assert_null(service_read(test_arena(),
        SPAN(
            "{\"service\":\"order\",\"queue\":\"order-queue\",\"consumes\":[\"payment.completed\"],"
            "\"publishes\":[{\"type\":\"order.created\",\"version\":\"1.0\"}],\"routes\":[]}"),
        &order));
    cr_assert_str_eq(LIST_AT(order.publishes, struct service_published, 0)->type, "order.created");
    struct services s = {&order, 1};
    const struct topology_consumer *c =
        topology_consumers(test_arena(), &t, &s, "payment.completed");
    cr_assert_eq(c[0].queue, queue_find("order"));
    cr_assert(c[0].handles);
    cr_assert_null(c[1].queue);
    cr_assert_not(topology_consumers(test_arena(), &t, &s, "payment.authorized")[0].handles);
}
