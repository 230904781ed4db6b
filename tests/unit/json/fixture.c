#include "fixture.h"

static const struct field item_fields[] = {
    FIELD_TEXT(struct item, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_I64(struct item, quantity, "quantity", .required = true, .min = 1, .max = 999),
};
const struct table item_table = TABLE("Item", struct item, item_fields);

static const char *const choices[] = {"red", "green", NULL};

static const struct field all_fields[] = {
    FIELD_TEXT(struct all, text, "text", .doc = "free text"),
    FIELD_UUID(struct all, id, "id"),
    FIELD_TEXT(struct all, choice, "choice", .choices = choices),
    FIELD_TEXT(struct all, secret, "secret", .secret = true),
    FIELD_TEXT(struct all, hidden, "hidden", .hidden = true),
    FIELD_I64(struct all, count, "count"),
    FIELD_I64(struct all, fallback, "fallback", .fallback = 7),
    FIELD_TIME(struct all, at, "at"),
    FIELD_BOOL(struct all, flag, "flag"),
    FIELD_BOOL(struct all, flag_on, "flagOn", .fallback = 1),
    FIELD_MONEY(struct all, price, "price"),
    FIELD_OBJECT(struct all, one, "one", item_table),
    FIELD_LIST(struct all, items, "items", item_table, .max = 20),
    FIELD_TEXTS(struct all, tags, "tags", .max = 20, .omit_empty = true),
    FIELD_RAW(struct all, raw, "raw"),
    FIELD_REAL(struct all, score, "score"),
};
const struct table all_table = TABLE("All", struct all, all_fields);

const struct field *all_field(const char *name)
{
    for (size_t i = 0; i < all_table.count; i++)
        if (strcmp(all_fields[i].name, name) == 0)
            return &all_fields[i];
    cr_assert_fail("no field %s", name);
    return NULL;
}

int read_all(struct arena *a, struct span text, struct all *ret_all, const char **ret_errors)
{
    struct json_errors errors;
    int r = json_read(a, text, &all_table, JSON_STRICT, ret_all, &errors);
    const char *lines = "";

    cr_assert_eq(r, errors.count > 0 ? JSON_BAD : 0);
    for (size_t i = 0; i < errors.count; i++)
        lines = arena_printf(a, "%s%s: %s\n", lines, errors.at[i].pointer, errors.at[i].detail);
    *ret_errors = lines;
    return r;
}
