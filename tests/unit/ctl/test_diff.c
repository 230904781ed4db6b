#include <criterion/criterion.h>

#include "ctl/diff.h"

static const char *diff_of(const char *before, const char *after)
{
    static struct buf out;
    buf_reset(&out);
    return diff_lines(span_of(before), span_of(after), &out) ? out.ptr : NULL;
}

Test(diff, lines__alike__say_so)
{
    cr_assert_null(diff_of("a\nb\n", "a\nb\n"));
    cr_assert_null(diff_of("", ""));
}

Test(diff, lines__one_changed__is_gone_and_new)
{
    cr_assert_str_eq(diff_of("a\nb\nc\n", "a\nB\nc\n"), "  a\n- b\n+ B\n  c\n");
}

Test(diff, lines__added_and_removed__keep_what_is_common)
{
    cr_assert_str_eq(diff_of("a\nc\n", "a\nb\nc\n"), "  a\n+ b\n  c\n");
    cr_assert_str_eq(diff_of("a\nb\nc\n", "a\nc\n"), "  a\n- b\n  c\n");
    cr_assert_str_eq(diff_of("", "a\n"), "+ a\n");
    cr_assert_str_eq(diff_of("x\na\ny\nb\n", "a\nz\nb\n"), "- x\n  a\n- y\n+ z\n  b\n");
}

Test(diff, lines__far_from_a_change__are_left_out)
{
    cr_assert_str_eq(diff_of("1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\n5\n6\n7\n9\n"),
        "  ...\n  5\n  6\n  7\n- 8\n+ 9\n");
}
