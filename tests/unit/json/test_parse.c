/* The parser beside jansson, which stands for what JSON is: both must give the same verdict and the
 * same values, on a list of nasty documents and on random mutations of real ones. A mismatch names
 * the document; the seeds are fixed. */

#include <criterion/criterion.h>
#include <stdio.h>

#include "common/base/mem.h"
#include "support/json_reference.h"

static bool agree(struct arena *a, struct span text)
{
    bool good;
    cr_assert(json_reference_agrees(a, text, &good), "%.*s", SPAN_ARG(text));
    return good;
}

static const struct {
    struct span text;
    bool good;
} nasty[] = {
    {SPAN("null"), true},
    {SPAN(" true "), true},
    {SPAN("\t\r\n false\n"), true},
    {SPAN("0"), true},
    {SPAN("-0"), true},
    {SPAN("-0.0"), true},
    {SPAN("0e0"), true},
    {SPAN("1E+2"), true},
    {SPAN("1e-2"), true},
    {SPAN("123456789.123456789e-5"), true},
    {SPAN("0.1"), true},
    {SPAN("2.2250738585072014e-308"), true},
    {SPAN("4.9e-324"), true},
    {SPAN("1e-999"), true},
    {SPAN("1.7976931348623157e308"), true},
    {SPAN("1.7976931348623159e308"), false},
    {SPAN("1e999"), false},
    {SPAN("-1e999"), false},
    {SPAN("9223372036854775807"), true},
    {SPAN("-9223372036854775808"), true},
    {SPAN("9223372036854775808"), false},
    {SPAN("-9223372036854775809"), false},
    {SPAN("18446744073709551616"), false},
    {SPAN("18446744073709551617"), false},
    {SPAN("99999999999999999999999999999999999999999999999999"), false},
    {SPAN("99999999999999999999999999999999999999999999999999.0"), true},
    {SPAN("00"), false},
    {SPAN("-01"), false},
    {SPAN("01.5"), false},
    {SPAN("-"), false},
    {SPAN("+1"), false},
    {SPAN("--1"), false},
    {SPAN("1."), false},
    {SPAN(".5"), false},
    {SPAN("1.e5"), false},
    {SPAN("1e"), false},
    {SPAN("1e+"), false},
    {SPAN("1e5.5"), false},
    {SPAN("1e5e5"), false},
    {SPAN("1 2"), false},
    {SPAN("0x1"), false},
    {SPAN("1_000"), false},
    {SPAN("NaN"), false},
    {SPAN("-Infinity"), false},
    {SPAN("nul"), false},
    {SPAN("nulll"), false},
    {SPAN("True"), false},
    {SPAN("truefalse"), false},
    {SPAN("null1"), false},
    {SPAN("1null"), false},
    {SPAN(""), false},
    {SPAN(" "), false},
    {SPAN("\v1"), false},
    {SPAN("\f1"), false},
    {SPAN("\xc2\xa0"
          "1"),
        false},
    {SPAN("\0"), false},
    {SPAN("1\0"), false},
    {SPAN("\"\""), true},
    {SPAN("\"\x7f\""), true},
    {SPAN("\"\x1f\""), false},
    {SPAN("\"\0\""), false},
    {SPAN("\"1234567\x1f\""), false},
    {SPAN("\"12345678\n\""), false},
    {SPAN("\"1234567\\\"8\""), true},
    {SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), true},
    {SPAN("\"\\a\""), false},
    {SPAN("\"\\'\""), false},
    {SPAN("\"\\0\""), false},
    {SPAN("\"\\\0\""), false},
    {SPAN("\"\\U0041\""), false},
    {SPAN("\"\\u004\""), false},
    {SPAN("\"\\u004g\""), false},
    {SPAN("\"\\u 041\""), false},
    {SPAN("\"\\u+041\""), false},
    {SPAN("\"\\u0041\\u00e9\\u20AC\\uFFFF\\ufffe\""), true},
    {SPAN("\"\\u0000\""), false},
    {SPAN("\"a\\u0000b\""), false},
    {SPAN("\"\\u0001\\u001f\\u007f\\u0080\\u07ff\\u0800\""), true},
    {SPAN("\"\\ud800\\udc00\\udbff\\udfff\\uD83D\\uDE00\""), true},
    {SPAN("\"\\ud83d\""), false},
    {SPAN("\"\\ud83dx\""), false},
    {SPAN("\"\\ud83d\\\""), false},
    {SPAN("\"\\ud83d\\n\""), false},
    {SPAN("\"\\ud83d\\u0041\""), false},
    {SPAN("\"\\ud83d\\ud83d\""), false},
    {SPAN("\"\\ude00\""), false},
    {SPAN("\"\\ude00\\ud83d\""), false},
    {SPAN("\"\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac\""), true},
    {SPAN("\"\xc0\x80\""), false},
    {SPAN("\"\xc1\xbf\""), false},
    {SPAN("\"\xe0\x9f\xbf\""), false},
    {SPAN("\"\xe0\xa0\x80\""), true},
    {SPAN("\"\xed\x9f\xbf\xee\x80\x80\""), true},
    {SPAN("\"\xed\xa0\x80\""), false},
    {SPAN("\"\xed\xbf\xbf\""), false},
    {SPAN("\"\xef\xbf\xbf\""), true},
    {SPAN("\"\xf0\x8f\xbf\xbf\""), false},
    {SPAN("\"\xf4\x8f\xbf\xbf\""), true},
    {SPAN("\"\xf4\x90\x80\x80\""), false},
    {SPAN("\"\xf5\x80\x80\x80\""), false},
    {SPAN("\"\xf8\x88\x80\x80\x80\""), false},
    {SPAN("\"\x80\""), false},
    {SPAN("\"\xe2\x82\""), false},
    {SPAN("\"\xe2\x82"), false},
    {SPAN("\"\\\xff\""), false},
    {SPAN("\""), false},
    {SPAN("\"\\"), false},
    {SPAN("\"\\u"), false},
    {SPAN("\"\\u00"), false},
    {SPAN("'a'"), false},
    {SPAN("\xef\xbb\xbf{}"), false},
    {SPAN("[]"), true},
    {SPAN("[ ]"), true},
    {SPAN("[,]"), false},
    {SPAN("[1,]"), false},
    {SPAN("[,1]"), false},
    {SPAN("[1 2]"), false},
    {SPAN("[1,,2]"), false},
    {SPAN("[1}"), false},
    {SPAN("[\"a\":1]"), false},
    {SPAN("["), false},
    {SPAN("[1"), false},
    {SPAN("[1,"), false},
    {SPAN("]"), false},
    {SPAN("[]]"), false},
    {SPAN("{}"), true},
    {SPAN("{ }"), true},
    {SPAN("{,}"), false},
    {SPAN("{\"a\"}"), false},
    {SPAN("{\"a\":}"), false},
    {SPAN("{\"a\" : 1 , \"b\" : 2 }"), true},
    {SPAN("{\"a\":1,}"), false},
    {SPAN("{\"a\":1 \"b\":2}"), false},
    {SPAN("{\"a\"::1}"), false},
    {SPAN("{\"a\",1}"), false},
    {SPAN("{1:1}"), false},
    {SPAN("{null:1}"), false},
    {SPAN("{a:1}"), false},
    {SPAN("{\"a\":1]"), false},
    {SPAN("{"), false},
    {SPAN("{\"a\""), false},
    {SPAN("{\"a\":"), false},
    {SPAN("{\"a\":1"), false},
    {SPAN("{\"a\":1,"), false},
    {SPAN("}"), false},
    {SPAN("{}}"), false},
    {SPAN("{} {}"), false},
    {SPAN("{}\0"), false},
    {SPAN("{}#"), false},
    {SPAN("{}//"), false},
    {SPAN("{\"\":1}"), true},
    {SPAN("{\"\":1,\"\":2}"), false},
    {SPAN("{\"a\":1,\"b\":2,\"a\":3}"), false},
    {SPAN("{\"a\":1,\"\\u0061\":2}"), false},
    {SPAN("{\"\\u0061\":1,\"\\u0062\":2}"), true},
    {SPAN("{\"a\":{\"a\":{\"a\":1}}}"), true},
    {SPAN("{\"ab\":1,\"aab\":2,\"aaab\":3,\"axb\":4}"), true},
    {SPAN("{\"a\\u0000\":1}"), false},
    {SPAN("{\"a\\ud800\":1}"), false},
    {SPAN("[{\"a\":[1,{\"b\":[]}]},[[[]]],{\"a\":\"]}\"}]"), true},
};

