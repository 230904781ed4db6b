#include "common/data/redis.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <hiredis/adapters/libevent.h>
#include <hiredis/async.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/fiber/sync.h"

/* One connection, all commands on it in the order they were asked: hiredis writes what several
 * fibers ask in one turn with one write, so pipelining comes by itself.
 *
 *     AWAY --back-off--> OPENING --connected, AUTH, SELECT, PING answered--> READY
 *      ^                    '--refused, 500 ms over---.                        |
 *      '----------------------------------------------+--closed, silent -------'
 *
 * Only READY takes commands; otherwise they fail at once, and the caller goes on without Redis.
 *
 * hiredis 0.14 has no timeouts. A command's timer is its fiber's own wait: when COMMAND_US pass
 * without an answer the server counts as gone and the connection is dropped, which ends all other
 * pending commands too (with a NULL reply). A fiber that leaves earlier, because it was cancelled
 * or its own deadline came first, says nothing about the server: it leaves its command behind, and
 * the reply, when it comes, only frees it. So commands live on the heap, not on the fiber's stack.
 *
 * hiredis frees a context by itself when it disconnects; `context` is set NULL by whichever
 * callback learns of it first, and a new connection is always a new context. */

#define COMMAND_US     (50 * USEC_PER_MS)
#define SECOND_LOOK_US (5 * USEC_PER_MS) /* it may have been our loop that was late */
#define OPENING_US     (500 * USEC_PER_MS)
#define BACKOFF_MIN_US (50 * USEC_PER_MS)
#define BACKOFF_MAX_US (2 * USEC_PER_SEC)

enum redis_state { REDIS_AWAY, REDIS_OPENING, REDIS_READY };

struct redis {
    struct event_base *base;
    char *host, *user, *password, *prefix;
    int port, db;
    enum redis_state state;
    redisAsyncContext *context;
    struct event timer; /* AWAY: try again; OPENING: took too long */
    int64_t backoff_us;
    bool is_told;        /* that it is away: once per absence */
    char bucket_sha[41]; /* empty: not known, use EVAL */
};

enum { REPLY_INTEGERS = 3 };

struct command {
    struct latch latch;
    struct arena *arena; /* NULL: the fiber has left */
    /* the reply, once the latch is set with 0 */
    enum { REPLY_NIL, REPLY_TEXT, REPLY_INTEGER, REPLY_ERROR } kind;
    struct span text;
    int64_t integers[REPLY_INTEGERS];
};

/* Integer arithmetic in milliseconds would lose slow refills, so the level is a fraction; the
 * server's own clock, so that all processes agree. A bucket left alone vanishes when it would be
 * full anyway. */
