/* Publishing with confirms. Tags count from 1 per channel and live in a ring as wide as the window,
 * so a tag finds its job by one division and the window can't be overrun: the oldest open tag holds
 * the ring's end. A job ends exactly once: by ack, nack, the loss of the channel (nobody knows what
 * became of it) or, before it was sent, by its deadline.
 *
 * When the broker closes the channel because of a message (no right to publish it, no such
 * exchange), it does not say which. With one open message that is clear. With more, all are unknown
 * and as many of the next ones are sent one at a time: the offender then stands alone. */

#include "common/bus/publisher.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

void job_queue_push(struct job_queue *q, struct bus_job *job)
{
    job->next = NULL;
    if (q->tail)
        q->tail->next = job;
    else
        q->head = job;
    q->tail = job;
}

struct bus_job *job_queue_pop(struct job_queue *q)
{
    struct bus_job *job = q->head;
    if (job) {
        q->head = job->next;
        if (q->head == NULL)
            q->tail = NULL;
    }
    return job;
}

static void restart_tags(struct publisher *p)
{
    p->lowest = p->next_tag = 1;
    p->open_count = 0;
    p->open_bytes = 0;
    p->ready = p->blocked = false;
}

void publisher_init(struct publisher *p, unsigned window, size_t window_bytes)
{
    *p = (struct publisher){.window = window, .window_bytes = window_bytes};
    p->open = mem_array(window, sizeof(struct bus_job *));
    restart_tags(p);
}

void publisher_deinit(struct publisher *p)
{
    struct bus_job *job;
    publisher_lost(p, false);
    while ((job = job_queue_pop(&p->pending))) {
        job->result = ERR_UNKNOWN;
        job_queue_push(&p->finished, job);
    }
    mem_free(p->open);
}

static void finish(struct publisher *p, struct bus_job *job, int result)
{
    job->result = result;
    job_queue_push(&p->finished, job);
}

static bool unwanted(const struct bus_job *job, int64_t now)
{
    return now >= job->deadline_us || atomic_load(&job->call->abandoned);
}

static bool window_has_room(const struct publisher *p, size_t len)
{
    unsigned limit = p->careful > 0 ? 1 : p->window;
    if (p->next_tag - p->lowest >= limit)
        return false;
    return p->open_count == 0 || p->open_bytes + len <= p->window_bytes;
}

void publisher_fill(struct publisher *p, struct wire *w)
{
    int64_t now = clock_mono_us();
    while (p->ready && !p->blocked && p->pending.head) {
        struct bus_job *job = p->pending.head;
        if (unwanted(job, now)) {
            finish(p, job_queue_pop(&p->pending), ERR_TIMEOUT);
            continue;
        }
        if (!window_has_room(p, job->len))
            return;
        (void)job_queue_pop(&p->pending);
        wire_put(w, job->frames, job->len);
        p->open[p->next_tag++ % p->window] = job;
        p->open_count++;
        p->open_bytes += job->len;
        p->published++;
    }
}

void publisher_purge(struct publisher *p)
{
    int64_t now = clock_mono_us();
    struct job_queue kept = {0};
    struct bus_job *job;
    while ((job = job_queue_pop(&p->pending))) {
        if (unwanted(job, now))
            finish(p, job, ERR_TIMEOUT);
        else
            job_queue_push(&kept, job);
    }
    p->pending = kept;
}

static void settle_one(struct publisher *p, uint64_t tag, bool nacked)
{
    struct bus_job *job = p->open[tag % p->window];
    if (job == NULL)
        return;
    p->open[tag % p->window] = NULL;
    p->open_count--;
    p->open_bytes -= job->len;
    p->careful -= p->careful > 0;
    if (nacked)
        p->nacked++;
    else if (job->returned)
        p->returned++;
    else
        p->confirmed++;
    finish(p, job, nacked ? BUS_NACKED : job->returned ? BUS_RETURNED : 0);
}

void publisher_settled(struct publisher *p, uint64_t tag, bool multiple, bool nacked)
{
    if (multiple && tag == 0)
        tag = p->next_tag - 1;
    if (tag < p->lowest || tag >= p->next_tag)
        return;
    for (uint64_t t = multiple ? p->lowest : tag; t <= tag; t++)
        settle_one(p, t, nacked);
    while (p->lowest < p->next_tag && p->open[p->lowest % p->window] == NULL)
        p->lowest++;
}

void publisher_returned(struct publisher *p, uint64_t fingerprint)
{
    for (uint64_t t = p->lowest; t < p->next_tag; t++) {
        struct bus_job *job = p->open[t % p->window];
        if (job && !job->returned && job->fingerprint == fingerprint) {
            job->returned = true;
            return;
        }
    }
}

void publisher_lost(struct publisher *p, bool refused)
{
    bool culprit_known = refused && p->open_count == 1;
    if (refused && !culprit_known)
        p->careful = p->open_count;
    else if (culprit_known)
        p->careful -= p->careful > 0;
    for (uint64_t t = p->lowest; t < p->next_tag; t++) {
        struct bus_job *job = p->open[t % p->window];
        p->open[t % p->window] = NULL;
        if (job)
            finish(p, job, culprit_known ? ERR_PROTOCOL : ERR_UNKNOWN);
    }
    restart_tags(p);
}
