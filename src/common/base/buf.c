#include "common/base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"

enum { BUF_FIRST = 256 };

void buf_deinit(struct buf *b)
{
    mem_free(b->ptr);
    *b = (struct buf){0};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    if (b->ptr)
        b->ptr[0] = '\0';
}

void buf_grow(struct buf *b, size_t more)
{
    size_t need;
    if (__builtin_add_overflow(b->len, more, &need) || __builtin_add_overflow(need, 1, &need))
        abort(); /* a length that no object has: memory was overwritten */

    size_t cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    b->ptr = mem_resize(b->ptr, cap);
    b->cap = cap;
    b->ptr[b->len] = '\0';
}

void buf_put_i64(struct buf *b, int64_t value)
{
    char text[I64_TEXT_SIZE];
    buf_put(b, text, i64_text(value, text));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    buf_reserve(b, 64);
    int n = vsnprintf(b->ptr + b->len, b->cap - b->len, fmt, args);
    assert(n >= 0);
    size_t len = (size_t)n;
    if (len >= b->cap - b->len) {
        buf_reserve(b, len);
        vsnprintf(b->ptr + b->len, b->cap - b->len, fmt, again);
    }
    va_end(again);
    b->len += len;
}
