#pragma once

/* Forms (application/x-www-form-urlencoded) by the tables that read JSON: texts only. */

#include "common/json/reader.h"

/* Fills `*ret_value` (a struct of the table, zeroed first). As OAuth has it (RFC 6749, 3.2): fields
 * that are not in the table are ignored, an empty value counts as absent, none may come twice. 0; 1
 * (JSON_BAD) with what was wrong in `*ret_errors`; texts live in `a`. */
int form_read(struct arena *a, struct span body, const struct table *t, void *ret_value,
    struct json_errors *ret_errors);

/* Whether a Content-Type says that a body is a form. */
bool form_type_fits(struct span content_type);

/* Appends name=value, after an ampersand unless `out` is empty. A NULL value adds nothing. */
struct buf;
void form_put(struct buf *out, const char *name, const char *value);
