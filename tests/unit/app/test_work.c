#include "common/app/work.h"

#include <criterion/criterion.h>

#include "common/app/request.h"
#include "common/base/crypto.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define PARENT "00-" TRACE "-b7ad6b7169203331-01"

Test(work, trace_parent__of_a_valid_one__keeps_the_trace_under_a_span_of_our_own)
{
    char text[TRACE_PARENT_SIZE];
    cr_assert_eq(crypto_init(), 0);
    trace_parent_make(SPAN(PARENT), text);
    cr_assert_eq(strlen(text), TRACE_PARENT_SIZE - 1);
    cr_assert_eq(strncmp(text, "00-" TRACE "-", 36), 0);
    cr_assert_neq(strncmp(text + 36, "b7ad6b7169203331", 16), 0);
    cr_assert_str_eq(text + 52, "-01");
}

Test(work, trace_parent__of_anything_else__is_a_new_trace)
{
    static const char *const bad[] = {"", "x", "00-" TRACE "-b7ad6b7169203331-01-more",
        "01-" TRACE "-b7ad6b7169203331-01", "00-" TRACE "-0000000000000000-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319cxb7ad6b7169203331-01"};
    char text[TRACE_PARENT_SIZE];
    cr_assert_eq(crypto_init(), 0);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        trace_parent_make(span_of(bad[i]), text);
        cr_assert_eq(strlen(text), TRACE_PARENT_SIZE - 1);
        cr_assert_neq(strncmp(text + 3, TRACE, 32), 0, "%s", bad[i]);
        cr_assert_neq(strncmp(text + 3, "00000000", 8), 0);
    }
}

Test(work, correlation_ids__are_short_and_harmless)
{
    char longest[130];
    memset(longest, 'a', sizeof(longest));
    cr_assert(correlation_valid(SPAN("01900000-ab.c_D:9")));
    cr_assert(correlation_valid(span_make(longest, 128)));
    cr_assert_not(correlation_valid(span_make(longest, 129)));
    cr_assert_not(correlation_valid(SPAN("")));
    cr_assert_not(correlation_valid(SPAN("a b")));
    cr_assert_not(correlation_valid(SPAN("a\r\nb")));
    cr_assert_not(correlation_valid(SPAN("a\"b")));
    cr_assert_not(correlation_valid(SPAN("\xc3\xa4")));
}
