#pragma once

/* A growing run of bytes that we write. Heap-backed; `ptr[len]` is always NUL once anything was
 * put. */

#include <stdarg.h>

#include "common/base/span.h"

struct buf {
    char *ptr;
    size_t len, cap;
};

void buf_deinit(struct buf *b);
void buf_reset(struct buf *b); /* keeps the memory */
void buf_reserve(struct buf *b, size_t more);
void buf_put(struct buf *b, const void *bytes, size_t len);
void buf_put_char(struct buf *b, char c);
void buf_put_text(struct buf *b, const char *text);
void buf_put_span(struct buf *b, struct span s);
void buf_put_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list args) PRINTF(2, 0);

static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->ptr ? b->ptr : "", b->len};
}
