#pragma once

/* The outgoing client: libcurl multi on the loop; the only includer of curl. HTTP calls to peers
 * and SMTP delivery. No redirects; protocols allow-listed; keep-alive pools. */

#include "common/fiber/fiber.h"
#include "common/net/http.h"

struct http_client; /* one per process: the curl multi handle and its timers */
struct http_client *http_client_new(struct loop *l);
void http_client_free(struct http_client *c); /* no call may be running */

/* A peer: one base URL with its own breaker, in-flight limit and retry budget. */
struct http_peer;
struct http_peer_config {
    const char *name;         /* "payment": in logs, metrics, breaker messages */
    const char *base_url;     /* "http://127.0.0.1:8084", copied; https needs verified names */
    unsigned in_flight_limit; /* default 128; callers beyond wait, `waiting_limit` of them (default
                                 512) */
    unsigned waiting_limit;
    int64_t connect_timeout_us; /* default 500 ms */
    int64_t timeout_us;   /* per attempt, default 1.5 s; the fiber's deadline counts when nearer */
    unsigned retry_limit; /* further attempts of an idempotent call, default 1 */
    double retry_budget;  /* retries allowed as a share of first attempts, default 0.1 (+ a burst of
                             10) */
    unsigned breaker_calls;  /* window, default 20; opens when half of them failed */
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

struct http_call {
    enum http_method method;
    const char *path; /* with query, already encoded */
    const struct http_header *headers;
    size_t headers_count;
    struct span body;         /* must live until the call returns */
    const char *content_type; /* NULL: application/json */
    bool idempotent;          /* may be sent again: GET, or keyed by an id the callee knows */
};

struct http_answer {
    int status;
    struct span body;            /* in the fiber's arena, at most 1 MiB */
    struct http_headers headers; /* in the fiber's arena */
};

/* One call, with retries as the peer's rules allow (on connection refused always, on timeout,
 * reset, 502, 503, 504 only when idempotent; honours Retry-After within the deadline; full jitter).
 * Sends X-Deadline-Ms with the time left. Asserts fiber_holds() == 0. 0 with an answer (any
 * status); ERR_UNAVAILABLE: surely never reached the peer (refused, breaker open); ERR_BUSY:
 * in-flight limit; ERR_TIMEOUT / ERR_UNKNOWN: sent, outcome unknown; -ECANCELED. */
int http_call(struct http_peer *p, const struct http_call *call, struct http_answer *ret_answer)
    PARKS;

/* SMTP: delivers one message (RFC 5322 text with headers). 0; 1 (SMTP_REFUSED: permanent 5xx, reply
 * text in
 * `*ret_reply`); negative as above. `url`: smtp://host:port */
enum { SMTP_REFUSED = 1 };
struct smtp_mail {
    const char *from, *to; /* bare addresses, already checked */
    struct span message;
};
int smtp_send(struct http_client *c, const char *url, const struct smtp_mail *mail,
    int64_t timeout_us, const char **ret_reply) PARKS;
