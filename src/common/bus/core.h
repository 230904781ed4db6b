#pragma once

/* What the loop's half and the AMQP thread's half of this room share. The mailbox is the only
 * memory that both touch, and only under its lock; everything else here has exactly one owner at a
 * time and changes hands through the mailbox. */

#include <pthread.h>
#include <stdatomic.h>

#include "common/bus/bus.h"
#include "common/fiber/sync.h"

#define BUS_FRAME_MAX   32768 /* also the broker's: a bigger sender would break its consumers */
#define BUS_TEXT_LIMIT  4096  /* of one header */
#define BUS_REASON_SIZE 128

/* A message on its way out: whole frames, ready for the socket. Loop -> thread -> loop. */
struct publish_call;
struct bus_job {
    struct bus_job *next;
    struct publish_call *call; /* the loop's, except for its `abandoned` */
    size_t index;
    int64_t deadline_us;
    uint64_t fingerprint; /* what a basic.return is matched by */
    bool returned;
    int result;
    size_t len;
    char frames[];
};

struct publish_call {
    atomic_bool abandoned; /* the caller has given up: do not send what is not sent yet */
    int *results;          /* the caller's; this and the rest is the loop's alone */
    size_t outstanding, outstanding_bytes;
    struct fiber_signal progress;
};

struct job_queue {
    struct bus_job *head, *tail;
};
void job_queue_push(struct job_queue *q, struct bus_job *job);
struct bus_job *job_queue_pop(struct job_queue *q);

/* A message that came in: one block with all its text and its body. Thread -> loop. */
struct bus_parcel {
    struct bus_parcel *next;
    struct bus_message message;
    bool settled; /* by the batch's handler */
    size_t body_filled;
    char *body;
    char bytes[];
};

struct bus_batch {
    size_t count;
    struct bus_parcel *parcels[];
};

/* Delivery tags outside of the AMQP thread carry the channel's generation, so that a tag of a
 * channel that is gone can never settle a delivery of its successor. */
#define TAG_BITS              48
#define TAG_GENERATION(tag)   ((tag) >> TAG_BITS)
#define TAG_NUMBER(tag)       ((tag) & ((UINT64_C(1) << TAG_BITS) - 1))
#define TAG_MAKE(gen, number) (((uint64_t)(gen) << TAG_BITS) | (number))
#define TAG_GENERATIONS_MASK  UINT64_C(0xffff)

struct settlement {
    uint64_t tag;
    bool requeue;
};

struct settlement_list {
    struct settlement *items;
    size_t count, capacity;
};

struct consumer_wish {
    const char *queue; /* NULL: nobody consumes */
    unsigned prefetch, batch_limit, sharers;
    int64_t gather_us;
    bool run;        /* false: paused or stopped */
    uint64_t serial; /* of the last change */
};

struct mailbox {
    pthread_mutex_t lock;
    int wake_fd;
    bool woken;

    /* to the thread */
    atomic_bool stopping;
    struct job_queue submitted;
    struct settlement_list settlements;
    bool batch_done;              /* after the settlements before it */
    struct bus_batch *batch_back; /* could not be started */
    struct consumer_wish wish;
    int dialing_fd; /* -1, or a socket that bus_free may shut down to cut a login short */

    /* to the loop */
    bool posted;
    struct job_queue finished;
    struct bus_batch *batch;
    uint64_t idle_serial; /* nothing is consumed or held since this wish */
    struct bus_state state;
    int64_t publish_stale_us, consume_stale_us; /* when its word on them is too old */
    char blocked_reason[BUS_REASON_SIZE];
};
void mailbox_wake(struct mailbox *box); /* with the lock held */

/* The AMQP thread: worker.c. `notify` is called on it when there is something for the loop. */
struct worker_config {
    const char *url, *name;
    unsigned heartbeat_s;
    unsigned window_messages;
    size_t window_bytes;
    struct mailbox *box;
    void (*notify)(void *ctx);
    void *ctx;
};
struct worker;
struct worker *worker_new(const struct worker_config *config); /* NULL: the url is no AMQP url */
const char *worker_user(const struct worker *w);
void worker_free(struct worker *w); /* the mailbox says stopping; joins */
