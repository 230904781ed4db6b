/* The way out. A tick takes what is due, a handful at a time, and sends it by a few fibers at once;
 * what went out is written down a moment later, many in one statement. What a batch of events
 * leaves comes here taken already (sender_take); what waits in its row is claimed, skipping what
 * another process has claimed. Both are leases: when the process dies between the mail server's yes
 * and our note of it, the message goes out again after the lease, under the same Message-ID. No
 * message is begun whose lease could end before the channel's time limit: what is left then goes
 * back to its row. */

#include "common/app/handover.h"
#include "common/app/metrics.h"
#include "notification/notification.h"

#define POLL_US     (400 * USEC_PER_MS)
#define LOOK_US     (300 * USEC_PER_MS)
#define NOTE_US     (5 * USEC_PER_MS)
#define CLAIM_LIMIT 16
#define TAKE_LIMIT  150
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
    int64_t until_us;    /* the end of their lease */
    struct arena *arena; /* stays until all is noted */
};

static struct handovers taken;

static bool look_due;
static int64_t looked_us;

/* Messages that went out, until that is written down: whoever notes the first waits a moment for
 * others and writes, again until there are none, while the other fibers go on sending. The notes
 * lie in the handful's arena, which stays until its fibers are done. */
struct note {
    struct note *next;
    const char *id;
};
static struct note *notes;
static bool writing;

static int write_notes(void)
{
    struct buf ids = {0};
    for (const struct note *n = notes; n; n = n->next)
        pg_array_put(&ids, n->id);
    notes = NULL;
    return store_sent(pg_array_text(&ids));
}

static void note_down(struct arena *a, const char *id)
{
    struct note *mine = ARENA_NEW(a, struct note);
    *mine = (struct note){.next = notes, .id = id};
    notes = mine;
    if (writing)
        return;
    struct fiber_shield shield = fiber_shield_begin(USEC_NEVER);
    writing = true;
    while (notes) {
        (void)fiber_sleep(NOTE_US);
        if (write_notes() != 0)
            log_warn("deliveries not noted, their lease will end", LF_TEXT("trace", error_text()));
        error_clear();
    }
    writing = false;
    fiber_shield_end(shield);
}

static int note_sent(struct arena *a, const struct delivery *d)
{
    FAULT("mail_after_send");
    metric_add(&deliveries_total, 1, d->channel, "sent");
    metric_observe_us(&delivery_seconds, clock_wall_us() - d->created_at, d->channel);
    note_down(a, d->id);
    return 0;
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
static int deliver(struct arena *a, struct delivery *d)
{
    const char *why = "every attempt was cut short";
    int r = ERR_UNKNOWN;
    if (d->attempts <= DELIVERY_ATTEMPTS && delivery_texts(fiber_arena(), d) != 0) {
        why = "its message can't be read or rendered";
        r = CHANNEL_REFUSED;
    } else if (d->attempts <= DELIVERY_ATTEMPTS) {
        r = message_send(d, &why);
    }
    if (r < 0 && d->attempts <= DELIVERY_ATTEMPTS)
        why = arena_printf(fiber_arena(), "%s: %s", error_name(r), error_text());
    error_clear();
    enum delivery_fate fate = delivery_fate(r, d->attempts);
    return fate == DELIVERY_SENT ? note_sent(a, d) : note_not_sent(d, fate, why);
}

static void sender_run(void *arg)
{
    struct handful *h = arg;
    while (h->next < h->deliveries.len && !app()->draining &&
           clock_mono_us() + MAIL_TIME_US < h->until_us) {
        struct delivery *d = LIST_AT(h->deliveries, struct delivery, h->next++);
        const struct log_context context = {.correlation_id = d->correlation_id};
        const struct log_context *outer = log_context_swap(&context);
        int r = deliver(h->arena, d);
        if (r < 0)
            log_warn("delivery not noted, the lease will end", LF_TEXT("deliveryId", d->id),
                LF_TEXT("error", error_name(r)), LF_TEXT("trace", error_text()));
        error_clear();
        log_context_swap(outer);
    }
}

static void give_back_rest(const struct handful *h)
{
    struct buf ids = {0};
    if (h->next == h->deliveries.len)
        return;
    for (size_t i = h->next; i < h->deliveries.len; i++)
        pg_array_put(&ids, LIST_AT(h->deliveries, struct delivery, i)->id);
    if (store_give_back(pg_array_text(&ids)) != 0)
        log_warn("deliveries not given back, their lease will end", LF_TEXT("trace", error_text()));
    error_clear();
}

/* The handful lives on this fiber's stack and in its arena, so it waits for all of them. */
static void send_all(struct handful *h)
{
    struct fiber *fibers[FIBERS - 1];
    size_t count = 0;
    h->arena = fiber_arena();
    while (count < ARRAY_SIZE(fibers) && count + 1 < h->deliveries.len &&
           fiber_spawn(app()->loop, SENDER, sender_run, h, &fibers[count]) == 0)
        count++;
    struct fiber_shield shield = fiber_shield_begin(USEC_NEVER);
    sender_run(h);
    for (size_t i = 0; i < count; i++)
        (void)fiber_join(fibers[i], USEC_NEVER);
    give_back_rest(h);
    fiber_shield_end(shield);
}

/* ---- what was handed over ---- */

size_t sender_room(void)
{
    return taken.count < TAKE_LIMIT ? TAKE_LIMIT - taken.count : 0;
}

void sender_take(struct list deliveries, int64_t until_us)
{
    handover_put(&taken, &claim_table, deliveries, until_us);
    app_nudge(SENDER);
}

static void send_taken(void)
{
    for (const struct handover *h; (h = handover_take(&taken, fiber_arena()));) {
        send_all(&(struct handful){.deliveries = h->items, .until_us = h->until_us});
        arena_reset(fiber_arena());
    }
}

/* ---- what waits in its row ---- */

void sender_look(void)
{
    look_due = true;
    app_nudge(SENDER);
}

/* What others have left, or what has failed before: a handful for each look. */
static int send_due(void)
{
    struct handful h = {.until_us = clock_mono_us() + LEASE_US};
    if (!look_due && clock_mono_us() - looked_us < LOOK_US)
        return 0;
    look_due = false;
    looked_us = clock_mono_us();
    TRY(store_claim(CLAIM_LIMIT, LEASE_US, &h.deliveries));
    send_all(&h);
    if (h.deliveries.len == CLAIM_LIMIT)
        sender_look();
    return 0;
}

static int sender_tick(void)
{
    send_taken();
    return send_due();
}

int sender_start(void)
{
    const char *url = config_text("SMTP_URL");
    if (*url)
        TRY(http_client_check(url));
    return app_every(SENDER, POLL_US, sender_tick);
}
