/* Array arguments as PostgreSQL reads them: every item in quotes, so that none is taken for NULL, a
 * brace or a comma. */

#include "common/base/buf.h"
#include "common/data/pg.h"

void pg_array_put(struct buf *array, const char *item)
{
    buf_put_char(array, array->len ? ',' : '{');
    if (!item) {
        buf_put_text(array, "NULL");
        return;
    }
    buf_reserve(array, 2 * strlen(item) + 2); /* if each byte needs a backslash */
    char *out = array->ptr + array->len;
    *out++ = '"';
    for (const char *c = item; *c; c++) {
        if (*c == '"' || *c == '\\')
            *out++ = '\\';
        *out++ = *c;
    }
    *out++ = '"';
    *out = '\0';
    array->len = (size_t)(out - array->ptr);
}

void pg_array_put_i64(struct buf *array, int64_t item)
{
    buf_put_char(array, array->len ? ',' : '{');
    buf_put_i64(array, item);
}

const char *pg_array_text(struct buf *array)
{
    if (array->len == 0)
        buf_put_char(array, '{');
    buf_put_char(array, '}');
    const char *text = arena_strndup(fiber_arena(), array->ptr, array->len);
    buf_deinit(array);
    return text;
}
