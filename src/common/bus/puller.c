/* Consuming. The channel's tags run from 1 without a gap, so a ring of marks says what became of
 * each: open, to be acked, settled at the broker. Acks wait until the commands at hand are worked
 * off; the run of acked tags at the low end then goes out as one ack(multiple), and only stragglers
 * behind an open tag are acked alone. A nack goes out at once and so always precedes the
 * ack(multiple) that passes over it.
 *
 * At most `prefetch` tags are unsettled, and while one batch is out hardly any but its own can be
 * settled, so the known tags span about prefetch + batch.
 *
 * A batch costs its consumer a transaction, whatever its size. So what is there waits for company
 * until the consumer has been idle for GATHER_SHARE times as long as the last batch took it, within
 * bounds, or until the batch is full. After a quiet moment nothing waits; on a machine that is busy
 * a batch takes longer, so that the next one holds more. Whose events nobody waits for may ask for
 * longer pauses. Who shares the queue gets a part of its events, and waits longer within the
 * bounds.
 *
 * Pausing cancels, waits for the batch that is out, sends its acks, and closes the channel, which
 * gives back what was not handed out. (Giving that back one by one, at once, lost acks: with so
 * many commands under way 3.10.8's channel keeps the next ones to itself, and forgets them when it
 * is closed.) Consuming again takes a fresh channel. (RabbitMQ 3.10.8 fails a channel on which a
 * consumer of a quorum queue is cancelled and registered again while deliveries are in flight.)
 *
 * A queue that is deleted under us ends the consumer with basic.cancel, and we come back for it.
 * One that is deleted and declared again in the same moment does not: 3.10.8 then moves the
 * consumer over without a word and delivers nothing. Nothing can be seen of that from here. */

#include "common/bus/puller.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

enum mark { MARK_OPEN, MARK_ACK, MARK_SETTLED };

#define HAND_AGAIN_US (200 * USEC_PER_MS)
#define GATHER_SHARE  4
#define GATHER_MIN_US (25 * USEC_PER_MS)
#define GATHER_MAX_US (60 * USEC_PER_MS)

void puller_init(struct puller *p, const char *tag)
{
    *p = (struct puller){.tag = tag, .lowest = 1, .next_tag = 1};
}

static void drop_ready(struct puller *p)
{
    while (p->ready_head) {
        struct bus_parcel *parcel = p->ready_head;
        p->ready_head = parcel->next;
        mem_free(parcel);
    }
    p->ready_tail = NULL;
    p->ready_count = 0;
}

void puller_deinit(struct puller *p)
{
    drop_ready(p);
    mem_free(p->marks);
}

void puller_wish(struct puller *p, const struct consumer_wish *wish)
{
    p->wish = *wish;
    if (p->marks == NULL && wish->queue) {
        p->marks_count = wish->prefetch + wish->batch_limit + 1;
        p->marks = mem_array(p->marks_count, sizeof(*p->marks));
    }
}

static uint8_t *mark_of(struct puller *p, uint64_t tag)
{
    return &p->marks[tag % p->marks_count];
}

/* Makes the next tag known. The ring grows when many tags were settled at once (refused ones) while
 * an old one is still open. */
static void add_tag(struct puller *p, enum mark mark)
{
    uint64_t tag = p->next_tag++;
    if (tag - p->lowest >= p->marks_count) {
        size_t count = 2 * p->marks_count;
        uint8_t *marks = mem_array(count, sizeof(*marks));
        for (uint64_t t = p->lowest; t < tag; t++)
            marks[t % count] = *mark_of(p, t);
        mem_free(p->marks);
        p->marks = marks;
        p->marks_count = count;
    }
    *mark_of(p, tag) = (uint8_t)mark;
}

static void requeue(struct puller *p, struct wire *w, uint64_t tag)
{
    wire_nack(w, tag, true);
    *mark_of(p, tag) = MARK_SETTLED;
}

static void flush_acks(struct puller *p, struct wire *w)
{
    uint64_t last = 0;
    unsigned run = 0;
    for (; p->lowest < p->next_tag && *mark_of(p, p->lowest) != MARK_OPEN; p->lowest++)
        if (*mark_of(p, p->lowest) == MARK_ACK) {
            last = p->lowest;
            run++;
        }
    if (run > 0)
        wire_ack(w, last, run > 1);
    for (uint64_t t = p->lowest; t < p->next_tag; t++)
        if (*mark_of(p, t) == MARK_ACK) {
            wire_ack(w, t, false);
            *mark_of(p, t) = MARK_SETTLED;
        }
}

static void drain(struct puller *p, struct wire *w)
{
    wire_cancel(w, p->tag);
    drop_ready(p);
    p->channel = PULLER_DRAINING;
}

void puller_step(struct puller *p, struct wire *w)
{
    bool wanted = p->wish.queue && p->wish.run;
    if (p->channel == PULLER_NONE && wanted) {
        p->generation = (p->generation + 1) & TAG_GENERATIONS_MASK;
        wire_open_consume(w, p->wish.queue, p->tag, p->wish.prefetch);
        p->channel = PULLER_OPEN;
    }
    if (p->channel == PULLER_OPEN && !wanted)
        drain(p, w);
    if (p->channel == PULLER_OPEN || p->channel == PULLER_DRAINING)
        flush_acks(p, w);
    if (p->channel == PULLER_DRAINING && !p->batch_out) {
        wire_close_channel(w);
        p->channel = PULLER_CLOSING;
    }
}

