/* Parameters: texts from the path and the query, checked by the same field rules as a body. */

#include "common/app/params.h"

#include <assert.h>

#include "common/app/dispatch.h"

struct params_reader {
    struct request *req;
    const struct table *table;
    char *value;   /* the struct */
    uint64_t seen; /* bit per field */
    int outcome;
};

static const struct field *field_find(const struct table *t, struct span name, size_t *ret_index)
{
    for (size_t i = 0; t && i < t->count; i++)
        if (span_equal(name, span_of(t->fields[i].name)))
            return *ret_index = i, &t->fields[i];
    return NULL;
}

static const char *pointer_of(struct params_reader *p, struct span name)
{
    return arena_printf(p->req->arena, "/%.*s", SPAN_ARG(name));
}

/* Numbers and booleans have their own spelling here; texts go through the field's own rules. */
static const char *fill(struct params_reader *p, const struct field *f, struct span text)
{
    struct arena *a = p->req->arena;
    void *member = p->value + f->offset;
    int64_t number;
    const char *problem;
    switch ((int)f->kind) {
    case FIELD_KIND_I64:
        problem = json_check_text(a, f, text);
        if (problem || !span_to_i64(text, &number))
            return problem ? problem : "must be an integer";
        memcpy(member, &number, sizeof(number));
        return NULL;
    case FIELD_KIND_BOOL:
        if (!span_equal(text, SPAN("true")) && !span_equal(text, SPAN("false")))
            return "must be true or false";
        *(bool *)member = span_equal(text, SPAN("true"));
        return NULL;
    case FIELD_KIND_TIME:
        if (!clock_parse(text, &number))
            return "must be a time such as 2026-01-31T12:00:00Z";
        memcpy(member, &number, sizeof(number));
        return NULL;
    default: {
        assert(f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_UUID);
        problem = json_check_text(a, f, text);
        const char *copy = arena_strndup(a, text.ptr, text.len);
        memcpy(member, &copy, sizeof(copy));
        return problem;
    }
    }
}

static void take(void *ctx, struct span name, struct span value)
{
    struct params_reader *p = ctx;
    size_t index;
    const struct field *f = field_find(p->table, name, &index);
    if (!f) {
        p->outcome =
            refuse_field(p->req, pointer_of(p, name), "is not a parameter of this resource");
        return;
    }
    if (p->seen & (UINT64_C(1) << index)) {
        p->outcome = refuse_field(p->req, pointer_of(p, name), "is given twice");
        return;
    }
    p->seen |= UINT64_C(1) << index;
    const char *problem = fill(p, f, value);
    if (problem)
        p->outcome = refuse_field(p->req, pointer_of(p, name), "%s", problem);
}

static void read_query(struct params_reader *p)
{
    struct span rest = p->req->http->query, pair;
    while (rest.len && span_cut(&rest, '&', &pair)) {
        struct span value = pair, raw_name, name, decoded;
        if (pair.len == 0)
            continue;
        span_cut(&value, '=', &raw_name);
        if (!value.ptr)
            value = SPAN("");
        if (!http_percent_decode(p->req->arena, raw_name, true, &name) ||
            !http_percent_decode(p->req->arena, value, true, &decoded)) {
            p->outcome = refuse_field(p->req, "", "the query has a bad percent-escape");
            return;
        }
        take(p, name, decoded);
    }
}

int params_read(
    struct request *req, const char *pattern, const struct table *t, const void **ret_params)
{
    struct params_reader p = {.req = req, .table = t};
    p.value = arena_alloc(req->arena, t ? t->size : 1);
    assert(!t || t->count <= 64);
    for (size_t i = 0; t && i < t->count; i++)
        if (t->fields[i].kind == FIELD_KIND_I64)
            memcpy(p.value + t->fields[i].offset, &t->fields[i].fallback, sizeof(int64_t));
        else if (t->fields[i].kind == FIELD_KIND_BOOL)
            *(bool *)(void *)(p.value + t->fields[i].offset) = t->fields[i].fallback != 0;
    route_matches(pattern, req->http->path, take, &p);
    read_query(&p);
    for (size_t i = 0; t && i < t->count && !p.outcome; i++)
        if (t->fields[i].required && !(p.seen & (UINT64_C(1) << i)))
            p.outcome =
                refuse_field(req, pointer_of(&p, span_of(t->fields[i].name)), "is required");
    *ret_params = p.value;
    return p.outcome;
}
