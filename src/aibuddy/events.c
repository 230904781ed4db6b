/* What aibuddy hears. What is known in the end is a function of the set of events alone: every
 * handler gives the same whatever their order, and given twice (even past the inbox) changes
 * nothing. A rebuild from the audit stream depends on that (forget_since() in the migrations). */

#include "aibuddy/aibuddy.h"

static bool tells_of(const struct event *e, const char *order_id)
{
    const struct order_created *o = e->payload;
    return strcmp(o->order_id, order_id) == 0;
}

/* Each order once, by the first of its events. */
static size_t orders_created(
    const struct event *const *events, size_t count, const struct event **created)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        const struct order_created *o = events[i]->payload;
        size_t j = 0;
        if (strcmp(events[i]->type, EVENT_ORDER_CREATED.type) != 0)
            continue;
        while (j < n && !tells_of(created[j], o->order_id))
            j++;
        if (j == n)
            created[n++] = events[i];
    }
    return n;
}

/* The counts of popular items are in every batch: two processes that learn at once would wait for
 * each other's rows, in any order. Learning is in nobody's way, so they take turns. All new orders
 * of a batch are learned in one statement, before its handlers run: as said above, the order of
 * events is of no matter. */
int aibuddy_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count)
{
    const struct event **created = arena_array(fiber_arena(), count, sizeof(*created));
    size_t n = orders_created(events, count, created);
    TRY(store_one_batch(tx));
    return n ? store_orders_created(tx, created, n) : 0;
}

static int on_order_created(struct pg_tx *tx, const struct event *e)
{
    (void)tx, (void)e; /* learned with its batch */
    return 0;
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
