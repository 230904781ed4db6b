#pragma once

/* A growing run of bytes that we write. Heap-backed; `ptr[len]` is always NUL once anything was
 * put. Most of what is put is a few bytes and finds room, so that much is inline. */

#include <stdarg.h>

#include "common/base/span.h"

struct buf {
    char *ptr;
    size_t len, cap;
};

void buf_deinit(struct buf *b);
void buf_reset(struct buf *b);             /* keeps the memory */
void buf_grow(struct buf *b, size_t more); /* for buf_reserve alone */
void buf_put_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list args) PRINTF(2, 0);

/* Room for `more` bytes and the NUL behind them. */
static inline void buf_reserve(struct buf *b, size_t more)
{
    if (more >= b->cap - b->len) /* `len` is below `cap`, or both are 0 */
        buf_grow(b, more);
}

static inline void buf_put(struct buf *b, const void *bytes, size_t len)
{
    buf_reserve(b, len);
    if (len > 0)
        memcpy(b->ptr + b->len, bytes, len);
    b->len += len;
    b->ptr[b->len] = '\0';
}

static inline void buf_put_char(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

static inline void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static inline void buf_put_span(struct buf *b, struct span s)
{
    buf_put(b, s.ptr, s.len);
}

static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->ptr ? b->ptr : "", b->len};
}
