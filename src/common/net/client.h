#pragma once

/* The outgoing client: plain connections of our own where they will do, else libcurl multi on the
 * loop, which is opened when something needs it; the only includer of curl. HTTP calls to peers and
 * SMTP delivery. No redirects; protocols allow-listed; keep-alive pools. */

#include "common/fiber/fiber.h"
#include "common/net/http.h"

struct http_client; /* one per process: the curl multi handle and its timers */
struct http_client *http_client_new(struct loop *l);
void http_client_free(struct http_client *c); /* NULL ok; after its peers, no call running */

/* Opens what calls to `url` need beyond this program: libcurl (some ms), unless it is http to an
 * IPv4 address. Whoever calls does it by itself; a service asks at its start, in order to refuse
 * there. 0; ERR_UNAVAILABLE: it is not there, the note says what. */
int http_client_check(const char *url);

/* A peer: one base URL with its own breaker, in-flight limit and retry budget. */
struct http_peer;
#define HTTP_RETRIES_NONE ((unsigned)-1)
struct http_peer_config {
    const char *name;         /* "payment": in logs, metrics, breaker messages */
    const char *base_url;     /* "http://127.0.0.1:8084", copied; https needs verified names */
    unsigned in_flight_limit; /* default 128; callers beyond wait, `waiting_limit` of them (default
                                 512) */
    unsigned waiting_limit;
    int64_t connect_timeout_us; /* default 500 ms */
    int64_t timeout_us;   /* per attempt, default 1.5 s; the fiber's deadline counts when nearer */
    unsigned retry_limit; /* further attempts, default 1; HTTP_RETRIES_NONE for never */
    double retry_budget;  /* retries allowed as a share of first attempts, default 0.1 (+ a burst of
                             10) */
    unsigned breaker_calls;  /* window, default 20, at most 64; opens when half of it failed */
    int64_t breaker_open_us; /* default 1 s, doubling to 30 s; then 1 probe */
};
struct http_peer *http_peer_new(struct http_client *c, const struct http_peer_config *config);
void http_peer_free(struct http_peer *p);
const char *http_peer_name(const struct http_peer *p);
enum http_breaker { HTTP_BREAKER_CLOSED, HTTP_BREAKER_HALF_OPEN, HTTP_BREAKER_OPEN };
enum http_breaker http_peer_breaker(const struct http_peer *p);
struct http_peer_stats {
    uint64_t calls, failures, retries, rejected; /* rejected: by breaker or in-flight limit */
    unsigned in_flight;
};
struct http_peer_stats http_peer_stats(const struct http_peer *p);

struct http_answer;
struct http_call {
    enum http_method method;
    const char *path; /* with query, already encoded */
    const struct http_header *headers;
    size_t headers_count;
    struct span body;         /* must live until the call returns */
    const char *content_type; /* NULL: application/json */
    bool idempotent;          /* may be sent again: GET, or keyed by an id the callee knows */
    /* Whether an answer of 5xx is about this call alone, so that it says nothing against the peer.
     * NULL: never. */
    bool (*is_own_affair)(const struct http_answer *answer, const void *ctx);
    const void *own_affair_ctx;
};

struct http_answer {
    int status;
    struct span body;            /* in the fiber's arena, at most 1 MiB */
    struct http_headers headers; /* in the fiber's arena */
};

/* One call, with retries as the peer's rules allow (on connection refused always, on timeout,
 * reset, 502, 503, 504 only when idempotent; a Retry-After in seconds is waited for when it fits
 * the deadline and is no longer than the peer's timeout; full jitter). GET and HEAD are idempotent
 * by themselves. Sends X-Deadline-Ms: the time until we stop waiting for this attempt. Asserts
 * fiber_holds() == 0. 0 with an answer (any status); ERR_UNAVAILABLE: surely never reached the peer
 * (refused, breaker open, no time left); ERR_BUSY: no place in flight in time, not sent either;
 * ERR_TIMEOUT / ERR_UNKNOWN: sent, outcome unknown (also when the answer is garbage, cut short or
 * over 1 MiB); ERR_INVALID: a header or path that must not go out; -ECANCELED. */
int http_call(struct http_peer *p, const struct http_call *call, struct http_answer *ret_answer)
    PARKS;

/* SMTP: delivers one message (RFC 5322 text with headers; line ends become CRLF) on a worker
 * thread. 0; 1 (SMTP_REFUSED: a permanent 5xx reply about this mail, its text in `*ret_reply`, in
 * the fiber's arena); ERR_UNAVAILABLE: surely not taken (no connection, a 4xx reply, no time left);
 * ERR_TIMEOUT / ERR_UNKNOWN: the text went out, no reply came; ERR_BUSY: too many mails wait;
 * ERR_INVALID: an address with control characters, blanks or angle brackets. Ends with
 * `timeout_us` or the ambient deadline; cancellation is not seen before.
 * `url`: smtp://host:port or smtps://, with user:password@ when the server wants a login.
 * Connections are kept for some seconds and serve up to a hundred mails, one at a time. */
enum { SMTP_REFUSED = 1 };
struct smtp_mail {
    const char *from, *to; /* bare addresses, already checked */
    struct span message;
};
int smtp_send(struct http_client *c, const char *url, const struct smtp_mail *mail,
    int64_t timeout_us, const char **ret_reply) PARKS;
