#include <criterion/criterion.h>

#include "common/base/buf.h"
#include "common/net/door.h"
#include "requests.h"

#define BODY_LIMIT (64 * 1024)

struct verdict {
    enum door_verdict verdict;
    int status;
    const char *detail;
    struct door_head head;
};

/* Judges `bytes` in steps: all at once, in two pieces, byte by byte. Each step's bytes are a copy
 * of exactly their length, so that reading behind them is a finding. */
static struct verdict judge_steps(struct span bytes, size_t first, size_t step)
{
    static char *copy;
    struct verdict v = {.verdict = DOOR_MORE};
    size_t state = 0;

    for (size_t len = first; v.verdict == DOOR_MORE; len += step) {
        if (len > bytes.len)
            len = bytes.len;
        free(copy);
        copy = malloc(len ? len : 1);
        memcpy(copy, bytes.ptr, len);
        v.verdict =
            door_judge(span_make(copy, len), &state, BODY_LIMIT, &v.head, &v.status, &v.detail);
        if (len == bytes.len)
            break;
    }
    return v;
}

static struct verdict judge(struct span bytes)
{
    return judge_steps(bytes, bytes.len, 1);
}

static void assert_same(
    const char *name, size_t at, const struct verdict *a, const struct verdict *b)
{
    cr_assert_eq(a->verdict, b->verdict, "%s, split at %zu: verdict", name, at);
    if (a->verdict == DOOR_REFUSE) {
        cr_assert_eq(
            a->status, b->status, "%s, split at %zu: %d, %d", name, at, a->status, b->status);
        cr_assert_str_eq(a->detail, b->detail, "%s, split at %zu", name, at);
    } else if (a->verdict == DOOR_PASS) {
        cr_assert_eq(a->head.size, b->head.size, "%s, split at %zu", name, at);
        cr_assert_eq(a->head.content_length, b->head.content_length, "%s, at %zu", name, at);
        cr_assert_eq(a->head.headers.count, b->head.headers.count, "%s, at %zu", name, at);
        cr_assert_eq(a->head.target.len, b->head.target.len, "%s, at %zu", name, at);
        cr_assert_eq(a->head.keep_alive, b->head.keep_alive, "%s, at %zu", name, at);
    }
}

Test(door, judge__every_raw_request__gets_its_status)
{
    for (size_t i = 0; i < ARRAY_SIZE(raw_requests); i++) {
        const struct raw_request *r = &raw_requests[i];
        struct verdict v = judge(r->bytes);
        cr_assert_eq(
            v.verdict, r->status ? DOOR_REFUSE : DOOR_PASS, "%s: verdict %d", r->name, v.verdict);
        cr_assert_eq(
            v.status, r->status, "%s: %d (%s)", r->name, v.status, v.detail ? v.detail : "");
    }
}

Test(door, judge__every_raw_request_split_at_every_byte__gets_the_same_verdict)
{
    for (size_t i = 0; i < ARRAY_SIZE(raw_requests); i++) {
        const struct raw_request *r = &raw_requests[i];
        struct verdict whole = judge(r->bytes);
        for (size_t at = 0; at <= r->bytes.len; at++) {
            struct verdict split = judge_steps(r->bytes, at, r->bytes.len);
            assert_same(r->name, at, &whole, &split);
        }
        struct verdict bytes = judge_steps(r->bytes, 0, 1);
        assert_same(r->name, 0, &whole, &bytes);
    }
}

Test(door, judge__every_prefix_of_a_good_head__asks_for_more)
{
    struct span head = SPAN("POST /a?b=c HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");

    for (size_t len = 0; len < head.len; len++)
        cr_assert_eq(judge(span_make(head.ptr, len)).verdict, DOOR_MORE, "%zu", len);
    cr_assert_eq(judge(head).verdict, DOOR_PASS);
}

static void assert_text(struct span got, const char *wanted)
{
    cr_assert(
        span_equal(got, span_of(wanted)), "got \"%.*s\", wanted \"%s\"", SPAN_ARG(got), wanted);
}

