#pragma once

/* The HTTP table of a service: one row a route. Deny by default: no service starts with a route
 * that names no role, and what a route names or leads to is its owner's alone unless `others` says
 * who else reaches it. */

#include "common/app/request.h"

enum idempotency {
    IDEMPOTENCY_NONE,     /* GET, PUT, DELETE: repeatable by nature */
    IDEMPOTENCY_ACCEPTED, /* POST: used when the header is there */
    IDEMPOTENCY_REQUIRED, /* 400 without */
    IDEMPOTENCY_OWN, /* required, and the handler keeps key and answer itself (checkout: the saga
                        row is the key) */
};

/* Whether a change must name the version it was made of. */
enum match {
    MATCH_NONE,
    MATCH_ACCEPTED, /* If-Match counts when it is there */
    MATCH_REQUIRED, /* 428 without */
};

/* What a request is worth when there is not room for all: the first are refused first. */
enum route_class {
    CLASS_USUAL, /* /internal/ and what every service has: vital; other GETs: browse; the rest: cart
                  */
    CLASS_BROWSE,
    CLASS_CART,
    CLASS_LOGIN,    /* costs a password's hash: has a throttle and a queue of its own */
    CLASS_CHECKOUT, /* a sale, or money */
    CLASS_VITAL,    /* never refused: what services ask of each other for somebody they let in */
};

struct route {
    enum http_method method;
    const char *path; /* "/api/v1/orders/{orderId}" */
    unsigned roles;   /* any of; ROLE_ANYONE = public */
    int (*handle)(struct request *req);
    /* Of those roles, who reaches what belongs to somebody else; for the rest it is not there. The
     * handlers' SQL sees to it, and a test tries every route as everybody. */
    unsigned others;
    const struct table
        *params;               /* path variables and query parameters by name, NULL: none allowed */
    const struct table *body;  /* NULL: no body allowed (an empty one is, and {}) */
    const struct table *reply; /* for the docs */
    bool reply_is_page;
    int status; /* of success, for the docs */
    enum idempotency idempotency;
    enum match match;         /* the handler looks: request_if_match() */
    const char *token_header; /* what a guest shows instead of a login */
    int64_t body_limit;       /* 0: 64 KiB */
    enum route_class class;
    bool raw_body; /* the handler reads req->http->body itself (signed webhooks, CSV) */
    bool form; /* the body is a form of the fields in `body`; the handler reads it: form_read() */
    const int
        *outcomes; /* 0-terminated list of the service's own outcomes it may answer, for the docs */
    const char *doc; /* one sentence */
};
