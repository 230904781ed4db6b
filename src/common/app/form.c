#include "common/app/form.h"

#include <assert.h>

#include "common/base/buf.h"
#include "common/net/http.h"

static void wrong(struct arena *a, struct json_errors *errors, struct span name, const char *detail)
{
    if (errors->count < JSON_ERRORS_LIMIT)
        errors->at[errors->count++] =
            (struct json_error){arena_printf(a, "/%.*s", SPAN_ARG(name)), detail};
}

static const char **member_of(const struct field *f, void *value)
{
    assert(f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_UUID);
    return (const char **)(void *)((char *)value + f->offset);
}

static void take(struct arena *a, const struct field *f, struct span raw, void *value,
    struct json_errors *errors)
{
    const char **member = member_of(f, value), *problem;
    struct span text, name = span_of(f->name);
    if (!http_percent_decode(a, raw, true, &text)) {
        wrong(a, errors, name, "has a bad percent-escape");
        return;
    }
    if (text.len == 0)
        return;
    problem = *member ? "is given twice" : json_check_text(a, f, text);
    if (problem)
        wrong(a, errors, name, problem);
    else
        *member = arena_strndup(a, text.ptr, text.len);
}

int form_read(struct arena *a, struct span body, const struct table *t, void *ret_value,
    struct json_errors *ret_errors)
{
    struct span rest = body, pair, raw_name, name;
    memset(ret_value, 0, t->size);
    ret_errors->count = 0;
    while (rest.len && span_cut(&rest, '&', &pair)) {
        struct span raw = pair;
        if (pair.len == 0)
            continue;
        span_cut(&raw, '=', &raw_name);
        if (!http_percent_decode(a, raw_name, true, &name)) {
            wrong(a, ret_errors, SPAN(""), "has a bad percent-escape");
            continue;
        }
        for (size_t i = 0; i < t->count; i++)
            if (span_equal(name, span_of(t->fields[i].name)))
                take(a, &t->fields[i], raw.ptr ? raw : SPAN(""), ret_value, ret_errors);
    }
    for (size_t i = 0; i < t->count; i++)
        if (t->fields[i].required && !*member_of(&t->fields[i], ret_value))
            wrong(a, ret_errors, span_of(t->fields[i].name), "is required");
    return ret_errors->count ? JSON_BAD : 0;
}

bool form_type_fits(struct span content_type)
{
    struct span rest = content_type, media = content_type;
    if (content_type.ptr)
        span_cut(&rest, ';', &media);
    return span_equal_nocase(span_trim(media), SPAN("application/x-www-form-urlencoded"));
}

void form_put(struct buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    if (out->len)
        buf_put_char(out, '&');
    http_percent_encode(out, span_of(name));
    buf_put_char(out, '=');
    http_percent_encode(out, span_of(value));
}
