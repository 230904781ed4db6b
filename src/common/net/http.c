#include "common/net/http.h"

#include <assert.h>

static const char *const method_names[HTTP_METHODS] = {
    [HTTP_GET] = "GET",
    [HTTP_HEAD] = "HEAD",
    [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",
    [HTTP_PATCH] = "PATCH",
    [HTTP_DELETE] = "DELETE",
    [HTTP_OPTIONS] = "OPTIONS",
};

const char *http_method_name(enum http_method m)
{
    assert(m < HTTP_METHODS);
    return method_names[m];
}

bool http_method_parse(struct span text, enum http_method *ret_method)
{
    for (unsigned m = 0; m < HTTP_METHODS; m++) {
        if (span_equal(text, span_of(method_names[m]))) {
            *ret_method = (enum http_method)m;
            return true;
        }
    }
    return false;
}

struct span http_header_get(const struct http_headers *h, const char *name)
{
    struct span wanted = span_of(name);

    for (size_t i = 0; i < h->count; i++) {
        if (h->at[i].name.len == wanted.len && span_equal_nocase(h->at[i].name, wanted))
            return h->at[i].value;
    }
    return (struct span){NULL, 0};
}

void http_header_add(struct http_headers *h, struct span name, struct span value)
{
    assert(h->count < HTTP_HEADERS_LIMIT);
    h->at[h->count++] = (struct http_header){name, value};
}

void http_header_remove(struct http_headers *h, const char *name)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->count; i++)
        if (!span_equal_nocase(h->at[i].name, span_of(name)))
            h->at[kept++] = h->at[i];
    h->count = kept;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool http_percent_decode(struct arena *a, struct span text, bool form, struct span *ret_text)
{
    char *out = arena_alloc(a, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '%') {
            if (text.len - i < 3)
                return false;
            int high = hex_value(text.ptr[i + 1]), low = hex_value(text.ptr[i + 2]);
            if (high < 0 || low < 0)
                return false;
            c = (unsigned char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return false;
        out[len++] = (char)c;
    }
    *ret_text = span_make(out, len);
    return true;
}

void http_percent_encode(struct buf *out, struct span text)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (unreserved) {
            buf_put_char(out, (char)c);
        } else {
            char escape[3] = {'%', hex[c >> 4], hex[c & 15]};
            buf_put(out, escape, sizeof(escape));
        }
    }
}
