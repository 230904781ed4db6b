#include "common/base/arena.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>

#include "property.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

static char disposed[64];
static size_t disposed_n;

static void note_dispose(void *object)
{
    disposed[disposed_n++] = *(char *)object;
}

Test(base, arena_free__null__is_harmless)
{
    arena_free(NULL);
}

Test(base, arena_alloc__any_sizes__are_zeroed_aligned_and_apart)
{
    enum { PIECES = 400 };
    struct property p = property_begin("arena");
    struct arena *a = arena_new();
    for (int round = 0; round < 20; round++) {
        unsigned char *pieces[PIECES];
        size_t sizes[PIECES], total = 0;
        for (size_t i = 0; i < PIECES; i++) {
            sizes[i] = property_below(&p, property_below(&p, 20) == 0 ? 30000 : 300);
            pieces[i] = arena_alloc(a, sizes[i]);
            cr_assert_eq((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
            for (size_t k = 0; k < sizes[i]; k++)
                cr_assert_eq(pieces[i][k], 0);
            memset(pieces[i], (int)(i & 0xff), sizes[i]);
            total += sizes[i];
        }
        cr_assert_eq(arena_used(a), total);
        for (size_t i = 0; i < PIECES; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                cr_assert_eq(pieces[i][k], i & 0xff, "piece %zu byte %zu", i, k);
        arena_reset(a);
        cr_assert_eq(arena_used(a), 0);
    }
    arena_free(a);
}

Test(base, arena_alloc__zero_bytes__gives_distinct_places)
{
    struct arena *a = arena_new();
    void *x = arena_alloc(a, 0), *y = arena_alloc(a, 0);
    cr_assert(x && y);
    cr_assert_neq(x, y);
    arena_free(a);
}

Test(base, arena_alloc__big_piece__leaves_the_current_chunk_in_use)
{
    struct arena *a = arena_new();
    char *first = arena_alloc(a, 16);
    char *big = arena_alloc(a, 1 << 20);
    char *second = arena_alloc(a, 16);
    memset(big, 1, 1 << 20);
    cr_assert(second > first && second < first + 8192, "the small ones are neighbours");
    arena_free(a);
}

Test(base, arena_reset__same_work_again__uses_the_same_memory)
{
    struct arena *a = arena_new();
    char *before = arena_alloc(a, 100);
    arena_reset(a);
    cr_assert_eq(arena_alloc(a, 100), before);
    arena_free(a);
}

/* How many pieces of 4000 bytes lie side by side: what a chunk has room for. */
static unsigned fit_into_a_chunk(struct arena *a)
{
    uintptr_t before = (uintptr_t)arena_alloc(a, 4000), distance = 0;
    unsigned n = 1;
    for (; n < 20; n++) {
        uintptr_t piece = (uintptr_t)arena_alloc(a, 4000);
        if (n > 1 && piece - before != distance)
            break;
        distance = piece - before;
        before = piece;
    }
    arena_reset(a);
    return n;
}

Test(base, arena_reset__much_smaller_work_for_long__gives_the_large_chunk_back)
{
    struct arena *a = arena_new();
    while (fit_into_a_chunk(a) < 10) {
    }
    for (int round = 0; round < 60; round++) {
        arena_alloc(a, 1000);
        arena_reset(a);
    }
    cr_assert_geq(fit_into_a_chunk(a), 10, "it was needed again in time");
    for (int round = 0; round < 64; round++) {
        arena_alloc(a, 1000);
        arena_reset(a);
    }
    cr_assert_lt(fit_into_a_chunk(a), 5);
    arena_free(a);
}

/* Of each size from nothing to beyond what a chunk has, in any order; each piece stays its own. */
Test(base, arena_new_small__any_sizes__are_zeroed_and_apart)
{
    static const size_t sizes[] = {1, 300, 0, 4096, 17, 4097, 255, 2000, 9000, 256, 100, 70000, 64};
    unsigned char *pieces[ARRAY_SIZE(sizes)];
    struct arena *a = arena_new_small();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
            pieces[i] = arena_alloc(a, sizes[i]);
            for (size_t j = 0; j < sizes[i]; j++)
                cr_assert_eq(pieces[i][j], 0);
            memset(pieces[i], (int)i + 1, sizes[i]);
        }
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
            for (size_t j = 0; j < sizes[i]; j++)
                cr_assert_eq(pieces[i][j], i + 1);
        arena_reset(a);
    }
    arena_free(a);
}

static volatile size_t huge = SIZE_MAX; /* volatile: gcc must not see the impossible size */

Test(base, arena_alloc__impossible_size__aborts, .signal = SIGABRT)
{
    arena_alloc(arena_new(), huge);
}

Test(base, arena_array__product_overflows__aborts, .signal = SIGABRT)
{
    arena_array(arena_new(), huge / 2, 3);
}

Test(base, arena_strings__copies__are_whole_and_their_own)
{
    struct arena *a = arena_new();
    char text[] = "original";
    char *copy = arena_strdup(a, text), *part = arena_strndup(a, text, 4);
    text[0] = 'X';
    cr_assert_str_eq(copy, "original");
    cr_assert_str_eq(part, "orig");
    cr_assert_str_eq(arena_strndup(a, "ab", 10), "ab");
    cr_assert_null(arena_strdup(a, NULL));
    cr_assert_null(arena_strndup(a, NULL, 3));
    arena_free(a);
}

Test(base, arena_printf__every_length__is_whole)
{
    struct arena *a = arena_new();
    for (int width = 0; width < 600; width++) {
        char *text = arena_printf(a, "%*s|", width, "");
        cr_assert_eq(strlen(text), (size_t)width + 1);
        cr_assert_eq(text[width], '|');
    }
    arena_free(a);
}

Test(base, arena_printf__around_the_end_of_a_chunk__is_whole_and_harms_no_neighbour)
{
    enum { CHUNK = 8 * 1024 };
    for (size_t left = 0; left < 96; left += 16) {
        for (int width = 0; width < 120; width++) {
            struct arena *a = arena_new();
            char *before = arena_alloc(a, CHUNK / 2 - 64);
            char *until = arena_alloc(a, CHUNK / 2 - left);
            char *text = arena_printf(a, "%*s|", width, "");
            char *after = arena_alloc(a, 32);
            cr_assert_eq(strlen(text), (size_t)width + 1);
            for (size_t i = 0; i < 32; i++)
                cr_assert_eq(after[i], 0);
            memset(before, 'x', CHUNK / 2 - 64);
            memset(until, 'x', CHUNK / 2 - left);
            memset(after, 'x', 32);
            cr_assert_eq(text[width], '|', "%zu left, %d", left, width);
            cr_assert_eq(text[width + 1], '\0');
            arena_free(a);
        }
    }
}

#if !defined(__SANITIZE_ADDRESS__)
/* Reads what was never handed out, which is what this is about. */
Test(base, arena_printf__what_did_not_fit__is_not_left_in_the_free_space)
{
    struct arena *a = arena_new();
    char *first = arena_alloc(a, 16);
    static char secret[9000];
    memset(secret, 's', sizeof(secret) - 1);
    secret[sizeof(secret) - 1] = '\0';
    cr_assert_str_eq(arena_printf(a, "%s", secret), secret);
    for (size_t i = 16; i < 8 * 1024; i++)
        cr_assert_neq(first[i], 's', "byte %zu", i);
    arena_free(a);
}

Test(base, arena_free__the_next_arena__gets_its_chunk_without_what_was_in_it)
{
    struct arena *a = arena_new(), *other = arena_new();
    char *first = arena_alloc(a, 16);
    memset(arena_alloc(a, 5000), 's', 5000);
    arena_alloc(other, 16);
    arena_free(a);
    arena_free(other); /* one is kept, not two */
    a = arena_new();
    cr_assert_eq(arena_alloc(a, 16), first);
    for (size_t i = 16; i < 8 * 1024; i++)
        cr_assert_neq(first[i], 's', "byte %zu", i);
    arena_free(a);
}
#endif

Test(base, arena_adopt__reset__disposes_newest_first_and_once)
{
    struct arena *a = arena_new();
    arena_adopt(a, arena_strdup(a, "1"), note_dispose);
    arena_adopt(a, arena_strdup(a, "2"), note_dispose);
    arena_adopt(a, arena_strdup(a, "3"), note_dispose);
    cr_assert_eq(arena_used(a), 6, "the bookkeeping is not counted");
    arena_reset(a);
    cr_assert_str_eq(disposed, "321");
    arena_reset(a);
    arena_free(a);
    cr_assert_str_eq(disposed, "321");
}

Test(base, arena_adopt__heap_object__is_freed_with_the_arena)
{
    struct arena *a = arena_new();
    arena_adopt(a, malloc(10), free); /* the leak sanitizer is the judge */
    char *object = arena_strdup(a, "x");
    arena_adopt(a, object, note_dispose);
    arena_free(a);
    cr_assert_str_eq(disposed, "x");
}

static struct arena *being_reset;

static void dispose_that_adopts(void *object)
{
    note_dispose(object);
    arena_adopt(being_reset, arena_strdup(being_reset, "n"), note_dispose);
}

Test(base, arena_adopt__from_inside_a_dispose__is_disposed_too)
{
    being_reset = arena_new();
    arena_adopt(being_reset, arena_strdup(being_reset, "a"), note_dispose);
    arena_adopt(being_reset, arena_strdup(being_reset, "b"), dispose_that_adopts);
    arena_reset(being_reset);
    cr_assert_str_eq(disposed, "bna");
    cr_assert_eq(arena_used(being_reset), 0);
    arena_free(being_reset);
}

#if defined(__SANITIZE_ADDRESS__)
Test(base, arena__free_space__is_poisoned)
{
    struct arena *a = arena_new();
    char *x = arena_alloc(a, 20), *y = arena_alloc(a, 20);
    cr_assert_not(__asan_address_is_poisoned(x + 19));
    cr_assert(__asan_address_is_poisoned(x + 20), "between neighbours");
    cr_assert(__asan_address_is_poisoned(y + 40), "beyond the last");
    arena_reset(a);
    cr_assert(__asan_address_is_poisoned(x), "after the reset");
    arena_free(a);
}
#endif
