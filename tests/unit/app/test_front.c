#include "common/app/front.h"

#include <stdlib.h>

#include "rig.h"
#include "support/metrics_hold.h"

#define THING "/things/" OTHER_ID

static struct seen look_from(const char *address)
{
    return ask(HTTP_GET, THING, NULL, "X-Correlation-ID: mine",
        arena_printf(fiber_arena(), "X-Forwarded-For: %s", address), NULL);
}

static void clients_are_counted(void)
{
    for (int i = 0; i < 3; i++)
        cr_assert_eq(look_from("203.0.113.7").status, 200);
    struct seen s = look_from("203.0.113.7");
    assert_problem(s, 429, "too_many_requests");
    cr_assert_str_eq(header_of(&s, "X-Correlation-ID"), "mine");
    cr_assert_str_eq(header_of(&s, "RateLimit-Policy"), "\"requests\";q=3;w=180");
    cr_assert_str_eq(header_of(&s, "RateLimit"), "\"requests\";r=0;t=180");
    cr_assert_str_eq(header_of(&s, "Access-Control-Allow-Origin"), "*");
    int64_t wait_s;
    cr_assert(span_to_i64(span_of(header_of(&s, "Retry-After")), &wait_s));
    cr_assert(wait_s > 50 && wait_s <= 60, "%lld", (long long)wait_s);

    cr_assert_eq(look_from("203.0.113.8").status, 200, "somebody else");
    cr_assert_eq(ask(HTTP_GET, "/livez", NULL, "X-Forwarded-For: 203.0.113.7", NULL).status, 200);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(look_from("2001:db8::1").status, 200);
    cr_assert_eq(look_from("2001:db8::2").status, 429, "a /64 is one client");
    cr_assert_eq(look_from("2001:db8:0:1::2").status, 200);
    cr_assert_eq(look_from("::ffff:203.0.113.7").status, 429, "the same in another dress");
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(look_from("127.0.0.1").status, 200);
        cr_assert_eq(look_from("::1").status, 200);
        cr_assert_eq(ask(HTTP_GET, THING, NULL, NULL).status, 200);
    }
    for (int i = 0; i < 3; i++)
        cr_assert_eq(look_from("unknown").status, 200);
    cr_assert_eq(look_from("_hidden").status, 429, "no address is one client, too");
    cr_assert(metrics_hold("souk_admission_requests_total{class=\"any\",verdict=\"limited\"} 4\n"));
}
Test(front, an_address_that_asks_too_often__is_told_to_wait)
{
    setenv("CLIENT_BURST", "3", 1);
    setenv("CLIENT_PER_MINUTE", "1", 1);
    rig_run(clients_are_counted);
}

static bool go_home;

static char one[] = "k1", two[] = "k2";

static void wait_inside(void *key)
{
    ask_and_leave("/things", "{\"name\":\"x\",\"how\":\"wait\"}", key, &go_home);
}

static void a_full_shop_refuses(void)
{
    cr_assert_eq(fiber_spawn(app()->loop, "one", wait_inside, one, NULL), 0);
    cr_assert_eq(fiber_spawn(app()->loop, "two", wait_inside, two, NULL), 0);
    cr_assert(EVENTUALLY(makes == 2, 5000));
    struct seen s = ask(HTTP_POST, "/things", "this is never read", NULL);
    assert_problem(s, 503, "overloaded");
    cr_assert_str_eq(header_of(&s, "Retry-After"), "2");
    s = ask(HTTP_GET, THING, NULL, NULL);
    assert_problem(s, 503, "overloaded");
    cr_assert_str_eq(header_of(&s, "Retry-After"), "3");
    s = ask(HTTP_HEAD, THING, NULL, NULL);
    cr_assert_eq(s.status, 503);
    cr_assert_str_eq(s.body, "");
    cr_assert_eq(makes, 2);
    cr_assert_eq(ask(HTTP_GET, "/livez", NULL, NULL).status, 200);
    cr_assert_str_eq(front_tells(), "200");
    cr_assert(metrics_hold("souk_admission_overloaded 1\n"));
    cr_assert(metrics_hold("souk_admission_requests_total{class=\"browse\",verdict=\"shed\"} 2\n"));

    go_home = true;
    cr_assert(EVENTUALLY(metrics_hold("souk_admission_in_flight 0\n"), 5000),
        "who leaves half-way is gone");
    cr_assert_eq(ask(HTTP_GET, THING, NULL, NULL).status, 200);
}
Test(front, more_than_there_is_room_for__is_refused_unread_and_told_when_to_come)
{
    setenv("ADMISSION_LIMIT_MIN", "1", 1);
    setenv("ADMISSION_LIMIT_MAX", "1", 1);
    rig_run(a_full_shop_refuses);
}

static void callers_are_believed(void)
{
    front_told(SPAN("80"));
    cr_assert_eq(ask(HTTP_GET, THING, NULL, NULL).status, 503);
    cr_assert_eq(ask(HTTP_POST, "/things", "{}", NULL).status, 401);
    (void)fiber_sleep(300 * USEC_PER_MS); /* so long it counts */
    cr_assert_eq(ask(HTTP_GET, THING, NULL, NULL).status, 200);
    front_told(SPAN("-1"));
    front_told(SPAN("99999999999"));
    front_told(SPAN("a lot"));
    front_told((struct span){NULL, 0});
    cr_assert_eq(ask(HTTP_GET, THING, NULL, NULL).status, 200);
    cr_assert_null(front_tells());
}
Test(front, a_caller_that_is_crowded__has_lesser_requests_refused_here)
{
    rig_run(callers_are_believed);
}

Test(front, class__follows_from_path_and_method_unless_said)
{
    const struct route row = {.method = HTTP_GET, .path = "/internal/v1/x"};
    cr_assert_eq(front_class(&row), ADMIT_VITAL);
    cr_assert_eq(front_class(&(struct route){.method = HTTP_GET, .path = "/x"}), ADMIT_BROWSE);
    cr_assert_eq(front_class(&(struct route){.method = HTTP_PUT, .path = "/x"}), ADMIT_CART);
    cr_assert_eq(
        front_class(&(struct route){.method = HTTP_GET, .path = "/x", .class = CLASS_CHECKOUT}),
        ADMIT_CHECKOUT);
    cr_assert_eq(front_class(NULL), ADMIT_BROWSE);
}
