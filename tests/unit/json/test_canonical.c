#include <criterion/criterion.h>

#include "common/json/canonical.h"

static void expect(const char *text, const char *wanted)
{
    struct buf out = {0};
    cr_assert(json_canonical(span_of(text), &out));
    cr_assert_str_eq(out.ptr, wanted);
    buf_deinit(&out);
}

Test(canonical, json_canonical__members_in_any_order__one_text)
{
    expect(" { \"b\" : [ 2, 1 ], \"a\": {\"d\":null,\"c\":true} }",
        "{\"a\":{\"c\":true,\"d\":null},\"b\":[2,1]}");
    expect("{\"a\":{\"c\":true,\"d\":null},\"b\":[2,1]}",
        "{\"a\":{\"c\":true,\"d\":null},\"b\":[2,1]}");
}

Test(canonical, json_canonical__any_value__is_taken)
{
    expect("\"x\\u0041\"", "\"xA\"");
    expect(" 7", "7");
    expect("[]", "[]");
}

Test(canonical, json_canonical__no_json__puts_nothing)
{
    static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[1] 2", "\xff"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct buf out = {0};
        cr_assert_not(json_canonical(span_of(bad[i]), &out), "%s", bad[i]);
        cr_assert_eq(out.len, 0);
        buf_deinit(&out);
    }
}
