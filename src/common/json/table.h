#pragma once

/* A request body, a database row, an event payload is a table: static const rows that pair a JSON
 * member with a member of a plain C struct. Readers fill the struct or name the offending field;
 * writers and the row mapper of data/ use the same table.
 *
 *     struct cart_item { const char *sku; int64_t quantity; };
 *     static const struct field cart_item_fields[] = {
 *         FIELD_TEXT(struct cart_item, sku, "sku", .required = true, .max = 64),
 *         FIELD_I64(struct cart_item, quantity, "quantity", .required = true, .min = 1, .max =
 * 999),
 *     };
 *     const struct table cart_item_table = TABLE("CartItem", struct cart_item, cart_item_fields);
 *
 * The macros check the member's C type against the field's kind at compile time. Read values are
 * NUL-terminated copies in the caller's arena; a NUL inside a text is refused. */

#include "common/base/clock.h"
#include "common/base/money.h"

enum field_kind {
    FIELD_KIND_TEXT, /* const char *: UTF-8; absent = NULL. min/max count bytes */
    FIELD_KIND_UUID, /* const char *: canonical UUID; absent = NULL */
    FIELD_KIND_I64,  /* int64_t: integer, `99.0` and 1e3 are refused; absent = .fallback */
    FIELD_KIND_BOOL, /* bool; absent = .fallback != 0 */
    FIELD_KIND_TIME, /* int64_t wall µs, RFC 3339 on the wire; absent = 0, and 0 is written as null
                      */
    FIELD_KIND_MONEY,  /* struct money {"amount":int,"currency":"USD"}; absent = currency "";
                          min/max are about the amount */
    FIELD_KIND_OBJECT, /* pointer to a struct of `.sub`; absent = NULL */
    FIELD_KIND_LIST,   /* struct list of structs of `.sub`; min/max count the elements */
    FIELD_KIND_TEXTS,  /* struct list of const char *; min/max count the elements; choices and
                          pattern are about each, of at most 4,096 bytes */
    FIELD_KIND_RAW,    /* struct span of JSON text, any value, kept as it is; absent = len 0 */
    FIELD_KIND_REAL,   /* double; scores and ratios only, never money; absent = 0 */
};

/* `items` points to `len` elements, one after the other, each of the element table's size. */
struct list {
    size_t len;
    void *items;
};
#define LIST_AT(list, type, i) (&((type *)(list).items)[i])

struct table;

struct field {
    const char *name; /* JSON member */
    enum field_kind kind;
    size_t offset;
    const struct table *sub;
    size_t pointee;   /* objects: sizeof the struct pointed to, asserted to be sub->size */
    bool required;    /* reading: must be there and not null */
    bool hidden;      /* filled from rows, never read from or written to JSON */
    bool secret;      /* masked in logs and dead letters */
    bool omit_empty;  /* writing: leave out instead of null / [] */
    int64_t min, max; /* inclusive; 0,0 = no bound of its own (texts: at most 4,096 bytes); a max
                         below min is no upper bound, so `.min = 1` alone says "at least 1" */
    int64_t fallback;
    const char *const *choices; /* NULL-terminated closed set for texts */
    const char *pattern; /* one of "email", "sku", "currency", "country", "phone", "name", "line",
                            "url", "https-url" */
    const char *doc;     /* for --describe and OpenAPI */
};

struct table {
    const char *name; /* schema name in the docs */
    size_t size;      /* of the struct */
    const struct field *fields;
    size_t count;
};
#define TABLE(n, type, f)                                                                          \
    {                                                                                              \
        .name = (n), .size = sizeof(type), .fields = (f), .count = ARRAY_SIZE(f)                   \
    }

#define FIELD_OFFSET_(type, member, c_type)                                                        \
    (offsetof(type, member) +                                                                      \
        0 * sizeof(                                                                                \
                char[__builtin_types_compatible_p(__typeof__(((type *)0)->member), c_type) ? 1     \
                                                                                           : -1]))
#define FIELD_(k, c_type, type, member, n, ...)                                                    \
    {                                                                                              \
        .name = (n), .kind = (k), .offset = FIELD_OFFSET_(type, member, c_type), __VA_ARGS__       \
    }

#define FIELD_TEXT(type, member, n, ...)                                                           \
    FIELD_(FIELD_KIND_TEXT, const char *, type, member, n, __VA_ARGS__)
#define FIELD_UUID(type, member, n, ...)                                                           \
    FIELD_(FIELD_KIND_UUID, const char *, type, member, n, __VA_ARGS__)
#define FIELD_I64(type, member, n, ...)                                                            \
    FIELD_(FIELD_KIND_I64, int64_t, type, member, n, __VA_ARGS__)
#define FIELD_BOOL(type, member, n, ...) FIELD_(FIELD_KIND_BOOL, bool, type, member, n, __VA_ARGS__)
#define FIELD_TIME(type, member, n, ...)                                                           \
    FIELD_(FIELD_KIND_TIME, int64_t, type, member, n, __VA_ARGS__)
#define FIELD_MONEY(type, member, n, ...)                                                          \
    FIELD_(FIELD_KIND_MONEY, struct money, type, member, n, __VA_ARGS__)
#define FIELD_REAL(type, member, n, ...)                                                           \
    FIELD_(FIELD_KIND_REAL, double, type, member, n, __VA_ARGS__)
#define FIELD_TEXTS(type, member, n, ...)                                                          \
    FIELD_(FIELD_KIND_TEXTS, struct list, type, member, n, __VA_ARGS__)
#define FIELD_RAW(type, member, n, ...)                                                            \
    FIELD_(FIELD_KIND_RAW, struct span, type, member, n, __VA_ARGS__)
#define FIELD_LIST(type, member, n, table_, ...)                                                   \
    FIELD_(FIELD_KIND_LIST, struct list, type, member, n, .sub = &(table_), __VA_ARGS__)
/* The member is a `struct x *`; its pointee's size must be the sub-table's (asserted when used). */
#define FIELD_OBJECT(type, member, n, table_, ...)                                                 \
    {                                                                                              \
        .name = (n), .kind = FIELD_KIND_OBJECT, .offset = offsetof(type, member),                  \
        .sub = &(table_), .pointee = sizeof(*((type *)0)->member), __VA_ARGS__                     \
    }

/* Rows: `data/` fills a struct from the columns in the order of the table's fields, one column
 * each, except money, which takes two (amount, currency). Lists, objects and texts come from
 * json/jsonb columns. */

/* Deep copies: what a table's fields point to comes to lie in the arena too. Members that the table
 * does not name are taken over as they are. */
struct arena;
void struct_copy(struct arena *a, const struct table *t, const void *from, void *ret_copy);
struct list list_copy(struct arena *a, const struct table *t, struct list list);
