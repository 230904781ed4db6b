#pragma once

/* Redis over hiredis async; the only includer of hiredis. Holds only what can be rebuilt, so every
 * caller has an answer for ERR_UNAVAILABLE. Own timer per command (default 50 ms), one connection,
 * reconnect with back-off, breaker: while the server is away calls fail at once. */

#include "common/fiber/fiber.h"

struct redis;

/* `url`: redis://[[user]:password@]host[:port][/db]; NULL or a bad one (logged): always
 * unavailable. A host name is looked up here, once, blocking. Connects by itself in the background:
 * until redis_connected() the calls below fail. */
struct redis *redis_new(struct loop *l, const char *url, const char *key_prefix);
void redis_free(struct redis *r); /* NULL ok; no call may be running */
bool redis_connected(const struct redis *r);

/* All: 0; ERR_UNAVAILABLE (away, or an error reply; see error_text()); ERR_TIMEOUT; -ECANCELED.
 * Keys get the prefix. Values are copied into the fiber's arena. */
int redis_get(struct redis *r, const char *key, struct span *ret_value)
    PARKS; /* absent: ptr NULL */
int redis_set(struct redis *r, const char *key, struct span value, int64_t ttl_ms)
    PARKS; /* 0: for ever */
int redis_delete(struct redis *r, const char *key) PARKS;
/* Token bucket, atomic on the server (one script): takes one of up to `capacity` tokens, which come
 * back at `refill_per_minute` (both > 0). 0 allowed; 1 (REDIS_LIMITED): none was left. Either sets
 * `*ret_remaining` (whole tokens left) and `*ret_retry_ms` (until there is one again; 0 when
 * allowed). */
enum { REDIS_LIMITED = 1 };
int redis_take_token(struct redis *r, const char *key, int64_t capacity, int64_t refill_per_minute,
    int64_t *ret_remaining, int64_t *ret_retry_ms) PARKS;
int redis_ping(struct redis *r) PARKS;
