#include <assert.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/fiber/offload.h"
#include "common/fiber/sync.h"
#include "common/net/client_breaker.h"
#include "common/net/client_plain.h"
#include "common/net/client_smtp.h"
#include "common/net/client_wire.h"

#include <stdio.h>

/* The rules of calling a peer; how bytes travel is client_wire.c's and client_smtp.c's affair.
 *
 * A call is one or more attempts. An attempt needs a place among the peer's in-flight calls (first
 * come, first served), a pass of its breaker, and a slot: a prepared curl handle, kept in the
 * peer's stack of idle ones, so that the warmest connection is used first. A place is held for one
 * attempt only, never while pausing.
 *
 * Another attempt is made when the last one surely did not arrive, or the call is idempotent and
 * the outcome is open (or 502, 503, 504); and the peer's retry limit, its retry budget, its breaker
 * and the time left all agree. The pause before it is drawn evenly from 0 up to a bound that
 * doubles from 50 to 200 ms, so callers that failed together do not come back together; the
 * server's Retry-After replaces it when it fits.
 *
 * What the caller may conclude is the sum of the attempts: if any of them may have arrived, a later
 * refusal does not make the call "never reached". */

enum {
    IN_FLIGHT_DEFAULT = 128,
    WAITING_DEFAULT = 512,
    BREAKER_CALLS_DEFAULT = 20,
    MAIL_WORKERS = 8,
    MAIL_QUEUE_LIMIT = 256,
};
#define CONNECT_TIMEOUT_DEFAULT_US (500 * USEC_PER_MS)
#define TIMEOUT_DEFAULT_US         (1500 * USEC_PER_MS)
#define BREAKER_OPEN_DEFAULT_US    USEC_PER_SEC
#define RETRY_BUDGET_DEFAULT       0.1
#define PAUSE_BASE_US              (50 * USEC_PER_MS)
#define PAUSE_MAX_US               (200 * USEC_PER_MS)

struct http_client {
    struct loop *loop;
    struct client_wire *wire;
    struct offload *mail; /* these two are made with the first mail */
    struct mail_lines *mail_lines;
    unsigned peers;
};

struct http_peer {
    struct http_client *client;
    char *name, *base_url;
    int64_t connect_timeout_us, timeout_us;
    unsigned retry_limit;
    struct semaphore places;
    struct breaker breaker;
    struct retry_budget budget;
    struct http_peer_stats stats;
    struct client_wire_slot **idle; /* a stack with room for all places */
    size_t idle_count;
};

struct http_client *http_client_new(struct loop *l)
{
    struct http_client *c = MEM_NEW(struct http_client);
    c->loop = l;
    c->wire = client_wire_new(l);
    return c;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    assert(c->peers == 0);
    if (c->mail)
        offload_free(c->mail);
    mail_lines_free(c->mail_lines);
    client_wire_free(c->wire);
    mem_free(c);
}

int http_client_check(const char *url)
{
    char why[WIRE_DETAIL_SIZE];
    if (client_plain_fits(url) || client_wire_check(why, sizeof(why)))
        return 0;
    error_note("%s", why);
    return ERR(ERR_UNAVAILABLE);
}

/* --- peers --- */

struct http_peer *http_peer_new(struct http_client *c, const struct http_peer_config *config)
{
    struct http_peer *p = MEM_NEW(struct http_peer);
    unsigned places = config->in_flight_limit ? config->in_flight_limit : IN_FLIGHT_DEFAULT;
    unsigned waiting = config->waiting_limit ? config->waiting_limit : WAITING_DEFAULT;
    unsigned calls = config->breaker_calls ? config->breaker_calls : BREAKER_CALLS_DEFAULT;
    int64_t open_us = config->breaker_open_us ? config->breaker_open_us : BREAKER_OPEN_DEFAULT_US;
    double share = config->retry_budget > 0 ? config->retry_budget : RETRY_BUDGET_DEFAULT;

    p->client = c;
    p->name = mem_strdup(config->name);
    p->base_url = mem_strdup(config->base_url);
    size_t len = strlen(p->base_url);
    if (len > 0 && p->base_url[len - 1] == '/') /* a path brings its own */
        p->base_url[len - 1] = '\0';
    p->connect_timeout_us =
        config->connect_timeout_us ? config->connect_timeout_us : CONNECT_TIMEOUT_DEFAULT_US;
    p->timeout_us = config->timeout_us ? config->timeout_us : TIMEOUT_DEFAULT_US;
    p->retry_limit = config->retry_limit ? config->retry_limit : 1;
    if (config->retry_limit == HTTP_RETRIES_NONE)
        p->retry_limit = 0;
    semaphore_init(&p->places, places, waiting);
    breaker_init(&p->breaker, calls, open_us);
    retry_budget_init(&p->budget, share);
    p->idle = mem_array(places, sizeof(struct client_wire_slot *));
    c->peers++;
    return p;
}

