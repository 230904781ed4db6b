#include "common/json/problem.h"

#include <criterion/criterion.h>

static void problem_expect(const struct problem *p, const char *expected)
{
    struct buf out = {0};
    problem_write(&out, p);
    cr_assert_str_eq(out.ptr, expected);
    buf_deinit(&out);
}

Test(problem, all_members__come_in_their_order)
{
    struct json_errors errors = {.count = 2, .at = {{"/items/0", "a \"b\""}, {"", "c"}}};
    problem_expect(
        &(struct problem){
            .status = 409,
            .code = "out_of_stock",
            .title = "Out of stock",
            .detail = "only 3 left",
            .correlation_id = "abc",
            .errors = &errors,
            .extensions = SPAN("\"available\":3"),
        },
        "{\"type\":\"https://souk.example/problems/out_of_stock\",\"title\":\"Out of stock\","
        "\"status\":409,\"detail\":\"only 3 left\",\"code\":\"out_of_stock\","
        "\"correlationId\":\"abc\",\"errors\":[{\"pointer\":\"/items/0\",\"detail\":\"a "
        "\\\"b\\\"\"},"
        "{\"pointer\":\"\",\"detail\":\"c\"}],\"available\":3}");
}

Test(problem, status_alone__is_a_whole_document)
{
    struct json_errors none = {0};
    problem_expect(&(struct problem){.status = 404, .errors = &none},
        "{\"type\":\"https://souk.example/problems/not_found\",\"title\":\"Not Found\","
        "\"status\":404,\"code\":\"not_found\"}");
}

Test(problem, statuses_of_the_http_layer__have_title_and_code)
{
    static const int statuses[] = {400, 401, 403, 404, 405, 406, 408, 409, 411, 412, 413, 414, 415,
        422, 428, 429, 431, 500, 501, 502, 503, 504, 505};
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        const char *code = problem_status_code(statuses[i]);
        cr_assert_str_neq(code, "client_error");
        cr_assert_str_neq(code, "server_error");
        cr_assert_eq(strspn(code, "abcdefghijklmnopqrstuvwxyz_"), strlen(code));
        cr_assert_neq(problem_status_title(statuses[i])[0], '\0');
    }
    cr_assert_str_eq(problem_status_title(431), "Request Header Fields Too Large");
    cr_assert_str_eq(problem_status_code(413), "content_too_large");
}

Test(problem, other_statuses__are_named_by_their_class)
{
    cr_assert_str_eq(problem_status_code(499), "client_error");
    cr_assert_str_eq(problem_status_code(599), "server_error");
}
