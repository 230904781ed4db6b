/* Answers: replies by table, refusals by outcome, cursors, preconditions. */

#include "common/app/request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/app/idempotency.h"
#include "common/app/route.h"
#include "common/base/crypto.h"
#include "common/base/uuid.h"
#include "common/json/utf8.h"

void reply_header(struct request *req, const char *name, const char *value)
{
    http_header_add(&req->response->headers, span_of(name), span_of(value));
}

static void begin_reply(struct request *req, int status)
{
    assert(!req->replied);
    req->replied = true;
    req->response->status = status;
    buf_reset(&req->response->body);
}

int reply(struct request *req, int status, const struct table *t, const void *value)
{
    begin_reply(req, status);
    struct json_writer w = json_writer_on(&req->response->body);
    json_struct(&w, t, value);
    return 0;
}

int reply_empty(struct request *req, int status)
{
    begin_reply(req, status);
    return 0;
}

int reply_text(struct request *req, int status, const char *content_type, struct span body)
{
    begin_reply(req, status);
    req->response->content_type = content_type;
    buf_put_span(&req->response->body, body);
    return 0;
}

int reply_stored(
    struct request *req, struct pg_tx *tx, int status, const struct table *t, const void *value)
{
    reply(req, status, t, value);
    return idempotency_store(req, tx);
}

/* Link: <path?…&cursor=…>; rel="next" with the other query parameters kept. */
static void add_next_link(struct request *req, const char *cursor)
{
    struct buf link = {0};
    buf_put_char(&link, '<');
    buf_put_span(&link, req->http->path);
    buf_printf(&link, "?cursor=%s", cursor);
    struct span rest = req->http->query, pair;
    while (span_cut(&rest, '&', &pair))
        if (pair.len && !span_starts(pair, SPAN("cursor=")))
            buf_printf(&link, "&%.*s", SPAN_ARG(pair));
    buf_put_text(&link, ">; rel=\"next\"");
    reply_header(req, "Link", arena_strndup(req->arena, link.ptr, link.len));
    buf_deinit(&link);
}

int reply_page(
    struct request *req, const struct table *t, struct list rows, const char *next_cursor)
{
    begin_reply(req, 200);
    if (next_cursor)
        add_next_link(req, next_cursor);
    struct json_writer w = json_writer_on(&req->response->body);
    json_object_begin(&w);
    json_key(&w, "data");
    json_list(&w, t, rows);
    json_put_text(&w, "nextCursor", next_cursor);
    json_put_bool(&w, "hasMore", next_cursor != NULL);
    json_object_end(&w);
    return 0;
}

void reply_etag(struct request *req, int64_t version)
{
    reply_header(req, "ETag", arena_printf(req->arena, "\"%lld\"", (long long)version));
}

void reply_cache(struct request *req, const char *cache_control)
{
    reply_header(req, "Cache-Control", cache_control);
}

int refuse(struct request *req, int outcome, const char *detail_fmt, ...)
{
    va_list args;
    va_start(args, detail_fmt);
    req->detail = arena_vprintf(req->arena, detail_fmt, args);
    va_end(args);
    return outcome;
}

int refuse_field(struct request *req, const char *pointer, const char *detail_fmt, ...)
{
    va_list args;
    va_start(args, detail_fmt);
    const char *detail = arena_vprintf(req->arena, detail_fmt, args);
    va_end(args);
    if (req->errors.count < JSON_ERRORS_LIMIT)
        req->errors.at[req->errors.count++] =
            (struct json_error){arena_strdup(req->arena, pointer), detail};
    return OUTCOME_INVALID;
}

struct json_writer refuse_extra(struct request *req)
{
    struct json_writer w = json_writer_on(&req->extensions);
    w.need_comma = req->extensions.len > 0;
    w.depth = 1;
    return w;
}

void refuse_retry_after(struct request *req, int seconds)
{
    reply_header(req, "Retry-After", arena_printf(req->arena, "%d", seconds));
}

