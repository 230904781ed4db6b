#include "common/base/span.h"

#include <endian.h>
#include <stdint.h>

static unsigned char ascii_lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool span_same_letters(struct span a, struct span b)
{
    for (size_t i = 0; i < a.len; i++)
        if (ascii_lower(a.ptr[i]) != ascii_lower(b.ptr[i]))
            return false;
    return true;
}

bool span_starts(struct span s, struct span prefix)
{
    return s.len >= prefix.len && span_equal(span_make(s.ptr, prefix.len), prefix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    return s;
}

/* Marks the control characters among eight bytes in the highest bit of each, the first byte lowest.
 * A borrow may mark a byte wrongly, but only above one that is marked rightly. */
static uint64_t control_marks(const char *p)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t bytes;
    memcpy(&bytes, p, sizeof(bytes));
    bytes = le64toh(bytes);
    uint64_t deletes = bytes ^ (ones * 0x7f);
    return (((bytes - ones * ' ') & ~bytes) | ((deletes - ones) & ~deletes)) & (ones * 0x80);
}

size_t span_text_run(struct span s)
{
    size_t i = 0;
    while (i < s.len) {
        if (s.len - i >= 8) {
            uint64_t marks = control_marks(s.ptr + i);
            i += marks ? (size_t)__builtin_ctzll(marks) / 8 : 8;
            if (!marks)
                continue;
        }
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            break;
        i++;
    }
    return i;
}

bool span_cut(struct span *rest, char sep, struct span *ret_piece)
{
    if (!rest->ptr)
        return false;

    const char *at = rest->len ? memchr(rest->ptr, sep, rest->len) : NULL;
    if (!at) {
        *ret_piece = *rest;
        *rest = span_make(NULL, 0);
        return true;
    }
    size_t len = (size_t)(at - rest->ptr);
    *ret_piece = span_make(rest->ptr, len);
    *rest = span_make(at + 1, rest->len - len - 1);
    return true;
}

bool span_to_i64(struct span s, int64_t *ret_value)
{
    size_t i = s.len > 0 && s.ptr[0] == '-';
    bool negative = i == 1;
    if (i == s.len)
        return false;

    /* Counts downward: the negative side has one value more. */
    int64_t value = 0;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        int64_t digit = s.ptr[i] - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, digit, &value))
            return false;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *ret_value = negative ? value : -value;
    return true;
}

size_t i64_text(int64_t value, char text[static I64_TEXT_SIZE])
{
    char digits[I64_TEXT_SIZE];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    memcpy(text, digits + at, sizeof(digits) - at);
    return sizeof(digits) - at - 1;
}
