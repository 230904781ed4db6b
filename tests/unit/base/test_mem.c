#include "common/base/mem.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
/* Let the sanitizer's malloc answer NULL like the real one, so that our own end is what is seen. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}
#endif

static volatile size_t huge =
    SIZE_MAX / 2 + 10; /* volatile: gcc must not see the impossible size */

Test(base, mem_alloc__any_size__is_zeroed)
{
    for (size_t size = 1; size < 4096; size += 97) {
        char *p = mem_alloc(size);
        for (size_t i = 0; i < size; i++)
            cr_assert_eq(p[i], 0);
        memset(p, 0xff, size);
        mem_free(p);
    }
}

Test(base, mem_alloc__zero_bytes__is_not_null)
{
    void *a = mem_alloc(0), *b = mem_array(0, 8), *c = mem_array(8, 0);
    cr_assert(a && b && c);
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

Test(base, mem_alloc__more_than_there_is__aborts, .signal = SIGABRT)
{
    mem_free(mem_alloc(huge));
}

Test(base, mem_array__product_overflows__aborts, .signal = SIGABRT)
{
    mem_free(mem_array(huge, 4));
}

Test(base, mem_resize__more_than_there_is__aborts, .signal = SIGABRT)
{
    mem_free(mem_resize(NULL, huge));
}

Test(base, mem_resize__growing__keeps_the_bytes)
{
    char *p = mem_strdup("souk");
    p = mem_resize(p, 100000);
    cr_assert_str_eq(p, "souk");
    p = mem_resize(p, 0);
    cr_assert(p);
    mem_free(p);
}

Test(base, mem_strdup__null__gives_null)
{
    cr_assert_null(mem_strdup(NULL));
    cr_assert_null(mem_strndup(NULL, 7));
    mem_free(NULL);
}

Test(base, mem_strndup__stops_at_the_length_or_the_nul)
{
    static const struct {
        const char *text;
        size_t len;
        const char *expected;
    } rows[] = {{"order", 3, "ord"}, {"order", 0, ""}, {"ab", 9, "ab"}, {"", 4, ""}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char *copy = mem_strndup(rows[i].text, rows[i].len);
        cr_assert_str_eq(copy, rows[i].expected, "row %zu", i);
        mem_free(copy);
    }
}
