#include "ctl/sheet.h"

#include "common/base/buf.h"

#define COLUMNS_LIMIT 12

struct row {
    struct row *next;
    const char *cells[COLUMNS_LIMIT];
};

struct sheet {
    struct arena *arena;
    size_t columns, width[COLUMNS_LIMIT];
    struct row *first, **last;
};

/* Bytes of the character at `s` when it is well formed UTF-8 and may be shown; else 0. */
static size_t shown_len(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    size_t n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    if (n == 0 || p[0] >= 0xf5 || n > s.len)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool control = p[0] == 0xc2 && p[1] < 0xa0;
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
    return control || overlong || surrogate ? 0 : n;
}

const char *text_harmless(struct arena *a, struct span text)
{
    struct buf out = {0};
    while (text.len > 0) {
        size_t n = shown_len(text);
        buf_put(&out, n ? text.ptr : "?", n ? n : 1);
        text.ptr += n ? n : 1;
        text.len -= n ? n : 1;
    }
    const char *copy = arena_strndup(a, out.ptr ? out.ptr : "", out.len);
    buf_deinit(&out);
    return copy;
}

static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

struct sheet *sheet_new(struct arena *a, const char *const *titles, size_t columns)
{
    struct sheet *s = ARENA_NEW(a, struct sheet);
    s->arena = a;
    s->columns = columns < COLUMNS_LIMIT ? columns : COLUMNS_LIMIT;
    s->last = &s->first;
    sheet_add(s, titles);
    return s;
}

void sheet_add(struct sheet *s, const char *const *cells)
{
    struct row *row = ARENA_NEW(s->arena, struct row);
    for (size_t i = 0; i < s->columns; i++) {
        row->cells[i] = text_harmless(s->arena, span_of(cells[i]));
        size_t width = width_of(row->cells[i]);
        if (width > s->width[i])
            s->width[i] = width;
    }
    *s->last = row;
    s->last = &row->next;
}

void sheet_print(const struct sheet *s, FILE *to)
{
    for (const struct row *row = s->first; row; row = row->next) {
        for (size_t i = 0; i < s->columns; i++) {
            int pad = i + 1 < s->columns ? (int)(s->width[i] - width_of(row->cells[i]) + 2) : 0;
            fprintf(to, "%s%*s", row->cells[i], pad, "");
        }
        fputc('\n', to);
    }
}
