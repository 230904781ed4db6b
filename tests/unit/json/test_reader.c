#include "fixture.h"

/* Reads `text`, which must be refused; returns the lines. */
static const char *refusal(struct arena *a, struct span text)
{
    struct all value;
    const char *errors;
    cr_assert_eq(read_all(a, text, &value, &errors), JSON_BAD, "accepted: %.*s", SPAN_ARG(text));
    return errors;
}

static struct all accepted(struct arena *a, struct span text)
{
    struct all value;
    const char *errors;
    cr_assert_eq(read_all(a, text, &value, &errors), 0, "%.*s -> %s", SPAN_ARG(text), errors);
    return value;
}

Test(reader, every_kind__fills_its_member)
{
    struct arena *a = arena_new();
    struct all v = accepted(a,
        SPAN(
            "{\"text\":\"h\\u00e9 \\ud83d\\ude00\",\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
            "\"choice\":\"green\",\"secret\":\"\",\"count\":-3,\"fallback\":0,"
            "\"at\":\"1970-01-01T01:00:01+01:00\",\"flag\":true,\"flagOn\":false,"
            "\"price\":{\"currency\":\"JPY\",\"amount\":9999},\"one\":{\"sku\":\"a\",\"quantity\":"
            "1},"
            "\"items\":[{\"sku\":\"b\",\"quantity\":2},{\"quantity\":999,\"sku\":\"c\"}],"
            "\"tags\":[\"x\",\"\"],\"raw\": [1.10, {}] ,\"score\":0.25}"));

    cr_assert_str_eq(v.text, "h\xc3\xa9 \xf0\x9f\x98\x80");
    cr_assert_str_eq(v.id, "01890a5d-ac96-774b-bcce-b302099a8057");
    cr_assert_str_eq(v.choice, "green");
    cr_assert_str_eq(v.secret, "");
    cr_assert_eq(v.count, -3);
    cr_assert_eq(v.fallback, 0);
    cr_assert_eq(v.at, USEC_PER_SEC);
    cr_assert(v.flag);
    cr_assert_not(v.flag_on);
    cr_assert_eq(v.price.amount, 9999);
    cr_assert_str_eq(v.price.currency, "JPY");
    cr_assert_str_eq(v.one->sku, "a");
    cr_assert_eq(v.items.len, 2);
    cr_assert_eq(LIST_AT(v.items, struct item, 1)->quantity, 999);
    cr_assert_eq(v.tags.len, 2);
    cr_assert_str_eq(*LIST_AT(v.tags, const char *, 0), "x");
    cr_assert(span_equal(v.raw, SPAN("[1.10, {}]")));
    cr_assert_eq(v.score, 0.25);
    arena_free(a);
}

Test(reader, absent_and_null_members__are_empty_or_the_fallback)
{
    static const char *const texts[] = {"{}",
        "{\"text\":null,\"id\":null,\"choice\":null,\"secret\":null,\"count\":null,\"fallback\":"
        "null,"
        "\"at\":null,\"flag\":null,\"flagOn\":null,\"price\":null,\"one\":null,\"items\":null,"
        "\"tags\":null,\"raw\":null,\"score\":null}"};

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct arena *a = arena_new();
        struct all v = accepted(a, span_of(texts[i]));
        struct all expected = {.fallback = 7, .flag_on = true};
        cr_assert(!v.text && !v.id && !v.choice && !v.secret && !v.hidden && !v.one);
        cr_assert_eq(v.fallback, expected.fallback);
        cr_assert_eq(v.flag_on, expected.flag_on);
        cr_assert(v.count == 0 && v.at == 0 && !v.flag && v.score == 0.0);
        cr_assert_str_eq(v.price.currency, "");
        cr_assert(v.items.len == 0 && v.tags.len == 0 && v.raw.len == 0);
        arena_free(a);
    }
}

