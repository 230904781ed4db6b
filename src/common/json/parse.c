/* JSON text to a tree, in one pass.
 *
 * The cursor stands on a byte, each function takes what begins there and leaves the cursor behind
 * it; objects and arrays call each other, never deeper than JSON_DEPTH_LIMIT. The first thing that
 * is wrong is noted with its place and everybody returns false; line and column are counted only
 * then.
 *
 * A text without escapes is not copied: its node points at the document. Nodes come from blocks,
 * so that one costs a few instructions.
 *
 * That no name comes twice is looked at when an object ends: by comparing those few whose names may
 * be alike where there are few members, by sorting where there are many, so that a body made of
 * names alone costs no more than n log n. */

#include "common/json/parse.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "common/json/plain.h"
#include "common/json/reader.h"
#include "common/json/utf8.h"

enum {
    NODES_BLOCK = 16,
    MEMBERS_FEW = 32,
};
static_assert(sizeof(struct node) == 48, "as the header says");

static const char not_json[] = "is not valid JSON";
static const char not_utf8[] = "is not UTF-8";
static const char too_early[] = "ends too early";
static const char too_deep[] = "is nested deeper than %d levels";

struct parser {
    struct arena *a;
    const char *p, *end;
    struct node *nodes; /* that nobody has yet */
    unsigned nodes_left;
    unsigned depth;
    const char *sentence, *wrong_at;
};

static bool value_parse(struct parser *ps, struct node *n);

/* -- what is wrong -- */

static bool fail(struct parser *ps, const char *at, const char *sentence)
{
    ps->sentence = sentence;
    ps->wrong_at = at;
    return false;
}

/* The byte at `at` does not belong there. */
static bool fail_byte(struct parser *ps, const char *at, const char *sentence)
{
    bool utf8 = at == ps->end || utf8_sequence((const unsigned char *)at, (size_t)(ps->end - at));
    return fail(ps, at, utf8 ? sentence : not_utf8);
}

/* The cursor stands on something else than what comes next, or on nothing. */
static bool fail_here(struct parser *ps)
{
    return fail_byte(ps, ps->p, ps->p == ps->end ? too_early : not_json);
}

/* Lines and columns count from 1, columns in characters. */
static const char *sentence_make(const struct parser *ps, const char *text)
{
    unsigned line = 1, column = 1;

    if (ps->sentence == too_deep)
        return arena_printf(ps->a, too_deep, JSON_DEPTH_LIMIT);
    for (const char *p = text; p < ps->wrong_at; p++) {
        if (*p == '\n') {
            line++;
            column = 1;
        } else {
            column += ((unsigned char)*p & 0xc0) != 0x80;
        }
    }
    return arena_printf(ps->a, "%s, at line %u, column %u", ps->sentence, line, column);
}

/* -- tokens -- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_space(struct parser *ps)
{
    while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\r' || *ps->p == '\t'))
        ps->p++;
}

/* True when the cursor stood on `c`; then it is behind it. */
static bool take(struct parser *ps, char c)
{
    if (ps->p == ps->end || *ps->p != c)
        return false;
    ps->p++;
    return true;
}

static bool take_digits(struct parser *ps)
{
    const char *start = ps->p;
    while (ps->p < ps->end && is_digit(*ps->p))
        ps->p++;
    return ps->p > start;
}

/* -- numbers -- */

/* The token lies between `start` and the cursor; a copy, for strtod wants an end. */
static bool real_convert(struct parser *ps, struct node *n, const char *start)
{
    char *copy = arena_strndup(ps->a, start, (size_t)(ps->p - start));
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* others write 0,5 */

    n->kind = NODE_REAL;
    n->real = strtod_l(copy, NULL, plain);
    freelocale(plain);
    return isfinite(n->real) || fail(ps, start, "holds a number out of range");
}

/* From the point or the exponent on. */
static bool real_parse(struct parser *ps, struct node *n, const char *start)
{
    if (take(ps, '.') && !take_digits(ps))
        return fail_byte(ps, ps->p, not_json);
    if (take(ps, 'e') || take(ps, 'E')) {
        if (!take(ps, '-'))
            take(ps, '+');
        if (!take_digits(ps))
            return fail_byte(ps, ps->p, not_json);
    }
    return real_convert(ps, n, start);
}

static bool number_parse(struct parser *ps, struct node *n)
{
    const char *start = ps->p;
    bool negative = take(ps, '-'), fits = true;
    const char *digits = ps->p;
    uint64_t value = 0;

    for (; ps->p < ps->end && is_digit(*ps->p); ps->p++)
        fits = fits && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, (uint64_t)(*ps->p - '0'), &value);
    if (ps->p == digits)
        return fail_byte(ps, ps->p, not_json);
    if (*digits == '0' && ps->p > digits + 1)
        return fail(ps, digits, not_json);
    if (ps->p < ps->end && (*ps->p == '.' || *ps->p == 'e' || *ps->p == 'E'))
        return real_parse(ps, n, start);
    if (!fits || value > (uint64_t)INT64_MAX + negative)
        return fail(ps, start, "holds a number out of range");
    n->kind = NODE_I64;
    n->i64 = (int64_t)(negative ? 0 - value : value);
    return true;
}

