/* Stock, its ledger and the holds; their statements, and in which order those lock, are in store.c.
 * What moves holds goes to the database as columns: one array of each member, one element for each
 * step, product or movement. */

#include "common/base/buf.h"
#include "seller/seller.h"

/* ---- stock ---- */

int store_level_find(const char *sku, const char *owner, struct level **ret_level)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_LEVEL_GET],
        PG_ARGS(PG_TEXT(sku), PG_TEXT(owner)), &result));
    *ret_level = PG_FIRST(result, struct level);
    return 0;
}

int store_level_lock(struct pg_tx *tx, const char *sku, const char *owner, struct level **ret_level)
{
    struct pg_result result;
    TRY(pg_run(
        tx, &seller_statements[SQL_LEVEL_LOCK], PG_ARGS(PG_TEXT(sku), PG_TEXT(owner)), &result));
    *ret_level = PG_FIRST(result, struct level);
    return 0;
}

int store_levels(
    const char *owner, bool low, const char *after_sku, int64_t limit, struct list *ret_levels)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_LEVELS],
        PG_ARGS(PG_TEXT(owner), PG_BOOL(low), PG_TEXT(after_sku), PG_I64(limit + 1)), &result));
    *ret_levels = result.rows;
    return 0;
}

int store_level_save(struct pg_tx *tx, const struct level *l)
{
    return pg_queue(tx, &seller_statements[SQL_LEVEL_SAVE],
        PG_ARGS(
            PG_TEXT(l->sku), PG_I64(l->available), PG_I64(l->threshold), PG_TIME(l->updated_at)));
}

int store_alerted_save(struct pg_tx *tx, const char *sku, bool alerted)
{
    return pg_queue(
        tx, &seller_statements[SQL_ALERTED_SAVE], PG_ARGS(PG_TEXT(sku), PG_BOOL(alerted)));
}

int store_movement_add(struct pg_tx *tx, const char *sku, const char *kind, int64_t available,
    const char *reason, const char *note, const char *actor)
{
    return pg_queue(tx, &seller_statements[SQL_MOVEMENT_ADD],
        PG_ARGS(PG_TEXT(sku), PG_TEXT(kind), PG_I64(available), PG_TEXT(reason), PG_TEXT(note),
            PG_TEXT(actor), PG_TEXT(correlation_current())));
}

int store_movements(const char *sku, int64_t before_id, int64_t limit, struct list *ret_movements)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_MOVEMENTS],
        PG_ARGS(PG_TEXT(sku), PG_I64(before_id), PG_I64(limit + 1)), &result));
    *ret_movements = result.rows;
    return 0;
}

/* ---- holds ---- */

static const char *skus_of(struct list items)
{
    struct buf skus = {0};
    for (size_t i = 0; i < items.len; i++)
        pg_array_put(&skus, LIST_AT(items, struct hold_item, i)->sku);
    return pg_array_text(&skus);
}

static const char *quantities_of(struct list items)
{
    struct buf quantities = {0};
    for (size_t i = 0; i < items.len; i++)
        pg_array_put_i64(&quantities, LIST_AT(items, struct hold_item, i)->quantity);
    return pg_array_text(&quantities);
}

#define TAKE_ARGS(b, ttl_s)                                                                        \
    PG_ARGS(PG_TEXT((b)->order_id), PG_TEXT((b)->user_id), PG_TEXT(skus_of((b)->items)),           \
        PG_TEXT(quantities_of((b)->items)), PG_I64(ttl_s), PG_TEXT(correlation_current()))

int store_hold_take(const struct hold_body *b, int64_t ttl_s, struct hold **ret_hold)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_HOLD_TAKE], TAKE_ARGS(b, ttl_s), &result));
    *ret_hold = PG_FIRST(result, struct hold);
    return 0;
}

int store_hold_retake(
    struct pg_tx *tx, const struct hold_body *b, int64_t ttl_s, struct hold **ret_hold)
{
    struct pg_result result;
    TRY(pg_run(tx, &seller_statements[SQL_HOLD_RETAKE], TAKE_ARGS(b, ttl_s), &result));
    *ret_hold = PG_FIRST(result, struct hold);
    return 0;
}

#define LOOK_ARGS(items) PG_ARGS(PG_TEXT(skus_of(items)), PG_TEXT(quantities_of(items)))

