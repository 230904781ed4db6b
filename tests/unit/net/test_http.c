#include <criterion/criterion.h>

#include "common/net/http.h"

static void assert_text(struct span got, const char *wanted)
{
    cr_assert(
        span_equal(got, span_of(wanted)), "got \"%.*s\", wanted \"%s\"", SPAN_ARG(got), wanted);
}

Test(http, method__every_name__parses_back)
{
    for (unsigned m = 0; m < HTTP_METHODS; m++) {
        enum http_method got;
        cr_assert(http_method_parse(span_of(http_method_name((enum http_method)m)), &got));
        cr_assert_eq(got, m);
    }
}

Test(http, method__unknown_or_lower_case__is_refused_and_out_argument_untouched)
{
    enum http_method got = HTTP_PATCH;

    cr_assert_not(http_method_parse(SPAN("get"), &got));
    cr_assert_not(http_method_parse(SPAN("TRACE"), &got));
    cr_assert_not(http_method_parse(SPAN(""), &got));
    cr_assert_eq(got, HTTP_PATCH);
}

Test(http, headers__lookup__ignores_case_and_finds_the_first)
{
    struct http_headers h = {0};

    http_header_add(&h, SPAN("X-One"), SPAN("1"));
    http_header_add(&h, SPAN("x-one"), SPAN("2"));
    assert_text(http_header_get(&h, "X-ONE"), "1");
    cr_assert_null(http_header_get(&h, "X-On").ptr);
}

Test(http, percent_decode__good_text__is_decoded)
{
    struct arena *a = arena_new();
    struct span got;

    cr_assert(http_percent_decode(a, SPAN("a%20b+c%c3%A9"), false, &got));
    assert_text(got, "a b+c\xc3\xa9");
    cr_assert(http_percent_decode(a, SPAN("a%20b+c"), true, &got));
    assert_text(got, "a b c");
    cr_assert(http_percent_decode(a, SPAN(""), true, &got));
    cr_assert_eq(got.len, 0);
    arena_free(a);
}

Test(http, percent_decode__bad_escape_or_control__is_refused)
{
    static const char *const bad[] = {"%", "%1", "%zz", "a%0", "%00", "%0a", "%7f", "%g1", "\x01"};
    struct arena *a = arena_new();
    struct span got = {NULL, 0};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(http_percent_decode(a, span_of(bad[i]), false, &got), "%s", bad[i]);
    cr_assert_null(got.ptr);
    arena_free(a);
}

Test(http, percent_encode__every_byte__decodes_back)
{
    struct arena *a = arena_new();
    struct buf out = {0};
    char all[256];
    size_t n = 0;
    struct span got;

    for (int c = 0x20; c < 256; c++) {
        if (c != 0x7f)
            all[n++] = (char)c;
    }
    http_percent_encode(&out, span_make(all, n));
    cr_assert(http_percent_decode(a, buf_span(&out), false, &got));
    cr_assert(span_equal(got, span_make(all, n)));

    buf_reset(&out);
    http_percent_encode(&out, SPAN("aZ9-._~ /&"));
    assert_text(buf_span(&out), "aZ9-._~%20%2F%26");
    buf_deinit(&out);
    arena_free(a);
}
