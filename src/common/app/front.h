#pragma once

/* Private to the application room: what stands between the HTTP server and the handlers' fibers.
 * Decides, by the class of the route and the client's address, whether a request comes in at all.
 */

#include "common/app/admission.h"
#include "common/app/route.h"
#include "common/net/server.h"

/* Reads the configuration; before the server listens. */
void front_init(void);

/* The server's hooks; ctx is unused (one service a process). */
const void *front_route(void *ctx, enum http_method m, struct span path, int64_t *ret_body_limit);
bool front_admit(void *ctx, const struct http_knock *knock, struct http_refusal *ret_refusal);
void front_leave(void *ctx, const void *route, int64_t took_us, int status);

/* What the class of a row comes to. */
enum admission_class front_class(const struct route *r);

/* A service that calls us has told how full it is, in the header of that name. */
#define PRESSURE_HEADER "X-Pressure"
void front_told(struct span value);
/* What we tell those whom we call; NULL: nothing. In the fiber's arena. */
const char *front_tells(void);
