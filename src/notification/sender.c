/* The way out. A tick claims what is due, a handful at a time, and sends it by a few fibers at
 * once; how each message went is written down at once. Claims skip what another process has
 * claimed. A claim is a lease: when the process dies between the mail server's yes and our note of
 * it, the message goes out again after the lease, under the same Message-ID. The lease is longer
 * than the handful can take: LIMIT / FIBERS rounds of the channel's time limit. */

#include "common/app/metrics.h"
#include "common/fiber/sync.h"
#include "notification/notification.h"

#define POLL_US     (400 * USEC_PER_MS)
#define LEASE_US    (30 * USEC_PER_SEC)
#define CLAIM_LIMIT 16
#define FIBERS      8

static struct metric deliveries_total = {.name = "souk_deliveries_total",
    .help = "Attempts to deliver a message, by how they ended.",
    .labels = "channel,result"};
static struct metric delivery_seconds = {.name = "souk_delivery_seconds",
    .help = "From the event's handling to the message's hand-over.",
    .kind = METRIC_HISTOGRAM,
    .labels = "channel"};

struct handful {
    struct list deliveries;
    size_t next;
};

/* A message that went out, until that is written down. While one write is under way, whatever else
 * goes out gathers for the next: a commit for each would cost more than the writing. Notes lie on
 * the stacks of fibers that wait for them. */
struct note {
    struct note *next;
    const char *id;
    struct latch written;
};
static struct note *notes;
static bool writing;

static void notes_write(struct note *list)
{
    struct buf ids = {0};
    for (const struct note *n = list; n; n = n->next)
        pg_array_put(&ids, n->id);
    int r = store_sent(pg_array_text(&ids));
    while (list) {
        struct note *next = list->next; /* the note is gone with its latch */
        latch_set(&list->written, r);
        list = next;
    }
}

static int note_down(const char *id)
{
    struct note mine = {.next = notes, .id = id};
    int r = 0;
    notes = &mine;
    struct fiber_shield shield = fiber_shield_begin(USEC_NEVER);
    if (!writing) {
        writing = true;
        while (notes) {
            struct note *list = notes;
            notes = NULL;
            notes_write(list);
        }
        writing = false;
    }
    (void)latch_wait(&mine.written, "the note of a message", USEC_NEVER, &r);
    fiber_shield_end(shield);
    return r < 0 ? ERR(r) : r;
}

static int note_sent(const struct delivery *d)
{
    FAULT("mail_after_send");
    metric_add(&deliveries_total, 1, d->channel, "sent");
    metric_observe_us(&delivery_seconds, clock_wall_us() - d->created_at, d->channel);
    return note_down(d->id);
}

static int note_not_sent(const struct delivery *d, enum delivery_fate fate, const char *why)
{
    bool again = fate == DELIVERY_AGAIN;
    metric_add(&deliveries_total, 1, d->channel, again ? "retried" : "failed");
    log_warn("message not delivered", LF_TEXT("deliveryId", d->id), LF_TEXT("channel", d->channel),
        LF_TEXT("template", d->template), LF_I64("attempt", d->attempts), LF_BOOL("again", again),
        LF_TEXT("why", why));
    return store_not_sent(d, again ? delivery_pause_us(d->attempts) : -1, why);
}

/* A message whose sender died in every attempt is given up as well. */
static int deliver(const struct delivery *d)
{
    const char *why = "every attempt was cut short";
    int r = ERR_UNKNOWN;
    if (d->attempts <= DELIVERY_ATTEMPTS)
        r = message_send(d, &why);
    if (r < 0 && d->attempts <= DELIVERY_ATTEMPTS)
        why = arena_printf(fiber_arena(), "%s: %s", error_name(r), error_text());
    error_clear();
    enum delivery_fate fate = delivery_fate(r, d->attempts);
    return fate == DELIVERY_SENT ? note_sent(d) : note_not_sent(d, fate, why);
}

static void sender_run(void *arg)
{
    struct handful *h = arg;
    while (h->next < h->deliveries.len) {
        const struct delivery *d = LIST_AT(h->deliveries, struct delivery, h->next++);
        const struct log_context context = {.correlation_id = d->correlation_id};
        const struct log_context *outer = log_context_swap(&context);
        int r = deliver(d);
        if (r < 0)
            log_warn("delivery not noted, the lease will end", LF_TEXT("deliveryId", d->id),
                LF_TEXT("error", error_name(r)), LF_TEXT("trace", error_text()));
        error_clear();
        log_context_swap(outer);
    }
}

/* The handful lives on this fiber's stack and in its arena, so it waits for all of them. */
static void send_all(struct handful *h)
{
    struct fiber *fibers[FIBERS - 1];
    size_t count = 0;
    while (count < ARRAY_SIZE(fibers) && count + 1 < h->deliveries.len &&
           fiber_spawn(app()->loop, SENDER, sender_run, h, &fibers[count]) == 0)
        count++;
    struct fiber_shield shield = fiber_shield_begin(USEC_NEVER);
    sender_run(h);
    for (size_t i = 0; i < count; i++)
        (void)fiber_join(fibers[i], USEC_NEVER);
    fiber_shield_end(shield);
}

static int sender_tick(void)
{
    struct handful h;
    do {
        h = (struct handful){0};
        TRY(store_claim(CLAIM_LIMIT, LEASE_US, &h.deliveries));
        send_all(&h);
        if (h.deliveries.len < CLAIM_LIMIT)
            return 0;
        arena_reset(fiber_arena());
    } while (!app()->draining);
    return 0;
}

int sender_start(void)
{
    return app_every(SENDER, POLL_US, sender_tick);
}
