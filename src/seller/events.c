/* What the seller service tells and hears.
 *
 * inventory.updated is told once per change of a whole order or adjustment. Holding stock is not
 * told, although the contract has a reason for it: it would double the events of a checkout and
 * nobody acts on it; for the same cause alerts look at levels when stock is committed or comes
 * back, not when it is held.
 *
 * `released` with an order id says that an order exists whose stock could not be had; the order is
 * cancelled for it. A hold that ends before its order exists (it ran out, the checkout failed) is
 * told without: should the order's creation still be under way, it takes the stock anew. */

#include "common/base/uuid.h"
#include "seller/seller.h"

#define CLOSED_HOLD_S 10 /* longer than a checkout takes */

/* ---- telling ---- */

int publish_alert(struct pg_tx *tx, const struct level *l)
{
    enum stock_alert what = stock_alert(l->alerted, l->available, l->threshold);
    const struct inventory_alert e = {l->sku, l->seller_id, l->name, l->available, l->threshold};
    if (what == ALERT_NONE)
        return 0;
    TRY(store_alerted_save(tx, l->sku, what == ALERT_LOW));
    return outbox_add(tx,
        what == ALERT_LOW ? &EVENT_INVENTORY_LOW_STOCK : &EVENT_INVENTORY_BACK_IN_STOCK, l->sku,
        &e);
}

static struct list event_levels(struct list levels)
{
    struct inventory_level *items = arena_array(fiber_arena(), levels.len, sizeof(*items));
    for (size_t i = 0; i < levels.len; i++) {
        const struct level *l = LIST_AT(levels, struct level, i);
        items[i] =
            (struct inventory_level){l->sku, l->seller_id, l->on_hand, l->available, l->held};
    }
    return (struct list){levels.len, items};
}

int publish_stock(struct pg_tx *tx, const char *reason, const char *order_id, struct list levels)
{
    const struct inventory_updated e = {reason, order_id, event_levels(levels)};
    const char *aggregate = order_id;
    if (!aggregate)
        aggregate = levels.len ? LIST_AT(levels, struct level, 0)->sku : "stock";
    TRY(outbox_add(tx, &EVENT_INVENTORY_UPDATED, aggregate, &e));
    for (size_t i = 0; i < levels.len; i++)
        TRY(publish_alert(tx, LIST_AT(levels, struct level, i)));
    return 0;
}

int publish_product(struct pg_tx *tx, const struct product *p)
{
    const struct product_updated e = {
        p->sku, p->seller_id, p->name, p->category, p->status, p->price};
    return outbox_add(tx, &EVENT_PRODUCT_UPDATED, p->sku, &e);
}

/* ---- hearing ---- */

/* Handlers of one batch share a transaction and so keep their row locks to its end. All of them are
 * taken here at once, in the order that holds take them as well. */
int lock_stock_of_batch(struct pg_tx *tx, const struct event *const *events, size_t count)
{
    struct buf ids = {0};
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (strncmp(events[i]->type, "order.", 6) == 0 &&
            uuid_valid(span_of(events[i]->aggregate_id)))
            buf_printf(&ids, "%c%s", n++ ? ',' : '{', events[i]->aggregate_id);
    buf_put_char(&ids, '}');
    int r = n ? store_lock_stock(tx, arena_strndup(fiber_arena(), ids.ptr, ids.len)) : 0;
    buf_deinit(&ids);
    return r;
}

static struct list hold_items(struct list order_items)
{
    struct hold_item *items = arena_array(fiber_arena(), order_items.len, sizeof(*items));
    for (size_t i = 0; i < order_items.len; i++) {
        const struct order_item *line = LIST_AT(order_items, struct order_item, i);
        items[i] = (struct hold_item){line->sku, line->quantity};
    }
    return (struct list){order_items.len, items};
}

