/* What the order service tells and hears. Payment and stock report facts; the rules turn them into
 * a status. An event about an order that was never created (a declined checkout) is nobody's
 * failure and is passed over. */

#include "order/order.h"

static int publish(struct pg_tx *tx, const struct order *o)
{
    const struct order_event e = {.order_id = o->id,
        .user_id = o->user_id,
        .user_email = o->user_email,
        .status = o->status,
        .reason = o->reason,
        .payment_id = o->payment_id,
        .total_amount = o->total.amount,
        .currency = o->total.currency};
    return outbox_add(tx, order_event_for(o->status), o->id, &e);
}

void order_note(
    struct order *o, const char *from, const char *actor, const char *reason, const char *event_id)
{
    struct arena *a = fiber_arena();
    struct history_row *rows = arena_array(a, o->news.len + 1, sizeof(*rows));
    if (o->news.len)
        memcpy(rows, o->news.items, o->news.len * sizeof(*rows));
    rows[o->news.len] = (struct history_row){.from_status = from,
        .to_status = o->status,
        .actor = actor,
        .reason = reason,
        .event_id = event_id,
        .correlation_id = arena_strdup(a, correlation_current()),
        .at = clock_wall_us()};
    o->news = (struct list){o->news.len + 1, rows};
}

int order_move(struct pg_tx *tx, struct order *o, const char *to, const char *actor,
    const char *reason, const char *event_id)
{
    const char *from = o->status;
    o->status = to;
    if (reason)
        o->reason = reason;
    order_note(o, from, actor, reason, event_id);
    return publish(tx, o);
}

static const char *next_status(const struct order *o)
{
    const char *to = order_status_by_facts(o->status, o->paid_at != 0, o->stock_committed_at != 0);
    if (o->refunded > 0 && strcmp(to, o->status) == 0)
        to = order_status_after_refund(o->status, o->total.amount, o->refunded);
    return to;
}

/* A fact became known: move as far as the rules say, one row of history and one event for each
 * status. A fact that comes too early is kept until its time. */
static int apply_facts(struct pg_tx *tx, struct order *o, const struct event *e, const char *reason)
{
    for (;;) {
        const char *to = next_status(o);
        if (strcmp(to, o->status) == 0)
            return 0;
        TRY(order_move(tx, o, to, e->source, reason, e->id));
    }
}

static const char *order_of(const struct event *e)
{
    return strcmp(e->type, EVENT_INVENTORY_UPDATED.type) == 0
               ? ((const struct inventory_updated *)e->payload)->order_id
               : ((const struct payment_event *)e->payload)->order_id;
}

/* The orders of the batch at hand. Its handlers keep their locks to its end, and payment and stock
 * of the same orders are told in different batches: taken one by one, they would wait for each
 * other in a circle. So all are locked, and read, at once; what a handler changes in one of these,
 * the next one sees; and those that any has changed are saved at the end. */
static struct list batch_orders;
static bool *batch_changed; /* of each of them */

int order_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count)
{
    struct buf ids = {0};
    for (size_t i = 0; i < count; i++)
        if (order_of(events[i]))
            pg_array_put(&ids, order_of(events[i]));
    batch_orders = (struct list){0};
    TRY(store_lock_all(tx, pg_array_text(&ids), &batch_orders));
    batch_changed = arena_array(fiber_arena(), batch_orders.len, sizeof(*batch_changed));
    return 0;
}

int order_after_batch(struct pg_tx *tx)
{
    struct order **changed = arena_array(fiber_arena(), batch_orders.len, sizeof(*changed));
    size_t count = 0;
    for (size_t i = 0; i < batch_orders.len; i++)
        if (batch_changed[i])
            changed[count++] = LIST_AT(batch_orders, struct order, i);
    return count ? store_save(tx, changed, count) : 0;
}

static void changes(const struct order *o)
{
    batch_changed[o - (const struct order *)batch_orders.items] = true;
}

/* NULL: no such order was ever created. */
static struct order *order_in_batch(const char *order_id)
{
    for (size_t i = 0; i < batch_orders.len; i++) {
        struct order *o = LIST_AT(batch_orders, struct order, i);
        if (strcmp(o->id, order_id) == 0)
            return o;
    }
    return NULL;
}

static int on_payment_completed(struct pg_tx *tx, const struct event *e)
{
    const struct payment_event *p = e->payload;
    struct order *o = order_in_batch(p->order_id);
    if (!o || o->paid_at)
        return 0;
    changes(o);
    o->paid_at = e->timestamp_us;
    return apply_facts(tx, o, e, NULL);
}

static int on_payment_failed(struct pg_tx *tx, const struct event *e)
{
    const struct payment_event *p = e->payload;
    struct order *o = order_in_batch(p->order_id);
    if (!o || !order_may_become(o->status, "payment_failed"))
        return 0;
    changes(o);
    return order_move(tx, o, "payment_failed", e->source, p->reason, e->id);
}

static int on_payment_refunded(struct pg_tx *tx, const struct event *e)
{
    const struct payment_event *p = e->payload;
    struct order *o = order_in_batch(p->order_id);
    if (!o || p->refunded_total <= o->refunded) /* an older refund's event may come late */
        return 0;
    changes(o);
    o->refunded = p->refunded_total > o->total.amount ? o->total.amount : p->refunded_total;
    /* The newest refund's reason, also where the status stays or its time has not come yet. */
    if (p->reason && strcmp(o->status, "cancelled") != 0)
        o->reason = p->reason;
    return apply_facts(tx, o, e, p->reason);
}

static int on_inventory_updated(struct pg_tx *tx, const struct event *e)
{
    const struct inventory_updated *i = e->payload;
    bool committed = strcmp(i->reason, "committed") == 0,
         released = strcmp(i->reason, "released") == 0;
    if (!i->order_id || (!committed && !released))
        return 0;
    struct order *o = order_in_batch(i->order_id);
    if (!o || o->stock_committed_at || (released && !order_is_open(o->status)))
        return 0;
    changes(o);
    if (released) /* the hold ran out before the order could commit it */
        return order_move(tx, o, "cancelled", e->source, "The reserved stock was released", e->id);
    o->stock_committed_at = e->timestamp_us;
    return apply_facts(tx, o, e, NULL);
}

const struct consumer_row order_consumers[] = {
    {&EVENT_PAYMENT_COMPLETED, on_payment_completed, NULL},
    {&EVENT_PAYMENT_FAILED, on_payment_failed, NULL},
    {&EVENT_PAYMENT_REFUNDED, on_payment_refunded, NULL},
    {&EVENT_INVENTORY_UPDATED, on_inventory_updated, NULL},
};
const size_t order_consumers_count = ARRAY_SIZE(order_consumers);

const struct event_kind *const order_publishes[] = {&EVENT_ORDER_CREATED, &EVENT_ORDER_UPDATED,
    &EVENT_ORDER_SHIPPED, &EVENT_ORDER_COMPLETED, &EVENT_ORDER_CANCELLED, &EVENT_ORDER_REFUNDED};
const size_t order_publishes_count = ARRAY_SIZE(order_publishes);
