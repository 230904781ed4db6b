/* Stock as pure functions.
 *
 *     available --hold--> held --commit--> committed --ship--> (gone)
 *     available <-release-- held
 *     available <-----restock------ committed
 *
 * Alerts have hysteresis: low stock is told when `available` sinks to the threshold, and is not
 * told again before it has risen clearly above it, which is told once as well. */

#include <stdlib.h>

#include "seller/seller.h"

const struct stock_move MOVE_COMMIT = {"held", "committed", 0, -1, +1};
const struct stock_move MOVE_RELEASE = {"held", "released", +1, -1, 0};
const struct stock_move MOVE_RESTOCK = {"committed", "restocked", +1, 0, -1};
const struct stock_move MOVE_SHIP = {"committed", "shipped", 0, 0, -1};

enum stock_alert stock_alert(bool alerted, int64_t available, int64_t threshold)
{
    if (!alerted && available <= threshold)
        return ALERT_LOW;
    if (alerted && available > threshold + threshold / 4)
        return ALERT_BACK;
    return ALERT_NONE;
}

bool hold_line_sellable(const struct hold_line *l)
{
    return l->status && strcmp(l->status, "active") == 0;
}

bool hold_line_fits(const struct hold_line *l)
{
    return l->available >= l->quantity;
}

int hold_refusal(struct list lines)
{
    int outcome = 0;
    for (size_t i = 0; i < lines.len; i++) {
        const struct hold_line *l = LIST_AT(lines, struct hold_line, i);
        if (!hold_line_sellable(l))
            return SELLER_PRODUCT_UNAVAILABLE;
        if (!hold_line_fits(l))
            outcome = SELLER_OUT_OF_STOCK;
    }
    return outcome;
}

static int items_by_sku(const void *a, const void *b)
{
    return strcmp(((const struct hold_item *)a)->sku, ((const struct hold_item *)b)->sku);
}

struct list hold_items_merged(struct arena *a, struct list items)
{
    struct hold_item *merged = arena_array(a, items.len, sizeof(*merged));
    size_t count = 0;
    memcpy(merged, items.items, items.len * sizeof(*merged));
    qsort(merged, items.len, sizeof(*merged), items_by_sku);
    for (size_t i = 0; i < items.len; i++)
        if (count && strcmp(merged[count - 1].sku, merged[i].sku) == 0)
            merged[count - 1].quantity += merged[i].quantity;
        else
            merged[count++] = merged[i];
    return (struct list){count, merged};
}

bool hold_awaits_order(const struct hold *h)
{
    if (!h || strcmp(h->state, "held") == 0)
        return true;
    return strcmp(h->state, "released") == 0 && h->ended_by &&
           (strcmp(h->ended_by, "checkout") == 0 || strcmp(h->ended_by, "expired") == 0);
}

static bool change_text(const char **member, const char *text)
{
    if (!text || (*member && strcmp(*member, text) == 0))
        return false;
    *member = text;
    return true;
}

bool product_change(struct product *p, const struct product_body *b)
{
    bool changed = change_text(&p->name, b->name);
    changed |= change_text(&p->description, b->description);
    changed |= change_text(&p->category, b->category);
    changed |= change_text(&p->status, b->status);
    if (*b->price.currency &&
        (b->price.amount != p->price.amount || !money_same_currency(&b->price, &p->price))) {
        p->price = b->price;
        changed = true;
    }
    return changed;
}
