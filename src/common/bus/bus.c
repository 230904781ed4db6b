/* The loop's half of publishing. A fiber's messages are encoded here, on the loop, into jobs that
 * own all their bytes: whatever becomes of the fiber, the AMQP thread never looks at its memory. A
 * call keeps at most a window's worth of jobs outstanding and tops them up as results come, so ten
 * thousand messages neither fill the heap nor hold up the loop.
 *
 * A caller that gives up leaves its call object behind; the last of its jobs to come back frees it.
 */

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/bus/private.h"
#include "common/bus/wire.h"

#define HEARTBEAT_S     10
#define WINDOW_MESSAGES 256
#define WINDOW_BYTES    (256 * 1024)
#define NO_RESULT       INT_MIN

const struct bus_header *bus_header_get(const struct bus_message *m, const char *name)
{
    for (size_t i = 0; i < m->headers_count; i++)
        if (strcmp(m->headers[i].name, name) == 0)
            return &m->headers[i];
    return NULL;
}

/* ---- life ---- */

void mailbox_wake(struct mailbox *box)
{
    if (!box->woken)
        box->woken = write(box->wake_fd, &(uint64_t){1}, sizeof(uint64_t)) == sizeof(uint64_t);
}

static void on_mail(void *arg);

static void notify_loop(void *ctx)
{
    struct bus *b = ctx;
    loop_post(b->loop, on_mail, b);
}

static struct mailbox *mailbox_new(void)
{
    struct mailbox *box = MEM_NEW(struct mailbox);
    pthread_mutex_init(&box->lock, NULL);
    box->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    box->dialing_fd = -1;
    return box;
}

static void mailbox_free(struct mailbox *box)
{
    close(box->wake_fd);
    pthread_mutex_destroy(&box->lock);
    mem_free(box->settlements.items);
    mem_free(box);
}

struct bus *bus_new(struct loop *l, const struct bus_config *config)
{
    struct bus *b = MEM_NEW(struct bus);
    b->loop = l;
    b->box = mailbox_new();
    b->window_messages =
        config->publish_window_messages ? config->publish_window_messages : WINDOW_MESSAGES;
    b->window_bytes = config->publish_window_bytes ? config->publish_window_bytes : WINDOW_BYTES;
    b->blocked_reason = mem_alloc(BUS_REASON_SIZE);
    b->worker = worker_new(&(struct worker_config){
        .url = config->url,
        .name = config->name ? config->name : "souk",
        .heartbeat_s = config->heartbeat_s ? config->heartbeat_s : HEARTBEAT_S,
        .window_messages = b->window_messages,
        .window_bytes = b->window_bytes,
        .box = b->box,
        .notify = notify_loop,
        .ctx = b,
    });
    if (b->worker)
        return b;
    mem_free(b->blocked_reason);
    mailbox_free(b->box);
    mem_free(b);
    return NULL;
}

static void bus_destroy(struct bus *b)
{
    consumer_free(b->consumer);
    mailbox_free(b->box);
    buf_deinit(&b->scratch);
    mem_free(b->blocked_reason);
    mem_free(b);
}

static void finish_jobs(struct bus *b, struct job_queue finished);

void bus_free(struct bus *b)
{
    if (b == NULL)
        return;
    assert(b->calls == 0 && "somebody is still publishing");
    struct mailbox *box = b->box;
    pthread_mutex_lock(&box->lock);
    atomic_store(&box->stopping, true);
    mailbox_wake(box);
    if (box->dialing_fd >= 0)
        shutdown(box->dialing_fd, SHUT_RDWR);
    pthread_mutex_unlock(&box->lock);
    worker_free(b->worker); /* joins: from here on the mailbox is ours alone */

    struct job_queue late = box->submitted;
    finish_jobs(b, box->finished);
    finish_jobs(b, late);
    box->finished = box->submitted = (struct job_queue){0};
    batch_free(box->batch);
    batch_free(box->batch_back);
    box->batch = box->batch_back = NULL;
    b->orphan = box->posted;
    if (!b->orphan)
        bus_destroy(b);
}

const char *bus_user(const struct bus *b)
{
    return worker_user(b->worker);
}

struct bus_state bus_state(const struct bus *b)
{
    struct mailbox *box = b->box;
    pthread_mutex_lock(&box->lock);
    struct bus_state state = box->state;
    /* The thread may be busy with the other link's login, which a frozen broker never answers. */
    int64_t now = clock_mono_us();
    state.publish_connected = state.publish_connected && now <= box->publish_stale_us;
    state.consume_connected = state.consume_connected && now <= box->consume_stale_us;
    memcpy(b->blocked_reason, box->blocked_reason, BUS_REASON_SIZE);
    pthread_mutex_unlock(&box->lock);
    state.blocked_reason = b->blocked_reason;
    return state;
}

