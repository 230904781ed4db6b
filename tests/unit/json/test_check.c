#include "fixture.h"

struct row {
    const char *pattern, *text;
    bool fits;
};

static const struct row pattern_rows[] = {
    {"email", "a@example.com", true},
    {"email", "first.last+tag@sub.example.co.uk", true},
    {"email", "o'neil_{x}@example.com", true},
    {"email", "root@localhost", true},
    {"email", "a@xn--mnchen-3ya.de", true},
    {"email", "", false},
    {"email", "a", false},
    {"email", "@example.com", false},
    {"email", "a@", false},
    {"email", "a@example", false},
    {"email", "a@b@example.com", false},
    {"email", "a b@example.com", false},
    {"email", "a@exam ple.com", false},
    {"email", "a\r\nBcc: x@example.com", false},
    {"email", "a@example.com\n", false},
    {"email", "a@.example.com", false},
    {"email", "a@example..com", false},
    {"email", "a@example.com.", false},
    {"email", "a@-example.com", false},
    {"email", "a@example-.com", false},
    {"email", ".a@example.com", false},
    {"email", "a.@example.com", false},
    {"email", "a..b@example.com", false},
    {"email", "\"a\"@example.com", false},
    {"email", "<a@example.com>", false},
    {"email", "a,b@example.com", false},
    {"email", "a@[127.0.0.1]", false},
    {"email", "\xc3\xa4@example.com", false},
    {"sku", "A-1_b.9", true},
    {"sku", "", false},
    {"sku", "a b", false},
    {"sku", "a/b", false},
    {"sku", "\xc3\xa4", false},
    {"currency", "USD", true},
    {"currency", "JPY", true},
    {"currency", "usd", false},
    {"currency", "QQQ", false},
    {"currency", "US", false},
    {"country", "DE", true},
    {"country", "AD", true},
    {"country", "ZW", true},
    {"country", "de", false},
    {"country", "XX", false},
    {"country", "D ", false},
    {"country", " A", false},
    {"country", "DEU", false},
    {"country", "", false},
    {"phone", "+4915112345678", true},
    {"phone", "+1234567", true},
    {"phone", "+123456789012345", true},
    {"phone", "+1234567890123456", false},
    {"phone", "+123456", false},
    {"phone", "+0234567890", false},
    {"phone", "004915112345", false},
    {"phone", "+49 151 1234", false},
    {"phone", "+49151-1234", false},
    {"name", "Ada Lovelace", true},
    {"name", "\xe6\x9d\x8e\xe5\xb0\x8f\xe9\xbe\x99", true},
    {"name", "\xc3\x85ngstr\xc3\xb6m \xc2\xa0x", true},
    {"name", "", false},
    {"name", " Ada", false},
    {"name", "Ada ", false},
    {"name", "A\tB", false},
    {"name", "A\nB", false},
    {"name", "A\x7f", false},
    {"name", "A\xc2\x85", false},
    {"name", "A\xe2\x80\xa9Z", false},
    {"name", "\xe2\x80\xaeyxA", false},
    {"name", "A\xe2\x81\xa6Z", false},
    {"name", "A\xe2\x80\x93Z", true},
    {"line", "", true},
    {"line", " Main Street 1\xe2\x80\xafz ", true},
    {"line", "Main Street\r\n2", false},
    {"line", "Main\xe2\x80\xa8Street", false},
    {"line", "\x1b[2J", false},
    {"url", "http://example.com", true},
    {"url", "https://example.com:8443/a/b?c=d&e=%20#f", true},
    {"url", "http://127.0.0.1:8080/hook", true},
    {"url", "http://localhost/", true},
    {"url", "HTTP://example.com", false},
    {"url", "ftp://example.com", false},
    {"url", "javascript:alert(1)", false},
    {"url", "http://", false},
    {"url", "http:///x", false},
    {"url", "http://user:pw@example.com/", false},
    {"url", "http://example.com@evil.example/", false},
    {"url", "http://example.com:0/", false},
    {"url", "http://example.com:65536/", false},
    {"url", "http://example.com:/", false},
    {"url", "http://example.com:-1/", false},
    {"url", "http://example.com/a b", false},
    {"url", "http://example.com/a\r\nHost: x", false},
    {"url", "http://example.com\\@evil.example/", false},
    {"url", "http://example.com/\xc3\xa4", false},
    {"url", "http://[::1]/", false},
    {"https-url", "https://example.com/x", true},
    {"https-url", "http://example.com/x", false},
    {"https-url", "https://", false},
};

