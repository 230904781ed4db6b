/* JSON text to structs.
 *
 * Three steps. A scan without recursion refuses deep nesting before anything is built. jansson then
 * parses strictly (UTF-8, no duplicate members, no NUL, no number beyond int64 or double, nothing
 * after the document); what it refuses is one problem of the whole document. Last, the tables walk
 * the tree: every field of every struct is checked, and each problem is noted with the place where
 * it was found, so that a client mends its request in one go.
 *
 * A place is a chain on the C stack from the value up to the document; only a problem (a pointer)
 * or a raw field (its source text) makes anyone walk it. Texts are copied into the arena, so the
 * tree goes at once. Sentences never repeat what the client sent: it may be a password. */

#include "common/json/reader.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>
#undef JSON_STRICT /* jansson's unpack flag, not needed here; ours is the mode */

#include "common/base/error.h"
#include "common/json/check.h"
#include "common/json/scan.h"

#define POINTER_NAME_LIMIT 128 /* longer unknown members are not repeated to the client */

struct place {
    struct place *up;    /* NULL: the document */
    const char *name;    /* a member of an object; NULL: an element of an array */
    size_t index;        /* of the element */
    struct span text;    /* source text, once somebody needed it */
    const char *cursor;  /* while the elements' texts are looked up one after the other */
    size_t cursor_index; /* of the next element at the cursor */
};

struct reading {
    struct arena *a;
    enum json_mode mode;
    struct json_errors errors;
};

static void struct_read(
    struct reading *rd, const struct table *t, struct place *place, json_t *json, void *value);

/* -- problems -- */

static bool reading_full(const struct reading *rd)
{
    return rd->errors.count == JSON_ERRORS_LIMIT;
}

/* RFC 6901: "~" is ~0 and "/" is ~1. */
static const char *pointer_escape(struct arena *a, const char *name)
{
    if (!strpbrk(name, "~/"))
        return name;
    char *escaped = arena_alloc(a, 2 * strlen(name) + 1), *p = escaped;
    for (; *name; name++) {
        if (*name == '~' || *name == '/') {
            *p++ = '~';
            *p++ = *name == '~' ? '0' : '1';
        } else {
            *p++ = *name;
        }
    }
    return escaped;
}

static const char *place_pointer(struct arena *a, const struct place *place)
{
    const char *pointer = "";
    for (; place->up; place = place->up)
        pointer = place->name ? arena_printf(a, "/%s%s", pointer_escape(a, place->name), pointer)
                              : arena_printf(a, "/%zu%s", place->index, pointer);
    return pointer;
}

/* Notes a problem; a NULL sentence is none. True when all is well. */
static bool reading_note(struct reading *rd, const struct place *place, const char *detail)
{
    if (detail && !reading_full(rd))
        rd->errors.at[rd->errors.count++] =
            (struct json_error){place_pointer(rd->a, place), detail};
    return !detail;
}

/* -- source text of raw fields -- */

static struct span place_text(struct place *place)
{
    if (place->text.ptr)
        return place->text;

    struct place *up = place->up;
    struct span above = place_text(up);
    if (place->name) {
        place->text = scan_member(above, place->name);
    } else {
        for (; up->cursor_index <= place->index; up->cursor_index++)
            place->text = scan_element(above, &up->cursor);
    }
    assert(place->text.ptr);
    return place->text;
}

/* -- values -- */

static struct span string_span(json_t *json)
{
    return span_make(json_string_value(json), json_string_length(json));
}

static void text_read(struct reading *rd, const struct field *f, const struct place *place,
    json_t *json, const char **ret_text)
{
    if (!json_is_string(json)) {
        reading_note(rd, place, "must be a string");
        return;
    }
    struct span text = string_span(json);
    const char *detail = f->kind == FIELD_KIND_UUID    ? field_check_uuid(text)
                         : f->kind == FIELD_KIND_TEXTS ? field_check_element(rd->a, f, text)
                                                       : field_check_text(rd->a, f, text);
    if (reading_note(rd, place, detail))
        *ret_text = arena_strndup(rd->a, text.ptr, text.len);
}

static void time_read(struct reading *rd, const struct field *f, const struct place *place,
    json_t *json, int64_t *ret_wall_us)
{
    if (json_is_string(json))
        reading_note(rd, place, field_check_time(f, string_span(json), ret_wall_us));
    else
        reading_note(rd, place, "must be a string with an RFC 3339 time");
}

static void i64_read(struct reading *rd, const struct field *f, const struct place *place,
    json_t *json, const char *what, int64_t *ret_value)
{
    if (!json_is_integer(json))
        reading_note(rd, place, what);
    else if (reading_note(rd, place, field_check_i64(rd->a, f, json_integer_value(json))))
        *ret_value = json_integer_value(json);
}