Test(parse, nasty_documents__as_jansson_takes_them)
{
    struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_SIZE(nasty); i++)
        cr_assert_eq(
            agree(a, nasty[i].text), nasty[i].good, "row %zu: %.*s", i, SPAN_ARG(nasty[i].text));
    arena_free(a);
}

/* Of the kind that travel between the services. */
static const char *const real_documents[] = {
    "{\"eventId\":\"0199f3a4-7c1e-7a52-9a57-0d5b9c3d7f10\",\"eventType\":\"order.created\","
    "\"eventVersion\":1,\"occurredAt\":\"2026-11-21T10:12:33.123456Z\",\"source\":\"order\","
    "\"correlationId\":\"a1\",\"payload\":{\"orderId\":\"0199f3a4-7c1e-7a52-9a57-0d5b9c3d7f11\","
    "\"items\":[{\"sku\":\"mug-blue\",\"quantity\":2,\"price\":{\"amount\":1299,\"currency\":"
    "\"EUR\"}},{\"sku\":\"pen\",\"quantity\":1,\"price\":{\"amount\":250,\"currency\":\"EUR\"}}],"
    "\"total\":{\"amount\":2848,\"currency\":\"EUR\"},\"shippingAddress\":{\"name\":\"Zo\xc3\xab "
    "\\u00c5\\u2028 \\ud83d\\ude00\",\"line1\":\"1 \\\"Main\\\" St\",\"city\":\"K\xc3\xb6ln\","
    "\"country\":\"DE\",\"note\":null}}}",
    "[ { \"id\" : -9223372036854775808 , \"score\" : [0.25, 1e-3, -1.5E+10, 0.1] , \"ok\" : true ,"
    "\n\t\"off\" : false } , [ ] , { } , \"\\\\ \\/ \\b\\f\\n\\r\\t\" , 9223372036854775807, "
    "1e308]",
    "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,"
    "\"l\":12,\"m\":13,\"n\":14,\"o\":15,\"p\":16,\"q\":17,\"r\":18,\"s\":19,\"t\":20,\"u\":21,"
    "\"v\":22,\"w\":23,\"x\":24,\"y\":25,\"z\":26,\"aa\":27,\"bb\":28,\"cc\":29,\"dd\":30,"
    "\"ee\":31,\"ff\":32,\"gg\":33,\"hh\":34,\"\xc3\xa9\":35,\"\\u00ea\":36}",
};

