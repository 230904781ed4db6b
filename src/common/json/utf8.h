#pragma once

/* UTF-8, strictly: no overlong forms, no surrogates (RFC 3629). */

#include "common/base/macros.h"
#include "common/base/span.h"

/* The length of the valid sequence that begins `p`, or 0 when its bytes are not UTF-8. */
static inline size_t utf8_sequence(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t len;

    if (left == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        len = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        len = 3;
        low = p[0] == 0xe0 ? 0xa0 : 0x80;  /* shorter forms exist */
        high = p[0] == 0xed ? 0x9f : 0xbf; /* surrogates */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        len = 4;
        low = p[0] == 0xf0 ? 0x90 : 0x80;
        high = p[0] == 0xf4 ? 0x8f : 0xbf; /* beyond U+10FFFF */
    } else {
        return 0;
    }
    if (left < len || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

/* Whether all of it is UTF-8, without NUL: what PostgreSQL takes as a text. */
static inline bool utf8_valid(struct span text)
{
    const unsigned char *p = (const unsigned char *)text.ptr;
    for (size_t i = 0, len; i < text.len; i += len) {
        len = utf8_sequence(p + i, text.len - i);
        if (len == 0 || p[i] == '\0')
            return false;
    }
    return true;
}
