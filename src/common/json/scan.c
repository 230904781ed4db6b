/* Finding the source text of a value.
 *
 * The parser gives values without their place in the text, but a raw field must be kept byte for
 * byte (the payload of an event is parsed later by its own table, and copied as it is into a dead
 * letter). So its text is looked up again: the document is known to be valid JSON by then, which
 * leaves only strings and brackets to count. */

#include "common/json/scan.h"

#include <assert.h>

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* From the opening quote to behind the closing one. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\' && p + 1 < end)
            p++;
    return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
    unsigned depth = 0;

    if (*p != '"' && *p != '{' && *p != '[') { /* a number or word */
        while (p < end && !memchr(",]} \t\r\n", *p, 7))
            p++;
        return p;
    }
    do {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        p++;
    } while (depth > 0 && p < end);
    return p;
}

bool scan_depth_within(struct span text, unsigned limit)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    unsigned depth = 0;

    while (p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if ((*p == '{' || *p == '[') && ++depth > limit)
            return false;
        if ((*p == '}' || *p == ']') && depth > 0)
            depth--;
        p++;
    }
    return true;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The next character of a key as text, -1 when it is not ASCII (then no name of ours is meant). */
static int key_next(const char **p)
{
    static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
    int c = (unsigned char)*(*p)++;

    if (c != '\\')
        return c;
    c = (unsigned char)*(*p)++;
    if (c == 'u') {
        int code = 0;
        for (int i = 0; i < 4; i++)
            code = code * 16 + hex_value(*(*p)++);
        return code < 0x80 ? code : -1;
    }
    const char *letter = strchr(letters, c);
    return letter ? meanings[letter - letters] : c;
}

/* `key` with its quotes. */
static bool key_is(struct span key, const char *name)
{
    const char *p = key.ptr + 1, *end = key.ptr + key.len - 1;

    for (; p < end && *name; name++)
        if (key_next(&p) != (unsigned char)*name)
            return false;
    return p == end && *name == '\0';
}

struct span scan_member(struct span object, const char *name)
{
    const char *end = object.ptr + object.len;
    const char *p = skip_space(object.ptr, end);

    assert(p < end && *p == '{');
    for (p = skip_space(p + 1, end); p < end && *p == '"';) {
        const char *key = p;
        p = skip_string(p, end);
        bool found = key_is(span_make(key, (size_t)(p - key)), name);

        p = skip_space(skip_space(p, end) + 1, end); /* the colon */
        const char *value = p;
        p = skip_value(p, end);
        if (found)
            return span_make(value, (size_t)(p - value));
        p = skip_space(p, end);
        if (p < end && *p == ',')
            p = skip_space(p + 1, end);
    }
    return (struct span){0};
}

struct span scan_element(struct span array, const char **cursor)
{
    const char *end = array.ptr + array.len;
    const char *p = skip_space(*cursor ? *cursor : array.ptr, end);

    if (p == end || *p == ']')
        return (struct span){0};
    assert(*p == (*cursor ? ',' : '['));
    p = skip_space(p + 1, end);
    if (*p == ']')
        return (struct span){0};
    const char *value = p;
    *cursor = p = skip_value(p, end);
    return span_make(value, (size_t)(p - value));
}
