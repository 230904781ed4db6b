#include <criterion/criterion.h>

#include "common/base/unicode.h"

static const char *nfkc(const char *text)
{
    static struct arena *a;
    if (!a)
        a = arena_new();
    return unicode_nfkc(a, text);
}

Test(base, unicode_nfkc__ascii__stays)
{
    cr_assert_str_eq(nfkc(""), "");
    cr_assert_str_eq(nfkc("correct horse ~!"), "correct horse ~!");
}

Test(base, unicode_nfkc__two_spellings_of_the_same__are_one)
{
    cr_assert_str_eq(nfkc("Gene\xcc\x80ve"), "Gen\xc3\xa8ve"); /* e and an accent; the letter */
    cr_assert_str_eq(nfkc("\xef\xbc\xa1\xef\xbc\xa2"), "AB");  /* full width */
    cr_assert_str_eq(nfkc("\xef\xac\x81nal"), "final");        /* a ligature */
    cr_assert_str_eq(nfkc("\xe2\x84\xab"), "\xc3\x85");        /* Angstrom sign */
    cr_assert_str_eq(nfkc("\xed\x95\x9c"), nfkc("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"));
}

Test(base, unicode_nfkc__twice__changes_nothing)
{
    const char *once = nfkc("\xef\xb7\xba \xc2\xbd \xe2\x91\xa0");
    cr_assert_str_eq(nfkc(once), once);
}

Test(base, unicode_nfkc__not_utf8__is_null)
{
    cr_assert_null(nfkc("\xff"));
    cr_assert_null(nfkc("a\xc3"));
    cr_assert_null(nfkc("\xed\xa0\x80")); /* a surrogate */
}
