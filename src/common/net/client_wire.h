#pragma once

/* One attempt of one HTTP call on the wire: a plain connection of our own (client_plain.h) where
 * that will do, else libcurl's multi handle on the loop. No policy here (retries, breaker, limits
 * are client.c's). Private to the outgoing client. */

#include "common/net/client.h"

#define WIRE_BODY_LIMIT (1024 * 1024)

struct client_wire;      /* the multi handle, its sockets and its timer on the loop */
struct client_wire_slot; /* set up for one base URL; runs one attempt at a time */

struct client_wire *client_wire_new(struct loop *l);
void client_wire_free(struct client_wire *w); /* all slots are gone */

struct client_wire_slot *client_wire_slot_new(
    struct client_wire *w, const char *base_url, int64_t connect_timeout_us);
void client_wire_slot_free(struct client_wire_slot *s); /* NULL ok; not running */

/* Whether calls that are not plain, and mails, can be made here at all: libcurl is opened for them.
 */
bool client_wire_check(char *ret_why, size_t why_size);

/* Nothing that a caller passes on may end a line and begin a header of its own. */
bool client_header_is_clean(const struct http_header *h);

#define WIRE_DETAIL_SIZE 256
struct client_wire_outcome {
    bool sent;                     /* the request, or a part of it, may have reached the peer */
    char detail[WIRE_DETAIL_SIZE]; /* what went wrong, for error_note() */
};

/* Sends `call` and parks until the answer is complete. `deadline_us` bounds the attempt (the
 * ambient deadline does too) and is what X-Deadline-Ms counts down to. 0; ERR_UNAVAILABLE (not
 * sent); ERR_TIMEOUT; ERR_UNKNOWN (sent, no proper answer); ERR_INVALID (a header that must not go
 * out); -ECANCELED. Codes are not traced: the caller may well try again. */
int client_wire_run(struct client_wire_slot *s, const struct http_call *call, int64_t deadline_us,
    struct http_answer *ret_answer, struct client_wire_outcome *ret_outcome) PARKS;
