#pragma once

/* Private to json/: a field's rules, applied to a value that already has the right type. NULL when
 * it fits, else the sentence (static or in `a`). */

#include "common/base/arena.h"
#include "common/json/table.h"

#define CHECK_TEXT_LIMIT 4096 /* bytes, where a field sets no limit of its own */

const char *field_check_text(struct arena *a, const struct field *f, struct span text);
const char *field_check_element(
    struct arena *a, const struct field *f, struct span text); /* of TEXTS */
const char *field_check_uuid(struct span text);
const char *field_check_time(const struct field *f, struct span text, int64_t *ret_wall_us);
const char *field_check_i64(struct arena *a, const struct field *f, int64_t value);
const char *field_check_real(struct arena *a, const struct field *f, double value);
const char *field_check_count(struct arena *a, const struct field *f, size_t count);

/* An anchored ECMA 262 expression of a pattern, or NULL where `*ret_format` (a JSON Schema format)
 * says it better. */
const char *pattern_regex(const char *pattern, const char **ret_format);