void refuse_undo(struct request *req)
{
    req->detail = NULL;
    req->errors.count = 0;
    buf_reset(&req->extensions);
    http_header_remove(&req->response->headers, "Retry-After");
    http_header_remove(&req->response->headers, "ETag");
}

bool caller_is(const struct request *req, unsigned any_of_roles)
{
    return (req->caller.roles & any_of_roles) != 0;
}

struct span request_header(const struct request *req, const char *name)
{
    return http_header_get(req->http->headers, name);
}

int request_if_match(struct request *req, int64_t version)
{
    struct span given = request_header(req, "If-Match");
    assert(req->route->match != MATCH_NONE && "the route tells of it");
    if (!given.ptr && req->route->match == MATCH_ACCEPTED)
        return 0;
    if (!given.ptr)
        return refuse(req, OUTCOME_PRECONDITION_REQUIRED,
            "Send If-Match with the ETag of the version you saw");
    char current[32];
    int n = snprintf(current, sizeof(current), "\"%lld\"", (long long)version);
    struct span rest = given, tag;
    for (bool more = true; more;) {
        more = span_cut(&rest, ',', &tag);
        tag = span_trim(more ? tag : rest);
        if (span_equal(tag, span_make(current, (size_t)n)) || span_equal(tag, SPAN("*")))
            return 0;
    }
    reply_etag(req, version);
    return refuse(req, OUTCOME_STALE, "The current version is %s", current);
}

/* A cursor is base64url(position '|' first 8 hex digits of SHA-256): not a secret, but a mangled
 * one is noticed. */
#define CURSOR_CHECK 8
#define CURSOR_LIMIT 512

const char *cursor_encode(struct arena *a, const char *position)
{
    char digest[SHA256_HEX_SIZE];
    crypto_sha256_hex(span_of(position), digest);
    const char *plain = arena_printf(a, "%s|%.*s", position, CURSOR_CHECK, digest);
    size_t size = strlen(plain) * 4 / 3 + 8;
    char *text = arena_alloc(a, size);
    crypto_base64url(span_of(plain), text, size);
    return text;
}

int cursor_decode(struct request *req, const char *cursor, const char **ret_position)
{
    if (!cursor)
        return *ret_position = NULL, 0;
    char *plain = arena_alloc(req->arena, CURSOR_LIMIT + 1), digest[SHA256_HEX_SIZE];
    ssize_t n = crypto_base64url_decode(span_of(cursor), (uint8_t *)plain, CURSOR_LIMIT);
    if (n > CURSOR_CHECK && plain[n - CURSOR_CHECK - 1] == '|') {
        plain[n - CURSOR_CHECK - 1] = 0;
        crypto_sha256_hex(span_of(plain), digest);
        if (memcmp(plain + n - CURSOR_CHECK, digest, CURSOR_CHECK) == 0 &&
            utf8_valid(span_of(plain)))
            return *ret_position = plain, 0;
    }
    return refuse_field(req, "/cursor", "is not a cursor that a list here has given");
}

int place_read(struct request *req, const char *cursor, bool id_is_uuid, struct place *ret_place)
{
    const char *position;
    struct place place = {0};
    TRY(cursor_decode(req, cursor, &position));
    if (position) {
        struct span id = span_of(position), number;
        if (!span_cut(&id, '|', &number) || !span_to_i64(number, &place.number) ||
            place.number == INT64_MIN || id.len == 0 || (id_is_uuid && !uuid_valid(id)))
            return refuse_field(req, "/cursor", "is not a cursor of this list");
        place.id = arena_strndup(req->arena, id.ptr, id.len);
    }
    *ret_place = place;
    return 0;
}

const char *place_cursor(struct arena *a, int64_t number, const char *id)
{
    return cursor_encode(a, arena_printf(a, "%lld|%s", (long long)number, id));
}
