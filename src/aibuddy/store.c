#include "aibuddy/aibuddy.h"

#include <assert.h>

static const struct field recommendation_row_fields[] = {
    FIELD_TEXT(struct recommendation, sku, "sku"),
    FIELD_TEXT(struct recommendation, name, "name"),
    FIELD_I64(struct recommendation, count, "count"),
    FIELD_TEXT(struct recommendation, based_on, "basedOn"),
};
static const struct table recommendation_row_table =
    TABLE("RecommendationRow", struct recommendation, recommendation_row_fields);

static const struct field opt_out_row_fields[] = {
    FIELD_BOOL(struct preferences, opt_out, "optOut")};
static const struct table opt_out_row_table =
    TABLE("OptOutRow", struct preferences, opt_out_row_fields);

static const struct field rebuild_row_fields[] = {
    FIELD_TIME(struct rebuild, started_us, "startedAt"),
    FIELD_I64(struct rebuild, sent, "sent"),
};
static const struct table rebuild_row_table =
    TABLE("RebuildRow", struct rebuild, rebuild_row_fields);

/* The strongest $2 pairs of an item, to either side of it: each side is read from an index in that
 * order, by turns, no further than that many need. Whether the other item is on the shelves is
 * asked of an index of those that are not, and of the pairs that are read alone. */
#define PAIRS_TO(other, mine, item, filter)                                                        \
    "(SELECT p." other " AS sku, p.orders FROM pair_counts p WHERE p." mine " = " item             \
    " AND p.orders > 0 " filter "AND (SELECT o.sku FROM items o WHERE o.sku = p." other            \
    " AND NOT o.active) IS NULL ORDER BY p.orders DESC, p." other " LIMIT $2)"
#define PAIRS_OF(item, filter_b, filter_a)                                                         \
    "LATERAL (SELECT s.sku, s.orders FROM (" PAIRS_TO(                                             \
        "sku_b", "sku_a", item, filter_b) " UNION ALL " PAIRS_TO("sku_a", "sku_b", item,           \
        filter_a) ") s ORDER BY s.orders DESC, s.sku LIMIT $2) x "
#define NOT_HAD(sku)                                                                               \
    "AND " sku " NOT IN (SELECT h.sku FROM user_items h WHERE h.user_id = $1 AND h.orders > 0) "
#define PAIRS_OF_MINE PAIRS_OF("m.sku", NOT_HAD("p.sku_b"), NOT_HAD("p.sku_a"))
#define PAIRS_OF_ONE  PAIRS_OF("$1", "", "")
#define OWN_ITEMS     "50"
#define WEEKS_BEST    "100"
static_assert(TRENDING_MAX == 100, "WEEKS_BEST says the same");

enum {
    SQL_ONE_BATCH,
    SQL_LEARN_ORDERS,
    SQL_ORDER_COUNTED,
    SQL_ORDER_UNCOUNT,
    SQL_ORDER_CANCEL,
    SQL_ITEM_TOLD,
    SQL_PROFILE_ADD,
    SQL_FORGET_ITEMS,
    SQL_FORGET_USER,
    SQL_FORGET_ORDERS,
    SQL_PERSONAL,
    SQL_RELATED,
    SQL_TURN_WEEK,
    SQL_TRENDING,
    SQL_OPTED_OUT,
    SQL_OPT_OUT,
    SQL_REBUILDING,
};

