/* One line at a time while there are lines, then as many bytes as are told. Stricter than the
 * standard asks of a client: a head that two readers could take for different lengths is no answer.
 * A line may come in pieces; only then it is put together in a buffer of its own. */

#include "common/net/client_reply.h"

#include <string.h>
#include <strings.h>

#define HEAD_LIMIT (64 * 1024)

void client_reply_begin(struct client_reply *r, struct arena *a, struct http_headers *headers,
    bool has_no_body, size_t body_limit)
{
    struct buf body = r->body, line = r->line;
    buf_reset(&body);
    buf_reset(&line);
    headers->count = 0;
    *r = (struct client_reply){.arena = a,
        .headers = headers,
        .has_no_body = has_no_body,
        .body_limit = body_limit,
        .body = body,
        .line = line};
}

void client_reply_deinit(struct client_reply *r)
{
    buf_deinit(&r->body);
    buf_deinit(&r->line);
}

/* ---- the head ---- */

/* "HTTP/1.1 200 OK"; the words may be missing. */
static bool read_status(struct client_reply *r, struct span line)
{
    int64_t status;
    if (!span_starts(line, SPAN("HTTP/1.1 ")) && !span_starts(line, SPAN("HTTP/1.0 ")))
        return false;
    if (line.len < 12 || (line.len > 12 && line.ptr[12] != ' '))
        return false;
    if (!span_to_i64(span_make(line.ptr + 9, 3), &status) || status < 100 || status > 599)
        return false;
    r->is_old = line.ptr[7] == '0';
    r->status = (int)status;
    r->headers->count = 0;
    r->state = REPLY_HEADER;
    return status != 101; /* we never asked for another protocol */
}

static bool read_header(struct client_reply *r, struct span line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon || colon == line.ptr || memchr(line.ptr, '\0', line.len))
        return false;
    for (const char *c = line.ptr; c < colon; c++) /* a folded line begins with a blank */
        if ((unsigned char)*c <= ' ')
            return false;
    if (r->headers->count == HTTP_HEADERS_LIMIT) {
        r->too_much = true;
        return false;
    }
    const char *kept = arena_strndup(r->arena, line.ptr, line.len);
    size_t name_len = (size_t)(colon - line.ptr);
    http_header_add(r->headers, span_make(kept, name_len),
        span_trim(span_make(kept + name_len + 1, line.len - name_len - 1)));
    return true;
}

static bool has_token(struct span list, struct span token)
{
    struct span piece;
    while (span_cut(&list, ',', &piece))
        if (span_equal_nocase(span_trim(piece), token))
            return true;
    return false;
}

/* 0: none; 1 with the length; -1: several that differ, or no number. */
static int told_length(const struct client_reply *r, int64_t *ret_length)
{
    bool told = false;
    for (size_t i = 0; i < r->headers->count; i++) {
        int64_t length;
        if (!span_equal_nocase(r->headers->at[i].name, SPAN("Content-Length")))
            continue;
        if (!span_to_i64(r->headers->at[i].value, &length) || length < 0 ||
            (told && length != *ret_length))
            return -1;
        *ret_length = length;
        told = true;
    }
    return told ? 1 : 0;
}

static bool finish(struct client_reply *r)
{
    r->done = true;
    r->may_go_on =
        !r->is_old && !has_token(http_header_get(r->headers, "Connection"), SPAN("close"));
    return true;
}

/* The blank line came: what follows? */
static bool end_head(struct client_reply *r)
{
    struct span coding = http_header_get(r->headers, "Transfer-Encoding");
    int64_t length = 0;
    int told = told_length(r, &length);
    if (r->status < 200) { /* an interim answer, the real one follows */
        r->state = REPLY_STATUS;
        return true;
    }
    if (told < 0 || (coding.ptr && told) ||
        (coding.ptr && (r->is_old || !span_equal_nocase(coding, SPAN("chunked")))))
        return false;
    if (r->has_no_body || r->status == 204 || r->status == 304)
        return finish(r);
    r->state = coding.ptr ? REPLY_CHUNK_SIZE : told ? REPLY_LENGTH : REPLY_UNTIL_CLOSE;
    r->left = (size_t)length;
    r->too_much = r->left > r->body_limit;
    if (told && length == 0)
        return finish(r);
    return !r->too_much;
}