Test(check, patterns__let_through_what_they_say)
{
    struct arena *a = arena_new();
    for (size_t i = 0; i < ARRAY_SIZE(pattern_rows); i++) {
        const struct row *row = &pattern_rows[i];
        struct field f = {.name = "x", .kind = FIELD_KIND_TEXT, .pattern = row->pattern};
        const char *detail = json_check_text(a, &f, span_of(row->text));
        cr_assert_eq(detail == NULL, row->fits, "%s \"%s\": %s", row->pattern, row->text,
            detail ? detail : "fits");
    }
    arena_free(a);
}

static bool repeated_fits(
    struct arena *a, const char *pattern, const char *before, size_t count, const char *after)
{
    struct field f = {.name = "x", .kind = FIELD_KIND_TEXT, .pattern = pattern};
    char *middle = arena_alloc(a, count + 1);
    memset(middle, 'a', count);
    return !json_check_text(a, &f, span_of(arena_printf(a, "%s%s%s", before, middle, after)));
}

Test(check, patterns__have_a_longest_text)
{
    struct arena *a = arena_new();
    cr_assert(repeated_fits(a, "sku", "", 64, ""));
    cr_assert_not(repeated_fits(a, "sku", "", 65, ""));
    cr_assert(repeated_fits(a, "name", "", 200, ""));
    cr_assert_not(repeated_fits(a, "name", "", 201, ""));
    cr_assert(repeated_fits(a, "email", "", 64, "@example.com"));
    cr_assert_not(repeated_fits(a, "email", "", 65, "@example.com"));
    cr_assert(repeated_fits(a, "email", "x@", 63, ".com"));
    cr_assert_not(repeated_fits(a, "email", "x@", 64, ".com"));
    cr_assert(repeated_fits(a, "url", "http://h/", 2048 - 9, ""));
    cr_assert_not(repeated_fits(a, "url", "http://h/", 2048 - 8, ""));
    arena_free(a);
}

Test(check, long_email__ends_at_254_bytes)
{
    struct arena *a = arena_new();
    char label[64] = {0};
    memset(label, 'a', 63);
    const char *host = arena_printf(a, "%s.%s.%s", label, label, label); /* 191 bytes */
    cr_assert(repeated_fits(a, "email", "", 254 - 192, arena_printf(a, "@%s", host)));
    cr_assert_not(repeated_fits(a, "email", "", 254 - 191, arena_printf(a, "@%s", host)));
    arena_free(a);
}

static const char *check(struct arena *a, const char *name, struct span text)
{
    return json_check_text(a, all_field(name), text);
}

Test(check, parameter__is_checked_by_its_kind)
{
    struct arena *a = arena_new();
    cr_assert_null(check(a, "count", SPAN("-12")));
    cr_assert_str_eq(check(a, "count", SPAN("")), "must be an integer");
    cr_assert_str_eq(check(a, "count", SPAN("1.0")), "must be an integer");
    cr_assert_str_eq(check(a, "count", SPAN("9223372036854775808")), "must be an integer");
    cr_assert_null(check(a, "flag", SPAN("true")));
    cr_assert_str_eq(check(a, "flag", SPAN("1")), "must be true or false");
    cr_assert_null(check(a, "id", SPAN("01890a5d-ac96-774b-bcce-b302099a8057")));
    cr_assert_str_eq(check(a, "id", SPAN("x")), "must be a UUID in lower case");
    cr_assert_null(check(a, "at", SPAN("2026-11-21T10:12:33Z")));
    cr_assert_not_null(check(a, "at", SPAN("yesterday")));
    cr_assert_null(check(a, "score", SPAN("0.5")));
    cr_assert_str_eq(check(a, "score", SPAN("nan")), "must be a number");
    cr_assert_str_eq(check(a, "score", SPAN("0x1p3")), "must be a number");
    cr_assert_str_eq(check(a, "score", SPAN("1e999")), "must be a number");
    cr_assert_str_eq(check(a, "score", SPAN(" 1")), "must be a number");
    cr_assert_null(check(a, "choice", SPAN("red")));
    cr_assert_not_null(check(a, "choice", SPAN("Red")));
    cr_assert_null(check(a, "tags", SPAN("x")));
    cr_assert_str_eq(check(a, "price", SPAN("1")), "cannot be given as a text");
    arena_free(a);
}

Test(check, parameter__with_nul_or_bad_utf8_is_refused)
{
    struct arena *a = arena_new();
    static const struct span texts[] = {SPAN("a\0b"), SPAN("\0"), SPAN("\xff"), SPAN("\xc0\x80"),
        SPAN("\xed\xbf\xbf"), SPAN("x\xf0\x9f\x98")};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        cr_assert_str_eq(check(a, "text", texts[i]), "must be UTF-8 without NUL");
    cr_assert_null(check(a, "text", SPAN("\xf0\x9f\x98\x80\xe2\x80\xa8")));
    arena_free(a);
}