void http_peer_free(struct http_peer *p)
{
    if (!p)
        return;
    assert(p->stats.in_flight == 0);
    p->client->peers--;
    while (p->idle_count > 0)
        client_wire_slot_free(p->idle[--p->idle_count]);
    mem_free(p->idle);
    mem_free(p->base_url);
    mem_free(p->name);
    mem_free(p);
}

const char *http_peer_name(const struct http_peer *p)
{
    return p->name;
}

enum http_breaker http_peer_breaker(const struct http_peer *p)
{
    return breaker_state(&p->breaker, clock_mono_us());
}

struct http_peer_stats http_peer_stats(const struct http_peer *p)
{
    return p->stats;
}

static struct client_wire_slot *peer_take_slot(struct http_peer *p)
{
    if (p->idle_count > 0)
        return p->idle[--p->idle_count];
    return client_wire_slot_new(p->client->wire, p->base_url, p->connect_timeout_us);
}

static bool peer_is_shut(const struct http_peer *p)
{
    return breaker_is_shut(&p->breaker, clock_mono_us());
}

/* --- one attempt --- */

struct attempt {
    bool tried; /* a place and a pass were had */
    struct client_wire_outcome outcome;
};

/* What an attempt says about the peer's health. A timeout of a caller that came with hardly any
 * time left says nothing. */
static enum breaker_verdict attempt_verdict(const struct http_peer *p, const struct http_call *call,
    int r, const struct http_answer *answer, int64_t given_us)
{
    if (r == 0 && (answer->status < 500 || answer->status == 501))
        return BREAKER_GOOD;
    if (r == 0)
        return call->is_own_affair && call->is_own_affair(answer, call->own_affair_ctx)
                   ? BREAKER_GOOD
                   : BREAKER_BAD;
    if (r == ERR_CANCELED || r == ERR_INVALID)
        return BREAKER_NONE;
    bool ran_out = r == ERR_TIMEOUT || r == ERR_UNAVAILABLE;
    if (ran_out && given_us < p->timeout_us / 10 && fiber_deadline() <= clock_mono_us())
        return BREAKER_NONE;
    return BREAKER_BAD;
}

static void peer_record(struct http_peer *p, enum breaker_pass pass, enum breaker_verdict verdict)
{
    if (verdict == BREAKER_BAD)
        p->stats.failures++;
    if (!breaker_record(&p->breaker, pass, verdict, clock_mono_us()))
        return;
    if (p->breaker.is_open)
        log_warn("breaker opened", LF_TEXT("peer", p->name));
    else
        log_info("breaker closed", LF_TEXT("peer", p->name));
}

/* Holding a place. */
static int attempt_run(struct http_peer *p, const struct http_call *call,
    struct http_answer *ret_answer, struct attempt *a) PARKS
{
    int64_t now = clock_mono_us();
    if (fiber_deadline() <= now) {
        snprintf(a->outcome.detail, sizeof(a->outcome.detail), "%s", "no time left");
        return ERR_UNAVAILABLE;
    }
    enum breaker_pass pass = breaker_admit(&p->breaker, now);
    if (pass == BREAKER_SHUT) {
        p->stats.rejected++;
        snprintf(a->outcome.detail, sizeof(a->outcome.detail), "%s", "breaker is open");
        return ERR_UNAVAILABLE;
    }
    int64_t deadline = now + p->timeout_us;
    if (fiber_deadline() < deadline)
        deadline = fiber_deadline();
    struct client_wire_slot *slot = peer_take_slot(p);
    a->tried = true;
    p->stats.in_flight++;
    int r = client_wire_run(slot, call, deadline, ret_answer, &a->outcome);
    p->stats.in_flight--;
    p->idle[p->idle_count++] = slot;
    peer_record(p, pass, attempt_verdict(p, call, r, ret_answer, deadline - now));
    return r;
}

static int attempt_make(struct http_peer *p, const struct http_call *call,
    struct http_answer *ret_answer, struct attempt *a) PARKS
{
    *a = (struct attempt){0};
    if (peer_is_shut(p)) { /* also while others wait for a place */
        p->stats.rejected++;
        snprintf(a->outcome.detail, sizeof(a->outcome.detail), "%s", "breaker is open");
        return ERR_UNAVAILABLE;
    }
    int r = semaphore_take(&p->places, "http place", clock_mono_us() + p->timeout_us);
    if (r == ERR_CANCELED)
        return r;
    if (r < 0) {
        p->stats.rejected++;
        snprintf(a->outcome.detail, sizeof(a->outcome.detail), "%s", "too many calls in flight");
        return ERR_BUSY;
    }
    r = attempt_run(p, call, ret_answer, a);
    semaphore_give(&p->places);
    return r;
}

/* --- another one? --- */

static bool attempt_deserves_another(
    const struct http_call *call, int r, const struct http_answer *answer, const struct attempt *a)
{
    if (!a->tried)
        return false;
    if (r == ERR_UNAVAILABLE)
        return true;
    if (!call->idempotent)
        return false;
    if (r == 0)
        return answer->status == 502 || answer->status == 503 || answer->status == 504;
    return r == ERR_TIMEOUT || r == ERR_UNKNOWN;
}

