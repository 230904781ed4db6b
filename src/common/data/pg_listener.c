/* LISTEN on a connection of its own, kept by a fiber: connect, LISTEN, wait for the end of the
 * connection, again. What was notified while nobody listened is lost, so each new LISTEN counts as
 * a notification itself: the listener looks once and has missed nothing. */

#include "common/base/buf.h"
#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/data/pg_link.h"

#define CONNECT_TIMEOUT_US (2 * USEC_PER_SEC)
#define RETRY_MIN_US       (100 * USEC_PER_MS)
#define RETRY_MAX_US       (1 * USEC_PER_SEC)

struct pg_listener {
    struct pg_target target;
    struct pg_link link;
    struct latch lost; /* set when the connection ends */
    struct buf sql;
    struct fiber *fiber;
    bool freed; /* by its owner; the fiber takes it down when it has unwound */
    void (*on_notify)(void *ctx);
    void *ctx;
};

static void listener_destroy(struct pg_listener *ls)
{
    pg_link_deinit(&ls->link);
    pg_target_deinit(&ls->target);
    buf_deinit(&ls->sql);
    mem_free(ls);
}

static void on_lost(struct pg_link *l)
{
    latch_set(&CONTAINER_OF(l, struct pg_listener, link)->lost, 0);
}

static void on_channel(void *ctx)
{
    struct pg_listener *ls = ctx;

    if (!ls->freed)
        ls->on_notify(ls->ctx);
}

/* One life of the connection. */
static int listener_listen(struct pg_listener *ls) PARKS
{
    ls->lost = LATCH_INIT;
    TRY(pg_link_open(&ls->link, clock_mono_us() + CONNECT_TIMEOUT_US));
    TRY(pg_link_script(&ls->link, ls->sql.ptr, clock_mono_us() + CONNECT_TIMEOUT_US));
    on_channel(ls);
    return latch_wait(&ls->lost, "notifications of PostgreSQL", USEC_NEVER, NULL);
}

static void listener_run(void *arg) PARKS
{
    struct pg_listener *ls = arg;

    while (!ls->freed && !fiber_cancelled()) {
        int r = listener_listen(ls);

        pg_link_close(&ls->link);
        if (r < 0 && r != ERR_CANCELED)
            log_debug("not listening", LF_TEXT("server", ls->target.label),
                LF_TEXT("error", error_text()));
        error_clear();
        fiber_sleep(RETRY_MIN_US + (int64_t)crypto_random_below(RETRY_MAX_US - RETRY_MIN_US));
    }
    ls->fiber = NULL;
    if (ls->freed)
        listener_destroy(ls);
}

static void put_identifier(struct buf *b, const char *name)
{
    buf_put_char(b, '"');
    for (const char *c = name; *c; c++) {
        if (*c == '"')
            buf_put_char(b, '"');
        buf_put_char(b, *c);
    }
    buf_put_char(b, '"');
}

struct pg_listener *pg_listener_new(
    struct loop *l, const char *url, const char *channel, void (*on_notify)(void *ctx), void *ctx)
{
    struct pg_listener *ls = MEM_NEW(struct pg_listener);

    pg_target_init(
        &ls->target, l, &(struct pg_pool_config){.url = url, .application_name = "souk listener"});
    pg_link_init(&ls->link, l, &ls->target);
    ls->link.on_lost = on_lost;
    ls->link.on_notify = on_channel;
    ls->link.ctx = ls;
    buf_put_text(&ls->sql, "LISTEN ");
    put_identifier(&ls->sql, channel);
    ls->on_notify = on_notify;
    ls->ctx = ctx;
    if (fiber_spawn(l, "pg-listener", listener_run, ls, &ls->fiber) < 0)
        log_error("no fiber for the listener", LF_TEXT("server", ls->target.label));
    return ls;
}

void pg_listener_free(struct pg_listener *ls)
{
    if (!ls)
        return;
    ls->freed = true;
    if (ls->fiber)
        fiber_cancel(ls->fiber);
    else
        listener_destroy(ls);
}
