/* The pool: a semaphore counts the connections, a list of idle ones hands out the one used last
 * (its caches are warm), a list of closed ones waits to be opened by whoever needs it.
 *
 * A server that is away must cost its callers nothing: after a failed attempt the pool is down, and
 * until the next attempt is due (100 to 500 ms later, jittered, one at a time) everybody else is
 * refused at once. The first success ends it.
 *
 * libpq keeps the room of the longest message of a connection for as long as that lives: some
 * hundred KiB of each after a backlog. So one that had a long message, and needs it no more, is
 * closed when another is given back, while nobody waits, and one at a time: the next one costs some
 * milliseconds. */

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/data/pg_link.h"

#define RETRY_MIN_US (100 * USEC_PER_MS)
#define RETRY_MAX_US (500 * USEC_PER_MS)
#define SWOLLEN_US   (10 * USEC_PER_SEC)

struct pg_pool {
    struct loop *loop;
    struct pg_target target;
    unsigned size;
    int64_t connect_timeout_us, statement_timeout_us, swollen_us;
    struct semaphore slots;
    struct pg_link *links;
    struct pg_link *idle, *closed;

    bool down, probing;
    int64_t retry_at_us, slim_at_us;
    unsigned open;
    uint64_t transactions, errors, round_trips;
    int64_t busy_us;
};

/* ---- making it ---- */

static void list_push(struct pg_link **list, struct pg_link *l)
{
    l->next = *list;
    *list = l;
}

static struct pg_link *list_pop(struct pg_link **list)
{
    struct pg_link *l = *list;

    if (l)
        *list = l->next;
    return l;
}

static void pool_close(struct pg_pool *p, struct pg_link *l)
{
    if (l->conn)
        p->open--;
    pg_link_close(l);
    list_push(&p->closed, l);
}

static void pool_close_idle(struct pg_pool *p, struct pg_link **at)
{
    struct pg_link *l = *at;

    *at = l->next;
    pool_close(p, l);
}

/* An idle connection ended: the server went away, or an administrator ended it. One in use is its
 * fiber's business. */
static void on_lost(struct pg_link *l)
{
    struct pg_pool *p = l->ctx;

    for (struct pg_link **at = &p->idle; *at; at = &(*at)->next)
        if (*at == l) {
            pool_close_idle(p, at);
            return;
        }
}

struct pg_pool *pg_pool_new(struct loop *l, const struct pg_pool_config *config)
{
    struct pg_pool *p = MEM_NEW(struct pg_pool);
    struct pg_pool_config c = *config;

    c.size = c.size ? c.size : 8;
    c.waiting_limit = c.waiting_limit ? c.waiting_limit : 512;
    c.connect_timeout_us = c.connect_timeout_us ? c.connect_timeout_us : 2 * USEC_PER_SEC;
    c.statement_timeout_us = c.statement_timeout_us ? c.statement_timeout_us : 5 * USEC_PER_SEC;
    c.swollen_us = c.swollen_us ? c.swollen_us : SWOLLEN_US;
    p->loop = l;
    p->size = c.size;
    p->connect_timeout_us = c.connect_timeout_us;
    p->statement_timeout_us = c.statement_timeout_us;
    p->swollen_us = c.swollen_us;
    pg_target_init(&p->target, l, &c);
    semaphore_init(&p->slots, p->size, c.waiting_limit);
    p->links = mem_array(p->size, sizeof(*p->links));
    for (unsigned i = 0; i < p->size; i++) {
        pg_link_init(&p->links[i], l, &p->target);
        p->links[i].on_lost = on_lost;
        p->links[i].ctx = p;
        list_push(&p->closed, &p->links[i]);
    }
    return p;
}

void pg_pool_free(struct pg_pool *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->size; i++)
        pg_link_deinit(&p->links[i]);
    pg_target_deinit(&p->target);
    mem_free(p->links);
    mem_free(p);
}

