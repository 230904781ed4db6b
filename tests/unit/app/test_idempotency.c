#include "common/app/idempotency.h"

#include "rig.h"

#define KEY   "Idempotency-Key: k-1"
#define MADE  "{\"name\":\"a\"}"
#define COUNT "SELECT count(*) FROM idempotency_keys"

static void replays(void)
{
    const char *me = bearer(USER_ID, ROLE_USER);
    static const char *const bodies[] = {MADE, "{\"name\":\"b\",\"how\":\"apart\"}",
        "{\"name\":\"c\",\"how\":\"silent\"}", "{\"name\":\"a\",\"how\":\"apart\"}"};
    static const int statuses[] = {201, 201, 204, 409};
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        const char *key = arena_printf(fiber_arena(), "Idempotency-Key: \"k-%zu\"", i);
        const char *bare = arena_printf(fiber_arena(), "Idempotency-Key: k-%zu", i);
        struct seen first = ask(HTTP_POST, "/things", bodies[i], me, key, NULL);
        cr_assert_eq(first.status, statuses[i], "%s", first.body);
        cr_assert_null(header_of(&first, "Idempotent-Replayed"));
        struct seen again = ask(HTTP_POST, "/things", bodies[i], me, bare, NULL);
        cr_assert_eq(again.status, first.status);
        cr_assert_str_eq(again.body, first.body);
        cr_assert_str_eq(header_of(&again, "Idempotent-Replayed"), "true");
        const char *etag = header_of(&first, "ETag"), *etag_again = header_of(&again, "ETag");
        cr_assert(etag ? etag_again && strcmp(etag, etag_again) == 0 : !etag_again, "%zu", i);
        if (i == 0) {
            cr_assert_str_eq(header_of(&again, "Location"), "/things/a");
            cr_assert_str_eq(etag_again, "\"1\"");
        }
        if (i >= 2)
            cr_assert_null(header_of(&again, "Location"));
        if (i == 3)
            cr_assert_str_eq(header_of(&again, "Content-Type"), "application/problem+json");
    }
    cr_assert_eq(makes, 4);
}
Test(idempotency, a_repeat__gets_the_first_answer)
{
    rig_run(replays);
}

static void failed_commit(void)
{
    const char *me = bearer(USER_ID, ROLE_USER);
    cr_assert_eq(ask(HTTP_POST, "/things", MADE, me, NULL).status, 201);
    assert_problem(ask(HTTP_POST, "/things", MADE, me, KEY, NULL), 409, "conflict");
    struct seen s = ask(HTTP_POST, "/things", MADE, me, KEY, NULL);
    cr_assert_eq(s.status, 409);
    cr_assert(strstr(s.body, "\"conflict\""));
    cr_assert_str_eq(header_of(&s, "Idempotent-Replayed"), "true");
    cr_assert_eq(makes, 2);
}
Test(idempotency, an_answer_stored_in_a_transaction_that_failed__is_not_the_answer)
{
    rig_run(failed_commit);
}

static void not_kept(void)
{
    const char *me = bearer(USER_ID, ROLE_USER);
    static const char *const hows[] = {"broken", "busy", "picky", "unlisted"};
    for (size_t i = 0; i < ARRAY_SIZE(hows); i++) {
        const char *body = arena_printf(fiber_arena(), "{\"name\":\"a\",\"how\":\"%s\"}", hows[i]);
        for (int n = 0; n < 2; n++) {
            struct seen s = ask(HTTP_POST, "/things", body, me, KEY, NULL);
            cr_assert_null(header_of(&s, "Idempotent-Replayed"));
        }
    }
    cr_assert_eq(makes, 8);
    cr_assert_str_eq(pg_server_exec(COUNT), "0");
    cr_assert_eq(ask(HTTP_POST, "/things", MADE, me, KEY, NULL).status, 201);
}
Test(idempotency, failures_and_refused_fields__are_not_kept)
{
    rig_run(not_kept);
}

static void misuse(void)
{
    const char *me = bearer(USER_ID, ROLE_USER);
    assert_problem(ask(HTTP_POST, "/required", MADE, me, NULL), 400, "idempotency_key_required");
    assert_problem(ask(HTTP_POST, "/required", MADE, me, "Idempotency-Key: a b", NULL), 400,
        "malformed_request");
    assert_problem(ask(HTTP_POST, "/required", MADE, me, "Idempotency-Key: \"\"", NULL), 400,
        "malformed_request");
    char *text = arena_alloc(fiber_arena(), 300);
    memset(text, 'k', 280);
    memcpy(text, "Idempotency-Key: ", 17);
    text[17 + 256] = 0;
    assert_problem(ask(HTTP_POST, "/required", MADE, me, text, NULL), 400, "malformed_request");
    text[17 + 255] = 0;
    cr_assert_eq(ask(HTTP_POST, "/required", MADE, me, text, NULL).status, 201);
    assert_problem(ask(HTTP_POST, "/required", "{\"name\":\"other\"}", me, text, NULL), 422,
        "idempotency_key_reused");
    struct seen s = ask(HTTP_POST, "/things", "{\"name\":\"d\"}", me, text, NULL);
    cr_assert_eq(s.status, 201, "a key belongs to one route");
    s = ask(HTTP_POST, "/required", "{\"name\":\"e\"}", bearer(OTHER_ID, ROLE_USER), text, NULL);
    cr_assert_eq(s.status, 201, "and to one caller");
}
Test(idempotency, a_key__belongs_to_one_caller_one_route_and_one_body)
{
    rig_run(misuse);
}

