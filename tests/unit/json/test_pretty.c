#include <criterion/criterion.h>

#include "common/json/pretty.h"

static const char *compact(const char *json, bool mask)
{
    static struct buf out;
    buf_reset(&out);
    json_compact(span_of(json), mask, &out);
    return out.ptr;
}

Test(pretty, pretty__nested__is_indented)
{
    struct buf out = {0};
    json_pretty(SPAN("{\"a\":1,\"b\":[true,{}],\"c\":{\"d\":\"x\"}, \"e\":[]}"), true, &out);
    cr_assert_str_eq(out.ptr, "{\n  \"a\": 1,\n  \"b\": [\n    true,\n    {}\n  ],\n  \"c\": {\n"
                              "    \"d\": \"x\"\n  },\n  \"e\": []\n}\n");
    buf_deinit(&out);
}

Test(pretty, compact__odd_texts_and_numbers__stay_byte_for_byte)
{
    cr_assert_str_eq(compact(" { \"a\\\"},:\" : \"\\u00e9{[,:\\\\\" , \"n\" : -1.50e+3 } ", true),
        "{\"a\\\"},:\":\"\\u00e9{[,:\\\\\",\"n\":-1.50e+3}");
}

Test(pretty, mask__names_of_secrets__lose_their_values)
{
    cr_assert_str_eq(compact("{\"password\":\"a\",\"accessToken\":{\"x\":[1]},\"API_KEY\":3,"
                             "\"token\":null,\"name\":\"token\"}",
                         true),
        "{\"password\":\"***\",\"accessToken\":\"***\",\"API_KEY\":\"***\",\"token\":null,"
        "\"name\":\"token\"}");
    cr_assert_str_eq(compact("{\"password\":\"a\"}", false), "{\"password\":\"a\"}");
}

Test(pretty, is_object__only_whole_ones)
{
    cr_assert(text_is_object(SPAN("{\"a\":[1]}")));
    static const char *const bad[] = {"", "x", "[]", "1", "{", "{}x", "{\"a\":1,}"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(text_is_object(span_of(bad[i])), "%s", bad[i]);
}
