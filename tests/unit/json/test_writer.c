#include <locale.h>
#include <math.h>

#include "fixture.h"

/* Runs the statements with a writer `w` and compares what came out. */
#define cr_assert_writes(expected, ...)                                                            \
    do {                                                                                           \
        struct buf out = {0};                                                                      \
        struct json_writer w = json_writer_on(&out);                                               \
        __VA_ARGS__;                                                                               \
        cr_assert_str_eq(out.ptr, expected);                                                       \
        buf_deinit(&out);                                                                          \
    } while (0)

static void span_expect(struct span text, const char *expected)
{
    cr_assert_writes(expected, json_span(&w, text));
}

Test(writer, commas__stand_between_values_only)
{
    cr_assert_writes(
        "{\"a\":[1,[],{},null],\"b\":{\"c\":true,\"d\":\"x\"},\"e\":false}", json_object_begin(&w);
        json_key(&w, "a"); json_array_begin(&w); json_i64(&w, 1); json_array_begin(&w);
        json_array_end(&w); json_object_begin(&w); json_object_end(&w); json_none(&w);
        json_array_end(&w); json_key(&w, "b"); json_object_begin(&w); json_put_bool(&w, "c", true);
        json_put_text(&w, "d", "x"); json_object_end(&w); json_put_bool(&w, "e", false);
        json_object_end(&w); cr_assert_eq(w.depth, 0));
}

Test(writer, scalars__have_one_form)
{
    cr_assert_writes("-9223372036854775808", json_i64(&w, INT64_MIN));
    cr_assert_writes("9223372036854775807", json_i64(&w, INT64_MAX));
    cr_assert_writes("null", json_text(&w, NULL));
    cr_assert_writes("\"\"", json_text(&w, ""));
    cr_assert_writes("null", json_time(&w, 0));
    cr_assert_writes("\"1970-01-01T00:00:01.000001Z\"", json_time(&w, USEC_PER_SEC + 1));
    cr_assert_writes("null", json_money(&w, &(struct money){0}));
    cr_assert_writes("{\"amount\":-5,\"currency\":\"EUR\"}",
        json_money(&w, &(struct money){.amount = -5, .currency = "EUR"}));
    cr_assert_writes("null", json_raw(&w, (struct span){0}));
    cr_assert_writes("[1, 2]", json_raw(&w, SPAN("[1, 2]")));
}

Test(writer, doubles__are_the_shortest_that_read_back)
{
    cr_assert_writes("0.1", json_double(&w, 0.1));
    cr_assert_writes("0.30000000000000004", json_double(&w, 0.1 + 0.2));
    cr_assert_writes("3", json_double(&w, 3.0));
    cr_assert_writes("1e+300", json_double(&w, 1e300));
    cr_assert_writes("null", json_double(&w, NAN));
    cr_assert_writes("null", json_double(&w, -INFINITY));
}

Test(writer, control_characters__are_all_escaped)
{
    static const char *const expected[32] = {"\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004",
        "\\u0005", "\\u0006", "\\u0007", "\\b", "\\t", "\\n", "\\u000b", "\\f", "\\r", "\\u000e",
        "\\u000f", "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016",
        "\\u0017", "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e",
        "\\u001f"};
    struct arena *a = arena_new();
    for (int c = 0; c < 32; c++)
        span_expect(span_make(&(char){(char)c}, 1), arena_printf(a, "\"%s\"", expected[c]));
    span_expect(SPAN("\"\\/"), "\"\\\"\\\\/\"");
    span_expect(SPAN("\x7f"), "\"\x7f\"");
    arena_free(a);
}

/* The escaper looks at eight bytes at once: a special byte must be seen wherever it stands. */
Test(writer, special_byte__is_found_at_every_position)
{
    static const struct {
        unsigned char byte;
        const char *written;
    } specials[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {0, "\\u0000"}, {0x1f, "\\u001f"},
        {0x80, "\xef\xbf\xbd"}, {0xff, "\xef\xbf\xbd"}};
    static const char fillers[] = {' ', '!', '#', '[', ']', 'a', 0x7f};
    struct arena *a = arena_new();

    for (size_t s = 0; s < ARRAY_SIZE(specials); s++) {
        for (size_t len = 1; len <= 24; len++) {
            for (size_t at = 0; at < len; at++) {
                char text[24], filler = fillers[(len + at) % ARRAY_SIZE(fillers)];
                memset(text, filler, len);
                const char *expected = arena_printf(a, "\"%.*s%s%.*s\"", (int)at, text,
                    specials[s].written, (int)(len - at - 1), text);
                text[at] = (char)specials[s].byte;
                span_expect(span_make(text, len), expected);
            }
        }
    }
    arena_free(a);
}