static const char bucket_script[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "local capacity, per_minute = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
    "local was = redis.call('HMGET', KEYS[1], 'level', 'at')\n"
    "local level, at = tonumber(was[1]) or capacity, tonumber(was[2]) or now\n"
    "if at > now then at = now end\n"
    "level = math.min(capacity, level + (now - at) * per_minute / 60000)\n"
    "local limited, wait = 0, 0\n"
    "if level >= 1 then level = level - 1\n"
    "else limited, wait = 1, math.ceil((1 - level) * 60000 / per_minute) end\n"
    "redis.call('HSET', KEYS[1], 'level', tostring(level), 'at', now)\n"
    "redis.call('PEXPIRE', KEYS[1], math.ceil(capacity * 60000 / per_minute) + 1000)\n"
    "return {limited, math.floor(level), wait}\n";

/* --- the connection --- */

static void redis_set_timer(struct redis *r, int64_t us)
{
    struct timeval after = {.tv_sec = us / USEC_PER_SEC, .tv_usec = us % USEC_PER_SEC};
    event_add(&r->timer, &after);
}

/* The context is gone or about to go. Idempotent. */
static void redis_lost(struct redis *r, const char *why)
{
    if (r->state == REDIS_AWAY)
        return;
    if (!r->is_told)
        log_warn("redis is away", LF_TEXT("why", why));
    r->is_told = true;
    r->state = REDIS_AWAY;
    r->context = NULL;
    int64_t spread = r->backoff_us / 2; /* many processes lose the same server at once */
    redis_set_timer(r, r->backoff_us - (int64_t)crypto_random_below((uint64_t)spread));
    r->backoff_us = r->backoff_us * 2 < BACKOFF_MAX_US ? r->backoff_us * 2 : BACKOFF_MAX_US;
}

static void redis_drop(struct redis *r, const char *why)
{
    redisAsyncContext *c = r->context;
    redis_lost(r, why);
    if (c)
        redisAsyncFree(c); /* pending commands get NULL, on_disconnect() finds nothing to do */
}

static bool reply_is_good(const redisReply *reply)
{
    return reply && reply->type != REDIS_REPLY_ERROR;
}

static void on_login(redisAsyncContext *c, void *data, void *user)
{
    (void)user;
    const redisReply *reply = data;
    struct redis *r = c->data;
    if (r->context == c && reply && !reply_is_good(reply))
        redis_drop(r, reply->str);
}

static void on_script(redisAsyncContext *c, void *data, void *user)
{
    (void)user;
    const redisReply *reply = data;
    struct redis *r = c->data;
    r->bucket_sha[0] = '\0';
    if (reply && reply->type == REDIS_REPLY_STRING && reply->len < sizeof(r->bucket_sha))
        memcpy(r->bucket_sha, reply->str, reply->len + 1);
}

/* The answer to PING, last of the login: also sees a server that is still loading. */
static void on_ready(redisAsyncContext *c, void *data, void *user)
{
    (void)user;
    const redisReply *reply = data;
    struct redis *r = c->data;
    if (r->context != c || !reply)
        return;
    if (!reply_is_good(reply)) {
        redis_drop(r, reply->str);
        return;
    }
    event_del(&r->timer);
    r->state = REDIS_READY;
    r->backoff_us = BACKOFF_MIN_US;
    r->is_told = false;
    log_info("redis is here", LF_TEXT("host", r->host), LF_I64("port", r->port));
}

static void on_connect(const redisAsyncContext *c, int status)
{
    struct redis *r = c->data;
    if (status != REDIS_OK && r->context == c)
        redis_lost(r, c->errstr);
}

static void on_disconnect(const redisAsyncContext *c, int status)
{
    (void)status;
    struct redis *r = c->data;
    if (r->context == c)
        redis_lost(r, c->err ? c->errstr : "closed");
}

/* hiredis keeps what is written before the connection stands, so the login goes out with it. */
static void redis_open(struct redis *r)
{
    r->state = REDIS_OPENING;
    redisAsyncContext *c = redisAsyncConnect(r->host, r->port);
    assert(c);
    if (c->err) {
        redis_lost(r, c->errstr);
        redisAsyncFree(c);
        return;
    }
    c->data = r;
    r->context = c;
    redisLibeventAttach(c, r->base);
    redisAsyncSetConnectCallback(c, on_connect);
    redisAsyncSetDisconnectCallback(c, on_disconnect);
    if (r->password && r->user)
        redisAsyncCommand(c, on_login, NULL, "AUTH %s %s", r->user, r->password);
    else if (r->password)
        redisAsyncCommand(c, on_login, NULL, "AUTH %s", r->password);
    if (r->db)
        redisAsyncCommand(c, on_login, NULL, "SELECT %d", r->db);
    redisAsyncCommand(c, on_script, NULL, "SCRIPT LOAD %s", bucket_script);
    redisAsyncCommand(c, on_ready, NULL, "PING");
    redis_set_timer(r, OPENING_US);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    struct redis *r = arg;
    if (r->state == REDIS_OPENING)
        redis_drop(r, "no answer to the login");
    else
        redis_open(r);
}

/* --- the address --- */

static char *url_decode(struct span text)
{
    char *out = mem_alloc(text.len + 1), *to = out;
    for (size_t i = 0; i < text.len; i++) {
        unsigned byte;
        char digits[3] = {0};
        if (text.ptr[i] == '%' && i + 2 < text.len) {
            memcpy(digits, text.ptr + i + 1, 2);
            char *end;
            byte = (unsigned)strtoul(digits, &end, 16);
            if (end == digits + 2 && byte) {
                *to++ = (char)byte;
                i += 2;
                continue;
            }
        }
        *to++ = text.ptr[i];
    }
    return out;
}

static bool url_parse_login(struct redis *r, struct span login)
{
    const char *colon = memchr(login.ptr, ':', login.len);
    if (!colon)
        return false;
    size_t user_len = (size_t)(colon - login.ptr);
    if (user_len > 0)
        r->user = url_decode(span_make(login.ptr, user_len));
    r->password = url_decode(span_make(colon + 1, login.len - user_len - 1));
    return true;
}

/* redis://[[user]:password@]host[:port][/db] */
static bool url_parse(struct redis *r, const char *url)
{
    struct span rest = span_of(url);
    if (!span_starts(rest, SPAN("redis://")))
        return false;
    rest = span_make(rest.ptr + 8, rest.len - 8);
    const char *at = memrchr(rest.ptr, '@', rest.len);
    if (at) {
        if (!url_parse_login(r, span_make(rest.ptr, (size_t)(at - rest.ptr))))
            return false;
        rest = span_make(at + 1, rest.len - (size_t)(at + 1 - rest.ptr));
    }
    struct span place, host;
    int64_t port = 6379, db = 0;
    span_cut(&rest, '/', &place);
    span_cut(&place, ':', &host);
    if (place.ptr && (!span_to_i64(place, &port) || port < 1 || port > 65535))
        return false;
    if (rest.ptr && rest.len > 0 && (!span_to_i64(rest, &db) || db < 0 || db > 1023))
        return false;
    r->host = mem_strndup(host.ptr, host.len);
    r->port = (int)port;
    r->db = (int)db;
    return host.len > 0;
}

/* hiredis would look the name up anew at each connect, blocking the loop; here it is done once,
 * while the process starts. */
static bool redis_resolve(struct redis *r)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    char text[INET6_ADDRSTRLEN];
    if (strcmp(r->host, "localhost") == 0)
        hints.ai_family = AF_INET;
    if (getaddrinfo(r->host, NULL, &hints, &found) != 0)
        return false;
    bool ok = getnameinfo(found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0,
                  NI_NUMERICHOST) == 0;
    freeaddrinfo(found);
    if (!ok)
        return false;
    mem_free(r->host);
    r->host = mem_strdup(text);
    return true;
}