/* One row per way to be wrong. */
static const struct {
    const char *text, *errors;
} bad_values[] = {
    {"{\"text\":1}", "/text: must be a string\n"},
    {"{\"text\":[]}", "/text: must be a string\n"},
    {"{\"id\":7}", "/id: must be a string\n"},
    {"{\"id\":\"\"}", "/id: must be a UUID in lower case\n"},
    {"{\"id\":\"01890A5D-AC96-774B-BCCE-B302099A8057\"}", "/id: must be a UUID in lower case\n"},
    {"{\"choice\":\"blue\"}", "/choice: must be one of \"red\", \"green\"\n"},
    {"{\"choice\":\"re\"}", "/choice: must be one of \"red\", \"green\"\n"},
    {"{\"choice\":\"\"}", "/choice: must be one of \"red\", \"green\"\n"},
    {"{\"count\":\"1\"}", "/count: must be an integer\n"},
    {"{\"count\":99.0}", "/count: must be an integer\n"},
    {"{\"count\":1e3}", "/count: must be an integer\n"},
    {"{\"count\":true}", "/count: must be an integer\n"},
    {"{\"at\":12}", "/at: must be a string with an RFC 3339 time\n"},
    {"{\"at\":\"\"}", "/at: must be an RFC 3339 time such as 2026-11-21T10:12:33Z\n"},
    {"{\"at\":\"2026-11-21\"}", "/at: must be an RFC 3339 time such as 2026-11-21T10:12:33Z\n"},
    {"{\"at\":\"2026-11-21 10:12:33Z\"}",
        "/at: must be an RFC 3339 time such as 2026-11-21T10:12:33Z\n"},
    {"{\"at\":\"2026-11-21T10:12:33+01\"}",
        "/at: must be an RFC 3339 time such as 2026-11-21T10:12:33Z\n"},
    {"{\"at\":\"2026-02-30T10:12:33Z\"}",
        "/at: must be an RFC 3339 time such as 2026-11-21T10:12:33Z\n"},
    {"{\"flag\":1}", "/flag: must be true or false\n"},
    {"{\"flag\":\"true\"}", "/flag: must be true or false\n"},
    {"{\"score\":\"0.5\"}", "/score: must be a number\n"},
    {"{\"one\":[]}", "/one: must be an object\n"},
    {"{\"one\":{}}", "/one/sku: is required\n/one/quantity: is required\n"},
    {"{\"one\":{\"sku\":null,\"quantity\":1}}", "/one/sku: is required\n"},
    {"{\"items\":{}}", "/items: must be an array\n"},
    {"{\"items\":[null]}", "/items/0: must be an object\n"},
    {"{\"items\":[{\"sku\":\"a\",\"quantity\":1},{\"sku\":\"a b\",\"quantity\":0}]}",
        "/items/1/sku: must be 1 to 64 letters, digits, dots, underscores or hyphens\n"
        "/items/1/quantity: must be 1 to 999\n"},
    {"{\"items\":[{\"sku\":\"a\",\"quantity\":1000}]}", "/items/0/quantity: must be 1 to 999\n"},
    {"{\"tags\":\"x\"}", "/tags: must be an array\n"},
    {"{\"tags\":[\"x\",null]}", "/tags/1: must be a string\n"},
    {"{\"tags\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21]}",
        "/tags: must have at most 20 elements\n"},
    {"{\"price\":99.99}", "/price: must be an object with amount and currency\n"},
    {"{\"price\":{\"amount\":99.99,\"currency\":\"USD\"}}",
        "/price/amount: must be an integer in minor units\n"},
    {"{\"price\":{\"amount\":\"99\",\"currency\":\"USD\"}}",
        "/price/amount: must be an integer in minor units\n"},
    {"{\"price\":{}}", "/price/amount: is required\n/price/currency: is required\n"},
    {"{\"price\":{\"amount\":1,\"currency\":\"usd\"}}",
        "/price/currency: must be a known ISO 4217 currency code\n"},
    {"{\"price\":{\"amount\":1,\"currency\":\"USDX\"}}",
        "/price/currency: must be a known ISO 4217 currency code\n"},
    {"{\"price\":{\"amount\":1,\"currency\":840}}",
        "/price/currency: must be a known ISO 4217 currency code\n"},
    {"{\"price\":{\"amount\":1,\"currency\":\"USD\",\"cents\":0}}",
        "/price/cents: is not a known member\n"},
    {"{\"nope\":1}", "/nope: is not a known member\n"},
    {"{\"nope\":null}", "/nope: is not a known member\n"},
    {"{\"\":1}", "/: is not a known member\n"},
    {"{\"a/b~c\":1}", "/a~1b~0c: is not a known member\n"},
    {"{\"hidden\":\"x\"}", "/hidden: is not a known member\n"},
    {"{\"items\":[{\"sku\":\"a\",\"quantity\":1,\"Sku\":\"a\"}]}",
        "/items/0/Sku: is not a known member\n"},
    {"[]", ": must be an object\n"},
    {"null", ": must be an object\n"},
    {"\"text\"", ": must be an object\n"},
    {"", ": is empty, and JSON is expected\n"},
};