Test(door, judge__good_head__is_taken_apart)
{
    struct span bytes = SPAN("PUT /a/b%20c?x=1&y=2 HTTP/1.1\r\nHost: a\r\nX-One:  two words \r\n"
                             "Content-Length: 12\r\nExpect: 100-continue\r\n\r\nbody");
    size_t state = 0;
    struct door_head head;
    int status = 0;
    const char *detail = NULL;

    cr_assert_eq(door_judge(bytes, &state, BODY_LIMIT, &head, &status, &detail), DOOR_PASS);
    cr_assert_eq(head.method, HTTP_PUT);
    assert_text(head.target, "/a/b%20c?x=1&y=2");
    assert_text(head.path, "/a/b%20c");
    assert_text(head.query, "x=1&y=2");
    cr_assert(head.http11 && head.keep_alive && head.expect_continue);
    cr_assert_eq(head.content_length, 12);
    cr_assert_eq(head.size, bytes.len - 4);
    assert_text(http_header_get(&head.headers, "x-one"), "two words");
    cr_assert_eq(status, 0);
    cr_assert_null(detail);
}

Test(door, judge__connection_options__decide_keep_alive)
{
    static const struct {
        struct span bytes;
        bool keep_alive;
    } cases[] = {
        {SPAN("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), true},
        {SPAN("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), false},
        {SPAN("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n"), false},
        {SPAN("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n"),
            false},
        {SPAN("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), false},
        {SPAN("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n"), true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct verdict v = judge(cases[i].bytes);
        cr_assert_eq(v.verdict, DOOR_PASS, "%zu", i);
        cr_assert_eq(v.head.keep_alive, cases[i].keep_alive, "%zu", i);
    }
}

/* A head with one long part: "GET /" + path bytes, `lines` header lines of `value` bytes each. */
static struct span long_head(struct buf *b, size_t path, size_t lines, size_t value)
{
    buf_reset(b);
    buf_put_text(b, "GET /");
    for (size_t i = 0; i < path; i++)
        buf_put_char(b, 'a');
    buf_put_text(b, " HTTP/1.1\r\nHost: a\r\n");
    for (size_t i = 0; i < lines; i++) {
        buf_put_text(b, "X: ");
        for (size_t n = 0; n < value; n++)
            buf_put_char(b, 'v');
        buf_put_text(b, "\r\n");
    }
    buf_put_text(b, "\r\n");
    return buf_span(b);
}

static int status_however_fed(struct span bytes)
{
    struct verdict whole = judge(bytes), steps = judge_steps(bytes, 1, 7);

    cr_assert_neq(whole.verdict, DOOR_MORE);
    assert_same("long head", 7, &whole, &steps);
    return whole.status;
}

Test(door, judge__limits__hold_to_the_byte)
{
    struct buf b = {0};

    cr_assert_eq(status_however_fed(long_head(&b, DOOR_URI_LIMIT - 1, 0, 0)), 0);
    cr_assert_eq(status_however_fed(long_head(&b, DOOR_URI_LIMIT, 0, 0)), 414);
    cr_assert_eq(status_however_fed(long_head(&b, 100 * 1024, 0, 0)), 414);
    cr_assert_eq(status_however_fed(long_head(&b, 0, HTTP_HEADERS_LIMIT - 1, 1)), 0);
    cr_assert_eq(status_however_fed(long_head(&b, 0, HTTP_HEADERS_LIMIT, 1)), 431);
    cr_assert_eq(status_however_fed(long_head(&b, 0, 100000, 1)), 431);

    size_t rest = long_head(&b, 0, 1, 0).len;
    struct span exact = long_head(&b, 0, 1, DOOR_HEAD_LIMIT - rest);
    cr_assert_eq(exact.len, DOOR_HEAD_LIMIT);
    cr_assert_eq(status_however_fed(exact), 0);
    cr_assert_eq(status_however_fed(long_head(&b, 0, 1, DOOR_HEAD_LIMIT - rest + 1)), 431);
    buf_deinit(&b);
}

Test(door, judge__body_limit__is_inclusive)
{
    cr_assert_eq(judge(SPAN("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n")).verdict,
        DOOR_PASS);
    cr_assert_eq(
        judge(SPAN("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n")).status, 413);
}

/* Whatever is done to one byte of a good request, the verdict does not depend on the splits. */
Test(door, judge__any_byte_replaced__is_split_invariant)
{
    struct span good = SPAN("POST /a/b?c=d HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    static const char bytes[] = "\0\t\n\r %/:.#?A5\x7f\x80\xff";
    char text[128];

    memcpy(text, good.ptr, good.len);
    for (size_t i = 0; i < good.len; i++) {
        for (size_t b = 0; b < sizeof(bytes); b++) {
            text[i] = bytes[b];
            struct verdict whole = judge(span_make(text, good.len));
            struct verdict steps = judge_steps(span_make(text, good.len), 0, 1);
            assert_same("one byte replaced", i, &whole, &steps);
        }
        text[i] = good.ptr[i];
    }
}
