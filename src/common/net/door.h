#pragma once

/* The door's judge: a strict HTTP/1.1 request-head parser (RFC 9112), pure and incremental, giving
 * the same verdict however the bytes are split. What it refuses and how: docs/ARCHITECTURE.md, "the
 * door". (The door's plumbing between socket and libevhtp is private to the HTTP server.) */

#include "common/net/http.h"

#define DOOR_HEAD_LIMIT (16 * 1024)
#define DOOR_URI_LIMIT  (4 * 1024)

struct door_head {
    enum http_method method;
    struct span target;      /* origin-form as it came */
    struct span path, query; /* cut at '?', not decoded */
    bool http11;
    bool keep_alive; /* what the client asks for */
    bool expect_continue;
    int64_t content_length; /* 0 when absent */
    struct http_headers headers;
    size_t size; /* bytes of the head, with its empty line */
};

enum door_verdict {
    DOOR_MORE, /* not complete, nothing wrong so far */
    DOOR_PASS,
    DOOR_REFUSE,
};

/* Judges the bytes seen so far of one head. `*state` is 0 at first and remembers how far it has
 * looked, so a byte-by-byte feed costs linear time. On DOOR_PASS fills `*ret_head` (spans into
 * `bytes`; scratch otherwise); on DOOR_REFUSE sets `*ret_status` to 400, 405 (never: routing's),
 * 411, 413, 414, 415, 417, 431, 501 or 505 and `*ret_detail` to a sentence. `body_limit`:
 * Content-Length above it is 413. */
enum door_verdict door_judge(struct span bytes, size_t *state, int64_t body_limit,
    struct door_head *ret_head, int *ret_status, const char **ret_detail);
