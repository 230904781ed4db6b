#pragma once

/* The HTTP server: door + libevhtp + one fiber per request. The only room that includes evhtp. */

#include "common/fiber/fiber.h"
#include "common/net/http.h"

struct http_server;

#define HTTP_CORRELATION_SIZE 129

struct http_request {
    enum http_method method;
    struct span path;  /* decoded, starts with '/', no "//" , "." or ".." segments */
    struct span query; /* as it came */
    const struct http_headers *headers;
    const void *route; /* what `route` has said of it; NULL: nothing, or the path was encoded */
    struct span body;
    struct span
        client_address;  /* X-Forwarded-For's last hop when the peer is loopback, else the peer */
    int64_t received_us; /* monotonic */
    struct arena *arena; /* the fiber's */
};

struct http_response {
    int status; /* 200 until set */
    struct http_headers
        headers;     /* values must live in the arena or be constants; no framing headers */
    struct buf body; /* freed by the server */
    const char *content_type; /* NULL: application/json */
};

/* Runs on the request's own fiber; may park. Its ambient deadline is set by the server
 * (`request_timeout_us`, or X-Deadline-Ms when that is less). When the client goes away, or closes
 * its side, the fiber is cancelled; a reply given all the same is still sent if it can be. */
typedef void (*http_handler)(void *ctx, struct http_request *req, struct http_response *res);

/* A whole request before anything is done for it. */
struct http_knock {
    const void *route; /* what `route` has said of it */
    const struct http_headers *headers;
    struct span client_address; /* as in struct http_request */
    int64_t now_us;             /* monotonic */
};

/* How a knock is refused: the door writes a problem document of it; the connection lives on. */
struct http_refusal {
    int status;
    const char *code, *title, *detail; /* constants */
    int64_t retry_after_s;
    char correlation_id[HTTP_CORRELATION_SIZE]; /* empty: the door makes one */
    char lines[256];                            /* more header lines, each with its CRLF */
};

struct http_server_config {
    const char *address; /* numeric, "127.0.0.1" */
    uint16_t port;       /* 0: any; see http_server_port */
    http_handler handler;
    void *ctx;
    int64_t body_limit; /* default 64 KiB; the door's 413 */
    /* Which route a head is for; may set another body limit. Opaque to the server. NULL ok */
    const void *(*route)(void *ctx, enum http_method m, struct span path, int64_t *ret_body_limit);
    /* Asked once the request is whole, before libevhtp, fiber and handler have heard of it; must be
     * quick. False, with the refusal: not now. NULL ok */
    bool (*admit)(void *ctx, const struct http_knock *knock, struct http_refusal *ret_refusal);
    /* What was admitted is over, `took_us` after; `status` 0: without an answer. NULL ok */
    void (*leave)(void *ctx, const void *route, int64_t took_us, int status);
    int64_t head_timeout_us;    /* absolute, default 5 s */
    int64_t body_timeout_us;    /* absolute, default 15 s */
    int64_t idle_timeout_us;    /* between requests, default 60 s */
    int64_t request_timeout_us; /* ambient deadline of the handler's fiber, default 10 s */
    int64_t write_timeout_us;   /* a reader that does not read, default 15 s */
    unsigned connections_limit; /* default 10,000; beyond it 503 and close */
    bool reuse_port;
    /* Called by the door for refusals it answers itself, to count them. NULL ok. */
    void (*on_refused)(void *ctx, int status);
};

/* Listens at once. 0; -EADDRINUSE, -EACCES, ... with a note. */
int http_server_new(
    struct loop *l, const struct http_server_config *config, struct http_server **ret_server);
uint16_t http_server_port(const struct http_server *s);
/* Stops accepting, lets running requests finish (replies carry Connection: close), closes idle
 * connections; returns when none is left or -ETIMEDOUT. */
int http_server_drain(struct http_server *s, int64_t deadline_us) PARKS;
void http_server_free(struct http_server *s); /* closes what is left */
unsigned http_server_connections(const struct http_server *s);
unsigned http_server_active(const struct http_server *s); /* requests being handled */