static void real_read(struct reading *rd, const struct field *f, const struct place *place,
    json_t *json, double *ret_value)
{
    if (!json_is_number(json))
        reading_note(rd, place, "must be a number");
    else if (reading_note(rd, place, field_check_real(rd->a, f, json_number_value(json))))
        *ret_value = json_number_value(json);
}

static void currency_read(
    struct reading *rd, const struct place *place, json_t *json, char currency[static 4])
{
    if (!json)
        reading_note(rd, place, "is required");
    else if (!json_is_string(json) || !money_currency_known(string_span(json)))
        reading_note(rd, place, "must be a known ISO 4217 currency code");
    else
        memcpy(currency, json_string_value(json), 3);
}

static void unknown_note(struct reading *rd, struct place *place, const char *name)
{
    struct place member = {.up = place, .name = name};

    if (strlen(name) > POINTER_NAME_LIMIT)
        reading_note(rd, place, "has a member that is not known, with a very long name");
    else
        reading_note(rd, &member, "is not a known member");
}

static void money_read(struct reading *rd, const struct field *f, struct place *place, json_t *json,
    struct money *ret_money)
{
    struct place amount = {.up = place, .name = "amount"};
    struct place currency = {.up = place, .name = "currency"};
    const char *name;
    json_t *member;

    if (!json_is_object(json)) {
        reading_note(rd, place, "must be an object with amount and currency");
        return;
    }
    member = json_object_get(json, "amount");
    i64_read(rd, f, &amount, member, member ? "must be an integer in minor units" : "is required",
        &ret_money->amount);
    currency_read(rd, &currency, json_object_get(json, "currency"), ret_money->currency);
    if (rd->mode == JSON_LENIENT)
        return;
    for (void *i = json_object_iter(json); i; i = json_object_iter_next(json, i)) {
        name = json_object_iter_key(i);
        if (strcmp(name, "amount") != 0 && strcmp(name, "currency") != 0)
            unknown_note(rd, place, name);
    }
}

/* Counts first: a list that is too long is not worth its memory. */
static bool array_check(
    struct reading *rd, const struct field *f, const struct place *place, json_t *json)
{
    if (!json_is_array(json))
        return reading_note(rd, place, "must be an array");
    return reading_note(rd, place, field_check_count(rd->a, f, json_array_size(json)));
}

static void list_read(struct reading *rd, const struct table *t, struct place *place, json_t *json,
    struct list *ret_list)
{
    size_t count = json_array_size(json);
    char *items = arena_array(rd->a, count, t->size);

    for (size_t i = 0; i < count && !reading_full(rd); i++) {
        struct place element = {.up = place, .index = i};
        struct_read(rd, t, &element, json_array_get(json, i), items + i * t->size);
    }
    *ret_list = (struct list){.len = count, .items = items};
}

static void texts_read(struct reading *rd, const struct field *f, struct place *place, json_t *json,
    struct list *ret_list)
{
    size_t count = json_array_size(json);
    const char **items = arena_array(rd->a, count, sizeof(*items));

    for (size_t i = 0; i < count && !reading_full(rd); i++) {
        struct place element = {.up = place, .index = i};
        text_read(rd, f, &element, json_array_get(json, i), &items[i]);
    }
    *ret_list = (struct list){.len = count, .items = items};
}

static void field_read(
    struct reading *rd, const struct field *f, struct place *place, json_t *json, void *at)
{
    switch (f->kind) {
    case FIELD_KIND_TEXT:
    case FIELD_KIND_UUID:
        text_read(rd, f, place, json, at);
        break;
    case FIELD_KIND_I64:
        i64_read(rd, f, place, json, "must be an integer", at);
        break;
    case FIELD_KIND_BOOL:
        if (reading_note(rd, place, json_is_boolean(json) ? NULL : "must be true or false"))
            *(bool *)at = json_is_true(json);
        break;
    case FIELD_KIND_TIME:
        time_read(rd, f, place, json, at);
        break;
    case FIELD_KIND_MONEY:
        money_read(rd, f, place, json, at);
        break;
    case FIELD_KIND_OBJECT:
        assert(f->pointee == 0 || f->pointee == f->sub->size);
        *(void **)at = arena_alloc(rd->a, f->sub->size);
        struct_read(rd, f->sub, place, json, *(void **)at);
        break;
    case FIELD_KIND_LIST:
        if (array_check(rd, f, place, json))
            list_read(rd, f->sub, place, json, at);
        break;
    case FIELD_KIND_TEXTS:
        if (array_check(rd, f, place, json))
            texts_read(rd, f, place, json, at);
        break;
    case FIELD_KIND_RAW: {
        struct span text = place_text(place);
        *(struct span *)at = span_make(arena_strndup(rd->a, text.ptr, text.len), text.len);
        break;
    }
    case FIELD_KIND_REAL:
        real_read(rd, f, place, json, at);
        break;
    }
}

