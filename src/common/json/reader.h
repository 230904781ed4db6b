#pragma once

/* JSON text to structs, strictly: UTF-8, no duplicate keys, depth <= 32, no trailing bytes,
 * integers within int64. Unknown members are refused in requests and ignored in events. */

#include "common/base/arena.h"
#include "common/json/table.h"

#define JSON_DEPTH_LIMIT  32
#define JSON_ERRORS_LIMIT 16

enum json_mode {
    JSON_STRICT,  /* unknown members are errors: HTTP bodies */
    JSON_LENIENT, /* unknown members are ignored: events, answers of other services */
};

/* What was wrong, for problem+json: RFC 6901 pointer ("" = the whole document) and a sentence. */
struct json_error {
    const char *pointer;
    const char *detail;
};
struct json_errors {
    size_t count;
    struct json_error at[JSON_ERRORS_LIMIT];
};

/* Fills `*ret_value` (a struct of the table, zeroed first). 0; 1 (JSON_BAD) with every problem
 * found in `*ret_errors` (all fields are checked, not only the first); texts live in `a`. */
enum { JSON_BAD = 1 };
int json_read(struct arena *a, struct span text, const struct table *t, enum json_mode mode,
    void *ret_value, struct json_errors *ret_errors);

/* As json_read for a top-level array of `t`. */
int json_read_list(struct arena *a, struct span text, const struct table *t, enum json_mode mode,
    struct list *ret_list, struct json_errors *ret_errors);

/* Checks one text (a path or query parameter) against a field's rules; NULL when it fits, else the
 * sentence. */
const char *json_check_text(struct arena *a, const struct field *f, struct span text);