struct redis *redis_new(struct loop *l, const char *url, const char *key_prefix)
{
    struct redis *r = MEM_NEW(struct redis);
    r->base = loop_base(l);
    r->prefix = mem_strdup(key_prefix ? key_prefix : "");
    r->backoff_us = BACKOFF_MIN_US;
    event_assign(&r->timer, r->base, -1, 0, on_timer, r);
    if (!url)
        return r;
    if (!url_parse(r, url))
        log_error("REDIS_URL is not redis://[user:password@]host:port[/db]");
    else if (!redis_resolve(r))
        log_error("redis host is not known", LF_TEXT("host", r->host));
    else
        redis_open(r);
    return r;
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    redisAsyncContext *c = r->context;
    r->state = REDIS_AWAY;
    r->context = NULL;
    if (c)
        redisAsyncFree(c);
    event_del(&r->timer);
    mem_free(r->host);
    mem_free(r->user);
    mem_free(r->password);
    mem_free(r->prefix);
    mem_free(r);
}

bool redis_connected(const struct redis *r)
{
    return r->state == REDIS_READY;
}

/* --- commands --- */

static struct span command_copy(struct command *m, const redisReply *reply)
{
    char *copy = arena_alloc(m->arena, reply->len + 1);
    memcpy(copy, reply->str, reply->len);
    return span_make(copy, reply->len);
}

static void command_take(struct command *m, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_INTEGER) {
        m->kind = REPLY_INTEGER;
        m->integers[0] = reply->integer;
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == REPLY_INTEGERS) {
        m->kind = REPLY_INTEGER;
        for (size_t i = 0; i < REPLY_INTEGERS; i++)
            m->integers[i] = reply->element[i]->integer;
    } else if (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS) {
        m->kind = REPLY_TEXT;
        m->text = command_copy(m, reply);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        m->kind = REPLY_ERROR;
        m->text = command_copy(m, reply);
    } else {
        m->kind = REPLY_NIL;
    }
}

static void on_reply(redisAsyncContext *c, void *data, void *user)
{
    (void)c;
    struct command *m = user;
    if (!m->arena) { /* nobody waits any more */
        mem_free(m);
        return;
    }
    if (data)
        command_take(m, data);
    latch_set(&m->latch, data ? 0 : ERR_UNAVAILABLE);
}

/* Sends and waits. `*ret_command` belongs to the caller when 0 comes back, else to nobody. */
static int redis_ask(struct redis *r, int argc, const char **argv, const size_t *lens,
    struct command **ret_command) PARKS
{
    if (r->state != REDIS_READY) {
        error_note("redis is away");
        return ERR(ERR_UNAVAILABLE);
    }
    struct command *m = MEM_NEW(struct command);
    m->arena = fiber_arena();
    if (redisAsyncCommandArgv(r->context, on_reply, m, argc, argv, lens) != REDIS_OK) {
        mem_free(m);
        return ERR(ERR_UNAVAILABLE);
    }
    int64_t deadline = clock_mono_us() + COMMAND_US;
    int w = latch_wait(&m->latch, "redis", deadline, NULL);
    if (w == ERR_TIMEOUT && clock_mono_us() >= deadline)
        w = latch_wait(&m->latch, "redis", clock_mono_us() + SECOND_LOOK_US, NULL);
    if (!m->latch.is_set) {
        m->arena = NULL;
        if (w == ERR_TIMEOUT && clock_mono_us() >= deadline)
            redis_drop(r, "no answer in time"); /* frees `m` through on_reply() */
        return ERR(w);
    }
    if (m->latch.result < 0) {
        mem_free(m);
        error_note("redis went away");
        return ERR(ERR_UNAVAILABLE);
    }
    *ret_command = m;
    return 0;
}

