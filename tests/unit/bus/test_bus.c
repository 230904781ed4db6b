#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "fixture.h"

static PARKS void ten_thousand(struct fixture *x)
{
    publish_numbered(x->bus, "window.a", 10000);
    struct bus_state s = bus_state(x->bus);
    cr_assert_eq(s.confirmed, 10000);
    cr_assert_eq(s.published, 10000);
    cr_assert(s.publish_connected);
    cr_assert(EVENTUALLY(rabbit_admin_depth(x->admin, "q.window") == 10000, 5000));
}

Test(bus, publish__ten_thousand_messages__the_window_slides_and_all_are_confirmed)
{
    fixture_run("window", 10, ten_thousand);
}

static PARKS void unroutable(struct fixture *x)
{
    struct bus_message m[] = {message_to("x", "ret.a", "1"), message_to("x", "nowhere", "2"),
        message_to("x", "ret.b", "3"), message_to("x", "nowhere", "4"),
        message_to("", "q.ret", "5")};
    int results[5];
    cr_assert_eq(bus_publish(x->bus, m, 5, results, in_ms(10000)), 0);
    cr_assert_eq(results[0], 0);
    cr_assert_eq(results[1], BUS_RETURNED);
    cr_assert_eq(results[2], 0);
    cr_assert_eq(results[3], BUS_RETURNED);
    cr_assert_eq(results[4], 0);
    cr_assert_eq(bus_state(x->bus).returned, 2);
    cr_assert_eq(bus_state(x->bus).confirmed, 3);
    cr_assert_eq(rabbit_admin_depth(x->admin, "q.ret"), 3);
}

Test(bus, publish__without_a_route__is_returned_although_it_is_confirmed)
{
    fixture_run("ret", 10, unroutable);
}

static PARKS void forbidden_alone(struct fixture *x)
{
    rabbit_admin_exchange(x->admin, "x.internal", "topic", true);
    struct bus_message bad = message_to("x.internal", "a", "1");
    struct bus_message good = message_to("x", "forbidden.a", "2");
    cr_assert_eq(publish_one(x->bus, &bad, in_ms(10000)), ERR_PROTOCOL);
    cr_assert_eq(publish_one(x->bus, &good, in_ms(10000)), 0);
    struct bus_message missing = message_to("x.nobody.made", "a", "3");
    cr_assert_eq(publish_one(x->bus, &missing, in_ms(10000)), ERR_PROTOCOL);
    cr_assert_eq(publish_one(x->bus, &good, in_ms(10000)), 0);
    cr_assert_eq(bus_state(x->bus).reconnects, 2);
    cr_assert_neq(bus_state(x->bus).last_error_us, 0);
}

Test(bus, publish__that_the_broker_forbids__fails_alone_and_the_next_one_passes)
{
    fixture_run("forbidden", 10, forbidden_alone);
}

static PARKS void forbidden_among_others(struct fixture *x)
{
    rabbit_admin_exchange(x->admin, "x.internal", "topic", true);
    struct bus_message m[] = {message_to("x", "among.a", "1"),
        message_to("x.internal", "among.a", "2"), message_to("x", "among.a", "3")};
    int results[3];
    bool found = false;
    for (int round = 0; round < 3 && !found; round++) {
        cr_assert_lt(bus_publish(x->bus, m, 3, results, in_ms(10000)), 0);
        found = results[1] == ERR_PROTOCOL;
    }
    cr_assert(found);
    cr_assert_eq(results[0], 0);
    cr_assert_eq(results[2], 0);
}

Test(bus, publish__with_a_forbidden_one_among_others__publishing_again_names_the_offender)
{
    fixture_run("among", 10, forbidden_among_others);
}

static PARKS void refused_here(struct fixture *x)
{
    static char big[BUS_BODY_LIMIT + 1];
    struct bus_message m[] = {message_to("x", "here.a", "1"), message_to("x", "here.a", "2"),
        message_to("x", "here.a", "3")};
    m[0].body = span_make(big, sizeof(big));
    m[1].headers[m[1].headers_count++] = (struct bus_header){.name = "long", .text = big};
    memset(big, 'x', BUS_BODY_LIMIT);
    int results[3];
    cr_assert_eq(bus_publish(x->bus, m, 3, results, in_ms(10000)), -EMSGSIZE);
    cr_assert_eq(results[0], -EMSGSIZE);
    cr_assert_eq(results[1], ERR_INVALID);
    cr_assert_eq(results[2], 0);
    cr_assert_eq(bus_publish(x->bus, NULL, 0, NULL, in_ms(0)), 0);
}

Test(bus, publish__with_one_too_big__the_others_pass)
{
    fixture_run("here", 10, refused_here);
}

static PARKS void publisher_fiber(void *arg)
{
    struct fixture *x = arg;
    publish_numbered(x->bus, "many.a", 20);
}

static PARKS void many_fibers(struct fixture *x)
{
    struct fiber *fibers[50];
    for (int i = 0; i < 50; i++)
        cr_assert_eq(fiber_spawn(x->loop, "publisher", publisher_fiber, x, &fibers[i]), 0);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(fiber_join(fibers[i], in_ms(30000)), 0);
    cr_assert_eq(bus_state(x->bus).confirmed, 1000);
}

Test(bus, publish__from_fifty_fibers__each_gets_its_own_results)
{
    fixture_run("many", 10, many_fibers);
}

struct victim {
    struct bus *bus;
    int result, returned;
};

static PARKS void victim_fiber(void *arg)
{
    struct victim *v = arg;
    struct bus_message m = message_to("x", "cancel.a", "1");
    v->returned = bus_publish(v->bus, &m, 1, &v->result, USEC_NEVER);
}

static PARKS void cancelled(struct fixture *x)
{
    struct bus *nowhere = bus_new(x->loop, &(struct bus_config){.url = "amqp://a:b@127.0.0.1:1/"});
    struct victim v = {.bus = nowhere};
    struct fiber *f;
    cr_assert_eq(fiber_spawn(x->loop, "victim", victim_fiber, &v, &f), 0);
    sleep_ms(50);
    fiber_cancel(f);
    cr_assert_eq(fiber_join(f, in_ms(5000)), 0);
    cr_assert_eq(v.returned, ERR_CANCELED);
    cr_assert_eq(v.result, ERR_CANCELED);
    cr_assert_not(bus_state(nowhere).publish_connected);
    bus_free(nowhere);
    cr_assert_null(bus_new(x->loop, &(struct bus_config){.url = "http://no/"}));
}

Test(bus, publish__cancelled_while_there_is_no_broker__returns_at_once)
{
    fixture_run("cancel", 10, cancelled);
}

static PARKS void wrong_password(struct fixture *x)
{
    char url[256];
    const char *at = strrchr(rabbit_server_url(the_server()), '@');
    snprintf(url, sizeof(url), "amqp://guest:wrong%s", at);
    struct bus *b = bus_new(x->loop, &(struct bus_config){.url = url, .name = "wrong"});
    struct bus_message m = message_to("x", "wrong.a", "1");
    cr_assert_eq(publish_one(b, &m, in_ms(500)), ERR_TIMEOUT);
    cr_assert(EVENTUALLY(bus_state(b).last_error_us > 0, 5000));
    int64_t before = clock_mono_us();
    bus_free(b);
    cr_assert_lt(clock_mono_us() - before, 2 * USEC_PER_SEC);
}

Test(bus, publish__with_a_wrong_password__times_out_and_the_bus_still_ends_soon)
{
    fixture_run("wrong", 10, wrong_password);
}