static uint64_t roll(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* One byte changed, a few cut out or doubled, or a token put in, for which `text` has room; returns
 * the new length. */
static size_t mutate(uint64_t *dice, char *text, size_t len)
{
    static const char bytes[] = "{}[],:\"\\ue0159-+.E tfn/\n\x1f\x7f\x80\xc3\xa9\xed\xf0\xff";
    static const char *const tokens[] = {"\\u0000", "\\ud800", "\\udc00", "\\u00e9",
        "\"a\":", "null", "true", "-0", "1e400", "99999999999999999999", "\"\"", "[]", "{}",
        " \r\n\t", "\xf0\x9f\x98\x80", "\xe2\x82"};
    size_t at = roll(dice) % (len + 1), piece = roll(dice) % 8;
    const char *token = tokens[roll(dice) % ARRAY_SIZE(tokens)];

    if (at + piece > len)
        piece = len - at;
    switch (roll(dice) % 4) {
    case 0: /* NUL is one of them */
        if (at < len)
            text[at] = bytes[roll(dice) % sizeof(bytes)];
        return len;
    case 1:
        memmove(text + at, text + at + piece, len - at - piece);
        return len - piece;
    case 2:
        memmove(text + at + piece, text + at, len - at);
        return len + piece;
    default:
        memmove(text + at + strlen(token), text + at, len - at);
        memcpy(text + at, token, strlen(token));
        return len + strlen(token);
    }
}

Test(parse, mutated_documents__as_jansson_takes_them)
{
    enum { ROUNDS = 30000 };
    uint64_t dice = 20261121;
    unsigned good = 0;
    struct arena *a = arena_new();

    for (unsigned i = 0; i < ROUNDS; i++) {
        const char *document = real_documents[i % ARRAY_SIZE(real_documents)];
        size_t len = strlen(document);
        char *text = arena_alloc(a, len + 64);
        memcpy(text, document, len);
        for (uint64_t n = roll(&dice) % 4; n > 0; n--)
            len = mutate(&dice, text, len);
        good += agree(a, span_make(text, len));
        arena_reset(a);
    }
    cr_assert(good > ROUNDS / 5 && good < ROUNDS * 4 / 5, "%u good of %d", good, ROUNDS);
    arena_free(a);
}

static char *many_members(struct arena *a, unsigned count, unsigned twice)
{
    char *text = arena_alloc(a, (size_t)count * 12 + 8), *p = text;
    *p++ = '{';
    for (unsigned i = 0; i < count; i++)
        p += sprintf(p, "%s\"m%u\":1", i ? "," : "", i == count - 1 ? twice : i);
    *p++ = '}';
    return text;
}

Test(parse, many_members__none_twice_and_one_twice)
{
    static const unsigned counts[] = {2, 31, 32, 33, 34, 1000, 80000};
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        struct arena *a = arena_new();
        const char *sentence = NULL;
        unsigned n = counts[i];
        cr_assert(parse_document(a, span_of(many_members(a, n, n - 1)), &sentence));
        cr_assert_null(parse_document(a, span_of(many_members(a, n, n / 2 - 1)), &sentence));
        cr_assert_eq(strncmp(sentence, "has a member twice, ", 20), 0, "%s", sentence);
        arena_free(a);
    }
}