/* The pause before attempt number `next` (1 is the first retry); -1: do not. */
static int64_t retry_pause(
    const struct http_peer *p, unsigned next, const struct http_answer *answer)
{
    int64_t bound = next >= 3 ? PAUSE_MAX_US : PAUSE_BASE_US << (next - 1);
    int64_t pause = (int64_t)crypto_random_below((uint64_t)bound + 1);
    struct span after = answer ? http_header_get(&answer->headers, "Retry-After") : SPAN("");
    if (after.len > 0) {
        int64_t seconds; /* its other form, a date, is as good as "not soon" */
        if (!span_to_i64(after, &seconds) || seconds < 0 || seconds > p->timeout_us / USEC_PER_SEC)
            return -1;
        pause += seconds * USEC_PER_SEC;
    }
    bool fits = fiber_deadline() == USEC_NEVER || clock_mono_us() + pause < fiber_deadline();
    return fits ? pause : -1;
}

static bool peer_grants_retry(struct http_peer *p, unsigned next)
{
    return next <= p->retry_limit && !peer_is_shut(p) && retry_budget_spend(&p->budget);
}

int http_call(struct http_peer *p, const struct http_call *wanted, struct http_answer *ret_answer)
{
    assert(fiber_holds() == 0);
    assert(wanted->path[0] == '/');
    struct http_call call = *wanted;
    call.idempotent |= call.method == HTTP_GET || call.method == HTTP_HEAD;
    struct http_answer answer;
    struct attempt a;
    bool sent = false;
    int r;
    p->stats.calls++;
    retry_budget_earn(&p->budget);
    for (unsigned next = 1;; next++) {
        r = attempt_make(p, &call, &answer, &a);
        sent |= a.outcome.sent;
        if (!attempt_deserves_another(&call, r, &answer, &a))
            break;
        int64_t pause = retry_pause(p, next, r == 0 ? &answer : NULL);
        if (pause < 0 || !peer_grants_retry(p, next))
            break;
        p->stats.retries++;
        if (fiber_sleep(pause) == ERR_CANCELED) {
            r = ERR_CANCELED;
            break;
        }
    }
    if (r == 0) {
        *ret_answer = answer;
        return 0;
    }
    if (sent && (r == ERR_UNAVAILABLE || r == ERR_BUSY))
        r = ERR_UNKNOWN; /* an earlier attempt may have arrived */
    error_note("%s: %s", p->name, a.outcome.detail);
    return ERR(r);
}

/* --- mail --- */

static bool mail_address_is_clean(const char *address)
{
    if (!address[0])
        return false;
    for (const char *c = address; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == '<' || *c == '>' || *c == 0x7f)
            return false;
    return true;
}

/* Every line end becomes CRLF: a lone CR or LF inside a message is read differently by different
 * servers (SMTP smuggling), so none goes out. */
static struct span mail_text(struct arena *a, struct span message)
{
    struct buf out = {0};
    for (size_t i = 0; i < message.len; i++) {
        char c = message.ptr[i];
        if (c == '\r' && i + 1 < message.len && message.ptr[i + 1] == '\n')
            continue;
        if (c == '\r' || c == '\n')
            buf_put(&out, "\r\n", 2);
        else
            buf_put_char(&out, c);
    }
    char *text = arena_alloc(a, out.len + 1);
    memcpy(text, buf_span(&out).ptr, out.len);
    struct span result = span_make(text, out.len);
    buf_deinit(&out);
    return result;
}

int smtp_send(struct http_client *c, const char *url, const struct smtp_mail *mail,
    int64_t timeout_us, const char **ret_reply)
{
    assert(fiber_holds() == 0);
    if (!mail_address_is_clean(mail->from) || !mail_address_is_clean(mail->to))
        return ERR(ERR_INVALID);
    if (!c->mail) {
        c->mail = offload_new(c->loop, MAIL_WORKERS, MAIL_QUEUE_LIMIT);
        c->mail_lines = mail_lines_new(c->loop);
    }
    int64_t deadline = clock_mono_us() + timeout_us;
    struct mail_job job = {
        .lines = c->mail_lines,
        .url = url,
        .from = mail->from,
        .to = mail->to,
        .message = mail_text(fiber_arena(), mail->message),
        .deadline_us = deadline < fiber_deadline() ? deadline : fiber_deadline(),
    };
    int r = offload_run(c->mail, "smtp", mail_job_run, &job);
    if (r < 0)
        return ERR(r);
    mail_lines_watch(c->mail_lines);
    if (job.r == SMTP_REFUSED) {
        *ret_reply = arena_strdup(fiber_arena(), job.reply);
        return SMTP_REFUSED;
    }
    if (job.r < 0) {
        error_note("smtp: %s", job.detail);
        return ERR(job.r);
    }
    return 0;
}