Test(writer, valid_utf8__is_left_as_it_is)
{
    span_expect(SPAN("\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf"),
        "\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf\"");
    span_expect(SPAN("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
    span_expect(SPAN("\xe2\x80\xa8\xe2\x80\xa9"), "\"\xe2\x80\xa8\xe2\x80\xa9\"");
}

#define BAD "\xef\xbf\xbd"
Test(writer, invalid_utf8__becomes_replacement_characters)
{
    span_expect(SPAN("a\xff"
                     "b"),
        "\"a" BAD "b\"");
    span_expect(SPAN("\xc3"), "\"" BAD "\"");
    span_expect(SPAN("\xc3("), "\"" BAD "(\"");
    span_expect(SPAN("\xc0\xaf"), "\"" BAD BAD "\"");
    span_expect(SPAN("\xe0\x9f\xbf"), "\"" BAD BAD BAD "\"");
    span_expect(SPAN("\xed\xa0\x80"), "\"" BAD BAD BAD "\"");
    span_expect(SPAN("\xf4\x90\x80\x80"), "\"" BAD BAD BAD BAD "\"");
    span_expect(SPAN("\xf0\x9f\x98\""), "\"" BAD BAD BAD "\\\"\"");
}

Test(writer, struct__is_written_in_the_order_of_its_table)
{
    struct item items[] = {{"a", 1}, {"b", 2}};
    const char *tags[] = {"x"};
    struct all v = {.text = "t",
        .hidden = "never",
        .secret = "s",
        .count = 3,
        .price = {.amount = 1, .currency = "USD"},
        .one = &items[0],
        .items = {2, items},
        .tags = {1, tags},
        .raw = SPAN("{ }"),
        .score = 0.5};

    cr_assert_writes("{\"text\":\"t\",\"id\":null,\"choice\":null,\"secret\":\"s\",\"count\":3,"
                     "\"fallback\":0,\"at\":null,\"flag\":false,\"flagOn\":false,"
                     "\"price\":{\"amount\":1,\"currency\":\"USD\"},"
                     "\"one\":{\"sku\":\"a\",\"quantity\":1},"
                     "\"items\":[{\"sku\":\"a\",\"quantity\":1},{\"sku\":\"b\",\"quantity\":2}],"
                     "\"tags\":[\"x\"],\"raw\":{ },\"score\":0.5}",
        json_struct(&w, &all_table, &v));
}

Test(writer, empty_members__are_null_or_left_out)
{
    struct all v = {0};
    cr_assert_writes("{\"text\":null,\"id\":null,\"choice\":null,\"secret\":null,\"count\":0,"
                     "\"fallback\":0,\"at\":null,\"flag\":false,\"flagOn\":false,\"price\":null,"
                     "\"one\":null,\"items\":[],\"raw\":null,\"score\":0}",
        json_struct(&w, &all_table, &v));
    cr_assert_writes("null", json_struct(&w, &all_table, NULL));
    cr_assert_writes("[]", json_list(&w, &item_table, (struct list){0}));
}

struct login {
    struct all *inner;
    const char *token, *none;
    int64_t pin;
};
static const struct field login_fields[] = {
    FIELD_OBJECT(struct login, inner, "inner", all_table),
    FIELD_TEXT(struct login, token, "token", .secret = true),
    FIELD_TEXT(struct login, none, "none", .secret = true),
    FIELD_I64(struct login, pin, "pin", .secret = true),
};
static const struct table login_table = TABLE("Login", struct login, login_fields);

Test(writer, masked_struct__hides_secrets_at_every_depth)
{
    struct all inner = {.text = "open", .secret = "geheim"};
    struct login v = {.inner = &inner, .token = "geheim", .pin = 1234};
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);

    json_struct_masked(&w, &login_table, &v);
    cr_assert_null(strstr(out.ptr, "geheim"));
    cr_assert_null(strstr(out.ptr, "1234"));
    cr_assert_not_null(strstr(out.ptr, "\"open\""));
    cr_assert_not_null(strstr(out.ptr, "\"secret\":\"***\""));
    cr_assert_not_null(strstr(out.ptr, "\"token\":\"***\",\"none\":null,\"pin\":\"***\""));
    buf_deinit(&out);
}
