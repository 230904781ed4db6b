/* What aibuddy hears. What is known in the end is a function of the set of events alone: every
 * handler gives the same whatever their order, and given twice (even past the inbox) changes
 * nothing. A rebuild from the audit stream depends on that (forget_since() in the migrations). */

#include "aibuddy/aibuddy.h"

/* The counts of popular items are in every batch: two processes that learn at once would wait for
 * each other's rows, in any order. Learning is in nobody's way, so they take turns. */
int aibuddy_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count)
{
    return store_one_batch(tx);
}

static int on_order_created(struct pg_tx *tx, const struct event *e)
{
    return store_order_created(tx, e->payload, e->timestamp_us);
}

static int on_order_cancelled(struct pg_tx *tx, const struct event *e)
{
    const struct order_event *order = e->payload;
    return store_order_cancelled(tx, order->order_id, e->timestamp_us);
}

static int on_product_updated(struct pg_tx *tx, const struct event *e)
{
    return store_item_told(tx, e->payload, e->timestamp_us);
}

static int on_user_registered(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *user = e->payload;
    return store_profile_add(tx, user->user_id);
}

static int on_user_deactivated(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *user = e->payload;
    return store_user_forget(tx, user->user_id);
}

const struct consumer_row aibuddy_consumers[] = {
    {&EVENT_ORDER_CREATED, on_order_created, NULL},
    {&EVENT_ORDER_CANCELLED, on_order_cancelled, NULL},
    {&EVENT_PRODUCT_UPDATED, on_product_updated, NULL},
    {&EVENT_USER_REGISTERED, on_user_registered, "user.created"},
    {&EVENT_USER_DEACTIVATED, on_user_deactivated, NULL},
};
const size_t aibuddy_consumers_count = ARRAY_SIZE(aibuddy_consumers);