static bool is_replay(struct seen s)
{
    cr_assert_lt(s.status, 300, "%s", s.body);
    return header_of(&s, "Idempotent-Replayed");
}

static void no_body(void)
{
    const char *me = bearer(USER_ID, ROLE_USER);
    cr_assert_not(is_replay(ask(HTTP_POST, "/whoami", NULL, me, KEY, NULL)));
    cr_assert(is_replay(ask(HTTP_POST, "/whoami", "{}", me, KEY, NULL)));
    cr_assert(is_replay(ask(HTTP_POST, "/whoami", " { } ", me, KEY, NULL)));
}
Test(idempotency, an_empty_object_where_no_body_is_asked_for__is_the_same_as_none)
{
    rig_run(no_body);
}

static void guests(void)
{
    cr_assert_not(is_replay(ask(HTTP_POST, "/whoami", NULL, "X-Thing-Token: a", KEY, NULL)));
    cr_assert(is_replay(ask(HTTP_POST, "/whoami", NULL, "X-Thing-Token: a", KEY, NULL)));
    cr_assert_not(is_replay(ask(HTTP_POST, "/whoami", NULL, "X-Thing-Token: b", KEY, NULL)));
    for (int n = 0; n < 2; n++)
        cr_assert_not(is_replay(ask(HTTP_POST, "/whoami", NULL, KEY, NULL)), "who can't be told");
    for (int n = 0; n < 2; n++)
        cr_assert_not(is_replay(ask(HTTP_POST, "/whoami", NULL, "X-Cart-Token: a", KEY, NULL)),
            "another service's header");
}
Test(idempotency, a_guests_key__belongs_to_the_token_that_the_route_names)
{
    rig_run(guests);
}

static struct seen raced[20];
static unsigned racers_done;

static void racer(void *arg)
{
    struct seen *mine = arg;
    struct seen s = ask(HTTP_POST, "/things", "{\"name\":\"r\",\"how\":\"apart\"}",
        bearer(USER_ID, ROLE_USER), KEY, NULL);
    mine->status = s.status;
    if (s.status == 409)
        cr_assert(header_of(&s, "Retry-After"));
    racers_done++;
}

static void race(void)
{
    unsigned good = 0, busy = 0;
    for (size_t i = 0; i < ARRAY_SIZE(raced); i++)
        cr_assert_eq(fiber_spawn(app()->loop, "racer", racer, &raced[i], NULL), 0);
    cr_assert(EVENTUALLY(racers_done == ARRAY_SIZE(raced), 10000));
    for (size_t i = 0; i < ARRAY_SIZE(raced); i++) {
        good += raced[i].status == 201;
        busy += raced[i].status == 409;
    }
    cr_assert_geq(good, 1);
    cr_assert_eq(good + busy, ARRAY_SIZE(raced));
    cr_assert_eq(makes, 1);
}
Test(idempotency, twenty_at_once_with_one_key__run_the_handler_once)
{
    rig_run(race);
}

static void takeover(void)
{
    const char *me = bearer(USER_ID, ROLE_USER);
    ask_and_leave("/things", "{\"name\":\"a\",\"how\":\"wait\"}", "k-1", &waiting);
    cr_assert(EVENTUALLY(strcmp(pg_server_exec(COUNT), "0") == 0, 5000));
    cr_assert_eq(ask(HTTP_POST, "/things", MADE, me, KEY, NULL).status, 201);
    /* as a process leaves it that died in the handler */
    pg_server_exec("UPDATE idempotency_keys SET status = NULL");
    assert_problem(ask(HTTP_POST, "/things", MADE, me, KEY, NULL), 409, "idempotency_key_in_use");
    pg_server_exec("UPDATE idempotency_keys SET claimed_at = now() - interval '61 s'");
    assert_problem(ask(HTTP_POST, "/things", "{\"name\":\"b\"}", me, KEY, NULL), 422,
        "idempotency_key_reused");
    assert_problem(ask(HTTP_POST, "/things", MADE, me, KEY, NULL), 409, "conflict");
    pg_server_exec("UPDATE idempotency_keys SET created_at = now() - interval '25 h'");
    struct seen s = ask(HTTP_POST, "/things", "{\"name\":\"b\"}", me, KEY, NULL);
    cr_assert_eq(s.status, 201, "after a day the key is a new one");
    cr_assert_null(header_of(&s, "Idempotent-Replayed"));
    pg_server_exec("UPDATE idempotency_keys SET created_at = now() - interval '25 h'");
    cr_assert_eq(idempotency_purge(), 0);
    cr_assert_str_eq(pg_server_exec(COUNT), "0");
}
Test(idempotency, a_claim_whose_process_died__is_taken_over_after_a_minute)
{
    rig_run(takeover);
}

/* The first one is still in its handler when another process takes the key over. */
static void overtaken(void)
{
    ask_and_leave("/things", "{\"name\":\"a\",\"how\":\"wait\"}", "k-1", &waiting);
    pg_server_exec("UPDATE idempotency_keys SET claimed_at = claimed_at + interval '1 s'");
    cr_assert(EVENTUALLY(wait_result != 0, 5000));
    (void)fiber_sleep(100 * USEC_PER_MS);
    cr_assert_str_eq(pg_server_exec(COUNT), "1", "it is the other's claim now");
}
Test(idempotency, a_claim_that_was_taken_over__is_not_given_free_by_its_first_owner)
{
    rig_run(overtaken);
}