/* ---- chunks ---- */

/* Hexadecimal, and perhaps extensions behind a semicolon. */
static bool read_chunk_size(struct client_reply *r, struct span line)
{
    static const char digits[] = "0123456789abcdef";
    size_t size = 0, i = 0;
    for (; i < line.len; i++) {
        char c = line.ptr[i];
        const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;
        if (!digit)
            break;
        size = size * 16 + (size_t)(digit - digits);
        r->too_much = size > r->body_limit - r->body.len;
        if (r->too_much)
            return false;
    }
    if (i == 0 || (i < line.len && line.ptr[i] != ';' && line.ptr[i] != ' '))
        return false;
    r->left = size;
    r->state = size ? REPLY_CHUNK : REPLY_TRAILER;
    return true;
}

/* ---- lines and bytes ---- */

static bool read_line(struct client_reply *r, struct span line)
{
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    switch (r->state) {
    case REPLY_STATUS:
        return read_status(r, line);
    case REPLY_HEADER:
        return line.len ? read_header(r, line) : end_head(r);
    case REPLY_CHUNK_SIZE:
        return read_chunk_size(r, line);
    case REPLY_CHUNK_END:
        r->state = REPLY_CHUNK_SIZE;
        return line.len == 0;
    case REPLY_TRAILER:
        return line.len ? true : finish(r);
    case REPLY_LENGTH:
    case REPLY_CHUNK:
    case REPLY_UNTIL_CLOSE:
        break;
    }
    return false;
}

/* Takes one line from the front of `*rest`, if its end is there. */
static bool feed_line(struct client_reply *r, struct span *rest)
{
    const char *end = memchr(rest->ptr, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    r->head_size += len;
    r->too_much = r->head_size > HEAD_LIMIT + r->body_limit;
    if (r->too_much || r->line.len + len > HEAD_LIMIT)
        return r->too_much = true, false;
    struct span line = span_make(rest->ptr, len);
    if (!end || r->line.len) {
        buf_put_span(&r->line, line);
        line = buf_span(&r->line);
    }
    *rest = span_make(rest->ptr + len + (end ? 1 : 0), rest->len - len - (end ? 1 : 0));
    if (!end)
        return true;
    bool ok = read_line(r, line);
    buf_reset(&r->line);
    return ok;
}

static bool feed_body(struct client_reply *r, struct span *rest)
{
    bool counted = r->state != REPLY_UNTIL_CLOSE;
    size_t len = counted && r->left < rest->len ? r->left : rest->len;
    if (len > r->body_limit - r->body.len)
        return r->too_much = true, false;
    buf_put(&r->body, rest->ptr, len);
    *rest = span_make(rest->ptr + len, rest->len - len);
    r->left -= counted ? len : 0;
    if (!counted || r->left > 0)
        return true;
    if (r->state == REPLY_LENGTH)
        return finish(r);
    r->state = REPLY_CHUNK_END;
    return true;
}

bool client_reply_feed(struct client_reply *r, struct span bytes)
{
    while (bytes.len > 0 && !r->done) {
        bool is_body =
            r->state == REPLY_LENGTH || r->state == REPLY_CHUNK || r->state == REPLY_UNTIL_CLOSE;
        if (!(is_body ? feed_body(r, &bytes) : feed_line(r, &bytes)))
            return false;
    }
    if (bytes.len > 0) /* nobody asked for more */
        r->may_go_on = false;
    return true;
}

bool client_reply_end(struct client_reply *r)
{
    if (!r->done && r->state == REPLY_UNTIL_CLOSE) {
        finish(r);
        r->may_go_on = false;
    }
    return r->done;
}