struct pg_pool_stats pg_pool_stats(const struct pg_pool *p)
{
    return (struct pg_pool_stats){
        .size = p->size,
        .open = p->open,
        .in_use = p->size - p->slots.free_count,
        .waiting = p->slots.waiting,
        .transactions = p->transactions,
        .errors = p->errors,
        .round_trips = p->round_trips,
        .busy_us = p->busy_us,
    };
}

int64_t pg_pool_timeout_us(const struct pg_pool *p)
{
    return p->statement_timeout_us;
}

/* ---- connecting ---- */

static int64_t now_plus(int64_t us)
{
    return clock_mono_us() + us;
}

static void pool_note_attempt(struct pg_pool *p, int r)
{
    if (r == 0) {
        if (p->down)
            log_info("database is back", LF_TEXT("server", p->target.label));
        p->down = false;
        p->open++;
    } else if (r != ERR_CANCELED && r != ERR_TIMEOUT) { /* the server's fault, not the caller's */
        if (!p->down)
            log_warn("database is away", LF_TEXT("server", p->target.label),
                LF_TEXT("error", error_text()));
        p->down = true;
        p->retry_at_us =
            now_plus(RETRY_MIN_US + (int64_t)crypto_random_below(RETRY_MAX_US - RETRY_MIN_US));
    }
}

static int pool_open(struct pg_pool *p, struct pg_link *l) PARKS
{
    bool probing = p->down;
    int64_t started_us = clock_mono_us();
    int r;

    if (p->down && (p->probing || clock_mono_us() < p->retry_at_us)) {
        error_note("no PostgreSQL at %s; start it with ./souk up", p->target.label);
        return ERR(ERR_UNAVAILABLE);
    }
    if (probing)
        p->probing = true;
    r = pg_link_open(l, started_us + p->connect_timeout_us);
    if (probing)
        p->probing = false;
    /* The server had its time, or the caller was in a hurry? */
    if (r == ERR_TIMEOUT && clock_mono_us() - started_us >= p->connect_timeout_us)
        r = ERR_UNAVAILABLE;
    pool_note_attempt(p, r);
    return r < 0 ? ERR(r) : 0;
}

/* ---- taking and giving back ---- */

int pg_pool_take(struct pg_pool *p, struct pg_link **ret_link)
{
    struct pg_link *l;
    int r = semaphore_take(&p->slots, "a database connection", now_plus(p->statement_timeout_us));

    if (r < 0) {
        if (r != ERR_CANCELED)
            error_note(
                "all %u connections to PostgreSQL at %s are taken", p->size, p->target.label);
        return ERR(r);
    }
    l = list_pop(&p->idle);
    if (!l) {
        l = list_pop(&p->closed);
        r = pool_open(p, l);
        if (r < 0) {
            list_push(&p->closed, l);
            p->errors++;
            semaphore_give(&p->slots);
            return ERR(r);
        }
    }
    l->taken_us = clock_mono_us();
    p->transactions++;
    fiber_hold(1);
    *ret_link = l;
    return 0;
}

static void pool_slim(struct pg_pool *p)
{
    int64_t now_us = clock_mono_us();

    if (now_us < p->slim_at_us || p->slots.waiting > 0)
        return;
    p->slim_at_us = now_us + p->swollen_us / 2;
    for (struct pg_link **at = &p->idle; *at; at = &(*at)->next)
        if ((*at)->swollen_us && now_us - (*at)->swollen_us > p->swollen_us) {
            pool_close_idle(p, at);
            return;
        }
}

void pg_pool_give(struct pg_pool *p, struct pg_link *l, bool failed)
{
    struct pg_link *other;

    p->busy_us += clock_mono_us() - l->taken_us;
    p->round_trips += l->round_trips;
    p->errors += failed;
    l->round_trips = 0;
    if (l->stale) /* then its sisters are as well */
        while ((other = list_pop(&p->idle)))
            pool_close(p, other);
    if (l->broken || l->stale || pg_link_busy(l))
        pool_close(p, l);
    else
        list_push(&p->idle, l);
    pool_slim(p);
    fiber_hold(-1);
    semaphore_give(&p->slots);
}
