#include <criterion/criterion.h>

#include "common/net/client_reply.h"

/* What becomes of an answer, however it is cut: "200 body" and "+" when the connection may go on;
 * "bad", "too much", "more". */
static const char *outcome(struct arena *a, const char *text, size_t len, size_t piece, bool ends)
{
    struct http_headers headers;
    struct client_reply r = {0};
    bool ok = true;
    client_reply_begin(&r, a, &headers, false, 100);
    for (size_t at = 0; ok && at < len; at += piece) {
        size_t now = len - at < piece ? len - at : piece;
        if (r.done)
            break;
        ok = client_reply_feed(&r, span_make(text + at, now));
    }
    if (ok && ends)
        client_reply_end(&r);
    const char *said = !ok      ? (r.too_much ? "too much" : "bad")
                       : r.done ? arena_printf(a, "%d %.*s%s", r.status,
                                      SPAN_ARG(buf_span(&r.body)), r.may_go_on ? "+" : "")
                                : "more";
    client_reply_deinit(&r);
    return said;
}

static void expect(const char *text, bool ends, const char *wanted)
{
    struct arena *a = arena_new();
    size_t len = strlen(text);
    for (size_t piece = 1; piece <= len; piece++) {
        const char *said = outcome(a, text, len, piece, ends);
        cr_assert_str_eq(said, wanted, "in pieces of %zu: %s\n%s", piece, said, text);
    }
    arena_free(a);
}

#define OK "HTTP/1.1 200 OK\r\n"

Test(client_reply, answer_in_any_pieces__is_the_same)
{
    expect(OK "Content-Length: 2\r\n\r\nok", false, "200 ok+");
    expect("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", false, "404 +");
    expect("HTTP/1.1 204 No Content\r\n\r\n", false, "204 +");
    expect("HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 1\r\n\r\nx", false, "200 x+");
    expect(OK
        "Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: t\r\n\r\n",
        false, "200 abc0123456789+");
    expect(OK "content-length: 2\n\nok", false, "200 ok+");
}

Test(client_reply, close__ends_what_has_no_other_end)
{
    expect(OK "\r\nall of it", true, "200 all of it");
    expect(OK "\r\nall of it", false, "more");
    expect(OK "Content-Length: 10\r\n\r\nok", true, "more");
    expect(OK "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", true, "more");
}

Test(client_reply, connection__goes_on_only_when_both_sides_know_where_it_stands)
{
    expect(OK "Connection: keep-alive, Close\r\nContent-Length: 2\r\n\r\nok", false, "200 ok");
    expect("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, "200 ok");
    struct arena *a = arena_new();
    static const char more[] = OK "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n";
    cr_assert_str_eq(outcome(a, more, strlen(more), strlen(more), false), "200 ok");
    arena_free(a);
}

Test(client_reply, head_that_can_be_read_in_two_ways__is_refused)
{
    static const char *const bad[] = {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/2 200\r\n",
        "HTTP/1.1 20\r\n", "HTTP/1.1 2000\r\n", "HTTP/1.1 099 x\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n", OK "no colon\r\n", OK ": empty\r\n", OK "A: b\r\n c\r\n",
        OK "A : b\r\n", OK "Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
        OK "Content-Length: -1\r\n\r\n", OK "Content-Length: 2,2\r\n\r\n",
        OK "Content-Length: +2\r\n\r\n",
        OK "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK "Transfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\nx\r\n", OK "Transfer-Encoding: chunked\r\n\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        expect(bad[i], false, "bad");
}

Test(client_reply, more_than_the_limit__is_refused)
{
    expect(OK "Content-Length: 101\r\n\r\n", false, "too much");
    expect(OK "Transfer-Encoding: chunked\r\n\r\n65\r\n", false, "too much");
    expect(OK "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", false, "too much");
}
