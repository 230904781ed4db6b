#include "order/order.h"

#define ORDER_ITEMS                                                                                \
    "(SELECT json_agg(json_build_object('sku', i.sku, 'name', i.name, 'sellerId', i.seller_id, "   \
    "'quantity', i.quantity, 'unitPrice', "                                                        \
    "json_build_object('amount', i.unit_price, 'currency', i.currency)) ORDER BY i.line) "         \
    "FROM order_items i WHERE i.order_id = o.id)"
#define ORDER_COLUMNS_WITH(items)                                                                  \
    "o.id, o.user_id, o.status, " items ", "                                                       \
    "o.total, o.currency, o.payment_id, o.shipping_address, o.refunded, o.reason, o.version, "     \
    "o.created_at, o.updated_at, o.user_email, o.user_name, o.paid_at, o.stock_committed_at "
#define ORDER_COLUMNS ORDER_COLUMNS_WITH(ORDER_ITEMS)

/* A page begins at its place in an index, wherever that is: the first one before all. Everybody's
 * orders and one user's are two statements, for a plan that has to suit both reads all orders. */
#define ORDER_PAGE                                                                                 \
    "($1::text IS NULL OR o.status = $1) AND (o.created_at, o.id) < (coalesce($2::timestamptz, "   \
    "'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) "                    \
    "ORDER BY o.created_at DESC, o.id DESC LIMIT $4"

struct flag_row {
    bool value;
};
static const struct field flag_fields[] = {FIELD_BOOL(struct flag_row, value, "value")};
static const struct table flag_table = TABLE("Flag", struct flag_row, flag_fields);

struct share_row {
    bool some, all;
};
static const struct field share_fields[] = {
    FIELD_BOOL(struct share_row, some, "some"), FIELD_BOOL(struct share_row, all, "all")};
static const struct table share_table = TABLE("Share", struct share_row, share_fields);

enum {
    SQL_INSERT,
    SQL_INSERT_ITEMS,
    SQL_GET,
    SQL_VISIBLE,
    SQL_LOCK,
    SQL_LOCK_ALL,
    SQL_LIST,
    SQL_LIST_OF_USER,
    SQL_HISTORY,
    SQL_HISTORY_ADD,
    SQL_SELLS_IN,
    SQL_ABANDON,
    SQL_LOCK_ID,
    SQL_IS_ABANDONED,
    SQL_SAVE,
};

const struct pg_statement order_statements[] = {
    [SQL_INSERT] = {"order_insert",
        "INSERT INTO orders (id, user_id, user_email, user_name, status, total, currency, "
        "payment_id, shipping_address) VALUES ($1, $2, $3, $4, 'created', $5, $6, $7, $8)"},
    [SQL_INSERT_ITEMS] = {"order_insert_items",
        "INSERT INTO order_items (order_id, line, sku, name, seller_id, quantity, unit_price, "
        "currency) "
        "SELECT $1, n, i->>'sku', i->>'name', (i->>'sellerId')::uuid, (i->>'quantity')::bigint, "
        "(i->'unitPrice'->>'amount')::bigint, i->'unitPrice'->>'currency' "
        "FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY AS line (i, n)"},
    [SQL_GET] = {"order_get", "SELECT " ORDER_COLUMNS "FROM orders o WHERE o.id = $1",
        &order_table},
    [SQL_VISIBLE] = {"order_visible",
        "SELECT " ORDER_COLUMNS "FROM orders o WHERE o.id = $1 AND ($2::uuid IS NULL OR o.user_id "
        "= $2 OR $3 AND EXISTS (SELECT FROM order_items i WHERE i.order_id = o.id AND i.seller_id "
        "= $2))",
        &order_table},
    [SQL_LOCK] = {"order_lock", "SELECT " ORDER_COLUMNS "FROM orders o WHERE o.id = $1 FOR UPDATE",
        &order_table},
    [SQL_LOCK_ALL] = {"order_lock_all",
        "SELECT " ORDER_COLUMNS_WITH("'[]'::json") "FROM orders o WHERE o.id = ANY ($1::uuid[]) "
                                                   "ORDER BY o.id FOR UPDATE",
        &order_table},
    [SQL_LIST] = {"order_list", "SELECT " ORDER_COLUMNS "FROM orders o WHERE " ORDER_PAGE,
        &order_table},
    [SQL_LIST_OF_USER] = {"order_list_of_user",
        "SELECT " ORDER_COLUMNS "FROM orders o WHERE o.user_id = $5 AND " ORDER_PAGE, &order_table},
    [SQL_HISTORY] = {"order_history",
        "SELECT from_status, to_status, actor, reason, at FROM order_history WHERE order_id = $1 "
        "ORDER BY id",
        &history_entry_table},
    [SQL_HISTORY_ADD] = {"order_history_add",
        "INSERT INTO order_history (order_id, from_status, to_status, actor, reason, event_id, "
        "correlation_id) VALUES ($1, $2, $3, $4, $5, $6, $7)"},
    [SQL_SELLS_IN] = {"order_sells_in",
        "SELECT coalesce(bool_or(seller_id = $2), false), coalesce(bool_and(seller_id = $2), "
        "false) "
        "FROM order_items WHERE order_id = $1",
        &share_table},
    [SQL_ABANDON] = {"order_abandon",
        "INSERT INTO abandoned_orders (id) VALUES ($1) ON CONFLICT DO NOTHING"},
    /* Create and abandon of one id exclude each other; a statement of its own, so that the next
     * one's snapshot is taken after the wait. */
    [SQL_LOCK_ID] = {"order_lock_id",
        "SELECT pg_advisory_xact_lock(hashtextextended(($1::uuid)::text, 0))"},
    [SQL_IS_ABANDONED] = {"order_is_abandoned",
        "SELECT EXISTS (SELECT 1 FROM abandoned_orders WHERE id = $1)", &flag_table},
    [SQL_SAVE] = {"order_save",
        "UPDATE orders SET status = $2, paid_at = $3, stock_committed_at = $4, refunded = $5, "
        "reason = $6, shipping_address = $7, version = version + 1, updated_at = $8 WHERE id = $1"},
};
const size_t order_statements_count = ARRAY_SIZE(order_statements);

