#include "common/base/buf.h"

#include <criterion/criterion.h>

#include "common/base/mem.h"
#include "property.h"

Test(base, buf__nothing_put__has_an_empty_span)
{
    struct buf b = {0};
    struct span s = buf_span(&b);
    cr_assert(s.ptr);
    cr_assert_eq(s.len, 0);
    buf_reset(&b);
    buf_deinit(&b);
    buf_deinit(&b);
}

Test(base, buf_put__each_kind__appends_and_ends_with_nul)
{
    struct buf b = {0};
    buf_put_text(&b, "a=");
    buf_put_i64(&b, -7);
    buf_put_char(&b, ';');
    buf_put_span(&b, SPAN("span"));
    buf_put(&b, "xyz", 2);
    buf_put(&b, NULL, 0);
    buf_printf(&b, "[%05d]", 42);
    cr_assert_str_eq(b.ptr, "a=-7;spanxy[00042]");
    cr_assert_eq(b.len, strlen(b.ptr));
    buf_deinit(&b);
}

Test(base, buf_reset__keeps_the_memory_and_forgets_the_text)
{
    struct buf b = {0};
    buf_put_text(&b, "something");
    char *before = b.ptr;
    size_t cap = b.cap;
    buf_reset(&b);
    cr_assert_eq(b.len, 0);
    cr_assert_str_eq(b.ptr, "");
    buf_put_text(&b, "else");
    cr_assert_eq(b.ptr, before);
    cr_assert_eq(b.cap, cap);
    buf_deinit(&b);
}

Test(base, buf_reserve__then_puts_within__do_not_move)
{
    struct buf b = {0};
    buf_reserve(&b, 5000);
    cr_assert_str_eq(b.ptr, "");
    char *before = b.ptr;
    for (int i = 0; i < 5000; i++)
        buf_put_char(&b, 'x');
    cr_assert_eq(b.ptr, before);
    buf_deinit(&b);
}

Test(base, buf_put_i64__limits__are_exact)
{
    static const int64_t values[] = {0, 1, -1, 9, 10, -10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
        char expected[32];
        struct buf b = {0};
        snprintf(expected, sizeof(expected), "%" PRId64, values[i]);
        buf_put_i64(&b, values[i]);
        cr_assert_str_eq(b.ptr, expected);
        buf_deinit(&b);
    }
}

Test(base, buf_printf__text_around_each_capacity__is_whole)
{
    for (int width = 0; width < 1100; width++) {
        struct buf b = {0};
        buf_put_text(&b, "head ");
        buf_printf(&b, "%*s|", width, "");
        cr_assert_eq(b.len, (size_t)width + 6, "width %d", width);
        cr_assert_eq(b.ptr[b.len - 1], '|', "width %d", width);
        cr_assert_eq(b.ptr[b.len], '\0', "width %d", width);
        buf_deinit(&b);
    }
}

Test(base, buf__any_series_of_puts__equals_the_plain_concatenation)
{
    enum { MOST = 40000 };
    struct property p = property_begin("buf");
    char *model = mem_alloc(MOST + 1);
    for (int round = 0; round < 50; round++) {
        struct buf b = {0};
        size_t len = 0;
        for (;;) {
            char piece[700];
            size_t n = property_below(&p, sizeof(piece));
            if (len + n > MOST)
                break;
            memset(piece, (int)('a' + property_below(&p, 26)), n);
            memcpy(model + len, piece, n);
            len += n;
            if (property_next(&p) & 1)
                buf_put(&b, piece, n);
            else
                buf_printf(&b, "%.*s", (int)n, piece);
        }
        cr_assert(span_equal(buf_span(&b), span_make(model, len)));
        buf_deinit(&b);
    }
    mem_free(model);
}