const struct pg_statement aibuddy_statements[] = {
    [SQL_ONE_BATCH] = {"one_batch",
        "SELECT pg_advisory_xact_lock(hashtext('aibuddy learns')), turn_week()"},
    /* The orders of a batch, line by line: they become known, and are counted unless they are known
     * or cancelled. A cancellation that came first has left a cancelled row without lines, which
     * they fill. What is newest by its own time names an item, whenever it is told; of the same
     * moment the greater. */
    [SQL_LEARN_ORDERS] = {"learn_orders",
        "WITH lines AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::uuid[], "
        "$3::timestamptz[], $4::text[], $5::text[], $6::bigint[]) "
        "AS l (order_id, user_id, at, sku, name, quantity)), "
        "named AS (INSERT INTO items (sku, name, told_at, named_at) "
        "SELECT DISTINCT ON (sku) sku, name, to_timestamp(0), at FROM lines l WHERE NOT EXISTS ("
        "SELECT 1 FROM items t WHERE t.sku = l.sku AND (t.told_at <> to_timestamp(0) OR "
        "(t.named_at, t.name) >= (l.at, l.name))) ORDER BY sku, at DESC, name DESC "
        "ON CONFLICT (sku) DO UPDATE SET name = excluded.name, named_at = excluded.named_at), "
        "learned AS (INSERT INTO known_orders AS k (order_id, user_id, day, told_at, skus, "
        "quantities, counted) SELECT o.order_id, o.user_id, (o.at AT TIME ZONE 'UTC')::date, o.at, "
        "array_agg(o.sku ORDER BY o.sku), array_agg(o.quantity ORDER BY o.sku), true FROM ("
        "SELECT l.order_id, CASE WHEN p.user_id IS NULL THEN l.user_id END AS user_id, l.at, "
        "l.sku, sum(l.quantity)::bigint AS quantity FROM lines l "
        "LEFT JOIN profiles p ON p.user_id = l.user_id AND p.forgotten GROUP BY 1, 2, 3, 4) o "
        "GROUP BY 1, 2, 4 "
        "ON CONFLICT (order_id) DO UPDATE SET user_id = excluded.user_id, day = excluded.day, "
        "told_at = excluded.told_at, skus = excluded.skus, quantities = excluded.quantities, "
        "counted = NOT k.cancelled WHERE k.told_at IS NULL "
        "RETURNING user_id, day, skus, quantities, counted), "
        "paired AS (INSERT INTO pair_counts AS p (sku_a, sku_b, orders) "
        "SELECT x.sku, y.sku, count(*) FROM learned o, unnest(o.skus) x (sku), "
        "unnest(o.skus) y (sku) WHERE o.counted AND x.sku < y.sku GROUP BY 1, 2 "
        "ON CONFLICT (sku_a, sku_b) DO UPDATE SET orders = p.orders + excluded.orders), "
        "dated AS (INSERT INTO daily_counts AS d (day, sku, orders, units) "
        "SELECT o.day, i.sku, count(*), sum(i.quantity) FROM learned o, "
        "unnest(o.skus, o.quantities) i (sku, quantity) WHERE o.counted GROUP BY 1, 2 "
        "ON CONFLICT (day, sku) DO UPDATE SET orders = d.orders + excluded.orders, "
        "units = d.units + excluded.units), "
        "sold AS (INSERT INTO week_counts AS w (sku, orders) "
        "SELECT i.sku, count(*) FROM learned o, unnest(o.skus) i (sku) "
        "WHERE o.counted AND o.day > (SELECT today - 7 FROM week) GROUP BY 1 "
        "ON CONFLICT (sku) DO UPDATE SET orders = w.orders + excluded.orders) "
        "INSERT INTO user_items AS u (user_id, sku, orders) "
        "SELECT o.user_id, i.sku, count(*) FROM learned o, unnest(o.skus) i (sku) "
        "WHERE o.counted AND o.user_id IS NOT NULL GROUP BY 1, 2 "
        "ON CONFLICT (user_id, sku) DO UPDATE SET orders = u.orders + excluded.orders"},
    [SQL_ORDER_COUNTED] = {"order_counted", "UPDATE known_orders SET counted = NOT cancelled WHERE "
                                            "order_id = $1 AND counted = cancelled"},
    [SQL_ORDER_UNCOUNT] = {"order_uncount",
        "SELECT uncount_order(order_id) FROM known_orders WHERE order_id = $1 AND counted"},
    [SQL_ORDER_CANCEL] = {"order_cancel",
        "INSERT INTO known_orders AS k (order_id, counted, cancelled, cancelled_at) VALUES ($1, "
        "false, true, $2) ON CONFLICT (order_id) DO UPDATE SET cancelled = true, cancelled_at = "
        "least(k.cancelled_at, $2)"},
    [SQL_ITEM_TOLD] = {"item_told",
        "INSERT INTO items AS t (sku, name, category, active, told_at) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (sku) DO UPDATE SET name = $2, category = $3, active = $4, told_at = $5, "
        "named_at = to_timestamp(0) WHERE (t.told_at, t.name, coalesce(t.category, ''), t.active) "
        "< ($5, $2, coalesce($3, ''), $4)"},
    [SQL_PROFILE_ADD] = {"profile_add",
        "INSERT INTO profiles (user_id) VALUES ($1) ON CONFLICT DO NOTHING"},
    [SQL_FORGET_ITEMS] = {"forget_items", "DELETE FROM user_items WHERE user_id = $1"},
    /* The id alone stays, so that an order told later is counted without its buyer. */
    [SQL_FORGET_USER] = {"forget_user",
        "INSERT INTO profiles (user_id, opted_out, forgotten) VALUES ($1, true, true) "
        "ON CONFLICT (user_id) DO UPDATE SET opted_out = true, forgotten = true"},
    [SQL_FORGET_ORDERS] = {"forget_orders",
        "UPDATE known_orders SET user_id = NULL WHERE user_id = $1"},
    /* The strongest pair of what the user has bought (of very much, what was bought most often),
     * without what was bought already. An item's pairs are read from the strongest on, no more of
     * them than can be shown: a bestseller has as many as there are products. */
    [SQL_PERSONAL] = {"personal",
        "SELECT c.sku, coalesce(i.name, c.sku), c.orders, coalesce(b.name, c.mine) FROM ("
        "SELECT * FROM (SELECT DISTINCT ON (x.sku) x.sku, x.orders, m.sku AS mine FROM ("
        "SELECT sku FROM user_items WHERE user_id = $1 AND orders > 0 "
        "ORDER BY orders DESC, sku LIMIT " OWN_ITEMS ") m, " PAIRS_OF_MINE
        "ORDER BY x.sku, x.orders DESC, m.sku) d ORDER BY d.orders DESC, d.sku LIMIT $2) c "
        "LEFT JOIN items i ON i.sku = c.sku LEFT JOIN items b ON b.sku = c.mine "
        "ORDER BY c.orders DESC, c.sku",
        &recommendation_row_table},
    [SQL_RELATED] = {"related",
        "SELECT x.sku, coalesce(i.name, x.sku), x.orders, coalesce(b.name, $1) FROM " PAIRS_OF_ONE
        "LEFT JOIN items i ON i.sku = x.sku LEFT JOIN items b ON b.sku = $1 "
        "ORDER BY x.orders DESC, x.sku",
        &recommendation_row_table},
    [SQL_TURN_WEEK] = {"turn_week", "SELECT turn_week()"},
    /* Read from the top on. With a limit that the planner does not know it would join all items. */
    [SQL_TRENDING] = {"trending",
        "SELECT w.sku, coalesce(i.name, w.sku), w.orders, NULL FROM week_counts w "
        "LEFT JOIN items i ON i.sku = w.sku WHERE coalesce(i.active, true) "
        "ORDER BY w.orders DESC, w.sku LIMIT " WEEKS_BEST,
        &recommendation_row_table},
    [SQL_OPTED_OUT] = {"opted_out", "SELECT opted_out FROM profiles WHERE user_id = $1",
        &opt_out_row_table},
    [SQL_OPT_OUT] = {"opt_out", "INSERT INTO profiles (user_id, opted_out) VALUES ($1, $2) "
                                "ON CONFLICT (user_id) DO UPDATE SET opted_out = $2 "
                                "WHERE NOT profiles.forgotten"},
    [SQL_REBUILDING] = {"rebuilding",
        "SELECT started_at, sent FROM replays WHERE rebuild AND ended_at IS NULL",
        &rebuild_row_table},
};
const size_t aibuddy_statements_count = ARRAY_SIZE(aibuddy_statements);

