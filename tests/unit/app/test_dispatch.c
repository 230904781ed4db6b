#include "common/app/dispatch.h"

#include "rig.h"
#include "support/metrics_hold.h"

#define THING "/things/" OTHER_ID

static void routes_are_found(void)
{
    struct seen s = ask(HTTP_GET, THING "?limit=5", NULL, "X-Correlation-ID: my-id", NULL);
    cr_assert_eq(s.status, 200);
    cr_assert_str_eq(s.body, OTHER_ID " none 5 0 1");
    cr_assert_str_eq(header_of(&s, "X-Correlation-ID"), "my-id");
    cr_assert_str_eq(header_of(&s, "Content-Type"), "text/plain");
    cr_assert_str_eq(header_of(&s, "Cache-Control"), "public, max-age=5");
    cr_assert_eq(strlen(header_of(&s, "traceparent")), 55);

    s = ask(HTTP_GET, "/nothing", NULL, NULL);
    assert_problem(s, 404, "not_found");
    cr_assert_str_eq(header_of(&s, "Cache-Control"), "no-store");
    s = ask(HTTP_GET, "/things/", NULL, NULL);
    assert_problem(s, 404, "not_found");
    s = ask(HTTP_DELETE, THING, NULL, NULL);
    assert_problem(s, 405, "method_not_allowed");
    cr_assert_str_eq(header_of(&s, "Allow"), "GET, HEAD, OPTIONS");
    s = ask(HTTP_OPTIONS, "/things", NULL, NULL);
    cr_assert_eq(s.status, 204);
    cr_assert_str_eq(header_of(&s, "Allow"), "POST, OPTIONS");
    cr_assert(strstr(header_of(&s, "Access-Control-Allow-Headers"), ", X-Thing-Token, "));
    s = ask(HTTP_HEAD, THING, NULL, NULL);
    cr_assert_eq(s.status, 200);
    cr_assert_str_eq(s.body, "");
    s = ask(HTTP_GET, "/livez", NULL, NULL);
    cr_assert_str_eq(s.body, "ok\n");
    cr_assert(metrics_hold("_count{route=\"/things/{id}\",method=\"HEAD\",status=\"200\"} 1"));
    cr_assert(metrics_hold("_count{route=\"none\",method=\"GET\",status=\"404\"}"));
}
Test(dispatch, a_request__finds_its_route_or_learns_why_not)
{
    rig_run(routes_are_found);
}

static void note_variable(void *ctx, struct span name, struct span value)
{
    buf_printf(ctx, "%.*s=%.*s;", SPAN_ARG(name), SPAN_ARG(value));
}

