#pragma once

/* What server and client share: methods, header lists. */

#include "common/base/arena.h"
#include "common/base/buf.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_PATCH,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHODS /* count */
};
const char *http_method_name(enum http_method m);
bool http_method_parse(struct span text, enum http_method *ret_method);

struct http_header {
    struct span name, value; /* names as they came; compare without case */
};
#define HTTP_HEADERS_LIMIT 64
struct http_headers {
    size_t count;
    struct http_header at[HTTP_HEADERS_LIMIT];
};
/* First header of that name (case-insensitive); the empty span with ptr NULL when absent. */
struct span http_header_get(const struct http_headers *h, const char *name);
void http_header_add(
    struct http_headers *h, struct span name, struct span value);  /* asserts the limit */
void http_header_remove(struct http_headers *h, const char *name); /* all of that name */

/* Percent-decodes into the arena; false on a bad escape, NUL or control byte. '+' is a space when
 * `form`. */
bool http_percent_decode(struct arena *a, struct span text, bool form, struct span *ret_text);
void http_percent_encode(struct buf *out, struct span text); /* everything but unreserved */
