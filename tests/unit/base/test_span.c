#include "common/base/span.h"

#include <criterion/criterion.h>

#include "property.h"

Test(base, span_of__null__is_empty)
{
    struct span s = span_of(NULL);
    cr_assert(s.ptr);
    cr_assert_eq(s.len, 0);
}

Test(base, span_equal__compares_length_and_bytes)
{
    cr_assert(span_equal(SPAN("a\0b"), SPAN("a\0b")));
    cr_assert_not(span_equal(SPAN("a\0b"), SPAN("a\0c")));
    cr_assert_not(span_equal(SPAN("a"), SPAN("ab")));
    cr_assert(span_equal(span_make(NULL, 0), SPAN("")));
}

Test(base, span_equal_nocase__folds_ascii_letters_only)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"Content-Length", "content-length", true},
        {"AZaz", "azAZ", true},
        {"", "", true},
        {"abc", "abcd", false},
        {"@", "`", false},
        {"[", "{", false},
        {"\xc3\x84", "\xc3\xa4", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_assert_eq(
            span_equal_nocase(span_of(rows[i].a), span_of(rows[i].b)), rows[i].equal, "row %zu", i);
}

Test(base, span_starts__prefix_of_any_length)
{
    cr_assert(span_starts(SPAN("Bearer x"), SPAN("Bearer ")));
    cr_assert(span_starts(SPAN("abc"), SPAN("abc")));
    cr_assert(span_starts(SPAN("abc"), SPAN("")));
    cr_assert(span_starts(span_make(NULL, 0), SPAN("")));
    cr_assert_not(span_starts(SPAN("ab"), SPAN("abc")));
    cr_assert_not(span_starts(SPAN("abc"), SPAN("b")));
}

Test(base, span_trim__takes_blanks_off_both_ends_only)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {" \t a b \t", "a b"},
        {"x", "x"},
        {"", ""},
        {" \t ", ""},
        {"\n x\r", "\n x\r"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_assert(span_equal(span_trim(span_of(rows[i].in)), span_of(rows[i].out)), "row %zu", i);
}

Test(base, span_text_run__each_byte_anywhere__stops_at_control_characters_but_tabs)
{
    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < 20; at++) {
            char bytes[20];
            bool control = (c < ' ' && c != '\t') || c == 0x7f;
            memset(bytes, at & 1 ? '\t' : '~', sizeof(bytes));
            bytes[at] = (char)c;
            cr_assert_eq(span_text_run(span_make(bytes, 20)), control ? at : 20, "%d, %zu", c, at);
        }
    cr_assert_eq(span_text_run(span_make(NULL, 0)), 0);
}

Test(base, span_text_run__any_bytes__equals_a_look_at_each)
{
    struct property p = property_begin("text run");
    for (int round = 0; round < 20000; round++) {
        char bytes[40];
        size_t len = property_below(&p, sizeof(bytes)), expected = 0;
        bool seldom = property_next(&p) & 1;
        for (size_t i = 0; i < len; i++)
            bytes[i] = seldom && property_below(&p, 30) ? (char)(' ' + property_below(&p, 95))
                                                        : (char)property_below(&p, 256);
        while (expected < len &&
               (bytes[expected] == '\t' || (unsigned char)bytes[expected] >= ' ') &&
               bytes[expected] != 0x7f)
            expected++;
        cr_assert_eq(span_text_run(span_make(bytes, len)), expected);
    }
}

Test(base, span_cut__walks_the_pieces_and_then_stops)
{
    static const struct {
        const char *text;
        size_t n;
        const char *pieces[4];
    } rows[] = {
        {"a,bc,d", 3, {"a", "bc", "d"}},
        {"a", 1, {"a"}},
        {"", 1, {""}},
        {",", 2, {"", ""}},
        {"a,", 2, {"a", ""}},
        {",,a", 3, {"", "", "a"}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct span rest = span_of(rows[i].text), piece;
        for (size_t k = 0; k < rows[i].n; k++) {
            cr_assert(span_cut(&rest, ',', &piece), "row %zu piece %zu", i, k);
            cr_assert(span_equal(piece, span_of(rows[i].pieces[k])), "row %zu piece %zu", i, k);
        }
        piece = SPAN("untouched");
        cr_assert_not(span_cut(&rest, ',', &piece), "row %zu", i);
        cr_assert(span_equal(piece, SPAN("untouched")));
    }
}

Test(base, span_to_i64__only_strict_decimals)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"007", true, 7},
        {"42", true, 42},
        {"-42", true, -42},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"99999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"0x10", false, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t value = 12345;
        cr_assert_eq(span_to_i64(span_of(rows[i].text), &value), rows[i].ok, "'%s'", rows[i].text);
        cr_assert_eq(value, rows[i].ok ? rows[i].value : 12345, "'%s'", rows[i].text);
    }
}

Test(base, span_to_i64__embedded_nul__is_refused)
{
    int64_t value;
    cr_assert_not(span_to_i64(SPAN("1\0"), &value));
}

Test(base, span_to_i64__any_printed_number__comes_back)
{
    struct property p = property_begin("span_to_i64");
    for (int i = 0; i < 20000; i++) {
        int64_t value = (int64_t)(property_next(&p) >> property_below(&p, 64));
        if (property_next(&p) & 1)
            value = (int64_t) - (uint64_t)value;
        char text[32];
        snprintf(text, sizeof(text), "%" PRId64, value);
        int64_t back;
        cr_assert(span_to_i64(span_of(text), &back));
        cr_assert_eq(back, value);
    }
}

Test(base, i64_text__any_number__is_what_printf_makes_of_it)
{
    static const int64_t limits[] = {0, 1, -1, 9, 10, -10, 99, 100, INT64_MAX, INT64_MIN};
    struct property p = property_begin("i64_text");
    for (size_t i = 0; i < 20000; i++) {
        int64_t value = i < ARRAY_SIZE(limits)
                            ? limits[i]
                            : (int64_t)(property_next(&p) >> property_below(&p, 64));
        char text[I64_TEXT_SIZE], expected[32];
        snprintf(expected, sizeof(expected), "%" PRId64, value);
        cr_assert_eq(i64_text(value, text), strlen(expected));
        cr_assert_str_eq(text, expected);
    }
}
