/* The AMQP thread. One turn: take what the loop has put into the mailbox, redial what is due, let
 * the publisher and the puller write into their connections' buffers, send those, hand results to
 * the loop, wait in poll(), read. It waits nowhere else but in wire_dial, whose time is bounded.
 *
 * Each connection is a link: it is up, or it is down until `retry_us`. Retries wait a random time
 * between zero and a limit that doubles from 100 ms to 5 s ("full jitter"), so that a fleet does
 * not come back in step; a link that held for a while starts over at the low end. A channel that
 * the broker closes takes its connection with it: one way to come back is enough. */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/bus/publisher.h"
#include "common/bus/puller.h"

#define TICK_US        USEC_PER_SEC
#define RETRY_FIRST_US (100 * USEC_PER_MS)
#define RETRY_LIMIT_US (5 * USEC_PER_SEC)
#define STEADY_US      (5 * USEC_PER_SEC) /* up for so long: the next failure is a first one */
#define HANG_UP_US     (1500 * USEC_PER_MS)
#define STACK_SIZE     (8 * 1024 * 1024) /* nested header tables are decoded by recursion */

enum { LINK_PUBLISH, LINK_CONSUME, LINK_COUNT };

struct link {
    const char *name;
    struct wire *wire; /* NULL: down */
    int64_t retry_us, up_since_us;
    unsigned attempts;
    bool was_up, more; /* more: frames were left in the library */
};

struct worker {
    struct worker_config config;
    struct wire_address address;
    char *name;
    pthread_t thread;
    struct link links[LINK_COUNT];
    struct publisher publisher;
    struct puller puller;
    struct bus_batch *batch; /* to be handed over */
    uint64_t idle_serial;
    int64_t next_tick_us;
    uint64_t reconnects;
    int64_t last_error_us;
    bool refused; /* the publish channel was closed because of a message */
    char blocked_reason[BUS_REASON_SIZE];
};

/* ---- links ---- */

static int64_t jitter_us(unsigned attempts)
{
    int64_t limit = attempts < 6 ? RETRY_FIRST_US << attempts : RETRY_LIMIT_US;
    uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint64_t)clock_mono_us();
    return (int64_t)(random % (uint64_t)(limit < RETRY_LIMIT_US ? limit : RETRY_LIMIT_US));
}

static void link_schedule(struct worker *w, struct link *l, const char *what, const char *why)
{
    int64_t wait_us = jitter_us(l->attempts++);
    l->retry_us = clock_mono_us() + wait_us;
    w->last_error_us = clock_mono_us();
    if (!atomic_load(&w->config.box->stopping))
        log_warn(what, LF_TEXT("link", l->name), LF_TEXT("why", why), LF_MS("retryInMs", wait_us));
}

static void link_lost(struct worker *w, struct link *l)
{
    char why[256];
    snprintf(why, sizeof(why), "%s", wire_why(l->wire));
    wire_free(l->wire);
    l->wire = NULL;
    l->more = false;
    if (clock_mono_us() - l->up_since_us > STEADY_US)
        l->attempts = 0;
    if (l == &w->links[LINK_PUBLISH]) {
        publisher_lost(&w->publisher, w->refused);
        w->refused = false;
        w->blocked_reason[0] = '\0';
    } else {
        puller_closed(&w->puller);
    }
    link_schedule(w, l, "bus connection lost", why);
}

static void link_dial(struct worker *w, struct link *l)
{
    char why[256] = "", name[128];
    snprintf(name, sizeof(name), "%s:%s", w->name, l->name);
    l->wire = wire_dial(&w->address, name, w->config.heartbeat_s, w->config.box, why, sizeof(why));
    if (l->wire == NULL) {
        link_schedule(w, l, "bus connection failed", why);
        return;
    }
    w->reconnects += l->was_up;
    if (l->was_up)
        log_info("bus connection is back", LF_TEXT("link", l->name));
    l->was_up = true;
    l->up_since_us = clock_mono_us();
    if (l == &w->links[LINK_PUBLISH])
        wire_open_publish(l->wire);
}

/* ---- what the broker says ---- */

static void on_publish_event(void *ctx, const struct wire_event *e)
{
    struct worker *w = ctx;
    switch (e->kind) {
    case WIRE_READY:
        w->publisher.ready = true;
        break;
    case WIRE_ACK:
    case WIRE_NACK:
        publisher_settled(&w->publisher, e->tag, e->multiple, e->kind == WIRE_NACK);
        break;
    case WIRE_RETURN:
        publisher_returned(&w->publisher, e->fingerprint);
        break;
    case WIRE_BLOCKED:
        w->publisher.blocked = true;
        snprintf(w->blocked_reason, sizeof(w->blocked_reason), "%s", e->text);
        log_warn("broker blocks publishing", LF_TEXT("reason", w->blocked_reason));
        break;
    case WIRE_UNBLOCKED:
        w->publisher.blocked = false;
        w->blocked_reason[0] = '\0';
        log_info("broker allows publishing again");
        break;
    case WIRE_CHANNEL_CLOSED:
        w->refused = true;
        break;
    case WIRE_DELIVER:
        mem_free(e->parcel);
        break;
    case WIRE_OVERSIZE:
    case WIRE_CANCELED:
    case WIRE_CONNECTION_CLOSED:
    case WIRE_CLOSE_OK:
        break;
    }
}

