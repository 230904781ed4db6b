/* Every kind of event: its payload survives the wire, and its JSON Schema in the tree is the one
 * that its table makes. After a change of a table:
 *     SOUK_WRITE_SCHEMAS=1 build/tests/test-unit-contract
 * writes them; a change that is not additive needs a new version. */

#include "common/contract/events.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/json/reader.h"
#include "common/json/writer.h"
#include "unit/contract/schemas_folder.h"

static struct arena *arena;

static void setup(void)
{
    arena = arena_new();
}
static void teardown(void)
{
    arena_free(arena);
}
TestSuite(events, .init = setup, .fini = teardown);

/* ---- a payload of any table ---- */

static const char *sample_text(const struct field *f)
{
    static const struct {
        const char *pattern, *text;
    } patterns[] = {{"email", "ann@people.example"}, {"sku", "TEA-1"}, {"currency", "EUR"},
        {"country", "DE"}, {"phone", "+4930123456"}, {"url", "http://a.example/"},
        {"https-url", "https://a.example/"}, {"name", "Ann"}};
    for (size_t i = 0; f->pattern && i < ARRAY_SIZE(patterns); i++)
        if (strcmp(patterns[i].pattern, f->pattern) == 0)
            return patterns[i].text;
    return f->choices ? f->choices[0] : "täxt \"1\"";
}

static void fill(const struct table *t, char *value);

static void *sample_struct(const struct table *t)
{
    char *value = arena_alloc(arena, t->size);
    fill(t, value);
    return value;
}

static void fill_field(const struct field *f, void *at)
{
    switch (f->kind) {
    case FIELD_KIND_TEXT:
        *(const char **)at = sample_text(f);
        break;
    case FIELD_KIND_UUID:
        *(const char **)at = "01900000-0000-7000-8000-000000000001";
        break;
    case FIELD_KIND_I64:
        *(int64_t *)at = f->min ? f->min : 7;
        break;
    case FIELD_KIND_BOOL:
        *(bool *)at = true;
        break;
    case FIELD_KIND_TIME:
        *(int64_t *)at = INT64_C(1769860800000000);
        break;
    case FIELD_KIND_REAL:
        *(double *)at = 0.5;
        break;
    case FIELD_KIND_MONEY:
        *(struct money *)at = (struct money){.amount = 9999, .currency = "EUR"};
        break;
    case FIELD_KIND_OBJECT:
        *(void **)at = sample_struct(f->sub);
        break;
    case FIELD_KIND_LIST:
        *(struct list *)at = (struct list){1, sample_struct(f->sub)};
        break;
    case FIELD_KIND_TEXTS:
        *(struct list *)at = (struct list){1, arena_alloc(arena, sizeof(char *))};
        *LIST_AT(*(struct list *)at, const char *, 0) = sample_text(f);
        break;
    case FIELD_KIND_RAW:
        *(struct span *)at = SPAN("{\"a\":1}");
        break;
    }
}

static void fill(const struct table *t, char *value)
{
    for (size_t i = 0; i < t->count; i++)
        fill_field(&t->fields[i], value + t->fields[i].offset);
}

static const char *written(const struct table *t, const void *value)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_struct(&w, t, value);
    const char *text = arena_strndup(arena, out.ptr, out.len);
    buf_deinit(&out);
    return text;
}

/* ---- the kinds ---- */

Test(events, each_payload__read_after_writing__is_the_same)
{
    for (size_t i = 0; event_kinds[i]; i++) {
        const struct event_kind *kind = event_kinds[i];
        const char *text = written(kind->payload, sample_struct(kind->payload));
        void *copy = arena_alloc(arena, kind->payload->size);
        struct json_errors errors = {0};
        int r = json_read(arena, span_of(text), kind->payload, JSON_STRICT, copy, &errors);
        cr_assert_eq(
            r, 0, "%s: %s %s in %s", kind->type, errors.at[0].pointer, errors.at[0].detail, text);
        cr_assert_str_eq(written(kind->payload, copy), text, "%s", kind->type);
    }
}

static size_t required_count(const struct table *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++)
        n += t->fields[i].required;
    return n;
}

Test(events, each_payload__without_its_required_members__is_refused_for_each_of_them)
{
    for (size_t i = 0; event_kinds[i]; i++) {
        const struct event_kind *kind = event_kinds[i];
        void *value = arena_alloc(arena, kind->payload->size);
        struct json_errors errors = {0};
        cr_assert_gt(required_count(kind->payload), 0, "%s", kind->type);
        int r = json_read(arena, SPAN("{\"new\":1}"), kind->payload, JSON_LENIENT, value, &errors);
        cr_assert_eq(r, JSON_BAD);
        cr_assert_eq(errors.count, required_count(kind->payload), "%s", kind->type);
    }
}

static bool is_service(const char *name)
{
    static const char *const names[] = {
        "auth", "cart", "order", "payment", "seller", "notification", "aibuddy"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

Test(events, each_kind__is_found_by_its_type_and_has_one_publisher)
{
    for (size_t i = 0; event_kinds[i]; i++) {
        cr_assert_eq(event_kind_find(event_kinds[i]->type), event_kinds[i], "%s twice",
            event_kinds[i]->type);
        cr_assert(is_service(event_kinds[i]->publisher), "%s", event_kinds[i]->type);
        cr_assert_str_eq(event_kinds[i]->version, EVENT_VERSION);
    }
    cr_assert_null(event_kind_find("order.placed"));
    cr_assert_null(event_kind_find(""));
}

Test(events, tokens__are_secrets)
{
    for (size_t i = 0; event_kinds[i]; i++)
        for (size_t f = 0; f < event_kinds[i]->payload->count; f++) {
            const struct field *field = &event_kinds[i]->payload->fields[f];
            bool token = strstr(field->name, "Token") || strcmp(field->name, "token") == 0;
            cr_assert_eq(field->secret, token, "%s of %s", field->name, event_kinds[i]->type);
        }
}

/* ---- schemas ---- */

static const char *schema_path(const struct event_kind *kind)
{
    return arena_printf(arena, SCHEMAS_FOLDER "/%s-%s.json", kind->type, kind->version);
}

static const char *schema_text(const struct event_kind *kind)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_schema(&w, kind->payload);
    buf_put_char(&out, '\n');
    const char *text = arena_strndup(arena, out.ptr, out.len);
    buf_deinit(&out);
    return text;
}

static const char *file_text(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = arena_alloc(arena, 65536);
    if (!f)
        return "";
    text[fread(text, 1, 65535, f)] = 0;
    fclose(f);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
}

Test(events, each_kind__has_its_schema_in_the_tree)
{
    bool rewrite = getenv("SOUK_WRITE_SCHEMAS") != NULL;
    for (size_t i = 0; event_kinds[i]; i++) {
        const char *path = schema_path(event_kinds[i]), *text = schema_text(event_kinds[i]);
        if (rewrite)
            write_file(path, text);
        cr_assert_str_eq(file_text(path), text, "%s is not what the table says: see above", path);
    }
}
