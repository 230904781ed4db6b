#pragma once

/* What a handler sees: the caller, the parsed parameters and body, and how to answer. A handler
 * returns 0 after a reply, a positive outcome (a problem document is written from the outcome
 * tables) or a negative error (500 or 503 with the correlation id, trace logged). */

#include "common/app/outcome.h"
#include "common/data/pg.h"
#include "common/json/problem.h"
#include "common/net/server.h"

enum role {
    ROLE_USER = 1 << 0,
    ROLE_SELLER = 1 << 1,
    ROLE_ADMIN = 1 << 2,
    ROLE_SERVICE = 1 << 3,
    ROLE_ANYONE = 1 << 4, /* of routes alone: no token needed; a valid one is still read */
    ROLE_SIGNED_IN = ROLE_USER | ROLE_SELLER | ROLE_ADMIN,
};

struct caller {
    const char *user_id; /* UUID; NULL for guests and services */
    const char *email, *name;
    const char *session_id;
    const char *service; /* "cart" for service tokens, else NULL */
    unsigned roles;
    int64_t expires_s;
    struct span token; /* the bearer token as it came */
};

struct route;

struct request {
    struct http_request *http;
    struct http_response *response;
    const struct route *route;
    struct arena *arena;
    struct caller caller;
    const char *correlation_id;
    const char *trace_parent;    /* W3C, our own span */
    const void *params;          /* struct of route->params: path variables and query */
    const void *body;            /* struct of route->body */
    const char *idempotency_key; /* unquoted, or NULL */
    const char *fingerprint;     /* hex SHA-256 of method, path and body */
    /* about the refusal in the making */
    const char *detail;
    struct buf extensions;
    struct json_errors errors;
    bool replied;
    const char *key_claim; /* idempotency.c: the key is ours since then; NULL: not claimed */
    bool answer_stored;
};

/* Replies; all return 0 so that a handler can end with `return reply(...)`. */
int reply(struct request *req, int status, const struct table *t, const void *value);
int reply_empty(struct request *req, int status);
/* {"data":[…],"nextCursor":…,"hasMore":…}; `next_cursor` NULL at the end. Adds Link rel=next. */
int reply_page(
    struct request *req, const struct table *t, struct list rows, const char *next_cursor);
int reply_text(struct request *req, int status, const char *content_type, struct span body);
/* As reply(), and in `tx` stores the answer under the request's Idempotency-Key: effect and answer
 * commit together. */
int reply_stored(
    struct request *req, struct pg_tx *tx, int status, const struct table *t, const void *value);
void reply_header(
    struct request *req, const char *name, const char *value); /* value: arena or constant */
void reply_etag(struct request *req, int64_t version);
void reply_cache(struct request *req, const char *cache_control); /* default is no-store */

/* Refusals: set the particulars and return the outcome. */
int refuse(struct request *req, int outcome, const char *detail_fmt, ...) PRINTF(3, 4);
/* One bad field: OUTCOME_INVALID with errors[{pointer, detail}]. */
int refuse_field(struct request *req, const char *pointer, const char *detail_fmt, ...)
    PRINTF(3, 4);
/* Extension members of the problem document: a writer positioned inside its object. */
struct json_writer refuse_extra(struct request *req);
void refuse_retry_after(struct request *req, int seconds);
/* All that the functions above have noted is void: another way leads to an answer. */
void refuse_undo(struct request *req);

bool caller_is(const struct request *req, unsigned any_of_roles);
/* If-Match against the row version, as the route's `match` has it: 0;
 * OUTCOME_PRECONDITION_REQUIRED, OUTCOME_STALE. */
int request_if_match(struct request *req, int64_t version);
struct span request_header(const struct request *req, const char *name);

/* Correlation id of the running work: request, event, or a fresh one for background work. Never
 * NULL. */
const char *correlation_current(void);
/* Background work on behalf of an earlier request: from here to the end of the running tick (or the
 * next adoption) events and log lines carry that request's id, which must live as long. */
void correlation_adopt(const char *correlation_id);

/* Opaque cursors: a checksummed base64url of one text (e.g. "2026-…Z|uuid"). */
const char *cursor_encode(struct arena *a, const char *position);
/* NULL when absent; OUTCOME_INVALID with pointer "/cursor" when forged or broken. */
int cursor_decode(struct request *req, const char *cursor, const char **ret_position);

/* Most lists are ordered by a time (or a rank) and an id; their cursor is the place of the last one
 * shown. */
struct place {
    int64_t number;
    const char *id; /* NULL: the start of the list */
};
/* 0 with the place; OUTCOME_INVALID with pointer "/cursor" for what isn't one of such a list. */
int place_read(struct request *req, const char *cursor, bool id_is_uuid, struct place *ret_place);
const char *place_cursor(struct arena *a, int64_t number, const char *id);
