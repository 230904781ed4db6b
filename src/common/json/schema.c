/* JSON Schema (draft 2020-12) of a table. Sub-tables are written where they stand, so a schema is
 * one self-contained value that OpenAPI can embed. */

#include "common/json/check.h"
#include "common/json/reader.h"
#include "common/json/writer.h"

#define DIALECT "https://json-schema.org/draft/2020-12/schema"
#define LEVELS  8 /* of tables within tables; one that holds itself ends here */

static void table_put(struct json_writer *w, const struct table *t, bool nullable, int level);

static void type_put(struct json_writer *w, const char *type, bool nullable)
{
    json_key(w, "type");
    if (!nullable) {
        json_text(w, type);
        return;
    }
    json_array_begin(w);
    json_text(w, type);
    json_text(w, "null");
    json_array_end(w);
}

static void bounds_put(
    struct json_writer *w, const struct field *f, const char *min_name, const char *max_name)
{
    if (f->min == 0 && f->max == 0)
        return;
    json_put_i64(w, min_name, f->min);
    if (f->max >= f->min)
        json_put_i64(w, max_name, f->max);
}

static void choices_put(struct json_writer *w, const struct field *f, bool nullable)
{
    json_key(w, "enum");
    json_array_begin(w);
    for (size_t i = 0; f->choices[i]; i++)
        json_text(w, f->choices[i]);
    if (nullable)
        json_none(w);
    json_array_end(w);
}

/* What choices and patterns say about a text. */
static void content_put(struct json_writer *w, const struct field *f, bool nullable)
{
    if (f->choices)
        choices_put(w, f, nullable);
    if (f->pattern) {
        const char *format, *regex = pattern_regex(f->pattern, &format);
        if (format)
            json_put_text(w, "format", format);
        if (regex)
            json_put_text(w, "pattern", regex);
    }
}

/* JSON Schema counts characters where we count bytes; a text that fits in bytes fits in these. */
static void text_put(struct json_writer *w, const struct field *f, bool nullable)
{
    type_put(w, "string", nullable);
    if (f->min > 0)
        json_put_i64(w, "minLength", f->min > 4 ? (f->min + 3) / 4 : 1);
    json_put_i64(w, "maxLength", f->max > 0 && f->max >= f->min ? f->max : CHECK_TEXT_LIMIT);
    content_put(w, f, nullable);
}

static void format_put(struct json_writer *w, const char *format, bool nullable)
{
    type_put(w, "string", nullable);
    json_put_text(w, "format", format);
}

static void money_put(struct json_writer *w, const struct field *f, bool nullable)
{
    type_put(w, "object", nullable);
    json_key(w, "properties");
    json_object_begin(w);
    json_key(w, "amount");
    json_object_begin(w);
    type_put(w, "integer", false);
    json_put_text(w, "format", "int64");
    json_put_text(w, "description", "minor units");
    bounds_put(w, f, "minimum", "maximum");
    json_object_end(w);
    json_key(w, "currency");
    json_object_begin(w);
    type_put(w, "string", false);
    json_put_text(w, "pattern", "^[A-Z]{3}$");
    json_put_text(w, "description", "ISO 4217");
    json_object_end(w);
    json_object_end(w);
    json_key(w, "required");
    json_raw(w, SPAN("[\"amount\",\"currency\"]"));
}

static void array_put(struct json_writer *w, const struct field *f, bool nullable, int level)
{
    type_put(w, "array", nullable);
    bounds_put(w, f, "minItems", "maxItems");
    json_key(w, "items");
    if (f->kind == FIELD_KIND_LIST) {
        table_put(w, f->sub, false, level + 1);
        return;
    }
    json_object_begin(w);
    type_put(w, "string", false);
    json_put_i64(w, "maxLength", CHECK_TEXT_LIMIT);
    content_put(w, f, false);
    json_object_end(w);
}

static void field_put(struct json_writer *w, const struct field *f, int level)
{
    bool nullable = !f->required;

    switch (f->kind) {
    case FIELD_KIND_TEXT:
        text_put(w, f, nullable);
        break;
    case FIELD_KIND_UUID:
        format_put(w, "uuid", nullable);
        break;
    case FIELD_KIND_TIME:
        format_put(w, "date-time", nullable);
        break;
    case FIELD_KIND_I64:
        type_put(w, "integer", nullable);
        json_put_text(w, "format", "int64");
        bounds_put(w, f, "minimum", "maximum");
        if (nullable)
            json_put_i64(w, "default", f->fallback);
        break;
    case FIELD_KIND_REAL:
        type_put(w, "number", nullable);
        bounds_put(w, f, "minimum", "maximum");
        break;
    case FIELD_KIND_BOOL:
        type_put(w, "boolean", nullable);
        if (nullable)
            json_put_bool(w, "default", f->fallback != 0);
        break;
    case FIELD_KIND_MONEY:
        money_put(w, f, nullable);
        break;
    case FIELD_KIND_LIST:
    case FIELD_KIND_TEXTS:
        array_put(w, f, nullable, level);
        break;
    case FIELD_KIND_OBJECT: /* written whole by property_put */
    case FIELD_KIND_RAW:    /* anything */
        break;
    }
}

static void description_put(struct json_writer *w, const struct field *f)
{
    if (f->doc)
        json_put_text(w, "description", f->doc);
}

static void property_put(struct json_writer *w, const struct field *f, int level)
{
    json_key(w, f->name);
    if (f->kind == FIELD_KIND_OBJECT) {
        table_put(w, f->sub, !f->required, level + 1);
        return;
    }
    json_object_begin(w);
    description_put(w, f);
    field_put(w, f, level);
    json_object_end(w);
}

static void properties_put(struct json_writer *w, const struct table *t, int level)
{
    bool any_required = false;

    json_key(w, "properties");
    json_object_begin(w);
    for (size_t i = 0; i < t->count; i++) {
        if (t->fields[i].hidden)
            continue;
        property_put(w, &t->fields[i], level);
        any_required |= t->fields[i].required;
    }
    json_object_end(w);
    if (!any_required)
        return;
    json_key(w, "required");
    json_array_begin(w);
    for (size_t i = 0; i < t->count; i++)
        if (t->fields[i].required && !t->fields[i].hidden)
            json_text(w, t->fields[i].name);
    json_array_end(w);
}

static void table_put(struct json_writer *w, const struct table *t, bool nullable, int level)
{
    bool alone = w->depth == 0;

    json_object_begin(w);
    if (alone)
        json_put_text(w, "$schema", DIALECT);
    json_put_text(w, "title", t->name);
    type_put(w, "object", nullable);
    if (level < LEVELS)
        properties_put(w, t, level);
    json_object_end(w);
}

void json_schema(struct json_writer *w, const struct table *t)
{
    table_put(w, t, false, 0);
}