Test(parse, what_is_wrong__has_its_line_and_column)
{
    static const struct {
        const char *text, *sentence;
    } rows[] = {
        {"x", "is not valid JSON, at line 1, column 1"},
        {"{\n  \"\xc3\xa9\": 1,\n  \"\xc3\xa9\xc3\xa9\" 2}",
            "is not valid JSON, at line 3, column 8"},
        {"[1,\n", "ends too early, at line 2, column 1"},
        {"[1] ]", "has more text after its end, at line 1, column 5"},
        {"[\"ab\xff\"]", "is not UTF-8, at line 1, column 5"},
        {"[1,99999999999999999999]", "holds a number out of range, at line 1, column 4"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct arena *a = arena_new();
        const char *sentence = NULL;
        cr_assert_null(parse_document(a, span_of(rows[i].text), &sentence));
        cr_assert_str_eq(sentence, rows[i].sentence);
        arena_free(a);
    }
}

Test(parse, densest_document__takes_24_times_its_length)
{
    struct arena *a = arena_new();
    size_t len = 100001;
    char *text = mem_alloc(len);
    const char *sentence;

    for (size_t i = 0; i < len; i++)
        text[i] = i % 2 ? '1' : ',';
    text[0] = '[';
    text[len - 1] = ']';
    cr_assert(parse_document(a, span_make(text, len), &sentence));
    cr_assert(arena_used(a) < 24 * len + 8192, "%zu", arena_used(a));
    mem_free(text);
    arena_free(a);
}
