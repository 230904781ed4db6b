#pragma once

/* The load's own HTTP/1.1 client: keep-alive connections to one base URL, over TLS when that is
 * https. It does no more than a load needs, and that for a few microseconds a request: no
 * redirects, no pipelining, no compression, no cookies; it never waits for a free connection. */

#include "common/fiber/fiber.h"
#include "common/net/http.h"

struct wire_config {
    const char *ca_file; /* NULL: the system's authorities */
    bool insecure;       /* believe any certificate */
    int64_t timeout_us;  /* for an answer, from the call on */
};

struct wire; /* one base URL */

/* 0, or -1 with a sentence in `*ret_wrong` (a constant, or of the resolver). Resolves the host,
 * blocking. `base_url` and the config's texts are copied. */
int wire_new(struct loop *l, const char *base_url, const struct wire_config *config,
    struct wire **ret_wire, const char **ret_wrong);
void wire_free(struct wire *w);           /* NULL ok; no call is running */
bool wire_is_local(const struct wire *w); /* a loopback address */

struct wire_request {
    enum http_method method;
    const char *path;
    const char *token; /* Authorization: Bearer; NULL: none */
    const char *key;   /* Idempotency-Key; NULL: none */
    const char *body;  /* JSON; NULL: none */
};

enum wire_result {
    WIRE_ANSWERED,
    WIRE_REFUSED, /* no connection */
    WIRE_UNSAFE,  /* no TLS, or a certificate that is not to be believed; why is in the body */
    WIRE_RESET,   /* the connection ended before the answer did */
    WIRE_TIMEOUT,
    WIRE_GARBAGE,  /* what came is no HTTP */
    WIRE_CANCELED, /* the fiber was */
};
const char *wire_result_name(enum wire_result r);

struct wire_answer {
    enum wire_result result;
    int status;                 /* of WIRE_ANSWERED */
    struct span body;           /* in the fiber's arena, NUL-terminated */
    int retry_after_s;          /* -1: the header is not there */
    int64_t begun_us, ended_us; /* monotonic: sent, and the last byte read */
};

/* One request. A connection that the server had closed while it was idle is replaced once, when
 * nothing of an answer came and the request may be sent again (GET, or with a key). */
void wire_call(struct wire *w, const struct wire_request *q, struct wire_answer *ret_answer) PARKS;