static void on_consume_event(void *ctx, const struct wire_event *e)
{
    struct worker *w = ctx;
    struct wire *wire = w->links[LINK_CONSUME].wire;
    switch (e->kind) {
    case WIRE_DELIVER:
        if (puller_deliver(&w->puller, wire, e->parcel) < 0)
            log_error("delivery tag out of order", LF_I64("tag", e->tag));
        break;
    case WIRE_OVERSIZE:
        log_error("delivery too big, dead-lettered", LF_I64("tag", e->tag),
            LF_I64("limit", BUS_BODY_LIMIT));
        puller_refuse(&w->puller, wire, e->tag);
        break;
    case WIRE_CLOSE_OK:
        puller_closed(&w->puller);
        break;
    case WIRE_READY:
    case WIRE_RETURN:
    case WIRE_ACK:
    case WIRE_NACK:
    case WIRE_CANCELED:
    case WIRE_CHANNEL_CLOSED:
    case WIRE_CONNECTION_CLOSED:
    case WIRE_BLOCKED:
    case WIRE_UNBLOCKED:
        break;
    }
}

/* ---- the mailbox ---- */

struct intake {
    struct settlement_list settlements;
    bool batch_done;
    struct bus_batch *batch_back;
    struct consumer_wish wish;
};

static struct intake take_mail(struct worker *w)
{
    struct mailbox *box = w->config.box;
    struct intake in = {0};
    struct bus_job *job;
    uint64_t count;
    pthread_mutex_lock(&box->lock);
    if (box->woken && read(box->wake_fd, &count, sizeof(count)) > 0)
        box->woken = false;
    while ((job = job_queue_pop(&box->submitted)))
        job_queue_push(&w->publisher.pending, job);
    in.settlements = box->settlements;
    box->settlements = (struct settlement_list){0};
    in.batch_done = box->batch_done;
    box->batch_done = false;
    in.batch_back = box->batch_back;
    box->batch_back = NULL;
    in.wish = box->wish;
    pthread_mutex_unlock(&box->lock);
    return in;
}

static void obey_mail(struct worker *w)
{
    struct intake in = take_mail(w);
    for (size_t i = 0; i < in.settlements.count; i++)
        puller_settle(&w->puller, w->links[LINK_CONSUME].wire, &in.settlements.items[i]);
    mem_free(in.settlements.items);
    if (in.batch_done)
        puller_batch_done(&w->puller);
    if (in.batch_back)
        puller_batch_back(&w->puller, in.batch_back);
    puller_wish(&w->puller, &in.wish);
}

static struct bus_state state_now(const struct worker *w)
{
    const struct publisher *p = &w->publisher;
    return (struct bus_state){
        .publish_connected = p->ready,
        .consume_connected = w->links[LINK_CONSUME].wire != NULL,
        .blocked = p->blocked,
        .published = p->published,
        .confirmed = p->confirmed,
        .returned = p->returned,
        .nacked = p->nacked,
        .delivered = w->puller.delivered,
        .reconnects = w->reconnects,
        .last_error_us = w->last_error_us,
    };
}

/* Gives the loop what there is, with at most one call for all of it. */
static void post_mail(struct worker *w)
{
    struct mailbox *box = w->config.box;
    struct bus_job *job;
    uint64_t idle = puller_idle(&w->puller) ? w->puller.wish.serial : w->idle_serial;
    bool news = w->publisher.finished.head || w->batch || idle != w->idle_serial;
    w->idle_serial = idle;
    pthread_mutex_lock(&box->lock);
    while ((job = job_queue_pop(&w->publisher.finished)))
        job_queue_push(&box->finished, job);
    if (w->batch)
        box->batch = w->batch;
    w->batch = NULL;
    box->idle_serial = idle;
    box->state = state_now(w);
    box->publish_stale_us = wire_stale_us(w->links[LINK_PUBLISH].wire);
    box->consume_stale_us = wire_stale_us(w->links[LINK_CONSUME].wire);
    memcpy(box->blocked_reason, w->blocked_reason, sizeof(box->blocked_reason));
    bool notify = news && !box->posted;
    box->posted |= notify;
    pthread_mutex_unlock(&box->lock);
    if (notify)
        w->config.notify(w->config.ctx);
}