int store_one_batch(struct pg_tx *tx)
{
    return pg_queue(tx, &aibuddy_statements[SQL_ONE_BATCH], PG_NO_ARGS);
}

int store_orders_created(struct pg_tx *tx, const struct event *const *created, size_t count)
{
    struct buf ids = {0}, users = {0}, times = {0}, skus = {0}, names = {0}, quantities = {0};
    for (size_t i = 0; i < count; i++) {
        const struct order_created *o = created[i]->payload;
        char at[CLOCK_TEXT_SIZE];
        clock_format(created[i]->timestamp_us, at);
        for (size_t j = 0; j < o->items.len; j++) {
            const struct order_item *item = LIST_AT(o->items, struct order_item, j);
            pg_array_put(&ids, o->order_id);
            pg_array_put(&users, o->user_id);
            pg_array_put(&times, at);
            pg_array_put(&skus, item->sku);
            pg_array_put(&names, item->name);
            pg_array_put_i64(&quantities, item->quantity);
        }
    }
    return pg_queue(tx, &aibuddy_statements[SQL_LEARN_ORDERS],
        PG_ARGS(PG_TEXT(pg_array_text(&ids)), PG_TEXT(pg_array_text(&users)),
            PG_TEXT(pg_array_text(&times)), PG_TEXT(pg_array_text(&skus)),
            PG_TEXT(pg_array_text(&names)), PG_TEXT(pg_array_text(&quantities))));
}

