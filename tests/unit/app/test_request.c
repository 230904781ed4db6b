#include "common/app/request.h"

#include <criterion/criterion.h>

#include "common/app/route.h"
#include "common/base/crypto.h"

static struct request req;
static struct http_request http;
static struct http_response response;
static struct http_headers headers;

static void setup(void)
{
    cr_assert_eq(crypto_init(), 0);
    http = (struct http_request){.headers = &headers, .path = SPAN("/a"), .query = SPAN("")};
    req = (struct request){.http = &http, .response = &response, .arena = arena_new()};
    http.arena = req.arena;
}
static void teardown(void)
{
    buf_deinit(&response.body);
    buf_deinit(&req.extensions);
    arena_free(req.arena);
}
TestSuite(request, .init = setup, .fini = teardown);

Test(request, cursor__decoded__is_the_position_it_was_made_of)
{
    const char *position = NULL;
    cr_assert_eq(cursor_decode(&req, cursor_encode(req.arena, "2026-01-31|ä|x"), &position), 0);
    cr_assert_str_eq(position, "2026-01-31|ä|x");
    cr_assert_eq(cursor_decode(&req, NULL, &position), 0);
    cr_assert_null(position);
}

Test(request, cursor__that_no_list_has_given__is_refused_by_its_pointer)
{
    const char *good = cursor_encode(req.arena, "2026|7"), *position = "untouched";
    char *bent = arena_strdup(req.arena, good);
    char *long_one = arena_alloc(req.arena, 2000);
    bent[1] = bent[1] == 'A' ? 'B' : 'A';
    memset(long_one, 'A', 1999);
    const char *const bad[] = {"", "x", "!!", "Zm9v", bent, long_one};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        req.errors.count = 0;
        cr_assert_eq(cursor_decode(&req, bad[i], &position), OUTCOME_INVALID, "%s", bad[i]);
        cr_assert_str_eq(req.errors.at[0].pointer, "/cursor");
        cr_assert_str_eq(position, "untouched");
    }
}

Test(request, cursor__that_somebody_has_made__is_refused_where_the_database_would_refuse_it)
{
    const char *position = "untouched";
    cr_assert_eq(
        cursor_decode(&req, cursor_encode(req.arena, "7|\xff"), &position), OUTCOME_INVALID);
    cr_assert_str_eq(position, "untouched");
    struct place place;
    req.errors.count = 0;
    const char *least = cursor_encode(req.arena, "-9223372036854775808|a");
    cr_assert_eq(place_read(&req, least, false, &place), OUTCOME_INVALID);
    cr_assert_str_eq(req.errors.at[0].pointer, "/cursor");
}

Test(request, if_match__is_the_version_or_a_star)
{
    struct route route = {.match = MATCH_ACCEPTED};
    req.route = &route;
    cr_assert_eq(request_if_match(&req, 3), 0);
    route.match = MATCH_REQUIRED;
    cr_assert_eq(request_if_match(&req, 3), OUTCOME_PRECONDITION_REQUIRED);
    http_header_add(&headers, SPAN("if-match"), SPAN("\"3\""));
    cr_assert_eq(request_if_match(&req, 3), 0);
    cr_assert_eq(request_if_match(&req, 4), OUTCOME_STALE);
    cr_assert(span_equal(http_header_get(&response.headers, "ETag"), SPAN("\"4\"")));
    headers.at[0].value = SPAN("*");
    cr_assert_eq(request_if_match(&req, 4), 0);
    headers.at[0].value = SPAN("3");
    cr_assert_eq(request_if_match(&req, 3), OUTCOME_STALE);
    headers.at[0].value = SPAN("\"99\" , \"3\"");
    cr_assert_eq(request_if_match(&req, 3), 0);
    cr_assert_eq(request_if_match(&req, 4), OUTCOME_STALE);
}

Test(request, page__names_its_successor_with_the_other_parameters)
{
    static const struct field fields[] = {FIELD_I64(
        struct { int64_t n; }, n, "n")};
    static const struct table table = {"N", sizeof(int64_t), fields, 1};
    int64_t rows[] = {1, 2};
    http.query = SPAN("limit=2&cursor=old&q=a%20b");
    cr_assert_eq(reply_page(&req, &table, (struct list){2, rows}, "new"), 0);
    cr_assert(span_equal(buf_span(&response.body),
        SPAN("{\"data\":[{\"n\":1},{\"n\":2}],\"nextCursor\":\"new\",\"hasMore\":true}")));
    cr_assert(span_equal(http_header_get(&response.headers, "Link"),
        SPAN("</a?cursor=new&limit=2&q=a%20b>; rel=\"next\"")));
}

Test(request, page__that_is_the_last__says_so)
{
    static const struct field fields[] = {FIELD_I64(
        struct { int64_t n; }, n, "n")};
    static const struct table table = {"N", sizeof(int64_t), fields, 1};
    cr_assert_eq(reply_page(&req, &table, (struct list){0, NULL}, NULL), 0);
    cr_assert(span_equal(
        buf_span(&response.body), SPAN("{\"data\":[],\"nextCursor\":null,\"hasMore\":false}")));
    cr_assert_null(http_header_get(&response.headers, "Link").ptr);
}