Test(dispatch, route_matches__each_piece__is_compared_or_taken)
{
    static const struct {
        const char *pattern, *path, *variables; /* NULL: no match */
    } rows[] = {
        {"/a", "/a", ""},
        {"/a", "/ab", NULL},
        {"/ab", "/a", NULL},
        {"/a", "/a/", NULL},
        {"/a/b", "/a", NULL},
        {"/a/{id}", "/a/7", "id=7;"},
        {"/a/{id}", "/a/", NULL},
        {"/a/{id}", "/a", NULL},
        {"/a/{id}", "/b/7", NULL},
        {"/a/{id}", "/a/7/b", NULL},
        {"/a/{id}/b", "/a/7/b", "id=7;"},
        {"/a/{id}/b", "/a/7/c", NULL},
        {"/a/{id}/b", "/a/7", NULL},
        {"/a/{id}/{other}", "/a/7/{id}", "id=7;other={id};"},
        {"/{id}", "/x", "id=x;"},
        {"/a", "", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct buf variables = {0};
        bool matches =
            route_matches(rows[i].pattern, span_of(rows[i].path), note_variable, &variables);
        cr_assert_eq(matches, rows[i].variables != NULL, "row %zu", i);
        cr_assert_eq(route_matches(rows[i].pattern, span_of(rows[i].path), NULL, NULL), matches);
        if (matches)
            cr_assert(span_equal(buf_span(&variables), span_of(rows[i].variables)), "row %zu", i);
        buf_deinit(&variables);
    }
}

static void ids_are_judged(void)
{
    struct seen s = ask(HTTP_GET, THING, NULL, "X-Correlation-ID: no good",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", NULL);
    cr_assert_eq(strlen(header_of(&s, "X-Correlation-ID")), 36);
    const char *trace = header_of(&s, "traceparent");
    cr_assert_eq(strncmp(trace, "00-0af7651916cd43dd8448eb211c80319c-", 36), 0);
    cr_assert_null(strstr(trace, "b7ad6b7169203331"), "our span has an id of its own");
    s = ask(HTTP_GET, THING, NULL,
        "traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01", NULL);
    cr_assert_null(strstr(header_of(&s, "traceparent"), "0000000000000000000000"));
}
Test(dispatch, correlation_and_trace__are_taken_over_only_when_they_are_sound)
{
    rig_run(ids_are_judged);
}

static void parameters(void)
{
    struct seen s = ask(HTTP_GET, THING "?colour=red&flag=false&atLeast=7&limit=100", NULL, NULL);
    cr_assert_str_eq(s.body, OTHER_ID " red 100 7 0");
    static const struct {
        const char *query, *pointer;
    } bad[] = {
        {THING "?limit=0", "\"/limit\""},
        {THING "?limit=101", "\"/limit\""},
        {THING "?limit=ten", "\"/limit\""},
        {THING "?limit=", "\"/limit\""},
        {THING "?atLeast=0", "\"/atLeast\""},
        {THING "?flag=maybe", "\"/flag\""},
        {THING "?colour=green", "\"/colour\""},
        {THING "?colour=red&colour=red", "\"/colour\""},
        {THING "?id=" OTHER_ID, "\"/id\""},
        {THING "?unknown=1", "\"/unknown\""},
        {THING "?colour=%zz", "\"pointer\":\"\""},
        {"/things/7", "\"/id\""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        s = ask(HTTP_GET, bad[i].query, NULL, NULL);
        assert_problem(s, 422, "validation_failed");
        cr_assert(strstr(s.body, bad[i].pointer), "%s: %s", bad[i].query, s.body);
    }
}
Test(dispatch, parameters__are_checked_by_their_table)
{
    rig_run(parameters);
}

static int handle_nothing(struct request *req)
{
    return reply_empty(req, 204);
}

static int check_one(const char *path, unsigned roles, unsigned others)
{
    const struct route row = {HTTP_GET, path, roles, handle_nothing, others};
    int r = routes_check(&row, 1);
    error_clear();
    return r;
}
Test(dispatch, a_route__that_leaves_open_who_may_come__is_refused)
{
    cr_assert_eq(check_one("/a", 0, 0), ERR_INVALID, "nobody is not everybody");
    cr_assert_eq(check_one("/a", 1u << 9, 0), ERR_INVALID, "a role that there is not");
    cr_assert_eq(check_one("/a", ROLE_USER, ROLE_ADMIN), ERR_INVALID, "others beyond the roles");
    cr_assert_eq(check_one("/internal/v1/a", ROLE_SERVICE | ROLE_ADMIN, 0), ERR_INVALID);
    cr_assert_eq(check_one("/internal/v1/a", ROLE_SERVICE, ROLE_SERVICE), 0);
    cr_assert_eq(check_one("/internal/v1/a", ROLE_ANYONE, 0), 0, "it says so itself");
    cr_assert_eq(check_one("/a", ROLE_SIGNED_IN, ROLE_ADMIN), 0);
    cr_assert_eq(check_one("/a", ROLE_ANYONE, ROLE_ANYONE), 0);
    cr_assert_eq(routes_check(builtin_routes, builtin_routes_count), 0);
}

static void callers(void)
{
    struct seen s = ask(HTTP_GET, "/admin", NULL, NULL);
    assert_problem(s, 401, "unauthenticated");
    cr_assert_str_eq(header_of(&s, "WWW-Authenticate"), "Bearer");
    s = ask(HTTP_GET, "/admin", NULL, "Authorization: Bearer nonsense", NULL);
    assert_problem(s, 401, "unauthenticated");
    s = ask(HTTP_GET, "/admin", NULL, "Authorization: Basic YTpi", NULL);
    assert_problem(s, 401, "unauthenticated");
    s = ask(HTTP_GET, "/admin", NULL, bearer(USER_ID, ROLE_USER | ROLE_SELLER), NULL);
    assert_problem(s, 403, "forbidden");
    const char *admin = bearer(USER_ID, ROLE_ADMIN);
    s = ask(HTTP_GET, "/admin", NULL, admin, NULL);
    cr_assert_str_eq(s.body, USER_ID);
    char *lower = arena_strdup(fiber_arena(), admin);
    lower[strlen("Authorization: ")] = 'b';
    cr_assert_eq(ask(HTTP_GET, "/admin", NULL, lower, NULL).status, 200);
    s = ask(HTTP_GET, THING, NULL, "Authorization: Bearer nonsense", NULL);
    cr_assert_eq(s.status, 200, "a public resource asks nobody");
    assert_problem(ask(HTTP_GET, "/debug/fibers", NULL, NULL), 401, "unauthenticated");
}
Test(dispatch, a_route__lets_in_whom_its_row_names)
{
    rig_run(callers);
}

static void bodies(void)
{
    const char *me = bearer(USER_ID, ROLE_USER);
    struct seen s = ask(HTTP_POST, "/things", "{\"name\":\"a\"}", me, NULL);
    cr_assert_eq(s.status, 201);
    cr_assert_str_eq(header_of(&s, "Location"), "/things/a");
    s = ask(HTTP_POST, "/things", "{\"name\":", me, NULL);
    assert_problem(s, 400, "malformed_request");
    cr_assert(strstr(s.body, "The body ends too early"), "%s", s.body);
    s = ask(HTTP_POST, "/things", "{\"name\":\"a\",\"name\":\"b\"}", me, NULL);
    assert_problem(s, 400, "malformed_request");
    cr_assert(strstr(s.body, "The body has a member twice"), "%s", s.body);
    s = ask(HTTP_POST, "/things", "", me, NULL);
    assert_problem(s, 400, "malformed_request");
    s = ask(HTTP_POST, "/things", "{\"name\":1,\"nam\":2}", me, NULL);
    assert_problem(s, 422, "validation_failed");
    cr_assert(strstr(s.body, "\"/name\"") && strstr(s.body, "\"/nam\""), "%s", s.body);
    s = ask(HTTP_POST, "/whoami", " { } ", me, NULL);
    cr_assert_eq(s.status, 200, "nothing is as good as no body: %s", s.body);
    s = ask(HTTP_POST, "/whoami", "{\"name\":1}", me, NULL);
    assert_problem(s, 422, "validation_failed");
    cr_assert(strstr(s.body, "\"/name\""), "%s", s.body);
    s = ask(HTTP_POST, "/whoami", "name", me, NULL);
    assert_problem(s, 400, "malformed_request");
    s = ask(HTTP_POST, "/things", "{\"name\":\"b\",\"how\":\"picky\"}", me, NULL);
    assert_problem(s, 422, "validation_failed");
    cr_assert(strstr(s.body, "{\"pointer\":\"/name\",\"detail\":\"is not nice enough\"}"));
    s = ask(HTTP_GET, "/admin", "{}", bearer(USER_ID, ROLE_ADMIN), NULL);
    assert_problem(s, 400, "bad_request");
    cr_assert_eq(makes, 2);
}
Test(dispatch, a_body__is_read_by_its_table_or_refused_with_pointers)
{
    rig_run(bodies);
}

static void failures(void)
{
    const char *me = bearer(USER_ID, ROLE_USER);
    struct seen s = ask(HTTP_POST, "/things", "{\"name\":\"a\",\"how\":\"broken\"}", me, NULL);
    assert_problem(s, 500, "internal_error");
    cr_assert_null(strstr(s.body, "secret"));
    s = ask(HTTP_POST, "/things", "{\"name\":\"a\",\"how\":\"unlisted\"}", me, NULL);
    assert_problem(s, 500, "internal_error");
    s = ask(HTTP_POST, "/things", "{\"name\":\"a\",\"how\":\"busy\"}", me, NULL);
    assert_problem(s, 503, "service_unavailable");
    cr_assert_str_eq(header_of(&s, "Retry-After"), "1");
    s = ask(HTTP_POST, "/things", "{\"name\":\"a\",\"how\":\"away\"}", me, NULL);
    assert_problem(s, 503, "service_unavailable");
    cr_assert_str_eq(header_of(&s, "Retry-After"), "1");
    s = ask(HTTP_POST, "/things", "{\"name\":\"a\",\"how\":\"silent\"}", me, NULL);
    cr_assert_eq(s.status, 204);
    cr_assert_eq(ask(HTTP_POST, "/things", "{\"name\":\"a\"}", me, NULL).status, 201);
    s = ask(HTTP_POST, "/things", "{\"name\":\"a\"}", me, NULL);
    assert_problem(s, 409, "conflict");
    cr_assert_null(header_of(&s, "Location"), "of a thing that was not made");
    cr_assert_null(header_of(&s, "ETag"));
}
Test(dispatch, a_failure__tells_the_caller_what_to_do_and_nothing_else)
{
    rig_run(failures);
}

static void client_leaves(void)
{
    ask_and_leave("/things", "{\"name\":\"a\",\"how\":\"wait\"}", "k1", &waiting);
    cr_assert(EVENTUALLY(wait_result != 0, 5000));
    cr_assert_eq(wait_result, ERR_CANCELED);
    cr_assert(EVENTUALLY(
        strcmp(pg_server_exec("SELECT count(*) FROM idempotency_keys"), "0") == 0, 2000));
    cr_assert(
        EVENTUALLY(metrics_hold("{route=\"/things\",method=\"POST\",status=\"499\"} 1"), 2000));
}
Test(dispatch, a_client_that_leaves__ends_the_work_and_frees_its_key)
{
    rig_run(client_leaves);
}

static void readiness(void)
{
    struct seen s = ask(HTTP_GET, "/readyz?verbose", NULL, NULL);
    cr_assert_eq(s.status, 200, "%s", s.body);
    cr_assert(strstr(s.body, "[+] database"));
    cr_assert(strstr(s.body, "[!] redis"), "a cache is told about, not required");
    app()->draining = true;
    s = ask(HTTP_GET, "/readyz", NULL, NULL);
    cr_assert_eq(s.status, 503);
    cr_assert_str_eq(s.body, "[-] draining\nnot ready\n");
    cr_assert(header_of(&s, "Retry-After"));
    s = ask(HTTP_GET, "/metrics", NULL, NULL);
    cr_assert_str_eq(header_of(&s, "Content-Type"), "text/plain; version=0.0.4");
    s = ask(HTTP_GET, "/openapi.json", NULL, NULL);
    cr_assert(strstr(s.body, "\"/things/{id}\""));
    cr_assert(strstr(s.body, "\"name\":\"Idempotency-Key\",\"in\":\"header\",\"required\":true"));
    cr_assert(strstr(s.body, "\"name\":\"If-Match\",\"in\":\"header\",\"required\":false"));
    cr_assert(strstr(s.body, "\"name\":\"X-Thing-Token\",\"in\":\"header\",\"required\":false"));
}
Test(dispatch, readyz__while_draining__is_false)
{
    rig_run(readiness);
}
