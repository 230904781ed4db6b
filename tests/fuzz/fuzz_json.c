/* Any bytes into the JSON reader. Beside "it does not crash": what was accepted is written, read
 * again and written the same; what was refused makes a problem document that is JSON; any bytes
 * written as a text are JSON. */

#include <stdlib.h>

#include "common/json/problem.h"

struct part {
    const char *sku;
    int64_t quantity;
};
static const struct field part_fields[] = {
    FIELD_TEXT(struct part, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_I64(struct part, quantity, "quantity", .required = true, .min = 1, .max = 999),
};
static const struct table part_table = TABLE("Part", struct part, part_fields);

struct sample {
    const char *text, *id, *email, *url, *secret;
    int64_t count, at;
    bool flag;
    struct money price;
    struct part *one;
    struct list parts, tags;
    struct span raw;
    double score;
};
static const struct field sample_fields[] = {
    FIELD_TEXT(struct sample, text, "text"),
    FIELD_UUID(struct sample, id, "id"),
    FIELD_TEXT(struct sample, email, "email", .pattern = "email"),
    FIELD_TEXT(struct sample, url, "url", .pattern = "url"),
    FIELD_TEXT(struct sample, secret, "secret", .secret = true, .max = 64),
    FIELD_I64(struct sample, count, "count", .fallback = 7),
    FIELD_TIME(struct sample, at, "at"),
    FIELD_BOOL(struct sample, flag, "flag", .fallback = 1),
    FIELD_MONEY(struct sample, price, "price"),
    FIELD_OBJECT(struct sample, one, "one", part_table),
    FIELD_LIST(struct sample, parts, "parts", part_table, .max = 20),
    FIELD_TEXTS(struct sample, tags, "tags", .omit_empty = true),
    FIELD_RAW(struct sample, raw, "raw"),
    FIELD_REAL(struct sample, score, "score"),
};
static const struct table sample_table = TABLE("Sample", struct sample, sample_fields);

struct nothing {
    char unused;
};
static const struct table nothing_table = {.name = "Nothing", .size = sizeof(struct nothing)};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void must_be_json(struct arena *a, const struct buf *text)
{
    struct json_errors errors;
    struct nothing unused;
    must(json_read(a, buf_span(text), &nothing_table, JSON_LENIENT, &unused, &errors) == 0);
}

static void refused(struct arena *a, const struct json_errors *errors)
{
    struct buf out = {0};
    must(errors->count > 0 && errors->count <= JSON_ERRORS_LIMIT);
    problem_write(&out, &(struct problem){.status = 400, .errors = errors});
    must_be_json(a, &out);
    buf_deinit(&out);
}

static void accepted(struct arena *a, const struct sample *value)
{
    struct buf first = {0}, second = {0};
    struct json_writer w = json_writer_on(&first);
    struct json_errors errors;
    struct sample back;

    json_struct(&w, &sample_table, value);
    must(json_read(a, buf_span(&first), &sample_table, JSON_STRICT, &back, &errors) == 0);
    w = json_writer_on(&second);
    json_struct(&w, &sample_table, &back);
    must(span_equal(buf_span(&first), buf_span(&second)));
    buf_reset(&first);
    w = json_writer_on(&first);
    json_struct_masked(&w, &sample_table, value);
    must_be_json(a, &first);
    buf_deinit(&first);
    buf_deinit(&second);
}

static void as_text(struct arena *a, struct span text)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);

    json_object_begin(&w);
    json_key(&w, "text");
    json_span(&w, text);
    json_object_end(&w);
    /* The reader takes no NUL, escaped or not. */
    if (!memchr(text.ptr, '\0', text.len))
        must_be_json(a, &out);
    buf_deinit(&out);
    for (size_t i = 0; i < ARRAY_SIZE(sample_fields); i++)
        json_check_text(a, &sample_fields[i], text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct span text = span_make(data, size);
    struct json_errors errors;
    struct sample value;
    struct list list;

    if (size > 0)
        as_text(a, text);
    for (enum json_mode mode = JSON_STRICT; mode <= JSON_LENIENT; mode++) {
        if (json_read(a, text, &sample_table, mode, &value, &errors) == 0)
            accepted(a, &value);
        else
            refused(a, &errors);
    }
    if (json_read_list(a, text, &sample_table, JSON_STRICT, &list, &errors) != 0)
        refused(a, &errors);
    arena_free(a);
    return 0;
}
