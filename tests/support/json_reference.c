#include "support/json_reference.h"

#include <jansson.h>

#include "common/base/mem.h"

static bool same_value(const struct node *n, json_t *json);

static bool same_text(struct span text, const char *other, size_t len)
{
    return span_equal(text, span_make(other, len));
}

static bool same_array(const struct node *n, json_t *json)
{
    size_t i = 0;
    const struct node *child;

    for (child = n->child; child; child = child->next)
        if (child->name || !same_value(child, json_array_get(json, i++)))
            return false;
    return i == n->count && i == json_array_size(json);
}

/* jansson keeps the members in the order of the text, as we do. */
static bool same_object(const struct node *n, json_t *json)
{
    void *i = json_object_iter(json);
    size_t count = 0;

    for (const struct node *m = n->child; m; m = m->next, i = json_object_iter_next(json, i)) {
        if (!i || !same_text(node_name(m), json_object_iter_key(i), json_object_iter_key_len(i)) ||
            !same_value(m, json_object_iter_value(i)))
            return false;
        count++;
    }
    return !i && count == n->count;
}

static bool same_source(const struct node *n)
{
    struct span source = node_source(n);
    return source.len > 0 && !strchr(" \t\r\n,:", source.ptr[0]) &&
           !strchr(" \t\r\n,:", source.ptr[source.len - 1]);
}

static bool same_value(const struct node *n, json_t *json)
{
    double real = json ? json_real_value(json) : 0;

    if (!json || !same_source(n))
        return false;
    switch (n->kind) {
    case NODE_NULL:
        return json_is_null(json);
    case NODE_BOOL:
        return n->truth ? json_is_true(json) : json_is_false(json);
    case NODE_I64:
        return json_is_integer(json) && n->i64 == json_integer_value(json);
    case NODE_REAL:
        return json_is_real(json) && memcmp(&n->real, &real, sizeof(real)) == 0;
    case NODE_TEXT:
        return json_is_string(json) &&
               same_text(node_text(n), json_string_value(json), json_string_length(json));
    case NODE_ARRAY:
        return json_is_array(json) && same_array(n, json);
    case NODE_OBJECT:
        return json_is_object(json) && same_object(n, json);
    }
    return false;
}

/* jansson 2.14 overlooks a NUL behind a number or a word; no document of ours may have one. */
static json_t *reference(struct span text)
{
    if (memchr(text.ptr, '\0', text.len))
        return NULL;
    return json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
}

/* The copy ends where the text does, so that a sanitizer sees it when more is read. */
bool json_reference_agrees(struct arena *a, struct span text, bool *ret_good)
{
    char *copy = mem_resize(NULL, text.len + (text.len == 0));
    json_t *json = reference(text);
    const char *sentence = NULL;

    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    const struct node *n = parse_document(a, span_make(copy, text.len), &sentence);
    bool same = (n != NULL) == (json != NULL) && (n == NULL) == (sentence != NULL) &&
                (!n || same_value(n, json));
    *ret_good = n != NULL;
    mem_free(copy);
    json_decref(json);
    return same;
}
