#pragma once

/* Private to the application room: from an HTTP request to a handler and back. */

#include "common/app/route.h"
#include "common/app/service.h"

/* The http_handler of every service; ctx is unused (one service a process). */
void dispatch(void *ctx, struct http_request *http, struct http_response *response);

/* The route that would match; NULL: none. */
const struct route *dispatch_route(enum http_method method, struct span path);

/* Routes that every service has: /livez, /readyz, /metrics, /openapi.json, /debug/fibers. */
extern const struct route builtin_routes[];
extern const size_t builtin_routes_count;

/* ERR_INVALID, with a note, when a row leaves open who may come. */
int routes_check(const struct route *routes, size_t count);

/* Matches "/a/{id}" against "/a/7"; on success calls `on_variable` (NULL ok) for each variable. */
bool route_matches(const char *pattern, struct span path,
    void (*on_variable)(void *ctx, struct span name, struct span value), void *ctx);

extern const struct outcome_row common_outcomes[];
extern const size_t common_outcomes_count;
