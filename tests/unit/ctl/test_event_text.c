#include <criterion/criterion.h>

#include "ctl/event_text.h"

static struct arena *test_arena(void)
{
    static struct arena *arena; /* goes with the test's process */
    return arena ? arena : (arena = arena_new());
}

#define HEAD                                                                                       \
    "{\"eventId\":\"01900000-0000-7000-8000-000000000001\",\"aggregateId\":\"o-1\","               \
    "\"correlationId\":\"c-1\",\"timestamp\":\"2026-01-02T03:04:05Z\","
#define PAYLOAD                                                                                    \
    "\"payload\":{\"userId\":\"01900000-0000-7000-8000-000000000002\",\"email\":\"a@b.example\"}}"
#define GOOD HEAD "\"type\":\"user.registered\",\"eventVersion\":\"1.0\"," PAYLOAD

static const char *problem(const char *text)
{
    return event_problem(test_arena(), span_of(text));
}

Test(event_text, problem__a_sound_event__is_none)
{
    cr_assert_null(problem(GOOD));
    cr_assert_null(problem(HEAD "\"type\":\"user.registered\",\"eventVersion\":\"1.7\"," PAYLOAD));
}

Test(event_text, problem__what_consumers_refuse__is_named)
{
    cr_assert_not_null(problem("not { json"));
    cr_assert_not_null(problem(GOOD "x"));
    cr_assert(strstr(problem(HEAD "\"type\":\"user.abducted\",\"eventVersion\":\"1.0\"," PAYLOAD),
        "/type: no event"));
    cr_assert(strstr(problem(HEAD "\"type\":\"user.registered\",\"eventVersion\":\"2.0\"," PAYLOAD),
        "/eventVersion"));
    cr_assert(strstr(problem(HEAD "\"type\":\"user.registered\",\"eventVersion\":\"10\"," PAYLOAD),
        "/eventVersion"));
    cr_assert(strstr(
        problem(HEAD "\"type\":\"user.registered\",\"eventVersion\":\"1.0\",\"payload\":{}}"),
        "/payload/userId"));
}

static const char *changed(const char *before, const char *after)
{
    struct arena *a = test_arena();
    struct event_identity old = event_identity(a, span_of(before)),
                          new = event_identity(a, span_of(after));
    return identity_changed(&old, &new);
}

Test(event_text, identity__each_member__is_locked)
{
    cr_assert_null(changed(GOOD, GOOD));
    cr_assert_str_eq(changed(GOOD, "{}"), "eventId");
    cr_assert_str_eq(changed("{\"type\":\"a\"}", "{\"type\":\"b\"}"), "type");
    cr_assert_str_eq(changed("{\"aggregateId\":\"a\"}", "{\"aggregateId\":\"b\"}"), "aggregateId");
    cr_assert_str_eq(changed("{\"correlationId\":\"a\"}", "{}"), "correlationId");
}

Test(event_text, identity__a_broken_member__does_not_hide_the_others)
{
    cr_assert_str_eq(changed("{\"eventId\":7,\"type\":\"a\"}", "{\"type\":\"b\"}"), "type");
    cr_assert_null(changed("{\"eventId\":7}", GOOD));
    cr_assert_null(changed("not json", GOOD));
}
