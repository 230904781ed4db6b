/* Pure arithmetic of carts. */

#include "cart/cart.h"

#include <errno.h>

int cart_compute(struct cart *c)
{
    struct money total = {0};
    for (size_t i = 0; i < c->items.len; i++) {
        struct cart_item *item = LIST_AT(c->items, struct cart_item, i);
        TRY(money_multiply(&item->unit_price, item->quantity, &item->line_total));
        if (i == 0)
            total = item->line_total;
        else
            TRY(money_add(&total, &item->line_total, &total));
    }
    c->total = total;
    return 0;
}

struct list cart_order_items(struct arena *a, const struct cart *c)
{
    struct list items = {
        .len = c->items.len, .items = arena_array(a, c->items.len, sizeof(struct order_item))};
    for (size_t i = 0; i < c->items.len; i++) {
        const struct cart_item *from = LIST_AT(c->items, struct cart_item, i);
        *LIST_AT(items, struct order_item, i) = (struct order_item){.sku = from->sku,
            .name = from->name,
            .seller_id = from->seller_id,
            .quantity = from->quantity,
            .unit_price = from->unit_price};
    }
    return items;
}

int cart_items_total(struct list items, struct money *ret_total)
{
    struct money total = {0};
    for (size_t i = 0; i < items.len; i++) {
        const struct order_item *item = LIST_AT(items, struct order_item, i);
        struct money line;
        TRY(money_multiply(&item->unit_price, item->quantity, &line));
        if (i == 0)
            total = line;
        else
            TRY(money_add(&total, &line, &total));
    }
    *ret_total = total;
    return 0;
}

static const struct order_item *find(struct list items, const char *sku)
{
    for (size_t i = 0; i < items.len; i++)
        if (strcmp(LIST_AT(items, struct order_item, i)->sku, sku) == 0)
            return LIST_AT(items, struct order_item, i);
    return NULL;
}

bool cart_prices_rose(struct list items, struct list current)
{
    bool rose = false;
    for (size_t i = 0; i < items.len; i++) {
        struct order_item *item = LIST_AT(items, struct order_item, i);
        const struct order_item *now = find(current, item->sku);
        if (!now)
            continue;
        rose = rose || now->unit_price.amount > item->unit_price.amount ||
               !money_same_currency(&now->unit_price, &item->unit_price);
        item->unit_price = now->unit_price;
        item->name = now->name;
        item->seller_id = now->seller_id;
    }
    return rose;
}

bool cart_one_currency(struct list items)
{
    for (size_t i = 1; i < items.len; i++)
        if (!money_same_currency(&LIST_AT(items, struct order_item, i)->unit_price,
                &LIST_AT(items, struct order_item, 0)->unit_price))
            return false;
    return true;
}

int64_t cart_merged_quantity(const char *policy, int64_t user_quantity, int64_t guest_quantity)
{
    int64_t quantity = user_quantity;
    if (strcmp(policy, "sum") == 0)
        quantity = user_quantity + guest_quantity;
    else if (strcmp(policy, "max") == 0)
        quantity = user_quantity > guest_quantity ? user_quantity : guest_quantity;
    else if (strcmp(policy, "keep_guest") == 0)
        quantity = guest_quantity;
    return quantity > CART_QUANTITY_LIMIT ? CART_QUANTITY_LIMIT : quantity;
}

/* ---- lines ---- */

struct cart_item *cart_line(const struct cart *c, const char *sku)
{
    for (size_t i = 0; i < c->items.len; i++)
        if (strcmp(LIST_AT(c->items, struct cart_item, i)->sku, sku) == 0)
            return LIST_AT(c->items, struct cart_item, i);
    return NULL;
}

void cart_put(struct arena *a, struct cart *c, const struct cart_item *line)
{
    struct cart_item *there = cart_line(c, line->sku);
    if (!there) {
        struct cart_item *items = arena_array(a, c->items.len + 1, sizeof(*items));
        if (c->items.len)
            memcpy(items, c->items.items, c->items.len * sizeof(*items));
        there = &items[c->items.len];
        c->items = (struct list){.len = c->items.len + 1, .items = items};
    }
    *there = *line;
}

static void keep_positive(struct cart *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->items.len; i++) {
        const struct cart_item *item = LIST_AT(c->items, struct cart_item, i);
        if (item->quantity > 0)
            *LIST_AT(c->items, struct cart_item, kept++) = *item;
    }
    c->items.len = kept;
}

void cart_remove(struct cart *c, const char *sku)
{
    struct cart_item *line = cart_line(c, sku);
    if (line)
        line->quantity = 0;
    keep_positive(c);
}

void cart_take_out(struct cart *c, struct list ordered)
{
    for (size_t i = 0; i < ordered.len; i++) {
        const struct order_item *item = LIST_AT(ordered, struct order_item, i);
        struct cart_item *line = cart_line(c, item->sku);
        if (line)
            line->quantity -= item->quantity;
    }
    keep_positive(c);
}

/* Whether each line of the cart is among what is sold in one currency now. */
static bool moves_as_one(const struct cart *c, struct list current)
{
    for (size_t i = 0; i < c->items.len; i++)
        if (!find(current, LIST_AT(c->items, struct cart_item, i)->sku))
            return false;
    return cart_one_currency(current);
}

void cart_reprice(struct cart *c, struct list current)
{
    bool whole = moves_as_one(c, current);
    for (size_t i = 0; i < current.len; i++) {
        const struct order_item *item = LIST_AT(current, struct order_item, i);
        struct cart_item *line = cart_line(c, item->sku);
        if (!line || !(whole || money_same_currency(&line->unit_price, &item->unit_price)))
            continue;
        line->unit_price = item->unit_price;
        line->name = item->name;
    }
}
