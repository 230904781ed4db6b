#pragma once

/* Reads one HTTP/1.1 answer, in whatever pieces it comes. Private to the outgoing client. */

#include "common/net/http.h"

struct client_reply {
    /* set by the caller */
    struct arena *arena; /* takes the headers' text */
    struct http_headers *headers;
    size_t body_limit;
    bool has_no_body; /* of a HEAD */
    /* the answer */
    int status;
    struct buf body;
    bool done, may_go_on; /* complete; the connection may be used again */
    bool too_much;        /* refused for its size, not for its form */
    /* where it stands */
    enum {
        REPLY_STATUS,
        REPLY_HEADER,
        REPLY_LENGTH,
        REPLY_CHUNK_SIZE,
        REPLY_CHUNK,
        REPLY_CHUNK_END,
        REPLY_TRAILER,
        REPLY_UNTIL_CLOSE,
    } state;
    size_t left, head_size;
    bool is_old; /* HTTP/1.0 */
    struct buf line;
};

/* Ready for the next answer; buffers are kept. */
void client_reply_begin(struct client_reply *r, struct arena *a, struct http_headers *headers,
    bool has_no_body, size_t body_limit);
void client_reply_deinit(struct client_reply *r);
/* False when this is no answer to make sense of. Nothing may follow an answer that is done. */
bool client_reply_feed(struct client_reply *r, struct span bytes);
/* The peer has closed: whether that completes the answer. */
bool client_reply_end(struct client_reply *r);
