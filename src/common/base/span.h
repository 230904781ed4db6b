#pragma once

/* A borrowed run of bytes. Not NUL-terminated, never owns. */

#include <string.h>

#include "common/base/macros.h"

struct span {
    const char *ptr;
    size_t len;
};

#define SPAN(literal) ((struct span){"" literal, sizeof(literal) - 1})
#define SPAN_ARG(s)   (int)(s).len, (s).ptr /* for "%.*s" */

static inline struct span span_of(const char *text) /* NULL gives the empty span */
{
    return (struct span){text ? text : "", text ? strlen(text) : 0};
}

static inline struct span span_make(const void *ptr, size_t len)
{
    return (struct span){ptr, len};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool span_same_letters(struct span a, struct span b); /* of one length: for span_equal_nocase */

static inline bool span_equal_nocase(struct span a, struct span b) /* ASCII */
{
    return a.len == b.len && span_same_letters(a, b);
}

bool span_starts(struct span s, struct span prefix);
struct span span_trim(struct span s); /* spaces and tabs at both ends */
/* How many bytes at the front are text: no control character but tabs. Any byte from 0x80 on is. */
size_t span_text_run(struct span s);
/* Cuts the text before the first `sep` off `*rest`; false when `*rest` was already used up (ptr
 * NULL). */
bool span_cut(struct span *rest, char sep, struct span *ret_piece);
/* Strict decimal: digits only (one leading '-' allowed), no overflow; false and untouched
 * otherwise. */
bool span_to_i64(struct span s, int64_t *ret_value);
/* The way back; returns the length. */
#define I64_TEXT_SIZE 21 /* sign, 19 digits, NUL */
size_t i64_text(int64_t value, char text[static I64_TEXT_SIZE]);
