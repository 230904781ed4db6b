/* JSON text to structs.
 *
 * Two steps. The parser (parse.h) makes a tree, or refuses the text, which is one problem of the
 * whole document. Then the tables walk the tree: every field of every struct is checked, and each
 * problem is noted with the place where it was found, so that a client mends its request in one go.
 *
 * A place is a chain on the C stack from the value up to the document; only a problem (a pointer)
 * makes anyone walk it. The tree has an arena of its own and goes at once: texts are copied into
 * the caller's. Sentences never repeat what the client sent: it may be a password. */

#include "common/json/reader.h"

#include <assert.h>

#include "common/json/check.h"
#include "common/json/parse.h"

#define POINTER_NAME_LIMIT 128 /* longer unknown members are not repeated to the client */

struct place {
    const struct place *up; /* NULL: the document */
    const char *name;       /* a member of an object; NULL: an element of an array */
    size_t index;           /* of the element */
};

struct reading {
    struct arena *a;
    enum json_mode mode;
    struct json_errors errors;
};

static void struct_read(struct reading *rd, const struct table *t, const struct place *place,
    const struct node *json, void *value);

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

/* -- members -- */

/* `name` ends with a NUL, the node's does not and holds none. */
static bool node_named(const struct node *n, const char *name)
{
    size_t i = 0;
    while (i < n->name_len && n->name[i] == name[i])
        i++;
    return i == n->name_len && name[i] == '\0';
}

static const struct node *member_among(
    const struct node *from, const struct node *until, const char *name)
{
    while (from != until && !node_named(from, name))
        from = from->next;
    return from == until ? NULL : from;
}

/* NULL: there is none. Members mostly come in the order of the fields, so the search begins at
 * `*cursor`: the one behind the member found last, or NULL. */
static const struct node *member_find(
    const struct node *object, const char *name, const struct node **cursor)
{
    const struct node *found = member_among(*cursor, NULL, name);

    if (!found)
        found = member_among(object->child, *cursor, name);
    if (found)
        *cursor = found->next;
    return found;
}

/* -- values -- */

static void text_read(struct reading *rd, const struct field *f, const struct place *place,
    const struct node *json, const char **ret_text)
{
    if (!node_is(json, NODE_TEXT)) {
        reading_note(rd, place, "must be a string");
        return;
    }
    struct span text = node_text(json);
    const char *detail = f->kind == FIELD_KIND_UUID    ? field_check_uuid(text)
                         : f->kind == FIELD_KIND_TEXTS ? field_check_element(rd->a, f, text)
                                                       : field_check_text(rd->a, f, text);
    if (reading_note(rd, place, detail))
        *ret_text = arena_strndup(rd->a, text.ptr, text.len);
}

static void time_read(struct reading *rd, const struct field *f, const struct place *place,
    const struct node *json, int64_t *ret_wall_us)
{
    if (node_is(json, NODE_TEXT))
        reading_note(rd, place, field_check_time(f, node_text(json), ret_wall_us));
    else
        reading_note(rd, place, "must be a string with an RFC 3339 time");
}

static void i64_read(struct reading *rd, const struct field *f, const struct place *place,
    const struct node *json, const char *what, int64_t *ret_value)
{
    if (!node_is(json, NODE_I64))
        reading_note(rd, place, what);
    else if (reading_note(rd, place, field_check_i64(rd->a, f, json->i64)))
        *ret_value = json->i64;
}

static void real_read(struct reading *rd, const struct field *f, const struct place *place,
    const struct node *json, double *ret_value)
{
    double value = node_is(json, NODE_I64) ? (double)json->i64 : json->real;

    if (!node_is(json, NODE_I64) && !node_is(json, NODE_REAL))
        reading_note(rd, place, "must be a number");
    else if (reading_note(rd, place, field_check_real(rd->a, f, value)))
        *ret_value = value;
}

static void currency_read(
    struct reading *rd, const struct place *place, const struct node *json, char currency[static 4])
{
    if (!json)
        reading_note(rd, place, "is required");
    else if (!node_is(json, NODE_TEXT) || !money_currency_known(node_text(json)))
        reading_note(rd, place, "must be a known ISO 4217 currency code");
    else
        memcpy(currency, json->text, 3);
}

static void unknown_note(struct reading *rd, const struct place *place, const struct node *json)
{
    struct place member = {.up = place};

    if (json->name_len > POINTER_NAME_LIMIT) {
        reading_note(rd, place, "has a member that is not known, with a very long name");
        return;
    }
    member.name = arena_strndup(rd->a, json->name, json->name_len);
    reading_note(rd, &member, "is not a known member");
}

