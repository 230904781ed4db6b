#include <criterion/criterion.h>

#include "ctl/deviation.h"

static struct arena *test_arena(void)
{
    static struct arena *arena; /* goes with the test's process */
    return arena ? arena : (arena = arena_new());
}

static struct topology topology_of(const char *text)
{
    struct topology t = {0};
    const char *wrong = topology_read(test_arena(), span_of(text), &t);
    cr_assert_null(wrong, "%s", wrong);
    return t;
}

/* All sentences, one a line. */
static const char *lines_of(const struct deviations *list)
{
    const char *all = "";
    for (size_t i = 0; i < list->count; i++)
        all = arena_printf(test_arena(), "%s%s\n", all, deviation_text(test_arena(), &list->at[i]));
    return all;
}

static struct deviations diff(const char *want, const char *live, bool topology_only)
{
    struct topology w = topology_of(want), l = topology_of(live);
    struct deviations list = {0};
    topology_diff(test_arena(), &w, &l, topology_only, &list);
    return list;
}

#define QUEUE(name, arguments)                                                                     \
    "{\"vhost\":\"/\",\"name\":\"" name "\",\"durable\":true,\"arguments\":" arguments "}"
#define BINDING(to, key)                                                                           \
    "{\"vhost\":\"/\",\"source\":\"order-events\",\"destination\":\"" to                           \
    "\",\"destination_type\":\"queue\",\"routing_key\":\"" key "\",\"arguments\":{}}"
#define POLICY(name, definition)                                                                   \
    "{\"vhost\":\"/\",\"name\":\"" name                                                            \
    "\",\"pattern\":\"^a$\",\"apply-to\":\"queues\",\"priority\":0,\"definition\":" definition "}"
#define PERMISSION(user, read)                                                                     \
    "{\"user\":\"" user                                                                            \
    "\",\"vhost\":\"/\",\"configure\":\"^$\",\"write\":\"^$\",\"read\":\"" read "\"}"

Test(deviation, diff__the_same_in_another_order__is_nothing)
{
    struct deviations d = diff(
        "{\"queues\":[" QUEUE("a", "{\"x\":1,\"y\":[2]}") "," QUEUE("b", "{}") "]}",
        "{\"queues\":[" QUEUE("b", "{}") "," QUEUE("a", "{ \"y\": [2], \"x\": 1 }") "]}", false);
    cr_assert_eq(d.count, 0, "%s", lines_of(&d));
}

Test(deviation, diff__missing_extra_and_different__each_is_named)
{
    struct deviations d = diff(
        "{\"queues\":[" QUEUE("a", "{\"x\":1}") "," QUEUE("b", "{}") "],\"bindings\":[" BINDING(
            "a", "k.*") "],\"policies\":[" POLICY("p",
            "{\"m\":1}") "],\"permissions\":[" PERMISSION("u", "^a$") "]}",
        "{\"queues\":[" QUEUE("a", "{\"x\":2}") "," QUEUE("c", "{}") "],\"bindings\":[" BINDING("a",
            "k.#") "],\"policies\":[" POLICY("p", "{\"m\":2}") "],\"permissions\":[" PERMISSION("u",
            "") "],\"parameters\":[{\"vhost\":\"/\",\"component\":\"operator_policy\",\"name\":"
                "\"o\"},{\"vhost\":\"/\",\"component\":\"shovel\",\"name\":\"s\"}]}",
        false);
    cr_assert_str_eq(lines_of(&d),
        "differs: queue a: arguments is {\"x\":2}, should be {\"x\":1}\n"
        "missing: queue b\n"
        "extra: queue c\n"
        "extra: binding order-events -> a (k.#)\n"
        "missing: binding order-events -> a (k.*)\n"
        "differs: policy p: definition is {\"m\":2}, should be {\"m\":1}\n"
        "extra: operator policy o\n"
        "differs: permission of u: read is \"\", should be \"^a$\"\n");
    cr_assert_eq(deviations_wrong(&d), 8);
}

Test(deviation, diff__a_shared_broker__extras_and_users_do_not_count)
{
    struct deviations d =
        diff("{\"queues\":[" QUEUE("a", "{}") "],\"permissions\":[" PERMISSION("u", "^a$") "]}",
            "{\"queues\":[" QUEUE("z", "{}") "],\"permissions\":[]}", true);
    cr_assert_str_eq(lines_of(&d), "missing: queue a\n");
}

Test(deviation, diff__an_empty_broker__misses_everything)
{
    struct deviations d = diff("{\"users\":[{\"name\":\"u\",\"tags\":[]}],\"vhosts\":[{\"name\":"
                               "\"/\"}],\"exchanges\":[{\"vhost\":\"v\",\"name\":\"e\",\"type\":"
                               "\"topic\"}]}",
        "{}", false);
    cr_assert_str_eq(lines_of(&d), "missing: vhost /\nmissing: exchange e in v\nmissing: user u\n");
}

