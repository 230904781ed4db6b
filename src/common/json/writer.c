/* Structs to JSON text.
 *
 * The writer holds no stack: one flag, "the next value needs a comma", is all that streaming needs,
 * because a key clears it, a value sets it, an opening bracket clears it and a closing one sets it.
 *
 * Almost every text is plain ASCII without a quote, so the escaper looks at eight bytes at once and
 * copies whole runs; only a byte that stops a run is looked at by itself. Bytes that are not UTF-8
 * become U+FFFD one by one, so whatever a row or a peer holds, what leaves is valid JSON. */

#include "common/json/writer.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json/plain.h"
#include "common/json/utf8.h"

/* How a byte is written: 0 as it is, 'u' as \u00xx, 'x' as part of a UTF-8 sequence, anything else
 * as a backslash and that letter. */
static const char escapes[256] = {
    [0x00 ... 0x07] = 'u',
    ['\b'] = 'b',
    ['\t'] = 't',
    ['\n'] = 'n',
    [0x0b] = 'u',
    ['\f'] = 'f',
    ['\r'] = 'r',
    [0x0e ... 0x1f] = 'u',
    ['"'] = '"',
    ['\\'] = '\\',
    [0x80 ... 0xff] = 'x',
};

static void escape_put(struct buf *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    char kind = escapes[c];

    if (kind == 'x')
        buf_put(out, "\xef\xbf\xbd", 3); /* U+FFFD */
    else if (kind == 'u')
        buf_put(out, (const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
    else
        buf_put(out, (const char[]){'\\', kind}, 2);
}

/* The bytes before `i` are plain. Rare, and kept out of what is not. */
static __attribute__((noinline)) void escaped_put(struct buf *out, struct span text, size_t i)
{
    const char *p = text.ptr;
    size_t run = 0;

    while (i < text.len) {
        unsigned char c = (unsigned char)p[i];
        size_t whole = c < 0x80 ? 0 : utf8_sequence((const unsigned char *)p + i, text.len - i);
        if (whole == 0) {
            buf_put(out, p + run, i - run);
            escape_put(out, c);
            run = ++i;
        }
        i += whole;
        i += plain_run(p + i, text.len - i);
    }
    buf_put(out, p + run, i - run);
}

/* A text, or a name and its colon. Most of a document is made here, so it is put by hand. */
static void quoted_put(struct json_writer *w, struct span text, bool is_name)
{
    enum { AROUND = 4 }; /* comma, quotes, colon */
    struct buf *out = w->out;
    size_t plain = plain_run(text.ptr, text.len);

    buf_reserve(out, text.len + AROUND);
    char *p = out->ptr + out->len;
    *p = ',';
    p += w->need_comma;
    *p++ = '"';
    if (plain < text.len) {
        out->len = (size_t)(p - out->ptr);
        escaped_put(out, text, plain);
        buf_reserve(out, AROUND);
        p = out->ptr + out->len;
    } else if (plain > 0) {
        memcpy(p, text.ptr, plain);
        p += plain;
    }
    *p++ = '"';
    *p = ':';
    p += is_name;
    *p = '\0';
    out->len = (size_t)(p - out->ptr);
    w->need_comma = !is_name;
}

static void value_begin(struct json_writer *w)
{
    if (w->need_comma)
        buf_put_char(w->out, ',');
    w->need_comma = true;
}

static void bracket_open(struct json_writer *w, char bracket)
{
    value_begin(w);
    buf_put_char(w->out, bracket);
    w->need_comma = false;
    w->depth++;
}

static void bracket_close(struct json_writer *w, char bracket)
{
    assert(w->depth > 0);
    buf_put_char(w->out, bracket);
    w->need_comma = true;
    w->depth--;
}

void json_object_begin(struct json_writer *w)
{
    bracket_open(w, '{');
}

void json_object_end(struct json_writer *w)
{
    bracket_close(w, '}');
}

void json_array_begin(struct json_writer *w)
{
    bracket_open(w, '[');
}

void json_array_end(struct json_writer *w)
{
    bracket_close(w, ']');
}

void json_key(struct json_writer *w, const char *name)
{
    assert(w->depth > 0);
    quoted_put(w, span_of(name), true);
}

void json_span(struct json_writer *w, struct span text)
{
    quoted_put(w, text, false);
}

void json_text(struct json_writer *w, const char *text)
{
    if (text)
        json_span(w, span_of(text));
    else
        json_none(w);
}

void json_i64(struct json_writer *w, int64_t value)
{
    value_begin(w);
    buf_put_i64(w->out, value);
}

/* The shortest text that reads back as the same number. */
void json_double(struct json_writer *w, double value)
{
    char text[32];

    if (!isfinite(value)) {
        json_none(w);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    char *comma = strchr(text, ','); /* a locale's decimal sign */
    if (comma)
        *comma = '.';
    value_begin(w);
    buf_put_text(w->out, text);
}

void json_bool(struct json_writer *w, bool value)
{
    json_raw(w, value ? SPAN("true") : SPAN("false"));
}

void json_none(struct json_writer *w)
{
    json_raw(w, SPAN("null"));
}

void json_time(struct json_writer *w, int64_t wall_us)
{
    char text[CLOCK_TEXT_SIZE];

    if (wall_us == 0) {
        json_none(w);
        return;
    }
    clock_format(wall_us, text);
    json_text(w, text);
}

void json_money(struct json_writer *w, const struct money *m)
{
    if (m->currency[0] == '\0') {
        json_none(w);
        return;
    }
    json_object_begin(w);
    json_put_i64(w, "amount", m->amount);
    json_put_text(w, "currency", m->currency);
    json_object_end(w);
}

void json_raw(struct json_writer *w, struct span json)
{
    value_begin(w);
    buf_put_span(w->out, json.len > 0 ? json : SPAN("null"));
}

void json_put_text(struct json_writer *w, const char *name, const char *text)
{
    json_key(w, name);
    json_text(w, text);
}

void json_put_i64(struct json_writer *w, const char *name, int64_t value)
{
    json_key(w, name);
    json_i64(w, value);
}

void json_put_bool(struct json_writer *w, const char *name, bool value)
{
    json_key(w, name);
    json_bool(w, value);
}

void json_put_time(struct json_writer *w, const char *name, int64_t wall_us)
{
    json_key(w, name);
    json_time(w, wall_us);
}

void json_put_money(struct json_writer *w, const char *name, const struct money *m)
{
    json_key(w, name);
    json_money(w, m);
}

/* -- by table -- */

static void struct_put(
    struct json_writer *w, const struct table *t, const void *value, bool masked);

static bool field_empty(const struct field *f, const void *at)
{
    switch (f->kind) {
    case FIELD_KIND_TEXT:
    case FIELD_KIND_UUID:
    case FIELD_KIND_OBJECT:
        return *(const void *const *)at == NULL;
    case FIELD_KIND_TIME:
        return *(const int64_t *)at == 0;
    case FIELD_KIND_MONEY:
        return ((const struct money *)at)->currency[0] == '\0';
    case FIELD_KIND_LIST:
    case FIELD_KIND_TEXTS:
        return ((const struct list *)at)->len == 0;
    case FIELD_KIND_RAW:
        return ((const struct span *)at)->len == 0;
    case FIELD_KIND_I64:
    case FIELD_KIND_BOOL:
    case FIELD_KIND_REAL:
        return false;
    }
    return false;
}

static void list_put(
    struct json_writer *w, const struct table *t, const struct list *list, bool masked)
{
    json_array_begin(w);
    for (size_t i = 0; i < list->len; i++)
        struct_put(w, t, (const char *)list->items + i * t->size, masked);
    json_array_end(w);
}

static void texts_put(struct json_writer *w, const struct list *list)
{
    json_array_begin(w);
    for (size_t i = 0; i < list->len; i++)
        json_text(w, *LIST_AT(*list, const char *, i));
    json_array_end(w);
}

static void field_put(struct json_writer *w, const struct field *f, const void *at, bool masked)
{
    switch (f->kind) {
    case FIELD_KIND_TEXT:
    case FIELD_KIND_UUID:
        json_text(w, *(const char *const *)at);
        break;
    case FIELD_KIND_I64:
        json_i64(w, *(const int64_t *)at);
        break;
    case FIELD_KIND_BOOL:
        json_bool(w, *(const bool *)at);
        break;
    case FIELD_KIND_TIME:
        json_time(w, *(const int64_t *)at);
        break;
    case FIELD_KIND_MONEY:
        json_money(w, at);
        break;
    case FIELD_KIND_OBJECT:
        assert(f->pointee == 0 || f->pointee == f->sub->size);
        struct_put(w, f->sub, *(const void *const *)at, masked);
        break;
    case FIELD_KIND_LIST:
        list_put(w, f->sub, at, masked);
        break;
    case FIELD_KIND_TEXTS:
        texts_put(w, at);
        break;
    case FIELD_KIND_RAW:
        json_raw(w, *(const struct span *)at);
        break;
    case FIELD_KIND_REAL:
        json_double(w, *(const double *)at);
        break;
    }
}

static void struct_put(struct json_writer *w, const struct table *t, const void *value, bool masked)
{
    if (!value) {
        json_none(w);
        return;
    }
    json_object_begin(w);
    for (size_t i = 0; i < t->count; i++) {
        const struct field *f = &t->fields[i];
        const void *at = (const char *)value + f->offset;
        bool empty = field_empty(f, at);

        if (f->hidden || (f->omit_empty && empty))
            continue;
        json_key(w, f->name);
        if (masked && f->secret && !empty)
            json_text(w, "***");
        else
            field_put(w, f, at, masked);
    }
    json_object_end(w);
}

void json_struct(struct json_writer *w, const struct table *t, const void *value)
{
    struct_put(w, t, value, false);
}

void json_struct_masked(struct json_writer *w, const struct table *t, const void *value)
{
    struct_put(w, t, value, true);
}

void json_list(struct json_writer *w, const struct table *t, struct list list)
{
    list_put(w, t, &list, false);
}

static const char *text_taken(struct arena *a, struct buf *text)
{
    const char *copy = arena_strndup(a, text->ptr, text->len);
    buf_deinit(text);
    return copy;
}

const char *json_struct_text(struct arena *a, const struct table *t, const void *value)
{
    struct buf text = {0};
    struct json_writer w = json_writer_on(&text);
    json_struct(&w, t, value);
    return text_taken(a, &text);
}

const char *json_list_text(struct arena *a, const struct table *t, struct list list)
{
    struct buf text = {0};
    struct json_writer w = json_writer_on(&text);
    json_list(&w, t, list);
    return text_taken(a, &text);
}