static void fallback_set(const struct field *f, void *at)
{
    if (f->kind == FIELD_KIND_I64)
        *(int64_t *)at = f->fallback;
    else if (f->kind == FIELD_KIND_BOOL)
        *(bool *)at = f->fallback != 0;
}

static bool table_has(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->count; i++)
        if (!t->fields[i].hidden && strcmp(t->fields[i].name, name) == 0)
            return true;
    return false;
}

static void unknown_find(
    struct reading *rd, const struct table *t, struct place *place, json_t *json)
{
    for (void *i = json_object_iter(json); i && !reading_full(rd);
         i = json_object_iter_next(json, i))
        if (!table_has(t, json_object_iter_key(i)))
            unknown_note(rd, place, json_object_iter_key(i));
}

/* `value` is zeroed memory of t->size. */
static void struct_read(
    struct reading *rd, const struct table *t, struct place *place, json_t *json, void *value)
{
    size_t known = 0;

    if (!json_is_object(json)) {
        reading_note(rd, place, "must be an object");
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        struct place member = {.up = place, .name = f->name};
        void *at = (char *)value + f->offset;
        json_t *found = f->hidden ? NULL : json_object_get(json, f->name);

        known += found != NULL;
        fallback_set(f, at);
        if (found && !json_is_null(found))
            field_read(rd, f, &member, found, at);
        else if (f->required && !f->hidden)
            reading_note(rd, &member, "is required");
    }
    if (rd->mode == JSON_STRICT && known < json_object_size(json))
        unknown_find(rd, t, place, json);
}

/* -- the document -- */

static const char *parse_sentence(struct arena *a, const json_error_t *error)
{
    static const char *const sentences[] = {
        [json_error_invalid_utf8] = "is not UTF-8",
        [json_error_premature_end_of_input] = "ends too early",
        [json_error_end_of_input_expected] = "has more text after its end",
        [json_error_null_character] = "holds a NUL character",
        [json_error_null_byte_in_key] = "holds a NUL character",
        [json_error_duplicate_key] = "has a member twice",
        [json_error_numeric_overflow] = "holds a number out of range",
    };
    size_t code = (size_t)json_error_code(error);
    const char *what = code < ARRAY_SIZE(sentences) ? sentences[code] : NULL;

    return arena_printf(a, "%s, at line %d, column %d", what ? what : "is not valid JSON",
        error->line, error->column);
}

/* NULL with the problem noted, or with -ENOMEM in `*ret_r`. */
static json_t *document_parse(struct reading *rd, struct place *document, int *ret_r)
{
    json_error_t error;

    if (document->text.len == 0) {
        reading_note(rd, document, "is empty, and JSON is expected");
        return NULL;
    }
    if (!scan_depth_within(document->text, JSON_DEPTH_LIMIT)) {
        reading_note(
            rd, document, arena_printf(rd->a, "is nested deeper than %d levels", JSON_DEPTH_LIMIT));
        return NULL;
    }
    json_t *root = json_loadb(
        document->text.ptr, document->text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root && json_error_code(&error) == json_error_out_of_memory)
        *ret_r = ERR(-ENOMEM);
    else if (!root)
        reading_note(rd, document, parse_sentence(rd->a, &error));
    return root;
}

int json_read(struct arena *a, struct span text, const struct table *t, enum json_mode mode,
    void *ret_value, struct json_errors *ret_errors)
{
    struct reading rd = {.a = a, .mode = mode};
    struct place document = {.text = text};
    void *value = arena_alloc(a, t->size);
    int r = 0;

    json_auto_t *root = document_parse(&rd, &document, &r);
    if (r < 0)
        return r;
    if (root)
        struct_read(&rd, t, &document, root, value);
    *ret_errors = rd.errors;
    if (rd.errors.count > 0)
        return JSON_BAD;
    memcpy(ret_value, value, t->size);
    return 0;
}

int json_read_list(struct arena *a, struct span text, const struct table *t, enum json_mode mode,
    struct list *ret_list, struct json_errors *ret_errors)
{
    static const struct field unbounded = {.kind = FIELD_KIND_LIST};
    struct reading rd = {.a = a, .mode = mode};
    struct place document = {.text = text};
    struct list list = {0};
    int r = 0;

    json_auto_t *root = document_parse(&rd, &document, &r);
    if (r < 0)
        return r;
    if (root && array_check(&rd, &unbounded, &document, root))
        list_read(&rd, t, &document, root, &list);
    *ret_errors = rd.errors;
    if (rd.errors.count > 0)
        return JSON_BAD;
    *ret_list = list;
    return 0;
}