/* ---- results ---- */

static void finish_jobs(struct bus *b, struct job_queue finished)
{
    struct bus_job *job;
    while ((job = job_queue_pop(&finished))) {
        struct publish_call *call = job->call;
        call->outstanding--;
        call->outstanding_bytes -= job->len;
        if (!atomic_load(&call->abandoned)) {
            call->results[job->index] = job->result;
            fiber_signal_all(&call->progress);
        } else if (call->outstanding == 0) {
            mem_free(call);
        }
        mem_free(job);
    }
}

/* What the AMQP thread has put into the mailbox; one call for all of it. */
static void on_mail(void *arg)
{
    struct bus *b = arg;
    struct mailbox *box = b->box;
    if (b->orphan) {
        bus_destroy(b);
        return;
    }
    pthread_mutex_lock(&box->lock);
    struct job_queue finished = box->finished;
    struct bus_batch *batch = box->batch;
    uint64_t idle_serial = box->idle_serial;
    box->finished = (struct job_queue){0};
    box->batch = NULL;
    box->posted = false;
    pthread_mutex_unlock(&box->lock);

    finish_jobs(b, finished);
    if (batch)
        consumer_start_batch(b->consumer, batch);
    if (b->consumer)
        consumer_became_idle(b->consumer, idle_serial);
}

/* ---- publishing ---- */

static struct bus_job *job_new(struct bus *b, const struct bus_message *m, int *ret_error)
{
    buf_reset(&b->scratch);
    int r = encode_publish(m, worker_user(b->worker), &b->scratch);
    if (r < 0) {
        *ret_error = r;
        return NULL;
    }
    struct bus_job *job = mem_alloc(sizeof(*job) + b->scratch.len);
    job->len = b->scratch.len;
    memcpy(job->frames, b->scratch.ptr, job->len);
    job->fingerprint =
        message_fingerprint(span_of(m->exchange), span_of(m->routing_key), span_of(m->message_id));
    return job;
}

struct submission {
    const struct bus_message *messages;
    size_t count, next;
    int64_t deadline_us;
};

/* Encodes and submits as many of the call's messages as its share of the window allows. */
static void submit_some(struct bus *b, struct publish_call *call, struct submission *s)
{
    struct job_queue jobs = {0};
    while (s->next < s->count && call->outstanding < b->window_messages &&
           (call->outstanding == 0 || call->outstanding_bytes < b->window_bytes)) {
        size_t i = s->next++;
        struct bus_job *job = job_new(b, &s->messages[i], &call->results[i]);
        if (job == NULL)
            continue;
        job->call = call;
        job->index = i;
        job->deadline_us = s->deadline_us;
        call->outstanding++;
        call->outstanding_bytes += job->len;
        job_queue_push(&jobs, job);
    }
    if (jobs.head == NULL)
        return;
    pthread_mutex_lock(&b->box->lock);
    struct bus_job *job;
    while ((job = job_queue_pop(&jobs)))
        job_queue_push(&b->box->submitted, job);
    mailbox_wake(b->box);
    pthread_mutex_unlock(&b->box->lock);
}

static int first_negative(const int *results, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (results[i] < 0)
            return ERR(results[i]);
    return 0;
}

/* Ends the call: unfinished messages get the reason; the jobs that are out free it later. */
static void abandon(struct publish_call *call, int *results, size_t count, int reason)
{
    for (size_t i = 0; i < count; i++)
        if (results[i] == NO_RESULT)
            results[i] = reason;
    call->results = NULL;
    atomic_store(&call->abandoned, true);
}

int bus_publish(struct bus *b, const struct bus_message *messages, size_t count, int *results,
    int64_t deadline_us)
{
    assert(results != NULL || count == 0);
    int64_t ambient_us = fiber_deadline();
    struct submission s = {.messages = messages,
        .count = count,
        .deadline_us = ambient_us < deadline_us ? ambient_us : deadline_us};
    struct publish_call *call = MEM_NEW(struct publish_call);
    call->results = results;
    for (size_t i = 0; i < count; i++)
        results[i] = NO_RESULT;
    int r = 0;
    b->calls++;
    while (r == 0) {
        submit_some(b, call, &s);
        if (call->outstanding == 0)
            break;
        r = fiber_signal_wait(&call->progress, "publish confirms", deadline_us);
    }
    b->calls--;
    abandon(call, results, count, r);
    if (call->outstanding == 0)
        mem_free(call);
    return first_negative(results, count);
}