bool puller_idle(const struct puller *p)
{
    return p->channel == PULLER_NONE && !p->batch_out && !p->wish.run;
}

int puller_deliver(struct puller *p, struct wire *w, struct bus_parcel *parcel)
{
    uint64_t tag = parcel->message.tag;
    if (p->channel == PULLER_NONE || p->channel == PULLER_CLOSING) {
        mem_free(parcel); /* closing the channel gives it back */
        return 0;
    }
    if (tag != p->next_tag) {
        mem_free(parcel);
        return ERR_PROTOCOL;
    }
    add_tag(p, MARK_OPEN);
    if (p->channel == PULLER_DRAINING) {
        mem_free(parcel);
        return 0;
    }
    parcel->next = NULL;
    if (p->ready_tail)
        p->ready_tail->next = parcel;
    else
        p->ready_head = parcel;
    p->ready_tail = parcel;
    p->ready_count++;
    return 0;
}

void puller_refuse(struct puller *p, struct wire *w, uint64_t tag)
{
    if (p->channel != PULLER_OPEN && p->channel != PULLER_DRAINING)
        return;
    if (tag != p->next_tag)
        return;
    wire_nack(w, tag, false);
    add_tag(p, MARK_SETTLED);
}

void puller_settle(struct puller *p, struct wire *w, const struct settlement *s)
{
    uint64_t tag = TAG_NUMBER(s->tag);
    if (w == NULL || TAG_GENERATION(s->tag) != p->generation ||
        (p->channel != PULLER_OPEN && p->channel != PULLER_DRAINING))
        return;
    if (tag < p->lowest || tag >= p->next_tag || *mark_of(p, tag) != MARK_OPEN)
        return;
    if (s->requeue)
        requeue(p, w, tag);
    else
        *mark_of(p, tag) = MARK_ACK;
}

int64_t puller_hand_after_us(const struct puller *p)
{
    if (p->batch_out || p->ready_head == NULL)
        return USEC_NEVER;
    int64_t gathered_us = p->ready_count < p->wish.batch_limit ? p->gather_until_us : 0;
    return gathered_us > p->hand_after_us ? gathered_us : p->hand_after_us;
}

void puller_batch_done(struct puller *p)
{
    int64_t took_us = clock_mono_us() - p->handed_us;
    int64_t least_us = usec_clamp(p->wish.sharers * GATHER_MIN_US, 0, GATHER_MAX_US);
    int64_t gather_us = usec_clamp(GATHER_SHARE * took_us, least_us, GATHER_MAX_US);
    p->gather_until_us =
        p->handed_us + (gather_us < p->wish.gather_us ? p->wish.gather_us : gather_us);
    p->batch_out = false;
}

/* The next batch: what is there, but a suspect goes alone. */
struct bus_batch *puller_batch(struct puller *p)
{
    int64_t now = clock_mono_us();
    if (now < puller_hand_after_us(p))
        return NULL;
    p->handed_us = now;
    size_t n = 1;
    if (p->ready_head->message.delivery_count < BUS_SUSPECT_COUNT)
        for (const struct bus_parcel *r = p->ready_head->next;
             r && n < p->wish.batch_limit && r->message.delivery_count < BUS_SUSPECT_COUNT;
             r = r->next)
            n++;
    struct bus_batch *batch = mem_alloc(sizeof(*batch) + n * sizeof(batch->parcels[0]));
    for (; batch->count < n; batch->count++) {
        struct bus_parcel *parcel = p->ready_head;
        p->ready_head = parcel->next;
        parcel->message.tag = TAG_MAKE(p->generation, parcel->message.tag);
        batch->parcels[batch->count] = parcel;
    }
    if (p->ready_head == NULL)
        p->ready_tail = NULL;
    p->ready_count -= n;
    p->delivered += n;
    p->batch_out = true;
    return batch;
}

/* No fiber could be had for it: it is the next batch again, a little later, if its channel still
 * lives. */
void puller_batch_back(struct puller *p, struct bus_batch *batch)
{
    p->batch_out = false;
    p->delivered -= batch->count;
    p->hand_after_us = clock_mono_us() + HAND_AGAIN_US;
    for (size_t i = batch->count; i-- > 0;) {
        struct bus_parcel *parcel = batch->parcels[i];
        if (p->channel != PULLER_OPEN || TAG_GENERATION(parcel->message.tag) != p->generation) {
            mem_free(parcel);
            continue;
        }
        parcel->message.tag = TAG_NUMBER(parcel->message.tag);
        parcel->next = p->ready_head;
        p->ready_head = parcel;
        p->ready_count++;
        if (p->ready_tail == NULL)
            p->ready_tail = parcel;
    }
    mem_free(batch);
}

void puller_closed(struct puller *p)
{
    drop_ready(p);
    p->channel = PULLER_NONE;
    p->lowest = p->next_tag = 1;
}