/* -- strings -- */

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The cursor's own `p` on a backslash: behind the escape, when it is one. */
static bool escape_skip(struct parser *ps, const char **p)
{
    const char *at = *p + 1;

    if (at < ps->end && *at == 'u') {
        for (int i = 0; i < 4; i++)
            if (++at == ps->end || hex_value(*at) < 0)
                return fail_byte(ps, at, not_json);
    } else if (at == ps->end || !memchr("\"\\/bfnrt", *at, 8)) {
        return fail_byte(ps, at, not_json);
    }
    *p = at + 1;
    return true;
}

/* Four digits that were looked at before. */
static uint32_t hex_take(const char **p)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++)
        code = code * 16 + (uint32_t)hex_value(*(*p)++);
    return code;
}

static char *utf8_put(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xe0 | code >> 12);
        } else {
            *out++ = (char)(0xf0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

/* Behind a "\u"; a character beyond the first plane is two of them. False for half of one. */
static bool code_take(const char **p, const char *end, uint32_t *ret_code)
{
    uint32_t code = hex_take(p);

    if (code >= 0xd800 && code <= 0xdfff) {
        if (code >= 0xdc00 || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
            return false;
        *p += 2;
        uint32_t low = hex_take(p);
        if (low < 0xdc00 || low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    *ret_code = code;
    return true;
}

/* What the escapes in `text` mean, in the arena; no text grows by it. */
static bool escapes_decode(struct parser *ps, struct span text, struct span *ret_text)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *p = text.ptr, *end = text.ptr + text.len;
    char *copy = arena_alloc(ps->a, text.len), *out = copy;

    while (p < end) {
        if (*p != '\\') {
            *out++ = *p++;
        } else if (p[1] != 'u') {
            *out++ = meanings[strchr(letters, p[1]) - letters];
            p += 2;
        } else {
            const char *at = p;
            uint32_t code;
            p += 2;
            if (!code_take(&p, end, &code))
                return fail(ps, at, not_json);
            out = utf8_put(out, code);
        }
    }
    if (memchr(copy, '\0', (size_t)(out - copy)))
        return fail(ps, text.ptr, "holds a NUL character");
    *ret_text = span_make(copy, (size_t)(out - copy));
    return true;
}

/* The cursor is on a quote. */
static bool string_parse(struct parser *ps, struct span *ret_text)
{
    const char *start = ps->p + 1, *p = start;
    bool escaped = false;

    for (;;) {
        p += plain_run(p, (size_t)(ps->end - p));
        if (p == ps->end)
            return fail(ps, p, too_early);
        if (*p == '"')
            break;
        if (*p == '\\') {
            escaped = true;
            if (!escape_skip(ps, &p))
                return false;
            continue;
        }
        size_t len = utf8_sequence((const unsigned char *)p, (size_t)(ps->end - p));
        if (len < 2) /* 1: a control character */
            return fail_byte(ps, p, not_json);
        p += len;
    }
    ps->p = p + 1;
    *ret_text = span_make(start, (size_t)(p - start));
    return !escaped || escapes_decode(ps, *ret_text, ret_text);
}

static bool text_parse(struct parser *ps, struct node *n)
{
    struct span text;
    if (!string_parse(ps, &text))
        return false;
    n->kind = NODE_TEXT;
    n->text = text.ptr;
    n->count = (uint32_t)text.len;
    return true;
}

static bool word_parse(struct parser *ps, struct node *n)
{
    const char *start = ps->p;
    while (ps->p < ps->end && is_letter(*ps->p))
        ps->p++;

    struct span word = span_make(start, (size_t)(ps->p - start));
    if (span_equal(word, SPAN("null")))
        return true; /* as the node is */
    n->kind = NODE_BOOL;
    n->truth = span_equal(word, SPAN("true"));
    if (n->truth || span_equal(word, SPAN("false")))
        return true;
    ps->p = start;
    return fail_here(ps);
}

/* -- objects and arrays -- */

static struct node *node_new(struct parser *ps)
{
    if (ps->nodes_left == 0) {
        ps->nodes = arena_array(ps->a, NODES_BLOCK, sizeof(*ps->nodes));
        ps->nodes_left = NODES_BLOCK;
    }
    ps->nodes_left--;
    return ps->nodes++;
}

static int by_name(const void *left, const void *right)
{
    const struct node *a = *(const struct node *const *)left;
    const struct node *b = *(const struct node *const *)right;
    int order = memcmp(a->name, b->name, a->name_len < b->name_len ? a->name_len : b->name_len);
    return order ? order : (a->name_len > b->name_len) - (a->name_len < b->name_len);
}

const struct node **node_members_sorted(struct arena *a, const struct node *object)
{
    const struct node **members = arena_array(a, object->count, sizeof(*members));
    size_t count = 0;

    for (const struct node *n = object->child; n; n = n->next)
        members[count++] = n;
    qsort(members, count, sizeof(*members), by_name);
    return members;
}

static bool fail_twice(struct parser *ps, const struct node *a, const struct node *b)
{
    return fail(ps, a->source > b->source ? a->source : b->source, "has a member twice");
}

static bool many_are_distinct(struct parser *ps, const struct node *object)
{
    const struct node **members = node_members_sorted(ps->a, object);

    for (size_t i = 1; i < object->count; i++)
        if (by_name(&members[i - 1], &members[i]) == 0)
            return fail_twice(ps, members[i - 1], members[i]);
    return true;
}

/* Names alike have length, first and last byte alike. */
static uint64_t name_bit(const struct node *n)
{
    size_t len = n->name_len;
    if (len == 0)
        return 1;
    return UINT64_C(1) << ((len + (size_t)n->name[0] * 5 + (size_t)n->name[len - 1] * 11) & 63);
}

static bool few_are_distinct(struct parser *ps, const struct node *object)
{
    uint64_t seen = 0;

    for (const struct node *n = object->child; n; n = n->next) {
        uint64_t bit = name_bit(n);
        for (const struct node *m = object->child; (seen & bit) && m != n; m = m->next)
            if (span_equal(node_name(m), node_name(n)))
                return fail_twice(ps, m, n);
        seen |= bit;
    }
    return true;
}

/* A name, its colon, and the cursor on what should be a value. */
static bool name_parse(struct parser *ps, struct node *n)
{
    struct span name;

    if (ps->p == ps->end || *ps->p != '"')
        return fail_here(ps);
    if (!string_parse(ps, &name))
        return false;
    n->name = name.ptr;
    n->name_len = (uint32_t)name.len;
    skip_space(ps);
    if (!take(ps, ':'))
        return fail_here(ps);
    skip_space(ps);
    return true;
}

/* Behind the opening bracket. */
static bool children_parse(struct parser *ps, struct node *parent, char close)
{
    struct node **tail = &parent->child;

    skip_space(ps);
    if (take(ps, close))
        return true;
    do {
        struct node *n = node_new(ps);
        skip_space(ps);
        if ((close == '}' && !name_parse(ps, n)) || !value_parse(ps, n))
            return false;
        *tail = n;
        tail = &n->next;
        parent->count++;
        skip_space(ps);
    } while (take(ps, ','));
    return take(ps, close) || fail_here(ps);
}

static bool array_parse(struct parser *ps, struct node *n)
{
    n->kind = NODE_ARRAY;
    return children_parse(ps, n, ']');
}

static bool object_parse(struct parser *ps, struct node *n)
{
    n->kind = NODE_OBJECT;
    return children_parse(ps, n, '}') &&
           (n->count <= MEMBERS_FEW ? few_are_distinct(ps, n) : many_are_distinct(ps, n));
}

static bool nested_parse(struct parser *ps, struct node *n)
{
    if (ps->depth == JSON_DEPTH_LIMIT)
        return fail(ps, ps->p, too_deep);
    ps->depth++;
    bool ok = *ps->p++ == '{' ? object_parse(ps, n) : array_parse(ps, n);
    ps->depth--;
    return ok;
}

/* `n` is zeroed but for its name. */
static bool value_parse(struct parser *ps, struct node *n)
{
    const char *start = ps->p;
    char c = start < ps->end ? *start : '\0';
    bool ok;

    if (c == '"')
        ok = text_parse(ps, n);
    else if (c == '{' || c == '[')
        ok = nested_parse(ps, n);
    else if (c == '-' || is_digit(c))
        ok = number_parse(ps, n);
    else
        ok = word_parse(ps, n);
    n->source = start;
    n->source_len = (uint32_t)(ps->p - start);
    return ok;
}

const struct node *parse_document(struct arena *a, struct span text, const char **ret_sentence)
{
    struct parser ps = {.a = a, .p = text.ptr, .end = text.ptr + text.len};
    struct node *root = node_new(&ps);

    if (text.len > UINT32_MAX) {
        *ret_sentence = "is longer than 4 GiB";
        return NULL;
    }
    skip_space(&ps);
    if (value_parse(&ps, root)) {
        skip_space(&ps);
        if (ps.p == ps.end)
            return root;
        fail_byte(&ps, ps.p, "has more text after its end");
    }
    *ret_sentence = sentence_make(&ps, text.ptr);
    return NULL;
}
