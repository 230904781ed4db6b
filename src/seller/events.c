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

#include "common/base/buf.h"
#include "seller/seller.h"

#define CLOSED_HOLD_S 10 /* longer than a checkout takes */

/* ---- telling ---- */

int publish_alert(struct pg_tx *tx, struct level *l)
{
    enum stock_alert what = stock_alert(l->alerted, l->available, l->threshold);
    const struct inventory_alert e = {l->sku, l->seller_id, l->name, l->available, l->threshold};
    if (what == ALERT_NONE)
        return 0;
    l->alerted = what == ALERT_LOW;
    TRY(store_alerted_save(tx, l->sku, l->alerted));
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

/* What the events of the batch at hand do to holds and stock is done before its handlers run, for
 * all orders at once; they tell of it. That is only for orders with one event among them: with
 * more, each has to find what the one before has left, and so the handlers move the hold. Since
 * they keep their row locks to the end of the batch, what they may touch is locked here as well. */
static struct {
    struct hold_step *steps;
    size_t count;
    struct list levels;
} batch;

static const struct stock_move *move_of(const struct event *e)
{
    if (strcmp(e->type, EVENT_ORDER_CREATED.type) == 0)
        return &MOVE_COMMIT;
    return strcmp(e->type, EVENT_ORDER_COMPLETED.type) == 0 ? &MOVE_SHIP : NULL;
}

static const char *order_of(const struct event *e)
{
    if (strcmp(e->type, EVENT_ORDER_CREATED.type) == 0)
        return ((const struct order_created *)e->payload)->order_id;
    if (strncmp(e->type, "order.", 6) == 0)
        return ((const struct order_event *)e->payload)->order_id;
    return NULL;
}

static bool alone(const struct event *const *events, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++)
        if (i != at && order_of(events[i]) &&
            strcmp(order_of(events[i]), order_of(events[at])) == 0)
            return false;
    return true;
}

/* The step that was done for this order's only event; NULL: its hold was in another state. */
static const struct hold_step *step_of(const char *order_id)
{
    for (size_t i = 0; i < batch.count; i++)
        if (strcmp(batch.steps[i].order_id, order_id) == 0)
            return batch.steps[i].lines.len ? &batch.steps[i] : NULL;
    return NULL;
}

/* The products of the orders whose holds the handlers may take or move. */
static int skus_for_handlers(
    struct pg_tx *tx, const struct event *const *events, size_t count, struct list *ret_skus)
{
    struct buf orders = {0};
    struct list held = {0};
    size_t wanted = 0, n = 0;
    for (size_t i = 0; i < count; i++) {
        if (!order_of(events[i]) || step_of(order_of(events[i])))
            continue;
        pg_array_put(&orders, order_of(events[i]));
        if (move_of(events[i]) == &MOVE_COMMIT)
            wanted += ((const struct order_created *)events[i]->payload)->items.len;
    }
    if (orders.len == 0)
        return 0;
    TRY(store_hold_skus(tx, pg_array_text(&orders), &held));
    const char **skus = arena_array(fiber_arena(), held.len + wanted, sizeof(*skus));
    for (size_t i = 0; i < held.len; i++)
        skus[n++] = LIST_AT(held, struct product_params, i)->sku;
    for (size_t i = 0; i < count; i++) {
        if (move_of(events[i]) != &MOVE_COMMIT || step_of(order_of(events[i])))
            continue;
        struct list items = ((const struct order_created *)events[i]->payload)->items;
        for (size_t k = 0; k < items.len; k++)
            skus[n++] = LIST_AT(items, struct order_item, k)->sku;
    }
    *ret_skus = (struct list){n, skus};
    return 0;
}

int seller_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count)
{
    struct list skus = {0};
    batch.steps = arena_array(fiber_arena(), count, sizeof(*batch.steps));
    batch.count = 0;
    for (size_t i = 0; i < count; i++)
        if (move_of(events[i]) && alone(events, count, i))
            batch.steps[batch.count++] = (struct hold_step){
                order_of(events[i]), move_of(events[i]), NULL, events[i]->correlation_id, {0}};
    TRY(holds_move_first(tx, batch.steps, batch.count));
    TRY(skus_for_handlers(tx, events, count, &skus));
    return holds_move_stock(tx, batch.steps, batch.count, skus, &batch.levels);
}

/* An alert is told once, however many orders of the batch are of the product. */
static void keep_alerted(struct list told)
{
    for (size_t i = 0; i < told.len; i++)
        for (size_t k = 0; k < batch.levels.len; k++) {
            struct level *l = LIST_AT(batch.levels, struct level, k);
            if (strcmp(l->sku, LIST_AT(told, struct level, i)->sku) == 0)
                l->alerted = LIST_AT(told, struct level, i)->alerted;
        }
}

static struct list hold_items(struct list order_items)
{
    struct hold_item *items = arena_array(fiber_arena(), order_items.len, sizeof(*items));
    for (size_t i = 0; i < order_items.len; i++) {
        const struct order_item *line = LIST_AT(order_items, struct order_item, i);
        items[i] = (struct hold_item){line->sku, line->quantity};
    }
    return hold_items_merged(fiber_arena(), (struct list){order_items.len, items});
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
    TRY(store_hold_retake(tx, &body, config_i64("HOLD_TTL_S"), &h));
    if (h) {
        TRY(hold_move(tx, o->order_id, &MOVE_COMMIT, NULL, &levels));
        return publish_stock(tx, "committed", o->order_id, levels);
    }
    TRY(store_hold_look(tx, body.items, &lines));
    if (!hold_refusal(lines)) /* a hold has appeared in between, or some stock */
        return ERR(ERR_RETRY);
    TRY(store_hold_bury(tx, o->order_id, "no_stock"));
    return publish_stock(tx, "released", o->order_id, (struct list){0});
}

static int on_order_created(struct pg_tx *tx, const struct event *e)
{
    const struct order_created *o = e->payload;
    const struct hold_step *step = step_of(o->order_id);
    struct list levels;
    if (step) {
        levels = hold_levels(step, batch.levels);
        TRY(publish_stock(tx, "committed", o->order_id, levels));
        keep_alerted(levels);
        return 0;
    }
    TRY(hold_move(tx, o->order_id, &MOVE_COMMIT, NULL, &levels));
    return levels.len ? publish_stock(tx, "committed", o->order_id, levels) : take_anew(tx, o);
}

/* May come before the order's creation: then it leaves a tombstone. */
static int on_order_cancelled(struct pg_tx *tx, const struct event *e)
{
    const struct order_event *o = e->payload;
    struct list levels;
    TRY(store_hold_bury(tx, o->order_id, "order_cancelled"));
    TRY(hold_move(tx, o->order_id, &MOVE_RESTOCK, "order_cancelled", &levels));
    if (levels.len)
        return publish_stock(tx, "restocked", o->order_id, levels);
    TRY(hold_move(tx, o->order_id, &MOVE_RELEASE, "order_cancelled", &levels));
    return levels.len ? publish_stock(tx, "released", o->order_id, levels) : 0;
}

/* The goods have left the house. What came before its order's creation goes back to the queue for a
 * while. No reason of inventory.updated fits: nothing changes for who wants to buy. */
static int on_order_completed(struct pg_tx *tx, const struct event *e)
{
    const struct order_event *o = e->payload;
    struct list levels;
    struct hold *h;
    if (step_of(o->order_id))
        return 0;
    TRY(hold_move(tx, o->order_id, &MOVE_SHIP, NULL, &levels));
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
