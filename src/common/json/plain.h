#pragma once

/* Private to json/: runs of bytes that stand in a JSON string as they are: ASCII that is neither a
 * control character nor a quote nor a backslash. Nearly every text is one such run, so eight bytes
 * are looked at at once. */

#include <endian.h>
#include <string.h>

#include "common/base/macros.h"

#define PLAIN_ONES UINT64_C(0x0101010101010101)

/* The lowest bit set is in the first byte that is not plain. A borrow may mark a byte wrongly, but
 * only behind one that is marked rightly. */
static inline uint64_t plain_marks(const char *eight)
{
    uint64_t bytes;
    memcpy(&bytes, eight, sizeof(bytes));
    bytes = le64toh(bytes);

    uint64_t quote = bytes ^ (PLAIN_ONES * '"');
    uint64_t backslash = bytes ^ (PLAIN_ONES * '\\');
    uint64_t marks = bytes | (bytes - PLAIN_ONES * 0x20) | ((quote - PLAIN_ONES) & ~quote) |
                     ((backslash - PLAIN_ONES) & ~backslash);
    return marks & (PLAIN_ONES * 0x80);
}

static inline bool plain_byte(char c)
{
    return c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* How many of the `len` bytes before the first that is not plain. */
static inline size_t plain_run(const char *text, size_t len)
{
    size_t i = 0;
    uint64_t marks;

    if (len < 8) {
        while (i < len && plain_byte(text[i]))
            i++;
        return i;
    }
    for (; i + 8 <= len; i += 8)
        if ((marks = plain_marks(text + i)) != 0)
            return i + (size_t)__builtin_ctzll(marks) / 8;
    marks = plain_marks(text + len - 8); /* some are looked at twice */
    return marks ? len - 8 + (size_t)__builtin_ctzll(marks) / 8 : len;
}