int store_order_cancelled(struct pg_tx *tx, const char *order_id, int64_t at_us)
{
    TRY(pg_queue(
        tx, &aibuddy_statements[SQL_ORDER_CANCEL], PG_ARGS(PG_TEXT(order_id), PG_TIME(at_us))));
    TRY(pg_queue(tx, &aibuddy_statements[SQL_ORDER_UNCOUNT], PG_ARGS(PG_TEXT(order_id))));
    return pg_queue(tx, &aibuddy_statements[SQL_ORDER_COUNTED], PG_ARGS(PG_TEXT(order_id)));
}

int store_item_told(struct pg_tx *tx, const struct product_updated *p, int64_t at_us)
{
    bool active = !p->status || strcmp(p->status, "active") == 0;
    return pg_queue(tx, &aibuddy_statements[SQL_ITEM_TOLD],
        PG_ARGS(PG_TEXT(p->sku), PG_TEXT(p->name), PG_TEXT(p->category), PG_BOOL(active),
            PG_TIME(at_us)));
}

int store_profile_add(struct pg_tx *tx, const char *user_id)
{
    return pg_queue(tx, &aibuddy_statements[SQL_PROFILE_ADD], PG_ARGS(PG_TEXT(user_id)));
}

int store_user_forget(struct pg_tx *tx, const char *user_id)
{
    TRY(pg_queue(tx, &aibuddy_statements[SQL_FORGET_ITEMS], PG_ARGS(PG_TEXT(user_id))));
    TRY(pg_queue(tx, &aibuddy_statements[SQL_FORGET_USER], PG_ARGS(PG_TEXT(user_id))));
    return pg_queue(tx, &aibuddy_statements[SQL_FORGET_ORDERS], PG_ARGS(PG_TEXT(user_id)));
}

static int rows_of(const struct pg_statement *s, struct pg_args args, struct list *ret_rows)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, s, args, &result));
    *ret_rows = result.rows;
    return 0;
}

int store_personal(const char *user_id, int64_t limit, struct list *ret_rows)
{
    return rows_of(
        &aibuddy_statements[SQL_PERSONAL], PG_ARGS(PG_TEXT(user_id), PG_I64(limit)), ret_rows);
}

int store_related(const char *sku, int64_t limit, struct list *ret_rows)
{
    return rows_of(
        &aibuddy_statements[SQL_RELATED], PG_ARGS(PG_TEXT(sku), PG_I64(limit)), ret_rows);
}

int store_trending(struct list *ret_rows)
{
    TRY(pg_query(app()->pg, &aibuddy_statements[SQL_TURN_WEEK], PG_NO_ARGS, NULL));
    return rows_of(&aibuddy_statements[SQL_TRENDING], PG_NO_ARGS, ret_rows);
}

int store_opted_out(const char *user_id, bool *ret_opted_out)
{
    struct pg_result result;
    TRY(pg_query(
        app()->pg, &aibuddy_statements[SQL_OPTED_OUT], PG_ARGS(PG_TEXT(user_id)), &result));
    *ret_opted_out = result.rows.len && PG_ROW(result, struct preferences, 0)->opt_out;
    return 0;
}

int store_opt_out(const char *user_id, bool opt_out)
{
    return pg_query(app()->pg, &aibuddy_statements[SQL_OPT_OUT],
        PG_ARGS(PG_TEXT(user_id), PG_BOOL(opt_out)), NULL);
}

int store_rebuilding(struct rebuild **ret_rebuild)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &aibuddy_statements[SQL_REBUILDING], PG_NO_ARGS, &result));
    *ret_rebuild = PG_FIRST(result, struct rebuild);
    return 0;
}
