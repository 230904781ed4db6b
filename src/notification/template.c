/* The renderer walks the source once, tag by tag. A section is rendered by calling itself on the
 * text between its tags, with one more scope on a chain of scopes that lives on the stack; names
 * are looked up from the innermost scope outwards. */

#include "notification/template.h"

#include "common/base/error.h"

struct scope {
    const struct table *table;
    const char *value; /* a struct of the table */
    const struct scope *outer;
};

struct renderer {
    struct buf *out;
    const char *source; /* the whole, for looking back to the beginning of a line */
    enum template_format format;
};

struct tag {
    struct span before;
    char kind; /* '#', '^', '/' or 0 for a value */
    struct span name;
    struct span rest;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* A section's tag alone on its line goes with the whole line. */
static void take_whole_line(const struct renderer *r, struct tag *tag, const char *begin)
{
    const char *from = begin, *to = tag->rest.ptr, *end = to + tag->rest.len;
    while (from > r->source && is_blank(from[-1]))
        from--;
    while (to < end && is_blank(*to))
        to++;
    if ((from > r->source && from[-1] != '\n') || (to < end && *to != '\n'))
        return;
    if (from >= tag->before.ptr)
        tag->before.len = (size_t)(from - tag->before.ptr);
    tag->rest = span_make(to + (to < end), (size_t)(end - to - (to < end)));
}

/* 1 with the next tag; 0: none is left; ERR_INVALID: it does not end. */
static int next_tag(const struct renderer *r, struct span text, struct tag *ret_tag)
{
    const char *begin = memmem(text.ptr, text.len, "{{", 2);
    if (!begin)
        return 0;
    size_t ahead = (size_t)(begin - text.ptr);
    const char *end = memmem(begin + 2, text.len - ahead - 2, "}}", 2);
    if (!end)
        return ERR(ERR_INVALID);
    struct tag tag = {.before = {text.ptr, ahead},
        .name = {begin + 2, (size_t)(end - begin - 2)},
        .rest = {end + 2, text.len - ahead - (size_t)(end + 2 - begin)}};
    if (tag.name.len && strchr("#^/", tag.name.ptr[0])) {
        tag.kind = tag.name.ptr[0];
        tag.name = span_make(tag.name.ptr + 1, tag.name.len - 1);
        take_whole_line(r, &tag, begin);
    }
    *ret_tag = tag;
    return 1;
}

/* The text up to the tag that closes `open`, and what follows it. */
static int find_close(
    const struct renderer *r, const struct tag *open, struct span *ret_inner, struct span *ret_rest)
{
    struct span text = open->rest;
    struct tag tag;
    unsigned depth = 1;
    int found;
    while ((found = next_tag(r, text, &tag)) > 0) {
        depth += tag.kind == '#' || tag.kind == '^';
        depth -= tag.kind == '/';
        if (depth == 0 && span_equal(tag.name, open->name)) {
            const char *end = tag.before.ptr + tag.before.len;
            *ret_inner = span_make(open->rest.ptr, (size_t)(end - open->rest.ptr));
            *ret_rest = tag.rest;
            return 0;
        }
        if (depth == 0)
            break;
        text = tag.rest;
    }
    error_note("template: {{#%.*s}} is not closed", SPAN_ARG(open->name));
    return ERR(ERR_INVALID);
}

static const struct field *find_field(
    const struct scope *scope, struct span name, const char **ret_member)
{
    for (; scope; scope = scope->outer)
        for (size_t i = 0; i < scope->table->count; i++) {
            const struct field *f = &scope->table->fields[i];
            if (span_equal(name, span_of(f->name))) {
                *ret_member = scope->value + f->offset;
                return f;
            }
        }
    error_note("template: nothing is called \"%.*s\"", SPAN_ARG(name));
    return NULL;
}

/* ---- values ---- */

static const char *html_entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

/* Whatever a person wrote stays inside its line and its element. */
static void put_text(const struct renderer *r, const char *text)
{
    for (; text && *text; text++) {
        const char *entity = r->format == TEMPLATE_HTML ? html_entity(*text) : NULL;
        if (entity)
            buf_put_text(r->out, entity);
        else
            buf_put_char(r->out, (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text);
    }
}

static const char *text_at(const char *member)
{
    return *(const char *const *)(const void *)member;
}

static int64_t number_at(const char *member)
{
    return *(const int64_t *)(const void *)member;
}

static const struct money *money_at(const char *member)
{
    return (const struct money *)(const void *)member;
}

static int put_value(const struct renderer *r, const struct field *f, const char *member)
{
    char shown[CLOCK_TEXT_SIZE + 16] = "";
    if (f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_UUID) {
        put_text(r, text_at(member));
        return 0;
    }
    if (f->kind == FIELD_KIND_I64)
        buf_put_i64(r->out, number_at(member));
    else if (f->kind == FIELD_KIND_MONEY)
        money_format(money_at(member), shown, sizeof(shown));
    else if (f->kind == FIELD_KIND_TIME)
        clock_format(number_at(member), shown);
    else
        return ERR(ERR_INVALID);
    buf_put_text(r->out, shown);
    return 0;
}

static bool is_there(const struct field *f, const char *member)
{
    if (f->kind == FIELD_KIND_TEXT || f->kind == FIELD_KIND_UUID)
        return text_at(member) && text_at(member)[0];
    if (f->kind == FIELD_KIND_BOOL)
        return *(const bool *)(const void *)member;
    if (f->kind == FIELD_KIND_MONEY)
        return money_at(member)->currency[0] != '\0';
    if (f->kind == FIELD_KIND_LIST)
        return ((const struct list *)(const void *)member)->len > 0;
    return (f->kind == FIELD_KIND_I64 || f->kind == FIELD_KIND_TIME) && number_at(member) != 0;
}

/* ---- sections ---- */

static int render(const struct renderer *r, struct span text, const struct scope *scope);

static int render_elements(const struct renderer *r, const struct field *f, const char *member,
    struct span inner, const struct scope *scope)
{
    const struct list *list = (const struct list *)(const void *)member;
    for (size_t i = 0; i < list->len; i++) {
        struct scope element = {f->sub, (const char *)list->items + i * f->sub->size, scope};
        TRY(render(r, inner, &element));
    }
    return 0;
}

static int render_section(
    const struct renderer *r, const struct tag *tag, struct span inner, const struct scope *scope)
{
    const char *member;
    const struct field *f = find_field(scope, tag->name, &member);
    if (!f)
        return ERR(ERR_INVALID);
    if (is_there(f, member) != (tag->kind == '#'))
        return 0;
    if (tag->kind == '#' && f->kind == FIELD_KIND_LIST)
        return render_elements(r, f, member, inner, scope);
    return render(r, inner, scope);
}

static int render(const struct renderer *r, struct span text, const struct scope *scope)
{
    struct tag tag;
    int found;
    while ((found = next_tag(r, text, &tag)) > 0) {
        buf_put_span(r->out, tag.before);
        text = tag.rest;
        const char *member;
        const struct field *f;
        struct span inner = {0};
        if (tag.kind == '#' || tag.kind == '^') {
            TRY(find_close(r, &tag, &inner, &text));
            TRY(render_section(r, &tag, inner, scope));
        } else if (tag.kind == 0 && (f = find_field(scope, tag.name, &member))) {
            TRY(put_value(r, f, member));
        } else {
            return ERR(ERR_INVALID);
        }
    }
    if (found == 0)
        buf_put_span(r->out, text);
    return found;
}

int template_render(struct buf *out, const char *source, enum template_format format,
    const struct table *t, const void *value)
{
    const struct renderer r = {out, source, format};
    const struct scope scope = {t, value, NULL};
    return render(&r, span_of(source), &scope);
}

const struct template *template_find(const char *name)
{
    for (size_t i = 0; i < templates_count; i++)
        if (strcmp(templates[i].name, name) == 0)
            return &templates[i];
    return NULL;
}
