#pragma once

/* A table with a field of every kind, and what the tests of the room share. */

#include <criterion/criterion.h>

#include "common/json/reader.h"
#include "common/json/writer.h"

struct item {
    const char *sku;
    int64_t quantity;
};

struct all {
    const char *text, *id, *choice, *secret, *hidden;
    int64_t count, at, fallback;
    bool flag, flag_on;
    struct money price;
    struct item *one;
    struct list items, tags;
    struct span raw;
    double score;
};

extern const struct table item_table;
extern const struct table all_table; /* nothing in it is required */

/* The field of all_table whose member has this name. */
const struct field *all_field(const char *name);

/* json_read in strict mode; what it notes is written as "pointer: detail\n" lines. */
int read_all(struct arena *a, struct span text, struct all *ret_all, const char **ret_errors);
