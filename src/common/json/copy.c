/* A struct's deep copy, by its table: the whole struct as it is, then everything that the fields
 * point to once more in the arena of the copy. */

#include "common/json/table.h"

#include "common/base/arena.h"

static void texts_copy(struct arena *a, struct list *texts)
{
    const char **copies = arena_array(a, texts->len, sizeof(*copies));
    for (size_t i = 0; i < texts->len; i++)
        copies[i] = arena_strdup(a, *LIST_AT(*texts, const char *, i));
    texts->items = copies;
}

/* Makes the field at `at`, which points to what the original points to, the copy's own. */
static void field_copy(struct arena *a, const struct field *f, void *at)
{
    switch (f->kind) {
    case FIELD_KIND_TEXT:
    case FIELD_KIND_UUID:
        *(char **)at = arena_strdup(a, *(char **)at);
        break;
    case FIELD_KIND_OBJECT:
        if (*(void **)at)
            *(void **)at = list_copy(a, f->sub, (struct list){1, *(void **)at}).items;
        break;
    case FIELD_KIND_LIST:
        *(struct list *)at = list_copy(a, f->sub, *(struct list *)at);
        break;
    case FIELD_KIND_TEXTS:
        texts_copy(a, at);
        break;
    case FIELD_KIND_RAW:
        ((struct span *)at)->ptr =
            arena_strndup(a, ((struct span *)at)->ptr, ((struct span *)at)->len);
        break;
    case FIELD_KIND_I64:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_TIME:
    case FIELD_KIND_MONEY:
    case FIELD_KIND_REAL:
        break;
    }
}

void struct_copy(struct arena *a, const struct table *t, const void *from, void *ret_copy)
{
    memcpy(ret_copy, from, t->size);
    for (size_t i = 0; i < t->count; i++)
        field_copy(a, &t->fields[i], (char *)ret_copy + t->fields[i].offset);
}

struct list list_copy(struct arena *a, const struct table *t, struct list list)
{
    struct list copy = {.len = list.len, .items = arena_array(a, list.len, t->size)};
    for (size_t i = 0; i < list.len; i++)
        struct_copy(a, t, (const char *)list.items + i * t->size, (char *)copy.items + i * t->size);
    return copy;
}