static void money_read(struct reading *rd, const struct field *f, const struct place *place,
    const struct node *json, struct money *ret_money)
{
    struct place amount = {.up = place, .name = "amount"};
    struct place currency = {.up = place, .name = "currency"};
    const struct node *cursor, *member;

    if (!node_is(json, NODE_OBJECT)) {
        reading_note(rd, place, "must be an object with amount and currency");
        return;
    }
    cursor = json->child;
    member = member_find(json, amount.name, &cursor);
    if (member)
        i64_read(rd, f, &amount, member, "must be an integer in minor units", &ret_money->amount);
    else
        reading_note(rd, &amount, "is required");
    currency_read(rd, &currency, member_find(json, currency.name, &cursor), ret_money->currency);
    if (rd->mode == JSON_LENIENT)
        return;
    for (member = json->child; member && !reading_full(rd); member = member->next)
        if (!node_named(member, amount.name) && !node_named(member, currency.name))
            unknown_note(rd, place, member);
}

/* Counts first: a list that is too long is not worth its memory. */
static bool array_check(
    struct reading *rd, const struct field *f, const struct place *place, const struct node *json)
{
    if (!node_is(json, NODE_ARRAY))
        return reading_note(rd, place, "must be an array");
    return reading_note(rd, place, field_check_count(rd->a, f, json->count));
}

static void list_read(struct reading *rd, const struct table *t, const struct place *place,
    const struct node *json, struct list *ret_list)
{
    char *items = arena_array(rd->a, json->count, t->size);
    struct place element = {.up = place};

    for (const struct node *n = json->child; n && !reading_full(rd); n = n->next) {
        struct_read(rd, t, &element, n, items + element.index * t->size);
        element.index++;
    }
    *ret_list = (struct list){.len = json->count, .items = items};
}

static void texts_read(struct reading *rd, const struct field *f, const struct place *place,
    const struct node *json, struct list *ret_list)
{
    const char **items = arena_array(rd->a, json->count, sizeof(*items));
    struct place element = {.up = place};

    for (const struct node *n = json->child; n && !reading_full(rd); n = n->next) {
        text_read(rd, f, &element, n, &items[element.index]);
        element.index++;
    }
    *ret_list = (struct list){.len = json->count, .items = items};
}

static void field_read(struct reading *rd, const struct field *f, const struct place *place,
    const struct node *json, void *at)
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
        if (reading_note(rd, place, node_is(json, NODE_BOOL) ? NULL : "must be true or false"))
            *(bool *)at = json->truth;
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
        struct span text = node_source(json);
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

static bool table_has(const struct table *t, const struct node *json)
{
    for (size_t i = 0; i < t->count; i++)
        if (!t->fields[i].hidden && node_named(json, t->fields[i].name))
            return true;
    return false;
}

static void unknown_find(
    struct reading *rd, const struct table *t, const struct place *place, const struct node *json)
{
    for (const struct node *n = json->child; n && !reading_full(rd); n = n->next)
        if (!table_has(t, n))
            unknown_note(rd, place, n);
}

/* `value` is zeroed memory of t->size. */
static void struct_read(struct reading *rd, const struct table *t, const struct place *place,
    const struct node *json, void *value)
{
    const struct node *cursor;
    size_t known = 0;

    if (!node_is(json, NODE_OBJECT)) {
        reading_note(rd, place, "must be an object");
        return;
    }
    cursor = json->child;
    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        struct place member = {.up = place, .name = f->name};
        void *at = (char *)value + f->offset;
        const struct node *found = f->hidden ? NULL : member_find(json, f->name, &cursor);

        known += found != NULL;
        fallback_set(f, at);
        if (found && !node_is(found, NODE_NULL))
            field_read(rd, f, &member, found, at);
        else if (f->required && !f->hidden)
            reading_note(rd, &member, "is required");
    }
    if (rd->mode == JSON_STRICT && known < json->count)
        unknown_find(rd, t, place, json);
}

/* -- the document -- */

/* The tree lives in `tree`; NULL with the problem noted. */
static const struct node *document_parse(
    struct reading *rd, struct arena *tree, const struct place *document, struct span text)
{
    const char *sentence;

    if (text.len == 0) {
        reading_note(rd, document, "is empty, and JSON is expected");
        return NULL;
    }
    const struct node *root = parse_document(tree, text, &sentence);
    if (!root)
        reading_note(rd, document, arena_strdup(rd->a, sentence));
    return root;
}

int json_read(struct arena *a, struct span text, const struct table *t, enum json_mode mode,
    void *ret_value, struct json_errors *ret_errors)
{
    struct reading rd = {.a = a, .mode = mode};
    struct place document = {0};
    void *value = arena_alloc(a, t->size);
    struct arena *tree = arena_new();

    const struct node *root = document_parse(&rd, tree, &document, text);
    if (root)
        struct_read(&rd, t, &document, root, value);
    arena_free(tree);
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
    struct place document = {0};
    struct list list = {0};
    struct arena *tree = arena_new();

    const struct node *root = document_parse(&rd, tree, &document, text);
    if (root && array_check(&rd, &unbounded, &document, root))
        list_read(&rd, t, &document, root, &list);
    arena_free(tree);
    *ret_errors = rd.errors;
    if (rd.errors.count > 0)
        return JSON_BAD;
    *ret_list = list;
    return 0;
}