/* As redis_ask(), with an error reply turned into a code. */
static int redis_do(struct redis *r, int argc, const char **argv, const size_t *lens,
    struct command *ret_reply) PARKS
{
    struct command *m = NULL;
    int e = redis_ask(r, argc, argv, lens, &m);
    if (e < 0)
        return e;
    *ret_reply = *m;
    mem_free(m);
    if (ret_reply->kind != REPLY_ERROR)
        return 0;
    error_note("redis: %.*s", SPAN_ARG(ret_reply->text));
    return ERR(ERR_UNAVAILABLE);
}

static const char *redis_key(const struct redis *r, const char *key)
{
    return r->prefix[0] ? arena_printf(fiber_arena(), "%s%s", r->prefix, key) : key;
}

int redis_get(struct redis *r, const char *key, struct span *ret_value)
{
    const char *argv[] = {"GET", redis_key(r, key)};
    const size_t lens[] = {3, strlen(argv[1])};
    struct command reply;
    TRY(redis_do(r, 2, argv, lens, &reply));
    *ret_value = reply.kind == REPLY_TEXT ? reply.text : (struct span){0};
    return 0;
}

int redis_set(struct redis *r, const char *key, struct span value, int64_t ttl_ms)
{
    char ttl[24];
    snprintf(ttl, sizeof(ttl), "%lld", (long long)ttl_ms);
    const char *argv[] = {"SET", redis_key(r, key), value.len ? value.ptr : "", "PX", ttl};
    const size_t lens[] = {3, strlen(argv[1]), value.len, 2, strlen(ttl)};
    struct command reply;
    return redis_do(r, ttl_ms > 0 ? 5 : 3, argv, lens, &reply);
}

int redis_delete(struct redis *r, const char *key)
{
    const char *argv[] = {"DEL", redis_key(r, key)};
    const size_t lens[] = {3, strlen(argv[1])};
    struct command reply;
    return redis_do(r, 2, argv, lens, &reply);
}

int redis_ping(struct redis *r)
{
    const char *argv[] = {"PING"};
    const size_t lens[] = {4};
    struct command reply;
    return redis_do(r, 1, argv, lens, &reply);
}

static bool reply_is_no_script(const struct command *m)
{
    return m->kind == REPLY_ERROR && span_starts(m->text, SPAN("NOSCRIPT"));
}

/* By the script's digest; with its text when the server does not know it (any more). EVAL makes it
 * known again, so this costs one round trip a restart. */
static int redis_run_bucket(struct redis *r, const char *key, const char *capacity,
    const char *per_minute, struct command *ret_reply) PARKS
{
    const char *argv[] = {"EVALSHA", r->bucket_sha, "1", key, capacity, per_minute};
    size_t lens[] = {7, strlen(argv[1]), 1, strlen(key), strlen(capacity), strlen(per_minute)};
    if (r->bucket_sha[0]) {
        struct command *m = NULL;
        TRY(redis_ask(r, 6, argv, lens, &m));
        *ret_reply = *m;
        mem_free(m);
        if (!reply_is_no_script(ret_reply)) {
            if (ret_reply->kind == REPLY_INTEGER)
                return 0;
            error_note("redis: %.*s", SPAN_ARG(ret_reply->text));
            return ERR(ERR_UNAVAILABLE);
        }
    }
    argv[0] = "EVAL";
    lens[0] = 4;
    argv[1] = bucket_script;
    lens[1] = sizeof(bucket_script) - 1;
    return redis_do(r, 6, argv, lens, ret_reply);
}

int redis_take_token(struct redis *r, const char *key, int64_t capacity, int64_t refill_per_minute,
    int64_t *ret_remaining, int64_t *ret_retry_ms)
{
    assert(capacity > 0 && refill_per_minute > 0);
    char capacity_text[24], per_minute[24];
    snprintf(capacity_text, sizeof(capacity_text), "%lld", (long long)capacity);
    snprintf(per_minute, sizeof(per_minute), "%lld", (long long)refill_per_minute);
    struct command reply;
    TRY(redis_run_bucket(r, redis_key(r, key), capacity_text, per_minute, &reply));
    *ret_remaining = reply.integers[1];
    *ret_retry_ms = reply.integers[2];
    return reply.integers[0] ? REDIS_LIMITED : 0;
}
