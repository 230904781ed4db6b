/* What the cart service hears. It tells nothing itself yet: a checkout is told by order and
 * payment. */

#include "cart/cart.h"

static int on_user_registered(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *user = e->payload;
    return store_cart_told(tx, user->user_id);
}

static int on_user_deactivated(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *user = e->payload;
    return store_cart_forget(tx, user->user_id);
}

static int on_order_completed(struct pg_tx *tx, const struct event *e)
{
    const struct order_event *order = e->payload;
    return store_cart_ordered(tx, order->user_id, e->timestamp_us);
}

static int on_product_updated(struct pg_tx *tx, const struct event *e)
{
    const struct product_updated *product = e->payload;
    price_forget(product->sku);
    return 0;
}

const struct consumer_row cart_consumers[] = {
    {&EVENT_USER_REGISTERED, on_user_registered, "user.created"},
    {&EVENT_USER_DEACTIVATED, on_user_deactivated, NULL},
    {&EVENT_ORDER_COMPLETED, on_order_completed, NULL},
    {&EVENT_PRODUCT_UPDATED, on_product_updated, NULL},
};
const size_t cart_consumers_count = ARRAY_SIZE(cart_consumers);
