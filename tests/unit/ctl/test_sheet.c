#include <criterion/criterion.h>
#include <stdio.h>

#include "ctl/sheet.h"

static struct arena *test_arena(void)
{
    static struct arena *arena; /* goes with the test's process */
    return arena ? arena : (arena = arena_new());
}

Test(sheet, print__columns__are_as_wide_as_their_content)
{
    char text[256] = "";
    FILE *to = fmemopen(text, sizeof(text), "w");
    struct sheet *s = sheet_new(test_arena(), (const char *const[]){"A", "LONG", "Z"}, 3);
    sheet_add(s, (const char *const[]){"gr\xc3\xbc\xc3\x9f", NULL, "1"});
    sheet_add(s, (const char *const[]){"b", "longer", "2"});
    sheet_print(s, to);
    fclose(to);
    cr_assert_str_eq(text, "A     LONG    Z\ngr\xc3\xbc\xc3\x9f          1\nb     longer  2\n");
}

Test(sheet, harmless__what_could_command_a_terminal__is_replaced)
{
    struct arena *a = test_arena();
    cr_assert_str_eq(text_harmless(a, SPAN("a\033[2Jb\n\x7f")), "a?[2Jb??");
    cr_assert_str_eq(text_harmless(a, SPAN("\xc2\x9b"
                                           "31m")),
        "??31m");
    cr_assert_str_eq(text_harmless(a, SPAN("\xff\xc0\xaf\xe2\x82")), "?????");
    cr_assert_str_eq(
        text_harmless(a, SPAN("\xed\xa0\x80\xf4\x8f\xbf\xbf\xf5")), "???\xf4\x8f\xbf\xbf?");
    cr_assert_str_eq(
        text_harmless(a, SPAN("\xe2\x82\xac\xf0\x9f\x98\x80")), "\xe2\x82\xac\xf0\x9f\x98\x80");
}