/* The order exists and its hold doesn't (any more): the stock is taken now if it is there. */
static int take_anew(struct pg_tx *tx, const struct order_created *o)
{
    const struct hold_body body = {o->order_id, o->user_id, hold_items(o->items)};
    struct hold *h;
    struct list lines, levels;
    TRY(store_hold_get(tx, o->order_id, &h));
    if (!hold_awaits_order(h))
        return 0;
    TRY(store_hold_retake(tx, &body, config_i64("HOLD_TTL_S"), &lines));
    if (hold_taken(lines)) {
        TRY(store_hold_move(tx, o->order_id, &MOVE_COMMIT, NULL, &levels));
        return publish_stock(tx, "committed", o->order_id, levels);
    }
    if (!hold_refusal(lines)) /* a hold has appeared in between */
        return ERR(ERR_RETRY);
    TRY(store_hold_bury(tx, o->order_id, "no_stock"));
    return publish_stock(tx, "released", o->order_id, (struct list){0});
}

static int on_order_created(struct pg_tx *tx, const struct event *e)
{
    const struct order_created *o = e->payload;
    struct list levels;
    TRY(store_hold_move(tx, o->order_id, &MOVE_COMMIT, NULL, &levels));
    return levels.len ? publish_stock(tx, "committed", o->order_id, levels) : take_anew(tx, o);
}

/* May come before the order's creation: then it leaves a tombstone. */
static int on_order_cancelled(struct pg_tx *tx, const struct event *e)
{
    const struct order_event *o = e->payload;
    struct list levels;
    TRY(store_hold_bury(tx, o->order_id, "order_cancelled"));
    TRY(store_hold_move(tx, o->order_id, &MOVE_RESTOCK, "order_cancelled", &levels));
    if (levels.len)
        return publish_stock(tx, "restocked", o->order_id, levels);
    TRY(store_hold_move(tx, o->order_id, &MOVE_RELEASE, "order_cancelled", &levels));
    return levels.len ? publish_stock(tx, "released", o->order_id, levels) : 0;
}

/* The goods have left the house. What came before its order's creation goes back to the queue for a
 * while. No reason of inventory.updated fits: nothing changes for who wants to buy. */
static int on_order_completed(struct pg_tx *tx, const struct event *e)
{
    const struct order_event *o = e->payload;
    struct list levels;
    struct hold *h;
    TRY(store_hold_move(tx, o->order_id, &MOVE_SHIP, NULL, &levels));
    if (levels.len)
        return 0;
    TRY(store_hold_get(tx, o->order_id, &h));
    if (!hold_awaits_order(h))
        return 0;
    error_note("order %s is completed and its creation not heard of yet", o->order_id);
    return ERR(ERR_RETRY);
}

/* A checkout that is just under way may still become an order, which is then kept: its hold is not
 * released, but its time becomes short. */
static int on_user_deactivated(struct pg_tx *tx, const struct event *e)
{
    const struct user_event *u = e->payload;
    struct list products;
    TRY(store_holds_hurry(tx, u->user_id, CLOSED_HOLD_S));
    TRY(store_seller_close(tx, u->user_id, &products));
    for (size_t i = 0; i < products.len; i++)
        TRY(publish_product(tx, LIST_AT(products, struct product, i)));
    return 0;
}

const struct consumer_row seller_consumers[] = {
    {&EVENT_ORDER_CREATED, on_order_created, NULL},
    {&EVENT_ORDER_CANCELLED, on_order_cancelled, NULL},
    {&EVENT_ORDER_COMPLETED, on_order_completed, NULL},
    {&EVENT_USER_DEACTIVATED, on_user_deactivated, NULL},
};
const size_t seller_consumers_count = ARRAY_SIZE(seller_consumers);

const struct event_kind *const seller_publishes[] = {&EVENT_INVENTORY_UPDATED,
    &EVENT_INVENTORY_LOW_STOCK, &EVENT_INVENTORY_BACK_IN_STOCK, &EVENT_PRODUCT_UPDATED};
const size_t seller_publishes_count = ARRAY_SIZE(seller_publishes);
