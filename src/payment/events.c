/* What the payment service tells and hears. The order's events only write a wish into the payment's
 * row; the worker asks the bank. A wish for an order without a payment changes nothing.
 *
 * What a batch orders is claimed for this process by the statement that writes the wish, and goes
 * to the worker as soon as that is committed. When the process dies before, or does not hear of the
 * commit, the lease runs out. */

#include "payment/payment.h"

int payment_publish(struct pg_tx *tx, const struct event_kind *kind, const struct payment *p,
    int64_t amount, const char *reason)
{
    const struct payment_event e = {.payment_id = p->id,
        .order_id = p->order_id,
        .user_id = p->user_id,
        .user_email = p->user_email,
        .reason = reason,
        .amount = amount,
        .currency = p->amount.currency,
        .refunded_total = p->refunded};
    return outbox_add(tx, kind, p->id, &e);
}

/* What the batch at hand leaves for the worker; it lives in the batch's arena. */
static struct list ordered;
static int64_t ordered_until_us;
static bool cancelled;

/* All orders that a batch tells of are written in one statement, before its handlers run. A
 * cancellation of the same batch comes after them then, whichever came first: giving back wins in
 * any order. */
int payment_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count)
{
    struct ordered *orders = arena_array(fiber_arena(), count, sizeof(*orders));
    size_t n = 0;
    ordered = (struct list){0};
    cancelled = false;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(events[i]->type, EVENT_ORDER_CREATED.type) != 0)
            continue;
        const struct order_created *o = events[i]->payload;
        orders[n++] = (struct ordered){o->order_id, o->total_amount, o->currency};
    }
    ordered_until_us = clock_mono_us() + CAPTURE_LEASE_S * USEC_PER_SEC;
    return n ? store_ordered(tx, (struct list){n, orders}, &ordered) : 0;
}

void payment_batch_committed(void)
{
    if (ordered.len)
        payment_capture(ordered, ordered_until_us);
    if (cancelled)
        payment_nudge();
}

static int on_order_created(struct pg_tx *tx, const struct event *e)
{
    (void)tx, (void)e; /* the row knows already */
    return 0;
}

static int on_order_cancelled(struct pg_tx *tx, const struct event *e)
{
    const struct order_event *o = e->payload;
    cancelled = true;
    for (size_t i = 0; i < ordered.len; i++) {
        struct payment *p = LIST_AT(ordered, struct payment, i);
        if (strcmp(p->order_id, o->order_id) == 0)
            p->cancelled = true;
    }
    return store_cancelled(tx, o->order_id, o->reason);
}

static int on_user_deactivated(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *u = e->payload;
    return store_methods_delete_all(tx, u->user_id);
}

const struct consumer_row payment_consumers[] = {
    {&EVENT_ORDER_CREATED, on_order_created, NULL},
    {&EVENT_ORDER_CANCELLED, on_order_cancelled, NULL},
    {&EVENT_USER_DEACTIVATED, on_user_deactivated, NULL},
};
const size_t payment_consumers_count = ARRAY_SIZE(payment_consumers);

const struct event_kind *const payment_publishes[] = {&EVENT_PAYMENT_AUTHORIZED,
    &EVENT_PAYMENT_COMPLETED, &EVENT_PAYMENT_FAILED, &EVENT_PAYMENT_REFUNDED};
const size_t payment_publishes_count = ARRAY_SIZE(payment_publishes);
