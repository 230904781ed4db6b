#pragma once

/* Configuration: one table, read from the environment (NAME, or NAME_FILE for its content). Every
 * wrong value is reported at once with the allowed range. */

#include "common/base/span.h"

struct config_row {
    const char *name; /* "HOLD_TTL_S" */
    enum { CONFIG_TEXT, CONFIG_I64, CONFIG_BOOL } kind;
    const char *fallback; /* NULL: required */
    int64_t min, max;
    bool secret; /* masked by --print-config */
    const char *doc;
};

/* Of the running service (its own table and the common one); asserts that the name is in a table.
 */
const char *config_text(const char *name); /* "" when empty */
int64_t config_i64(const char *name);
bool config_bool(const char *name);

/* Reads both tables; prints every problem to stderr; 0 or -EINVAL. */
int config_load(const struct config_row *common, size_t common_count, const struct config_row *own,
    size_t own_count);
/* NAME=value lines with secrets masked. */
struct buf;
void config_print(struct buf *out);