Test(reader, bad_value__is_refused_with_its_pointer)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad_values); i++) {
        struct arena *a = arena_new();
        cr_assert_str_eq(refusal(a, span_of(bad_values[i].text)), bad_values[i].errors);
        arena_free(a);
    }
}

static const struct {
    struct span text;
    const char *sentence;
} bad_documents[] = {
    {SPAN(" "), "ends too early"},
    {SPAN("{"), "ends too early"},
    {SPAN("{\"text\":\"x"), "ends too early"},
    {SPAN("{\"text\":\"x\\"), "is not valid JSON"},
    {SPAN("{} x"), "has more text after its end"},
    {SPAN("{}{}"), "has more text after its end"},
    {SPAN("{}\0"), "has more text after its end"},
    {SPAN("{\"a\":1,\"a\":1}"), "has a member twice"},
    {SPAN("{\"text\":\"a\",\"t\\u0065xt\":\"b\"}"), "has a member twice"},
    {SPAN("{\"raw\":{\"a\":1,\"a\":1}}"), "has a member twice"},
    {SPAN("{\"text\":\"a\\u0000b\"}"), "holds a NUL character"},
    {SPAN("{\"a\\u0000b\":1}"), "holds a NUL character"},
    {SPAN("{\"text\":\"a\0b\"}"), "is not valid JSON"},
    {SPAN("{\"text\":\"\xff\"}"), "is not UTF-8"},
    {SPAN("{\"text\":\"\xc0\xaf\"}"), "is not UTF-8"},
    {SPAN("{\"text\":\"\xed\xa0\x80\"}"), "is not UTF-8"},
    {SPAN("{\"text\":\"\xf4\x90\x80\x80\"}"), "is not UTF-8"},
    {SPAN("{\"text\":\"\xe2\x82\"}"), "is not UTF-8"},
    {SPAN("\xff\xfe{\0}\0"), "is not UTF-8"},
    {SPAN("{\"text\":\"\\ud800\"}"), "is not valid JSON"},
    {SPAN("{\"text\":\"\\udc00\\ud800\"}"), "is not valid JSON"},
    {SPAN("{\"text\":\"a\nb\"}"), "is not valid JSON"},
    {SPAN("{\"count\":9223372036854775808}"), "holds a number out of range"},
    {SPAN("{\"count\":-9223372036854775809}"), "holds a number out of range"},
    {SPAN("{\"score\":1e400}"), "holds a number out of range"},
    {SPAN("{\"score\":NaN}"), "is not valid JSON"},
    {SPAN("{\"score\":Infinity}"), "is not valid JSON"},
    {SPAN("{\"count\":01}"), "is not valid JSON"},
    {SPAN("{\"count\":+1}"), "is not valid JSON"},
    {SPAN("{\"count\":0x10}"), "is not valid JSON"},
    {SPAN("{\"score\":1.}"), "is not valid JSON"},
    {SPAN("{'text':'x'}"), "is not valid JSON"},
    {SPAN("{text:1}"), "is not valid JSON"},
    {SPAN("{\"text\":\"x\",}"), "is not valid JSON"},
    {SPAN("{\"tags\":[\"x\",]}"), "is not valid JSON"},
    {SPAN("{\"flag\":True}"), "is not valid JSON"},
    {SPAN("/* */{}"), "is not valid JSON"},
    {SPAN("\xef\xbb\xbf{}"), "is not valid JSON"},
    {SPAN("}"), "is not valid JSON"},
    {SPAN("{]"), "is not valid JSON"},
};