/* ---- the turn ---- */

static void redial(struct worker *w)
{
    for (int i = 0; i < LINK_COUNT; i++) {
        struct link *l = &w->links[i];
        if (l->wire == NULL && clock_mono_us() >= l->retry_us)
            link_dial(w, l);
    }
}

static void work(struct worker *w)
{
    struct wire *publish = w->links[LINK_PUBLISH].wire, *consume = w->links[LINK_CONSUME].wire;
    if (publish && !wire_is_stale(publish))
        publisher_fill(&w->publisher, publish);
    if (consume)
        puller_step(&w->puller, consume);
    if (w->batch == NULL)
        w->batch = puller_batch(&w->puller);
    for (int i = 0; i < LINK_COUNT; i++)
        if (w->links[i].wire && wire_flush(w->links[i].wire) < 0)
            link_lost(w, &w->links[i]);
}

static void tick(struct worker *w)
{
    if (clock_mono_us() < w->next_tick_us)
        return;
    w->next_tick_us = clock_mono_us() + TICK_US;
    for (int i = 0; i < LINK_COUNT; i++)
        if (w->links[i].wire && wire_tick(w->links[i].wire) < 0)
            link_lost(w, &w->links[i]);
    publisher_purge(&w->publisher);
}

static int wait_ms(const struct worker *w)
{
    int64_t until = w->next_tick_us, now = clock_mono_us();
    for (int i = 0; i < LINK_COUNT; i++) {
        if (w->links[i].more)
            return 0;
        if (w->links[i].wire == NULL && w->links[i].retry_us < until)
            until = w->links[i].retry_us;
    }
    if (puller_hand_after_us(&w->puller) < until)
        until = puller_hand_after_us(&w->puller);
    return until > now ? (int)((until - now) / USEC_PER_MS) + 1 : 0;
}

static void wait_and_read(struct worker *w)
{
    struct pollfd fds[1 + LINK_COUNT] = {{.fd = w->config.box->wake_fd, .events = POLLIN}};
    for (int i = 0; i < LINK_COUNT; i++) {
        const struct wire *wire = w->links[i].wire;
        fds[1 + i] = (struct pollfd){.fd = wire ? wire_fd(wire) : -1, .events = POLLIN};
        if (wire && wire_has_output(wire))
            fds[1 + i].events |= POLLOUT;
    }
    poll(fds, ARRAY_SIZE(fds), wait_ms(w));
    for (int i = 0; i < LINK_COUNT; i++) {
        struct link *l = &w->links[i];
        if (l->wire == NULL || !(l->more || fds[1 + i].revents & (POLLIN | POLLHUP | POLLERR)))
            continue;
        int r = wire_read(l->wire, i == LINK_PUBLISH ? on_publish_event : on_consume_event, w);
        l->more = r == 1;
        if (r < 0)
            link_lost(w, l);
    }
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    pthread_setname_np(pthread_self(), "amqp");
    while (!atomic_load(&w->config.box->stopping)) {
        obey_mail(w);
        redial(w);
        work(w);
        post_mail(w);
        wait_and_read(w);
        tick(w);
    }
    obey_mail(w);
    work(w);
    int64_t deadline_us = clock_mono_us() + HANG_UP_US;
    for (int i = 0; i < LINK_COUNT; i++) {
        if (w->links[i].wire)
            wire_hang_up(w->links[i].wire, deadline_us);
        wire_free(w->links[i].wire);
        w->links[i].wire = NULL; /* worker_free() looks at it once more */
    }
    return NULL;
}

struct worker *worker_new(const struct worker_config *config)
{
    struct wire_address address;
    if (wire_address_parse(config->url, &address) < 0)
        return NULL;
    struct worker *w = MEM_NEW(struct worker);
    w->config = *config;
    w->address = address;
    w->name = mem_strdup(config->name);
    w->links[LINK_PUBLISH].name = "publish";
    w->links[LINK_CONSUME].name = "consume";
    publisher_init(&w->publisher, config->window_messages, config->window_bytes);
    puller_init(&w->puller, w->name);

    pthread_attr_t attr;
    sigset_t all, old;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* signals are the state thread's */
    int r = pthread_create(&w->thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        log_error("cannot start the AMQP thread", LF_I64("errno", r));
        abort();
    }
    return w;
}

const char *worker_user(const struct worker *w)
{
    return w->address.user;
}

void worker_free(struct worker *w)
{
    pthread_join(w->thread, NULL);
    publisher_deinit(&w->publisher);
    post_mail(w);
    mem_free(w->batch);
    puller_deinit(&w->puller);
    wire_address_deinit(&w->address);
    mem_free(w->name);
    mem_free(w);
}
