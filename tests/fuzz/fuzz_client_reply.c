/* Any bytes as an answer to a call: cut in any two places it says the same as in one piece, stays
 * within its limits, and is complete at most once. */

#include <stdlib.h>
#include <string.h>

#include "common/net/client_reply.h"

#define BODY_LIMIT 4096

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct said {
    bool ok, done, may_go_on;
    int status;
    size_t headers;
    struct buf body;
};

static struct said hear(struct arena *a, struct span text, size_t first)
{
    struct http_headers headers;
    struct client_reply r = {0};
    client_reply_begin(&r, a, &headers, false, BODY_LIMIT);
    bool ok = client_reply_feed(&r, span_make(text.ptr, first));
    if (ok && !r.done && first < text.len)
        ok = client_reply_feed(&r, span_make(text.ptr + first, text.len - first));
    else if (ok && first < text.len)
        r.may_go_on = false;
    if (ok)
        client_reply_end(&r);
    must(r.body.len <= BODY_LIMIT);
    must(headers.count <= HTTP_HEADERS_LIMIT);
    must(!r.done || (r.status >= 200 && r.status <= 599));
    must(ok || !r.done);
    struct said said = {.ok = ok,
        .done = r.done,
        .may_go_on = r.may_go_on,
        .status = r.status,
        .headers = headers.count};
    buf_put_span(&said.body, buf_span(&r.body));
    client_reply_deinit(&r);
    return said;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span text = span_make(bytes, len);
    struct arena *a = arena_new();
    struct said whole = hear(a, text, len);
    for (size_t first = 0; first <= len && first < 512; first++) {
        struct said cut = hear(a, text, first);
        must(cut.ok == whole.ok && cut.done == whole.done);
        must(!cut.ok || (cut.status == whole.status && cut.headers == whole.headers));
        must(!cut.ok || cut.may_go_on == whole.may_go_on);
        must(!cut.ok || span_equal(buf_span(&cut.body), buf_span(&whole.body)));
        buf_deinit(&cut.body);
    }
    buf_deinit(&whole.body);
    arena_free(a);
    return 0;
}
