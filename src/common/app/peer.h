#pragma once

/* Calls to the other services: base URL from <NAME>_SERVICE_URL, a service token with aud = callee,
 * correlation, traceparent and the shrinking deadline on every call; bodies and answers by tables.
 */

#include "common/app/request.h"
#include "common/net/client.h"

struct peer_call {
    const char *peer; /* "payment"; must be in the service's peer list */
    enum http_method method;
    const char *path;
    const struct table *body_table; /* NULL: no body */
    const void *body;
    const struct table *answer_table; /* of a 2xx answer; NULL: ignored */
    void *answer;                     /* struct to fill */
    bool idempotent;                  /* the callee recognises a repeat */
    const char *own_affair; /* the code of a 5xx that is about this call alone, not the callee's
                               health; NULL: there is none */
    int64_t timeout_us;     /* 0: the peer's default; the ambient deadline always counts */
};
struct peer_answer {
    int status;
    const char *code;   /* of a problem document, else "" */
    const char *detail; /* likewise */
    struct span body;   /* as it came */
};
/* 0 with any HTTP status; ERR_PROTOCOL when a 2xx answer does not fit the table; else as
 * http_call(). */
int peer_call(const struct peer_call *call, struct peer_answer *ret_answer) PARKS;
struct http_peer *peer_get(const char *name);