Test(reader, bad_document__is_one_problem_of_the_whole)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad_documents); i++) {
        struct arena *a = arena_new();
        const char *errors = refusal(a, bad_documents[i].text);
        const char *expected = arena_printf(a, ": %s, at line ", bad_documents[i].sentence);
        cr_assert_eq(strncmp(errors, expected, strlen(expected)), 0, "row %zu: %s", i, errors);
        arena_free(a);
    }
}

Test(reader, what_the_client_sent__is_never_repeated_in_a_sentence)
{
    static const char *const texts[] = {"{\"secret\":\"hunter2\" \"x\"}", "{\"id\":\"hunter2\"}",
        "{\"secret\":hunter2}", "{\"choice\":\"hunter2\"}"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct arena *a = arena_new();
        const char *errors = refusal(a, span_of(texts[i]));
        cr_assert_null(strstr(errors, "hunter2"), "%s", errors);
        arena_free(a);
    }
}

Test(reader, integers_at_the_limits__are_kept)
{
    struct arena *a = arena_new();
    cr_assert_eq(accepted(a, SPAN("{\"count\":9223372036854775807}")).count, INT64_MAX);
    cr_assert_eq(accepted(a, SPAN("{\"count\":-9223372036854775808}")).count, INT64_MIN);
    cr_assert_eq(accepted(a, SPAN("{\"count\":9007199254740993}")).count, 9007199254740993);
    cr_assert_eq(accepted(a, SPAN("{\"count\":-0}")).count, 0);
    arena_free(a);
}

Test(reader, integers_and_reals__both_are_reals)
{
    struct arena *a = arena_new();
    cr_assert_eq(accepted(a, SPAN("{\"score\":3}")).score, 3.0);
    cr_assert_eq(accepted(a, SPAN("{\"score\":-1.5e-3}")).score, -1.5e-3);
    cr_assert_eq(accepted(a, SPAN("{\"score\":1e-400}")).score, 0.0);
    arena_free(a);
}

/* `{"raw":[[...]]}` with this many brackets. */
static struct span nested(struct arena *a, size_t brackets, bool closed)
{
    char *text = arena_alloc(a, 2 * brackets + 16);
    char *p = stpcpy(text, "{\"raw\":");
    memset(p, '[', brackets);
    p += brackets;
    if (closed) {
        memset(p, ']', brackets);
        p = stpcpy(p + brackets, "}");
    }
    return span_make(text, (size_t)(p - text));
}

Test(reader, nesting__is_limited_to_32_levels)
{
    struct arena *a = arena_new();
    struct all v = accepted(a, nested(a, 31, true));
    cr_assert_eq(v.raw.len, 62);
    cr_assert_str_eq(refusal(a, nested(a, 32, true)), ": is nested deeper than 32 levels\n");
    arena_free(a);
}

Test(reader, depth_bomb__is_refused_before_it_is_built)
{
    struct arena *a = arena_new();
    static const char expected[] = ": is nested deeper than 32 levels\n";
    cr_assert_str_eq(refusal(a, nested(a, 1000000, false)), expected);

    size_t len = 6 * 100000;
    char *text = arena_alloc(a, len);
    for (size_t i = 0; i < len; i += 6)
        memcpy(text + i, "{\"a\":[", 6);
    cr_assert_str_eq(refusal(a, span_make(text, len)), expected);
    arena_free(a);
}

