#include "aibuddy/aibuddy.h"

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

enum {
    SQL_ONE_BATCH,
    SQL_ORDER_ADD,
    SQL_ORDER_COUNT,
    SQL_ORDER_COUNTED,
    SQL_ORDER_UNCOUNT,
    SQL_ORDER_CANCEL,
    SQL_ORDER_ITEMS,
    SQL_ITEM_TOLD,
    SQL_PROFILE_ADD,
    SQL_FORGET_ITEMS,
    SQL_FORGET_USER,
    SQL_FORGET_ORDERS,
    SQL_PERSONAL,
    SQL_RELATED,
    SQL_TRENDING,
    SQL_OPTED_OUT,
    SQL_OPT_OUT,
    SQL_REBUILDING,
};

const struct pg_statement aibuddy_statements[] = {
    [SQL_ONE_BATCH] = {"one_batch", "SELECT pg_advisory_xact_lock(hashtext('aibuddy learns'))"},
    /* Four small steps, queued together: know the order, count it unless it is counted or
     * cancelled, mark it. A cancellation that came first has left a cancelled row without lines,
     * which they fill. */
    [SQL_ORDER_ADD] = {"order_add",
        "INSERT INTO known_orders AS k (order_id, user_id, day, told_at, skus, quantities, "
        "counted) "
        "SELECT $1, (SELECT $2::uuid WHERE NOT EXISTS (SELECT 1 FROM profiles p WHERE p.user_id = "
        "$2 AND p.forgotten)), ($4::timestamptz AT TIME ZONE 'UTC')::date, $4, array_agg(sku), "
        "array_agg(quantity), false FROM (SELECT i->>'sku' AS sku, "
        "sum((i->>'quantity')::bigint)::bigint AS quantity FROM jsonb_array_elements($3::jsonb) i "
        "GROUP BY 1 ORDER BY 1) lines ON CONFLICT (order_id) DO UPDATE SET user_id = "
        "excluded.user_id, day = excluded.day, told_at = excluded.told_at, skus = excluded.skus, "
        "quantities = excluded.quantities WHERE k.told_at IS NULL"},
    [SQL_ORDER_COUNT] = {"order_count", "SELECT count_order(order_id) FROM known_orders WHERE "
                                        "order_id = $1 AND NOT counted AND NOT cancelled"},
    [SQL_ORDER_COUNTED] = {"order_counted", "UPDATE known_orders SET counted = NOT cancelled WHERE "
                                            "order_id = $1 AND counted = cancelled"},
    [SQL_ORDER_UNCOUNT] = {"order_uncount",
        "SELECT uncount_order(order_id) FROM known_orders WHERE order_id = $1 AND counted"},
    [SQL_ORDER_CANCEL] = {"order_cancel",
        "INSERT INTO known_orders AS k (order_id, counted, cancelled, cancelled_at) VALUES ($1, "
        "false, true, $2) ON CONFLICT (order_id) DO UPDATE SET cancelled = true, cancelled_at = "
        "least(k.cancelled_at, $2)"},
    /* What is newest by its own time wins, whenever it is told; of the same moment the greater. */
    [SQL_ORDER_ITEMS] = {"order_items_told",
        "INSERT INTO items AS t (sku, name, told_at, named_at) SELECT DISTINCT ON (1) i->>'sku', "
        "i->>'name', to_timestamp(0), $2::timestamptz FROM jsonb_array_elements($1::jsonb) i "
        "ORDER BY 1, 2 DESC ON CONFLICT (sku) DO UPDATE SET name = excluded.name, named_at = "
        "excluded.named_at WHERE t.told_at = to_timestamp(0) AND (t.named_at, t.name) < "
        "(excluded.named_at, excluded.name)"},
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
    /* The strongest pair of anything the user has bought, without what was bought already. */
    [SQL_PERSONAL] = {"personal",
        "SELECT c.sku, coalesce(i.name, c.sku), c.orders, coalesce(b.name, c.mine) FROM ("
        "SELECT DISTINCT ON (other) other AS sku, orders, mine FROM ("
        "SELECT p.sku_b AS other, p.orders, p.sku_a AS mine FROM user_items u "
        "JOIN pair_counts p ON p.sku_a = u.sku WHERE u.user_id = $1 AND u.orders > 0 AND p.orders "
        "> 0 "
        "UNION ALL SELECT p.sku_a, p.orders, p.sku_b FROM user_items u "
        "JOIN pair_counts p ON p.sku_b = u.sku WHERE u.user_id = $1 AND u.orders > 0 AND p.orders "
        "> 0) x "
        "ORDER BY other, orders DESC, mine) c "
        "LEFT JOIN items i ON i.sku = c.sku LEFT JOIN items b ON b.sku = c.mine "
        "WHERE coalesce(i.active, true) AND NOT EXISTS (SELECT 1 FROM user_items u "
        "WHERE u.user_id = $1 AND u.sku = c.sku AND u.orders > 0) "
        "ORDER BY c.orders DESC, c.sku LIMIT $2",
        &recommendation_row_table},
    [SQL_RELATED] = {"related",
        "SELECT x.sku, coalesce(i.name, x.sku), x.orders, coalesce(b.name, $1) FROM ("
        "SELECT sku_b AS sku, orders FROM pair_counts WHERE sku_a = $1 AND orders > 0 "
        "UNION ALL SELECT sku_a, orders FROM pair_counts WHERE sku_b = $1 AND orders > 0) x "
        "LEFT JOIN items i ON i.sku = x.sku LEFT JOIN items b ON b.sku = $1 "
        "WHERE coalesce(i.active, true) ORDER BY x.orders DESC, x.sku LIMIT $2",
        &recommendation_row_table},
    [SQL_TRENDING] = {"trending",
        "SELECT d.sku, coalesce(i.name, d.sku), sum(d.orders)::bigint AS orders, NULL "
        "FROM daily_counts d LEFT JOIN items i ON i.sku = d.sku "
        "WHERE d.day > (now() AT TIME ZONE 'UTC')::date - 7 AND coalesce(i.active, true) "
        "GROUP BY 1, 2 HAVING sum(d.orders) > 0 ORDER BY orders DESC, d.sku LIMIT $1",
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

static const char *items_json(struct list items)
{
    return json_list_text(fiber_arena(), &order_item_table, items);
}

int store_one_batch(struct pg_tx *tx)
{
    return pg_queue(tx, &aibuddy_statements[SQL_ONE_BATCH], PG_NO_ARGS);
}

int store_order_created(struct pg_tx *tx, const struct order_created *o, int64_t at_us)
{
    const char *items = items_json(o->items);
    TRY(pg_queue(
        tx, &aibuddy_statements[SQL_ORDER_ITEMS], PG_ARGS(PG_TEXT(items), PG_TIME(at_us))));
    TRY(pg_queue(tx, &aibuddy_statements[SQL_ORDER_ADD],
        PG_ARGS(PG_TEXT(o->order_id), PG_TEXT(o->user_id), PG_TEXT(items), PG_TIME(at_us))));
    TRY(pg_queue(tx, &aibuddy_statements[SQL_ORDER_COUNT], PG_ARGS(PG_TEXT(o->order_id))));
    return pg_queue(tx, &aibuddy_statements[SQL_ORDER_COUNTED], PG_ARGS(PG_TEXT(o->order_id)));
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

int store_trending(int64_t limit, struct list *ret_rows)
{
    return rows_of(&aibuddy_statements[SQL_TRENDING], PG_ARGS(PG_I64(limit)), ret_rows);
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
    *ret_rebuild = result.rows.len ? PG_ROW(result, struct rebuild, 0) : NULL;
    return 0;
}
