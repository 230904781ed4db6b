/* Random structs of a table with every kind, written and read back, must be equal, and written
 * again must be the same text. SOUK_TEST_SEED repeats a run. */

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/uuid.h"
#include "fixture.h"

struct dice {
    uint64_t state;
    struct arena *a;
};

static uint64_t dice_roll(struct dice *d) /* splitmix64 */
{
    uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static size_t dice_below(struct dice *d, size_t bound)
{
    return dice_roll(d) % bound;
}

/* Any characters but NUL and surrogates, ASCII most often. */
static const char *random_text(struct dice *d)
{
    size_t count = dice_below(d, dice_below(d, 8) ? 20 : 300);
    char *text = arena_alloc(d->a, 4 * count + 1), *p = text;

    for (size_t i = 0; i < count; i++) {
        uint32_t c = (uint32_t)(1 + dice_below(d, dice_below(d, 4) ? 0x7f : 0x10ffff));
        if (c < 0x80) {
            *p++ = (char)c;
        } else if (c < 0x800) {
            *p++ = (char)(0xc0 | c >> 6);
            *p++ = (char)(0x80 | (c & 63));
        } else if (c >= 0xd800 && c <= 0xdfff) {
            *p++ = '"';
        } else if (c < 0x10000) {
            *p++ = (char)(0xe0 | c >> 12);
            *p++ = (char)(0x80 | (c >> 6 & 63));
            *p++ = (char)(0x80 | (c & 63));
        } else {
            *p++ = (char)(0xf0 | c >> 18);
            *p++ = (char)(0x80 | (c >> 12 & 63));
            *p++ = (char)(0x80 | (c >> 6 & 63));
            *p++ = (char)(0x80 | (c & 63));
        }
    }
    return text;
}

static int64_t random_i64(struct dice *d, const struct field *f)
{
    if (f->max > f->min)
        return f->min + (int64_t)dice_below(d, (size_t)(f->max - f->min) + 1);
    switch (dice_below(d, 4)) {
    case 0:
        return INT64_MIN + (int64_t)dice_below(d, 2);
    case 1:
        return INT64_MAX - (int64_t)dice_below(d, 2);
    case 2:
        return (int64_t)dice_below(d, 2000) - 1000;
    default:
        return (int64_t)dice_roll(d);
    }
}

static double random_real(struct dice *d)
{
    double value;
    do {
        uint64_t bits = dice_roll(d);
        memcpy(&value, &bits, sizeof(value));
    } while (!isfinite(value));
    return dice_below(d, 2) ? value : (double)dice_below(d, 1000) / 100;
}

static const char *random_valid_text(struct dice *d, const struct field *f)
{
    if (f->choices)
        return f->choices[dice_below(d, 2)];
    if (f->pattern) /* the fixture only has SKUs */
        return arena_printf(d->a, "sku-%" PRIu64, dice_roll(d));
    return random_text(d);
}

static struct span random_raw(struct dice *d)
{
    static const char *const texts[] = {
        "{\"a\" : [1.50,\"]\\\"\"]}", "[ ]", "\"x\"", "0.10", "false"};
    return span_of(texts[dice_below(d, ARRAY_SIZE(texts))]);
}

static void random_struct(struct dice *d, const struct table *t, void *value);

static void random_field(struct dice *d, const struct field *f, void *at)
{
    static const char *const currencies[] = {"USD", "EUR", "JPY", "KWD"};
    char *id;

    switch (f->kind) {
    case FIELD_KIND_TEXT:
        *(const char **)at = random_valid_text(d, f);
        break;
    case FIELD_KIND_UUID:
        id = arena_alloc(d->a, UUID_TEXT_SIZE);
        uuid_make(id);
        *(const char **)at = id;
        break;
    case FIELD_KIND_I64:
        *(int64_t *)at = random_i64(d, f);
        break;
    case FIELD_KIND_BOOL:
        *(bool *)at = dice_below(d, 2);
        break;
    case FIELD_KIND_TIME:
        *(int64_t *)at = 1 + (int64_t)(dice_roll(d) % (UINT64_C(250000000000) * 1000000));
        break;
    case FIELD_KIND_MONEY:
        ((struct money *)at)->amount = (int64_t)dice_roll(d);
        memcpy(((struct money *)at)->currency, currencies[dice_below(d, 4)], 4);
        break;
    case FIELD_KIND_OBJECT:
        *(void **)at = arena_alloc(d->a, f->sub->size);
        random_struct(d, f->sub, *(void **)at);
        break;
    case FIELD_KIND_LIST:
        *(struct list *)at = (struct list){.len = dice_below(d, 5)};
        ((struct list *)at)->items = arena_array(d->a, ((struct list *)at)->len, f->sub->size);
        for (size_t i = 0; i < ((struct list *)at)->len; i++)
            random_struct(d, f->sub, (char *)((struct list *)at)->items + i * f->sub->size);
        break;
    case FIELD_KIND_TEXTS:
        *(struct list *)at = (struct list){.len = dice_below(d, 5)};
        ((struct list *)at)->items = arena_array(d->a, ((struct list *)at)->len, sizeof(char *));
        for (size_t i = 0; i < ((struct list *)at)->len; i++)
            *LIST_AT(*(struct list *)at, const char *, i) = random_text(d);
        break;
    case FIELD_KIND_RAW:
        *(struct span *)at = random_raw(d);
        break;
    case FIELD_KIND_REAL:
        *(double *)at = random_real(d);
        break;
    }
}

static void random_struct(struct dice *d, const struct table *t, void *value)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        bool numeric = f->kind == FIELD_KIND_I64 || f->kind == FIELD_KIND_BOOL;
        if (!f->hidden && (f->required || numeric || dice_below(d, 4)))
            random_field(d, f, (char *)value + f->offset);
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_struct(const struct table *t, const void *a, const void *b);

static bool same_field(const struct field *f, const void *a, const void *b)
{
    const struct list *left = a, *right = b;

    switch (f->kind) {
    case FIELD_KIND_TEXT:
    case FIELD_KIND_UUID:
        return same_text(*(const char *const *)a, *(const char *const *)b);
    case FIELD_KIND_I64:
    case FIELD_KIND_TIME:
        return *(const int64_t *)a == *(const int64_t *)b;
    case FIELD_KIND_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case FIELD_KIND_MONEY:
        return memcmp(a, b, offsetof(struct money, currency) + 4) == 0;
    case FIELD_KIND_OBJECT:
        return same_struct(f->sub, *(const void *const *)a, *(const void *const *)b);
    case FIELD_KIND_LIST:
        for (size_t i = 0; i < left->len && left->len == right->len; i++)
            if (!same_struct(f->sub, (const char *)left->items + i * f->sub->size,
                    (const char *)right->items + i * f->sub->size))
                return false;
        return left->len == right->len;
    case FIELD_KIND_TEXTS:
        for (size_t i = 0; i < left->len && left->len == right->len; i++)
            if (!same_text(*LIST_AT(*left, const char *, i), *LIST_AT(*right, const char *, i)))
                return false;
        return left->len == right->len;
    case FIELD_KIND_RAW:
        return span_equal(*(const struct span *)a, *(const struct span *)b);
    case FIELD_KIND_REAL:
        return *(const double *)a == *(const double *)b;
    }
    return false;
}

static bool same_struct(const struct table *t, const void *a, const void *b)
{
    if (!a || !b)
        return a == b;
    for (size_t i = 0; i < t->count; i++)
        if (!same_field(&t->fields[i], (const char *)a + t->fields[i].offset,
                (const char *)b + t->fields[i].offset))
            return false;
    return true;
}

static void write_all(struct buf *out, const struct all *value)
{
    struct json_writer w = json_writer_on(out);
    buf_reset(out);
    json_struct(&w, &all_table, value);
}

Test(round_trip, random_structs__come_back_equal)
{
    const char *given = getenv("SOUK_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)clock_wall_us();
    struct buf first = {0}, second = {0};

    fprintf(stderr, "round_trip: SOUK_TEST_SEED=%" PRIu64 "\n", seed);
    struct dice d = {.state = seed, .a = arena_new()};
    for (int i = 0; i < 2000; i++) {
        struct all value = {0}, back;
        const char *errors;

        random_struct(&d, &all_table, &value);
        write_all(&first, &value);
        cr_assert_eq(read_all(d.a, buf_span(&first), &back, &errors), 0, "seed %" PRIu64 ": %s%s",
            seed, errors, first.ptr);
        cr_assert(same_struct(&all_table, &value, &back), "seed %" PRIu64 ": %s", seed, first.ptr);
        write_all(&second, &back);
        cr_assert_str_eq(second.ptr, first.ptr);
        arena_reset(d.a);
    }
    buf_deinit(&first);
    buf_deinit(&second);
    arena_free(d.a);
}

/* Every prefix of a document is refused, never read beyond its end. */
Test(round_trip, cut_documents__are_refused_at_every_byte)
{
    struct dice d = {.state = 1, .a = arena_new()};
    struct buf text = {0};
    struct all value = {0}, back;
    const char *errors;

    random_struct(&d, &all_table, &value);
    write_all(&text, &value);
    for (size_t len = 0; len < text.len; len++) {
        char *copy = mem_strndup(text.ptr, len); /* so that a sanitizer sees the end */
        cr_assert_eq(read_all(d.a, span_make(copy, len), &back, &errors), JSON_BAD);
        mem_free(copy);
    }
    buf_deinit(&text);
    arena_free(d.a);
}