int store_hold_look(struct pg_tx *tx, struct list items, struct list *ret_lines)
{
    const struct pg_statement *look = &seller_statements[SQL_HOLD_LOOK];
    struct pg_result result;
    TRY(tx ? pg_run(tx, look, LOOK_ARGS(items), &result)
           : pg_query(app()->pg, look, LOOK_ARGS(items), &result));
    *ret_lines = result.rows;
    return 0;
}

int store_hold_find(const char *order_id, struct hold **ret_hold)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_HOLD_GET], PG_ARGS(PG_TEXT(order_id)), &result));
    *ret_hold = PG_FIRST(result, struct hold);
    return 0;
}

int store_hold_get(struct pg_tx *tx, const char *order_id, struct hold **ret_hold)
{
    struct pg_result result;
    TRY(pg_run(tx, &seller_statements[SQL_HOLD_GET], PG_ARGS(PG_TEXT(order_id)), &result));
    *ret_hold = PG_FIRST(result, struct hold);
    return 0;
}

int store_holds_move(
    struct pg_tx *tx, const struct hold_step *steps, size_t count, struct list *ret_holds)
{
    struct buf orders = {0}, was = {0}, becomes = {0}, ended_by = {0};
    struct pg_result result;
    for (size_t i = 0; i < count; i++) {
        pg_array_put(&orders, steps[i].order_id);
        pg_array_put(&was, steps[i].move->from);
        pg_array_put(&becomes, steps[i].move->to);
        pg_array_put(&ended_by, steps[i].ended_by);
    }
    TRY(pg_run(tx, &seller_statements[SQL_HOLDS_MOVE],
        PG_ARGS(PG_TEXT(pg_array_text(&orders)), PG_TEXT(pg_array_text(&was)),
            PG_TEXT(pg_array_text(&becomes)), PG_TEXT(pg_array_text(&ended_by))),
        &result));
    *ret_holds = result.rows;
    return 0;
}

static void put_changes(struct list changes, struct buf columns[static 4])
{
    for (size_t i = 0; i < changes.len; i++) {
        const struct stock_change *c = LIST_AT(changes, struct stock_change, i);
        pg_array_put(&columns[0], c->sku);
        pg_array_put_i64(&columns[1], c->available);
        pg_array_put_i64(&columns[2], c->held);
        pg_array_put_i64(&columns[3], c->committed);
    }
}

static void put_movements(const struct hold_step *s, struct buf columns[static 8])
{
    for (size_t i = 0; i < s->lines.len; i++) {
        const struct hold_line *l = LIST_AT(s->lines, struct hold_line, i);
        pg_array_put(&columns[0], l->sku);
        pg_array_put(&columns[1], s->move->to);
        pg_array_put(&columns[2], s->order_id);
        pg_array_put_i64(&columns[3], s->move->available * l->quantity);
        pg_array_put_i64(&columns[4], s->move->held * l->quantity);
        pg_array_put_i64(&columns[5], s->move->committed * l->quantity);
        pg_array_put(&columns[6], s->ended_by);
        pg_array_put(&columns[7], s->correlation_id);
    }
}

int store_stock_move(struct pg_tx *tx, struct list changes, const struct hold_step *steps,
    size_t count, struct list *ret_levels)
{
    struct buf columns[12] = {0};
    struct pg_arg args[12];
    struct pg_result result;
    put_changes(changes, columns);
    for (size_t i = 0; i < count; i++)
        put_movements(&steps[i], columns + 4);
    for (size_t i = 0; i < ARRAY_SIZE(args); i++)
        args[i] = PG_TEXT(pg_array_text(&columns[i]));
    TRY(pg_run(
        tx, &seller_statements[SQL_STOCK_MOVE], (struct pg_args){ARRAY_SIZE(args), args}, &result));
    *ret_levels = result.rows;
    return 0;
}

int store_hold_bury(struct pg_tx *tx, const char *order_id, const char *ended_by)
{
    return pg_queue(
        tx, &seller_statements[SQL_HOLD_BURY], PG_ARGS(PG_TEXT(order_id), PG_TEXT(ended_by)));
}

int store_holds_expired(struct list *ret_holds)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_HOLDS_EXPIRED], PG_NO_ARGS, &result));
    *ret_holds = result.rows;
    return 0;
}

int store_hold_skus(struct pg_tx *tx, const char *order_ids, struct list *ret_skus)
{
    struct pg_result result;
    TRY(pg_run(tx, &seller_statements[SQL_HOLD_SKUS], PG_ARGS(PG_TEXT(order_ids)), &result));
    *ret_skus = result.rows;
    return 0;
}
