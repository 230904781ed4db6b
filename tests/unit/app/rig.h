#pragma once

/* A small service behind a real socket, on a real database: what dispatch and its neighbours do is
 * seen as a client sees it. Every test runs its body on a fiber of that process. */

#include <criterion/criterion.h>

#include "common/app/service.h"
#include "common/net/client.h"
#include "common/net/server.h"
#include "support/pg_server.h"

#define USER_ID  "01900000-0000-7000-8000-000000000101"
#define OTHER_ID "01900000-0000-7000-8000-000000000102"

void rig_run(void (*body)(void));
extern struct http_server *rig_server;
extern struct http_peer *rig_peer; /* the service, as somebody outside calls it */
const char *rig_base_url(void);

/* Tokens of the service's issuer. */
const char *bearer(const char *user_id, unsigned roles) PARKS;

/* One request; headers are "Name: value" texts, NULL-terminated. */
struct seen {
    int status;
    const char *body;
    const struct http_headers *headers;
};
struct seen ask(enum http_method m, const char *path, const char *body, ...) PARKS;
const char *header_of(const struct seen *s, const char *name); /* NULL: not there */
/* Connects, sends a request for `path` as USER_ID and leaves as soon as `left_when` is true. */
void ask_and_leave(const char *path, const char *body, const char *key, const bool *left_when)
    PARKS;

#define assert_problem(seen_, status_, code_)                                                      \
    do {                                                                                           \
        struct seen problem_ = (seen_);                                                            \
        cr_assert_eq(problem_.status, status_, "%d %s", problem_.status, problem_.body);           \
        cr_assert(strstr(problem_.body, "\"code\":\"" code_ "\""), "%s", problem_.body);           \
        cr_assert_str_eq(header_of(&problem_, "Content-Type"), "application/problem+json");        \
        cr_assert(                                                                                 \
            strstr(problem_.body, header_of(&problem_, "X-Correlation-ID")), "%s", problem_.body); \
    } while (0)

int64_t in_ms(int64_t ms);
#define EVENTUALLY(condition, patience_ms)                                                         \
    ({                                                                                             \
        int64_t eventually_until_ = in_ms(patience_ms);                                            \
        while (!(condition) && clock_mono_us() < eventually_until_)                                \
            (void)fiber_sleep(5 * USEC_PER_MS);                                                    \
        (condition);                                                                               \
    })

/* What the handlers do is in rig.c; what they note is here. */
extern unsigned makes;      /* runs of POST /things */
extern bool waiting;        /* a handler is parked */
extern int wait_result;     /* what its wait gave */
extern unsigned token_asks; /* runs of POST /oauth2/token */
extern int64_t token_life_s;
extern int token_status;           /* 0: give one */
extern const char *refused_bearer; /* by GET /whoami */
