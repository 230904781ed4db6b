/* Moving holds: committed, released, restocked, shipped, any number at once.
 *
 * Two statements, whatever the number. The first one moves the holds themselves, whose rows nobody
 * else waits for, and tells which of them were in the right state and what they are of. What that
 * does to each product is added up here. The second statement changes the stock, each row once and
 * in the order of the SKUs, and writes the ledger. New checkouts wait for these rows, so nothing
 * but the commit should follow it. */

#include <stdlib.h>

#include "seller/seller.h"

static int changes_by_sku(const void *a, const void *b)
{
    return strcmp(((const struct stock_change *)a)->sku, ((const struct stock_change *)b)->sku);
}

static int levels_by_sku(const void *a, const void *b)
{
    return strcmp(((const struct level *)a)->sku, ((const struct level *)b)->sku);
}

static struct stock_change change_of(const struct hold_line *l, const struct stock_move *m)
{
    return (struct stock_change){
        l->sku, m->available * l->quantity, m->held * l->quantity, m->committed * l->quantity};
}

static struct list changes_merged(struct stock_change *changes, size_t count)
{
    size_t kept = 0;
    qsort(changes, count, sizeof(*changes), changes_by_sku);
    for (size_t i = 0; i < count; i++) {
        struct stock_change *last = kept ? &changes[kept - 1] : NULL;
        if (last && strcmp(last->sku, changes[i].sku) == 0) {
            last->available += changes[i].available;
            last->held += changes[i].held;
            last->committed += changes[i].committed;
        } else {
            changes[kept++] = changes[i];
        }
    }
    return (struct list){kept, changes};
}

static struct list changes_of(const struct hold_step *steps, size_t count, struct list also)
{
    size_t lines = also.len, n = 0;
    for (size_t i = 0; i < count; i++)
        lines += steps[i].lines.len;
    struct stock_change *changes = arena_array(fiber_arena(), lines, sizeof(*changes));
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < steps[i].lines.len; k++)
            changes[n++] = change_of(LIST_AT(steps[i].lines, struct hold_line, k), steps[i].move);
    for (size_t i = 0; i < also.len; i++)
        changes[n++] = (struct stock_change){.sku = *LIST_AT(also, const char *, i)};
    return changes_merged(changes, n);
}

static void take_lines(struct hold_step *steps, size_t count, struct list holds)
{
    for (size_t i = 0; i < holds.len; i++) {
        const struct hold *h = LIST_AT(holds, struct hold, i);
        for (size_t k = 0; k < count; k++)
            if (strcmp(steps[k].order_id, h->order_id) == 0)
                steps[k].lines = h->items;
    }
}

int holds_move_first(struct pg_tx *tx, struct hold_step *steps, size_t count)
{
    struct list holds = {0};
    if (count)
        TRY(store_holds_move(tx, steps, count, &holds));
    take_lines(steps, count, holds);
    return 0;
}

int holds_move_stock(struct pg_tx *tx, const struct hold_step *steps, size_t count,
    struct list also, struct list *ret_levels)
{
    struct list levels = {0}, changes = changes_of(steps, count, also);
    if (changes.len)
        TRY(store_stock_move(tx, changes, steps, count, &levels));
    if (levels.len)
        qsort(levels.items, levels.len, sizeof(struct level), levels_by_sku);
    *ret_levels = levels;
    return 0;
}

int hold_move(struct pg_tx *tx, const char *order_id, const struct stock_move *m,
    const char *ended_by, struct list *ret_levels)
{
    struct hold_step step = {order_id, m, ended_by, correlation_current(), {0}};
    TRY(holds_move_first(tx, &step, 1));
    return holds_move_stock(tx, &step, 1, (struct list){0}, ret_levels);
}

struct list hold_levels(const struct hold_step *s, struct list levels)
{
    struct level *own = arena_array(fiber_arena(), s->lines.len, sizeof(*own));
    size_t count = 0;
    for (size_t i = 0; i < s->lines.len; i++) {
        const struct level wanted = {.sku = LIST_AT(s->lines, struct hold_line, i)->sku};
        const struct level *l =
            bsearch(&wanted, levels.items, levels.len, sizeof(wanted), levels_by_sku);
        if (l)
            own[count++] = *l;
    }
    return (struct list){count, own};
}