int store_insert(struct pg_tx *tx, const struct order_create_body *o)
{
    TRY(pg_queue(tx, &order_statements[SQL_INSERT],
        PG_ARGS(PG_TEXT(o->order_id), PG_TEXT(o->user_id), PG_TEXT(o->user_email),
            PG_TEXT(o->user_name), PG_I64(o->total.amount), PG_TEXT(o->total.currency),
            PG_TEXT(o->payment_id),
            PG_TEXT(o->shipping_address
                        ? json_struct_text(fiber_arena(), &address_table, o->shipping_address)
                        : NULL))));
    return pg_queue(tx, &order_statements[SQL_INSERT_ITEMS],
        PG_ARGS(PG_TEXT(o->order_id),
            PG_TEXT(json_list_text(fiber_arena(), &order_item_table, o->items))));
}

int store_get(struct pg_tx *tx, const char *order_id, bool for_update, struct order **ret_order)
{
    struct pg_result result;
    TRY(pg_run(tx, &order_statements[for_update ? SQL_LOCK : SQL_GET], PG_ARGS(PG_TEXT(order_id)),
        &result));
    *ret_order = result.rows.len ? PG_ROW(result, struct order, 0) : NULL;
    return 0;
}

int store_lock_all(struct pg_tx *tx, const char *order_ids, struct list *ret_orders)
{
    struct pg_result result;
    TRY(pg_run(tx, &order_statements[SQL_LOCK_ALL], PG_ARGS(PG_TEXT(order_ids)), &result));
    *ret_orders = result.rows;
    return 0;
}

int store_find(
    const char *order_id, const char *reader_id, bool reader_sells, struct order **ret_order)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &order_statements[SQL_VISIBLE],
        PG_ARGS(PG_TEXT(order_id), PG_TEXT(reader_id), PG_BOOL(reader_sells)), &result));
    *ret_order = result.rows.len ? PG_ROW(result, struct order, 0) : NULL;
    return 0;
}

int store_list(const char *user_id, const char *status, int64_t before_us, const char *before_id,
    int64_t limit, struct list *ret_orders)
{
    struct pg_result result;
    const struct pg_arg args[] = {PG_TEXT(status), PG_TIME(before_us), PG_TEXT(before_id),
        PG_I64(limit + 1), PG_TEXT(user_id)};
    TRY(pg_query(app()->pg, &order_statements[user_id ? SQL_LIST_OF_USER : SQL_LIST],
        (struct pg_args){user_id ? 5 : 4, args}, &result));
    *ret_orders = result.rows;
    return 0;
}

int store_history(const char *order_id, struct order_history *ret_history)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &order_statements[SQL_HISTORY], PG_ARGS(PG_TEXT(order_id)), &result));
    ret_history->entries = result.rows;
    return 0;
}

int store_sells_in(const char *order_id, const char *seller_id, bool *ret_some, bool *ret_all)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &order_statements[SQL_SELLS_IN],
        PG_ARGS(PG_TEXT(order_id), PG_TEXT(seller_id)), &result));
    *ret_some = PG_ROW(result, struct share_row, 0)->some;
    *ret_all = PG_ROW(result, struct share_row, 0)->all;
    return 0;
}

int store_abandon(struct pg_tx *tx, const char *order_id)
{
    return pg_queue(tx, &order_statements[SQL_ABANDON], PG_ARGS(PG_TEXT(order_id)));
}

int store_is_abandoned(struct pg_tx *tx, const char *order_id, bool *ret_abandoned)
{
    struct pg_result result;
    TRY(pg_queue(tx, &order_statements[SQL_LOCK_ID], PG_ARGS(PG_TEXT(order_id))));
    TRY(pg_run(tx, &order_statements[SQL_IS_ABANDONED], PG_ARGS(PG_TEXT(order_id)), &result));
    *ret_abandoned = PG_ROW(result, struct flag_row, 0)->value;
    return 0;
}

int store_save(struct pg_tx *tx, struct order *o)
{
    o->version++;
    o->updated_at = clock_wall_us();
    return pg_queue(tx, &order_statements[SQL_SAVE],
        PG_ARGS(PG_TEXT(o->id), PG_TEXT(o->status), PG_TIME(o->paid_at),
            PG_TIME(o->stock_committed_at), PG_I64(o->refunded), PG_TEXT(o->reason),
            o->shipping_address.len ? PG_SPAN(o->shipping_address) : PG_TEXT(NULL),
            PG_TIME(o->updated_at)));
}

int store_history_add(struct pg_tx *tx, const char *order_id, const char *from, const char *to,
    const char *actor, const char *reason, const char *event_id)
{
    return pg_queue(tx, &order_statements[SQL_HISTORY_ADD],
        PG_ARGS(PG_TEXT(order_id), PG_TEXT(from), PG_TEXT(to), PG_TEXT(actor), PG_TEXT(reason),
            PG_TEXT(event_id), PG_TEXT(correlation_current())));
}
