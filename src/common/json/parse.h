#pragma once

/* Private to json/: JSON text to a tree of nodes.
 *
 * Strict: UTF-8; no member twice; no NUL, escaped or not; no half of a surrogate pair; no integer
 * beyond int64 and no real beyond double; no nesting beyond JSON_DEPTH_LIMIT; nothing after the
 * document. Any value may be the document.
 *
 * A node is 48 bytes and there is one for each value. The densest text, "[1,1,1", thus takes 24
 * times its own length in the arena, and texts with escapes at most their own length more. */

#include "common/base/arena.h"

enum node_kind {
    NODE_NULL,
    NODE_BOOL,
    NODE_I64,
    NODE_REAL,
    NODE_TEXT,
    NODE_ARRAY,
    NODE_OBJECT,
};

/* Names, texts and sources point into the document, texts with escapes into the arena; none ends
 * with a NUL, none holds one. */
struct node {
    struct node *next; /* the neighbour behind it in the document; NULL: the last */
    union {
        struct node *child; /* the first; NULL: none */
        const char *text;
        int64_t i64;
        double real;
        bool truth;
    };
    const char *name, *source; /* name NULL: no member */
    uint32_t name_len, source_len;
    uint32_t count; /* children, or bytes of the text */
    enum node_kind kind;
};

static inline struct span node_name(const struct node *n)
{
    return span_make(n->name, n->name_len);
}

static inline struct span node_text(const struct node *n) /* of a NODE_TEXT */
{
    return span_make(n->text, n->count);
}

/* What was written there, without the space around it. */
static inline struct span node_source(const struct node *n)
{
    return span_make(n->source, n->source_len);
}

static inline bool node_is(const struct node *n, enum node_kind kind)
{
    return n->kind == kind;
}

/* The members by the bytes of their names, `count` of them. */
const struct node **node_members_sorted(struct arena *a, const struct node *object);

/* NULL when `text` is not such a document; then `*ret_sentence` (static or in `a`) says why and
 * where, and nothing of what the text holds. */
const struct node *parse_document(struct arena *a, struct span text, const char **ret_sentence);
