/* SQL of the order service. An order is one row, with its lines and its history in it. */

#include "common/base/buf.h"
#include "order/order.h"

#define ORDER_COLUMNS_WITH(items)                                                                  \
    "o.id, o.user_id, o.status, " items                                                            \
    ", o.total, o.currency, o.payment_id, o.shipping_address, "                                    \
    "o.refunded, o.reason, o.version, o.created_at, o.updated_at, o.user_email, o.user_name, "     \
    "o.paid_at, o.stock_committed_at "
#define ORDER_COLUMNS ORDER_COLUMNS_WITH("o.items")

/* A page begins at its place in an index, wherever that is: the first one before all. Everybody's
 * orders and one user's are two statements, for a plan that has to suit both reads all orders. */
#define ORDER_PAGE                                                                                 \
    "($1::order_status IS NULL OR o.status = $1) AND (o.created_at, o.id) < "                      \
    "(coalesce($2::timestamptz, "                                                                  \
    "'infinity'), coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')) "                    \
    "ORDER BY o.created_at DESC, o.id DESC LIMIT $4"

struct flag_row {
    bool value;
};
static const struct field flag_fields[] = {FIELD_BOOL(struct flag_row, value, "value")};
static const struct table flag_table = TABLE("Flag", struct flag_row, flag_fields);

enum {
    SQL_INSERT,
    SQL_GET,
    SQL_VISIBLE,
    SQL_LOCK,
    SQL_LOCK_ALL,
    SQL_LIST,
    SQL_LIST_OF_USER,
    SQL_HISTORY,
    SQL_ABANDON,
    SQL_LOCK_ID,
    SQL_IS_ABANDONED,
    SQL_SAVE,
    SQL_SAVE_ADDRESS,
};

const struct pg_statement order_statements[] = {
    /* An id that was given up, or exists, fails by itself: PG_NOT_NULL, PG_UNIQUE. */
    [SQL_INSERT] = {"order_insert",
        "INSERT INTO orders (id, user_id, user_email, user_name, status, total, currency, "
        "payment_id, shipping_address, items, history, created_at, updated_at) "
        "VALUES ($1, $2, $3, $4, CASE WHEN EXISTS (SELECT FROM abandoned_orders WHERE id = $1) "
        "THEN NULL ELSE 'created'::order_status END, $5, $6, $7, $8, $9, $10, $11, $11)"},
    [SQL_GET] = {"order_get", "SELECT " ORDER_COLUMNS "FROM orders o WHERE o.id = $1",
        &order_table},
    [SQL_VISIBLE] = {"order_visible",
        "SELECT " ORDER_COLUMNS "FROM orders o WHERE o.id = $1 AND ($2::uuid IS NULL OR o.user_id "
        "= $2 OR $3 AND EXISTS (SELECT FROM json_array_elements(o.items) i "
        "WHERE (i->>'sellerId')::uuid = $2))",
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
    [SQL_ABANDON] = {"order_abandon",
        "INSERT INTO abandoned_orders (id) VALUES ($1) ON CONFLICT DO NOTHING"},
    /* Create and abandon of one id exclude each other; a statement of its own, so that the next
     * one's snapshot is taken after the wait. */
    [SQL_LOCK_ID] = {"order_lock_id",
        "SELECT pg_advisory_xact_lock(hashtextextended(($1::uuid)::text, 0))"},
    [SQL_IS_ABANDONED] = {"order_is_abandoned",
        "SELECT EXISTS (SELECT 1 FROM abandoned_orders WHERE id = $1)", &flag_table},
    [SQL_SAVE] = {"order_save",
        "UPDATE orders o SET status = n.status, paid_at = n.paid_at, "
        "stock_committed_at = n.stock_committed_at, refunded = n.refunded, reason = n.reason, "
        "history = o.history || n.history, version = n.version, updated_at = n.updated_at "
        "FROM unnest($1::uuid[], $2::order_status[], $3::timestamptz[], $4::timestamptz[], "
        "$5::bigint[], $6::text[], $7::jsonb[], $8::bigint[], $9::timestamptz[]) AS n (id, status, "
        "paid_at, stock_committed_at, refunded, reason, history, version, updated_at) "
        "WHERE o.id = n.id"},
    [SQL_SAVE_ADDRESS] = {"order_save_address",
        "UPDATE orders SET shipping_address = $2, version = $3, updated_at = $4 WHERE id = $1"},
};
const size_t order_statements_count = ARRAY_SIZE(order_statements);

int store_insert(struct pg_tx *tx, const struct order *o)
{
    struct arena *a = fiber_arena();
    TRY(pg_queue(tx, &order_statements[SQL_LOCK_ID], PG_ARGS(PG_TEXT(o->id))));
    return pg_queue(tx, &order_statements[SQL_INSERT],
        PG_ARGS(PG_TEXT(o->id), PG_TEXT(o->user_id), PG_TEXT(o->user_email), PG_TEXT(o->user_name),
            PG_I64(o->total.amount), PG_TEXT(o->total.currency), PG_TEXT(o->payment_id),
            o->shipping_address.len ? PG_SPAN(o->shipping_address) : PG_TEXT(NULL),
            PG_TEXT(json_list_text(a, &order_item_table, o->items)),
            PG_TEXT(json_list_text(a, &history_row_table, o->news)), PG_TIME(o->created_at)));
}

int store_get(struct pg_tx *tx, const char *order_id, bool for_update, struct order **ret_order)
{
    struct pg_result result;
    TRY(pg_run(tx, &order_statements[for_update ? SQL_LOCK : SQL_GET], PG_ARGS(PG_TEXT(order_id)),
        &result));
    *ret_order = PG_FIRST(result, struct order);
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
    *ret_order = PG_FIRST(result, struct order);
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

static void put_time(struct buf *array, int64_t wall_us)
{
    char text[CLOCK_TEXT_SIZE];
    if (wall_us)
        clock_format(wall_us, text);
    pg_array_put(array, wall_us ? text : NULL);
}

static void put_change(struct order *o, struct buf columns[static 9])
{
    o->version++;
    o->updated_at = clock_wall_us();
    pg_array_put(&columns[0], o->id);
    pg_array_put(&columns[1], o->status);
    put_time(&columns[2], o->paid_at);
    put_time(&columns[3], o->stock_committed_at);
    pg_array_put_i64(&columns[4], o->refunded);
    pg_array_put(&columns[5], o->reason);
    pg_array_put(&columns[6], json_list_text(fiber_arena(), &history_row_table, o->news));
    pg_array_put_i64(&columns[7], o->version);
    put_time(&columns[8], o->updated_at);
    o->news = (struct list){0};
}

int store_save(struct pg_tx *tx, struct order *const *orders, size_t count)
{
    struct buf columns[9] = {0};
    struct pg_arg args[9];
    for (size_t i = 0; i < count; i++)
        put_change(orders[i], columns);
    for (size_t i = 0; i < ARRAY_SIZE(args); i++)
        args[i] = PG_TEXT(pg_array_text(&columns[i]));
    return pg_queue(tx, &order_statements[SQL_SAVE], (struct pg_args){ARRAY_SIZE(args), args});
}

int store_save_address(struct pg_tx *tx, struct order *o)
{
    o->version++;
    o->updated_at = clock_wall_us();
    return pg_queue(tx, &order_statements[SQL_SAVE_ADDRESS],
        PG_ARGS(PG_TEXT(o->id), PG_SPAN(o->shipping_address), PG_I64(o->version),
            PG_TIME(o->updated_at)));
}