/* ---- the document against the services ---- */

#define SMALL(bindings, read)                                                                      \
    "{\"exchanges\":[{\"vhost\":\"/\",\"name\":\"order-events\",\"type\":\"topic\"},{\"vhost\":"   \
    "\"/\",\"name\":\"order-events.return\",\"type\":\"topic\"},{\"vhost\":\"/\",\"name\":"        \
    "\"order-events.dlx\",\"type\":\"topic\"}],\"queues\":[" QUEUE("cart-queue", "{}") "," QUEUE(  \
        "cart-queue.dlq",                                                                          \
        "{}") "],\"bindings\":[" bindings                                                          \
              "{\"vhost\":\"/\",\"source\":\"order-events.return\",\"destination\":\"cart-queue\"" \
              ",\"destination_type\":\"queue\",\"routing_key\":\"cart-queue.*\"},{\"vhost\":\"/\"" \
              ",\"source\":\"order-events.dlx\",\"destination\":\"cart-queue.dlq\","               \
              "\"destination_type\":\"queue\",\"routing_key\":\"cart-queue.dlq\"}],"               \
              "\"permissions\":[{\"user\":\"cart\",\"vhost\":\"/\",\"configure\":\"^$\","          \
              "\"write\":\"^order-events(\\\\.(retry|dlx))?$\",\"read\":\"" read                   \
              "\"}],\"topic_permissions\":[" TOPIC("", "cart\\\\.") "," TOPIC(                     \
                  ".retry", "cart-queue\\\\.") "," TOPIC(".dlx", "cart-queue\\\\.") "]}"
#define TOPIC(exchange, write)                                                                     \
    "{\"user\":\"cart\",\"vhost\":\"/\",\"exchange\":\"order-events" exchange                      \
    "\",\"write\":\"^" write "\",\"read\":\"^$\"}"

static const char *fits(const char *document, const char *service)
{
    struct topology t = topology_of(document);
    struct service_tables tables;
    struct services s = {&tables, 1};
    struct deviations list = {0};
    cr_assert_null(service_read(test_arena(), span_of(service), &tables));
    topology_fits(test_arena(), &t, &s, &list);
    return lines_of(&list);
}

#define CART(consumes, publishes)                                                                  \
    "{\"service\":\"cart\",\"queue\":\"cart-queue\",\"consumes\":[" consumes                       \
    "],\"publishes\":[" publishes "]}"
#define GOOD SMALL(BINDING("cart-queue", "user.*") ",", "^cart-queue$")

Test(deviation, fits__what_is_consumed_is_bound__nothing_to_say)
{
    cr_assert_str_eq(fits(GOOD, CART("\"user.registered\"", "")), "");
}

Test(deviation, fits__consumed_and_not_bound__is_named)
{
    cr_assert_str_eq(fits(GOOD, CART("\"user.registered\",\"order.completed\"", "")),
        "unfit: service cart: consumes order.completed, but cart-queue is not bound to it\n");
}

Test(deviation, fits__bound_and_not_consumed__is_idle)
{
    const char *document = SMALL(
        BINDING("cart-queue", "user.*") "," BINDING("cart-queue", "product.*") ",", "^cart-queue$");
    cr_assert_str_eq(fits(document, CART("\"user.registered\"", "")),
        "idle: binding order-events -> cart-queue (product.*): cart handles nothing of it\n");
}

Test(deviation, fits__a_queue_of_nobody__is_named)
{
    const char *document =
        SMALL(BINDING("cart-queue", "user.*") "," BINDING("cart-queue.dlq", "user.*") ",",
            "^cart-queue$");
    cr_assert_str_eq(fits(document, CART("\"user.registered\"", "")),
        "unfit: binding order-events -> cart-queue.dlq (user.*): no service consumes this queue: "
        "it only grows\n");
}

Test(deviation, fits__published_into_nothing__is_named)
{
    cr_assert_str_eq(fits(GOOD, CART("\"user.registered\"", "{\"type\":\"cart.left\"}")),
        "unfit: service cart: publishes cart.left, which gets into no queue\n");
}

Test(deviation, fits__rights_that_are_missing__are_named)
{
    cr_assert_str_eq(fits(GOOD, CART("\"user.registered\"", "{\"type\":\"user.renamed\"}")),
        "unfit: service cart: may not publish user.renamed to order-events\n");
    cr_assert_str_eq(fits(SMALL(BINDING("cart-queue", "user.*") ",", "^order-queue$"),
                         CART("\"user.registered\"", "")),
        "unfit: service cart: may not read cart-queue\n");
}
