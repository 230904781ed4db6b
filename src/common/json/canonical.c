#include "common/json/canonical.h"

#include "common/json/parse.h"
#include "common/json/writer.h"

static void node_put(struct arena *a, struct json_writer *w, const struct node *n);

static void members_put(struct arena *a, struct json_writer *w, const struct node *object)
{
    const struct node **members = node_members_sorted(a, object);

    json_object_begin(w);
    for (size_t i = 0; i < object->count; i++) {
        json_key(w, arena_strndup(a, members[i]->name, members[i]->name_len));
        node_put(a, w, members[i]);
    }
    json_object_end(w);
}

static void elements_put(struct arena *a, struct json_writer *w, const struct node *array)
{
    json_array_begin(w);
    for (const struct node *n = array->child; n; n = n->next)
        node_put(a, w, n);
    json_array_end(w);
}

static void node_put(struct arena *a, struct json_writer *w, const struct node *n)
{
    switch (n->kind) {
    case NODE_NULL:
        json_none(w);
        break;
    case NODE_BOOL:
        json_bool(w, n->truth);
        break;
    case NODE_I64:
        json_i64(w, n->i64);
        break;
    case NODE_REAL:
        json_double(w, n->real);
        break;
    case NODE_TEXT:
        json_span(w, node_text(n));
        break;
    case NODE_ARRAY:
        elements_put(a, w, n);
        break;
    case NODE_OBJECT:
        members_put(a, w, n);
        break;
    }
}

bool json_canonical(struct span text, struct buf *out)
{
    struct arena *a = arena_new();
    const char *unused;
    const struct node *document = parse_document(a, text, &unused);
    struct json_writer w = json_writer_on(out);

    if (document)
        node_put(a, &w, document);
    arena_free(a);
    return document != NULL;
}