Test(reader, brackets_in_strings__are_not_nesting)
{
    struct arena *a = arena_new();
    accepted(a, SPAN("{\"text\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"{{{{\\\\\"}"));
    arena_free(a);
}

Test(reader, more_than_sixteen_problems__are_cut_at_sixteen)
{
    struct arena *a = arena_new();
    struct json_errors errors;
    struct all v;
    cr_assert_eq(
        json_read(a, SPAN("{\"tags\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18],\"flag\":1}"),
            &all_table, JSON_STRICT, &v, &errors),
        JSON_BAD);
    cr_assert_eq(errors.count, JSON_ERRORS_LIMIT);
    cr_assert_str_eq(errors.at[0].pointer, "/flag");
    cr_assert_str_eq(errors.at[15].pointer, "/tags/14");
    arena_free(a);
}

Test(reader, refused_document__leaves_the_value_alone)
{
    struct arena *a = arena_new();
    struct all v = {.count = 42};
    const char *errors;
    cr_assert_eq(read_all(a, SPAN("{\"count\":1,\"flag\":1}"), &v, &errors), JSON_BAD);
    cr_assert_eq(v.count, 42);
    arena_free(a);
}

Test(reader, long_unknown_name__is_not_echoed)
{
    struct arena *a = arena_new();
    char name[200];
    memset(name, 'n', sizeof(name));
    const char *text = arena_printf(a, "{\"%.*s\":1}", (int)sizeof(name), name);
    cr_assert_str_eq(
        refusal(a, span_of(text)), ": has a member that is not known, with a very long name\n");
    arena_free(a);
}

Test(reader, lenient_mode__ignores_unknown_members_only)
{
    struct arena *a = arena_new();
    struct json_errors errors;
    struct all v;
    cr_assert_eq(
        json_read(a,
            SPAN("{\"new\":[{}],\"hidden\":\"x\",\"price\":{\"amount\":1,\"currency\":\"USD\","
                 "\"new\":1},\"one\":{\"sku\":\"a\",\"quantity\":1,\"new\":null}}"),
            &all_table, JSON_LENIENT, &v, &errors),
        0);
    cr_assert_eq(errors.count, 0);
    cr_assert_eq(v.price.amount, 1);
    cr_assert_null(v.hidden);
    cr_assert_eq(
        json_read(a, SPAN("{\"new\":1,\"count\":1.5}"), &all_table, JSON_LENIENT, &v, &errors),
        JSON_BAD);
    cr_assert_eq(errors.count, 1);
    cr_assert_str_eq(errors.at[0].pointer, "/count");
    arena_free(a);
}

struct limits {
    const char *required, *text, *minimum, *email;
    int64_t low, at;
    struct money price;
    struct list list;
    double ratio;
};
static const struct field limits_fields[] = {
    FIELD_TEXT(struct limits, required, "required", .required = true),
    FIELD_TEXT(struct limits, text, "text", .min = 2, .max = 4),
    FIELD_TEXT(struct limits, minimum, "minimum", .min = 3),
    FIELD_TEXT(struct limits, email, "email", .pattern = "email"),
    FIELD_I64(struct limits, low, "low", .min = -5),
    FIELD_TIME(struct limits, at, "at", .min = 1, .max = USEC_PER_SEC),
    FIELD_MONEY(struct limits, price, "price", .min = 1),
    FIELD_LIST(struct limits, list, "list", item_table, .min = 1, .max = 2),
    FIELD_REAL(struct limits, ratio, "ratio", .min = 0, .max = 1),
};
static const struct table limits_table = TABLE("Limits", struct limits, limits_fields);

static const struct {
    const char *members, *pointer, *detail; /* pointer NULL: accepted */
} limits_rows[] = {
    {"\"text\":\"ab\"", NULL, NULL},
    {"\"text\":\"abcd\"", NULL, NULL},
    {"\"text\":\"a\"", "/text", "must be 2 to 4 bytes long"},
    {"\"text\":\"\xc3\xa4\xc3\xa4\xc3\xa4\"", "/text", "must be 2 to 4 bytes long"},
    {"\"minimum\":\"ab\"", "/minimum", "must be 3 to 4096 bytes long"},
    {"\"email\":\"a.example\"", "/email", "must be an e-mail address"},
    {"\"low\":-5", NULL, NULL},
    {"\"low\":9223372036854775807", "/low", "must be -5 to 0"},
    {"\"low\":-6", "/low", "must be -5 to 0"},
    {"\"at\":\"1970-01-01T00:00:01Z\"", NULL, NULL},
    {"\"at\":\"1970-01-01T00:00:01.000001Z\"", "/at", "is outside the time allowed"},
    {"\"price\":{\"amount\":1,\"currency\":\"USD\"}", NULL, NULL},
    {"\"price\":{\"amount\":0,\"currency\":\"USD\"}", "/price/amount", "must be 1 or more"},
    {"\"price\":{\"amount\":9223372036854775807,\"currency\":\"USD\"}", NULL, NULL},
    {"\"list\":[]", "/list", "must have 1 to 2 elements"},
    {"\"list\":[1,2,3]", "/list", "must have 1 to 2 elements"},
    {"\"list\":[{\"sku\":\"a\",\"quantity\":1},{\"sku\":\"a\",\"quantity\":1}]", NULL, NULL},
    {"\"ratio\":1", NULL, NULL},
    {"\"ratio\":1.0000001", "/ratio", "must be 0 to 1"},
    {"\"ratio\":-0.1", "/ratio", "must be 0 to 1"},
};

Test(reader, limits__are_inclusive_and_named)
{
    for (size_t i = 0; i < ARRAY_SIZE(limits_rows); i++) {
        struct arena *a = arena_new();
        struct json_errors errors;
        struct limits v;
        const char *text = arena_printf(a, "{\"required\":\"\",%s}", limits_rows[i].members);
        int r = json_read(a, span_of(text), &limits_table, JSON_STRICT, &v, &errors);
        cr_assert_eq(r, limits_rows[i].pointer ? JSON_BAD : 0, "%s", text);
        if (r) {
            cr_assert_eq(errors.count, 1, "%s", text);
            cr_assert_str_eq(errors.at[0].pointer, limits_rows[i].pointer);
            cr_assert_str_eq(errors.at[0].detail, limits_rows[i].detail);
        }
        arena_free(a);
    }
}

Test(reader, text_without_limits__ends_at_4096_bytes)
{
    struct arena *a = arena_new();
    char *long_text = arena_alloc(a, 4098);
    memset(long_text, 'x', 4097);
    cr_assert_str_eq(refusal(a, span_of(arena_printf(a, "{\"text\":\"%s\"}", long_text))),
        "/text: must be at most 4096 bytes long\n");
    cr_assert_str_eq(refusal(a, span_of(arena_printf(a, "{\"tags\":[\"%s\"]}", long_text))),
        "/tags/0: must be at most 4096 bytes long\n");
    cr_assert_eq(
        strlen(accepted(a, span_of(arena_printf(a, "{\"text\":\"%.4096s\"}", long_text))).text),
        4096);
    arena_free(a);
}

Test(reader, required_member__may_be_neither_absent_nor_null)
{
    static const char *const texts[] = {"{}", "{\"required\":null}"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct arena *a = arena_new();
        struct json_errors errors;
        struct limits v;
        cr_assert_eq(
            json_read(a, span_of(texts[i]), &limits_table, JSON_STRICT, &v, &errors), JSON_BAD);
        cr_assert_eq(errors.count, 1);
        cr_assert_str_eq(errors.at[0].pointer, "/required");
        cr_assert_str_eq(errors.at[0].detail, "is required");
        arena_free(a);
    }
}

/* -- raw fields -- */

struct envelope {
    const char *type;
    struct span payload, second;
};
static const struct field envelope_fields[] = {
    FIELD_TEXT(struct envelope, type, "type"),
    FIELD_RAW(struct envelope, payload, "payload", .required = true),
    FIELD_RAW(struct envelope, second, "second"),
};
static const struct table envelope_table = TABLE("Envelope", struct envelope, envelope_fields);

Test(reader, raw_value__is_kept_byte_for_byte)
{
    static const char *const values[] = {"{ \"a\" : [ 1.10 , 1e2 ] }", "\"]}\\\"\\\\\"", "-0.50",
        "true", "[]", "{}", "[[],{\"payload\":1}]", "\"\\u00e9\xc3\xa9\"", "12"};
    static const char *const frames[] = {"{\"payload\":%s}", " { \"payload\" :\n%s\t}\r\n",
        "{\"x\":{\"payload\":0},\"payload\":%s,\"type\":\"t\"}",
        "{\"type\":\"\\\"payload\\\":1\",\"pa\\u0079l\\u006Fad\": %s , \"second\":1}"};

    for (size_t i = 0; i < ARRAY_SIZE(values) * ARRAY_SIZE(frames); i++) {
        const char *value = values[i % ARRAY_SIZE(values)];
        const char *frame = frames[i / ARRAY_SIZE(values)];
        struct arena *a = arena_new();
        struct json_errors errors;
        struct envelope e;
        struct buf text = {0};
        const char *hole = strstr(frame, "%s");
        buf_put(&text, frame, (size_t)(hole - frame));
        buf_put_text(&text, value);
        buf_put_text(&text, hole + 2);

        cr_assert_eq(json_read(a, buf_span(&text), &envelope_table, JSON_LENIENT, &e, &errors), 0,
            "%s", text.ptr);
        cr_assert_str_eq(e.payload.ptr, value);
        cr_assert_eq(e.payload.len, strlen(value));
        buf_deinit(&text);
        arena_free(a);
    }
}

Test(reader, raw_values_in_a_list__each_keep_their_own)
{
    struct arena *a = arena_new();
    struct json_errors errors;
    struct list list;
    cr_assert_eq(
        json_read_list(a,
            SPAN("[ {\"payload\":[1,2]} ,{\"payload\":\"a,b\"},{\"second\":{},\"payload\":3 }]"),
            &envelope_table, JSON_STRICT, &list, &errors),
        0);
    cr_assert_eq(list.len, 3);
    cr_assert_str_eq(LIST_AT(list, struct envelope, 0)->payload.ptr, "[1,2]");
    cr_assert_str_eq(LIST_AT(list, struct envelope, 1)->payload.ptr, "\"a,b\"");
    cr_assert_str_eq(LIST_AT(list, struct envelope, 2)->payload.ptr, "3");
    cr_assert_str_eq(LIST_AT(list, struct envelope, 2)->second.ptr, "{}");
    arena_free(a);
}

Test(reader, required_raw_value__may_not_be_null)
{
    struct arena *a = arena_new();
    struct json_errors errors;
    struct envelope e;
    cr_assert_eq(
        json_read(a, SPAN("{\"payload\":null}"), &envelope_table, JSON_STRICT, &e, &errors),
        JSON_BAD);
    cr_assert_str_eq(errors.at[0].detail, "is required");
    arena_free(a);
}

/* -- lists at the top -- */

Test(reader, top_level_list__is_read_with_indexed_pointers)
{
    struct arena *a = arena_new();
    struct json_errors errors;
    struct list list = {.len = 42};

    cr_assert_eq(json_read_list(a, SPAN("[]"), &item_table, JSON_STRICT, &list, &errors), 0);
    cr_assert_eq(list.len, 0);
    list.len = 42;
    cr_assert_eq(json_read_list(a, SPAN("[{\"sku\":\"a\",\"quantity\":1},{\"sku\":\"a\"},7]"),
                     &item_table, JSON_STRICT, &list, &errors),
        JSON_BAD);
    cr_assert_eq(list.len, 42);
    cr_assert_eq(errors.count, 2);
    cr_assert_str_eq(errors.at[0].pointer, "/1/quantity");
    cr_assert_str_eq(errors.at[1].pointer, "/2");
    cr_assert_eq(json_read_list(a, SPAN("{}"), &item_table, JSON_STRICT, &list, &errors), JSON_BAD);
    cr_assert_str_eq(errors.at[0].detail, "must be an array");
    arena_free(a);
}
