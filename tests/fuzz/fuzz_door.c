/* Any bytes to the door's judge. Beside "it does not crash": the verdict is the same byte by byte,
 * in two pieces and at once, no byte behind the pieces is read, and a head that passes has what the
 * server relies on. */

#include <stdlib.h>

#include "common/net/door.h"

#define BODY_LIMIT (64 * 1024)

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

struct verdict {
    enum door_verdict verdict;
    int status;
    const char *detail;
    size_t at; /* bytes seen when it fell */
    struct door_head head;
};

/* `bytes` in pieces: `first`, then `step` each. */
static void judge(struct verdict *v, struct span bytes, size_t first, size_t step)
{
    size_t state = 0;

    *v = (struct verdict){.verdict = DOOR_MORE};
    for (size_t len = first;; len += step) {
        v->at = len < bytes.len ? len : bytes.len;
        v->verdict = door_judge(
            span_make(bytes.ptr, v->at), &state, BODY_LIMIT, &v->head, &v->status, &v->detail);
        if (v->verdict != DOOR_MORE || v->at == bytes.len)
            return;
    }
}

static void require_same(const struct verdict *a, const struct verdict *b)
{
    REQUIRE(a->verdict == b->verdict);
    if (a->verdict == DOOR_REFUSE)
        REQUIRE(a->status == b->status && a->detail == b->detail);
    if (a->verdict != DOOR_PASS)
        return;
    const struct door_head *x = &a->head, *y = &b->head;
    REQUIRE(x->method == y->method && x->size == y->size && x->http11 == y->http11);
    REQUIRE(x->keep_alive == y->keep_alive && x->expect_continue == y->expect_continue);
    REQUIRE(x->content_length == y->content_length && x->headers.count == y->headers.count);
    REQUIRE(span_equal(x->target, y->target) && span_equal(x->path, y->path));
    REQUIRE(span_equal(x->query, y->query));
    for (size_t i = 0; i < x->headers.count; i++) {
        REQUIRE(span_equal(x->headers.at[i].name, y->headers.at[i].name));
        REQUIRE(span_equal(x->headers.at[i].value, y->headers.at[i].value));
    }
}

static void require_clean(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        REQUIRE(text.ptr[i] != '\r' && text.ptr[i] != '\n' && text.ptr[i] != '\0');
}

static void require_sound(const struct door_head *head, struct span bytes)
{
    struct arena *a = arena_new();
    struct span path;

    REQUIRE(head->size >= 4 && head->size <= bytes.len && head->size <= DOOR_HEAD_LIMIT);
    REQUIRE(memcmp(bytes.ptr + head->size - 4, "\r\n\r\n", 4) == 0);
    REQUIRE(head->method < HTTP_METHODS);
    REQUIRE(head->content_length >= 0 && head->content_length <= BODY_LIMIT);
    REQUIRE(head->target.len > 0 && head->target.len <= DOOR_URI_LIMIT);
    REQUIRE(head->path.len > 0 && head->path.ptr[0] == '/');
    REQUIRE(!http_header_get(&head->headers, "Transfer-Encoding").ptr);
    REQUIRE(!head->http11 || http_header_get(&head->headers, "Host").len > 0);
    require_clean(head->target);
    for (size_t i = 0; i < head->headers.count; i++) {
        require_clean(head->headers.at[i].name);
        require_clean(head->headers.at[i].value);
    }
    REQUIRE(http_percent_decode(a, head->path, false, &path));
    struct span rest = path, segment;
    span_cut(&rest, '/', &segment);
    while (span_cut(&rest, '/', &segment)) {
        REQUIRE(!span_equal(segment, SPAN(".")) && !span_equal(segment, SPAN("..")));
        REQUIRE(segment.len > 0 || !rest.ptr);
    }
    arena_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct verdict whole, pieces;
    struct span bytes = span_make(data, size);

    judge(&whole, bytes, size, 1);
    judge(&pieces, bytes, 0, 1);
    require_same(&whole, &pieces);
    if (whole.verdict == DOOR_PASS)
        require_sound(&whole.head, bytes);

    /* A piece as a block of its own, so that a sanitizer sees a look behind it. */
    size_t cut = size ? data[size / 2] % (size + 1) : 0;
    char *copy = malloc(cut ? cut : 1);
    size_t state = 0;
    memcpy(copy, data, cut);
    enum door_verdict v = door_judge(
        span_make(copy, cut), &state, BODY_LIMIT, &pieces.head, &pieces.status, &pieces.detail);
    free(copy);
    if (v == DOOR_MORE) {
        pieces.verdict =
            door_judge(bytes, &state, BODY_LIMIT, &pieces.head, &pieces.status, &pieces.detail);
        require_same(&whole, &pieces);
    } else {
        REQUIRE(v == whole.verdict);
    }
    return 0;
}
