/* SQL of the seller service.
 *
 * Whoever locks more than one row of `stock` locks them in the order of their SKUs, all in one
 * statement, so that carts and events in any order never wait for each other in a circle. Taking a
 * hold is a single statement: lock, look, change all or nothing, write the ledger, answer. Its row
 * locks live for the statement and its commit, never for a round trip. Moving holds takes two, of
 * which the one that touches the stock comes last: see holds.c. */

#include "seller/seller.h"

#define SELLER_COLUMNS "id, name, description, status, version, created_at, updated_at "

#define PRODUCT_COLUMNS                                                                            \
    "p.sku, p.seller_id, p.name, p.description, p.category, p.price, p.currency, p.status, "       \
    "s.available, p.version, p.created_at, p.updated_at, "

#define NO_SEARCH "0, 0 "

/* A page begins at its place in an index, wherever that is: the first one before all. What is asked
 * for decides which index, so these are statements of their own; one plan for all reads all
 * products. The greatest page (100 and one more) is said as a number, inside: for a limit that the
 * planner does not know it makes a plan for a tenth of the catalogue, or a new one each time. */
#define PRODUCT_PAGE(filter)                                                                       \
    "SELECT * FROM (SELECT " PRODUCT_COLUMNS NO_SEARCH                                             \
    "FROM products p JOIN stock s USING (sku) WHERE " filter                                       \
    "(p.created_at, p.sku) < (coalesce($1::timestamptz, 'infinity'), coalesce($2, '')) "           \
    "AND ($3 OR p.status = 'active') ORDER BY p.created_at DESC, p.sku DESC LIMIT 101) page "      \
    "ORDER BY created_at DESC, sku DESC LIMIT $4"

/* Of very many that match only the newest JUDGED are ranked: how well each of half a catalogue fits
 * would cost seconds, and nobody turns that many pages. products_found() (in the migrations) finds
 * them. */
#define JUDGED "200"

#define LEVEL_COLUMNS                                                                              \
    "s.sku, p.name, p.seller_id, s.available + s.held + s.committed, s.available, s.held, "        \
    "s.committed, s.threshold, "                                                                   \
    "s.available <= s.threshold, s.version, s.updated_at, s.alerted "

#define LEVEL_FROM "FROM stock s JOIN products p USING (sku) "

#define HOLD_COLUMNS "h.order_id, h.expires_at, h.lines, h.state, h.ended_by "

/* True of every quantity. The planner takes an array that it does not know for ten rows, and finds
 * a plan for the two that it is given that much cheaper than it would plan anew each time; a range
 * makes it expect one row either way, and it keeps the plan. */
#define ANY_QUANTITY "-9223372036854775807 AND 9223372036854775807"

/* `line` glances at each row before it locks it: who asks for what is plainly not there is refused
 * at the price of a read, which is what most of those get who come for the last unit. What fits is
 * locked in the order of the SKUs and looked at again in its newest version. Only when that is all
 * of it, and the order has no hold, the hold is written and brings everything else with it.
 * Products are sold at the price of the glance. */
#define HOLD_TAKE(on_conflict)                                                                     \
    "WITH line AS MATERIALIZED (SELECT s.sku, w.quantity, p.name, p.seller_id, p.price, "          \
    "p.currency FROM unnest($3::text[], $4::bigint[]) AS w (sku, quantity) "                       \
    "JOIN products p USING (sku) JOIN stock s USING (sku) WHERE p.status = 'active' "              \
    "AND s.available >= w.quantity AND w.quantity BETWEEN " ANY_QUANTITY " "                       \
    "ORDER BY s.sku FOR UPDATE OF s), "                                                            \
    "taken AS (INSERT INTO holds AS h (order_id, user_id, state, expires_at, lines) "              \
    "SELECT $1, $2, 'held', now() + $5 * interval '1 s', "                                         \
    "json_agg(json_build_object('sku', sku, 'name', name, 'sellerId', seller_id, 'quantity', "     \
    "quantity, 'unitPrice', json_build_object('amount', price, 'currency', currency))) "           \
    "FROM line HAVING count(*) = cardinality($3::text[]) "                                         \
    "ON CONFLICT (order_id) " on_conflict " RETURNING " HOLD_COLUMNS "), "                         \
    "moved AS (UPDATE stock s SET available = s.available - l.quantity, "                          \
    "held = s.held + l.quantity, version = s.version + 1, updated_at = now() "                     \
    "FROM line l, taken WHERE s.sku = l.sku), "                                                    \
    "written AS (INSERT INTO stock_movements (sku, kind, order_id, available, held, "              \
    "correlation_id) SELECT sku, 'held', $1, -quantity, quantity, $6 FROM line, taken) "           \
    "SELECT " HOLD_COLUMNS "FROM taken h"

const struct pg_statement seller_statements[] = {
    [SQL_SELLER_INSERT] = {"seller_insert",
        "INSERT INTO sellers (id, name, description) SELECT $1::uuid, $2, $3 WHERE NOT EXISTS "
        "(SELECT 1 FROM closed_accounts WHERE user_id = $1) ON CONFLICT DO NOTHING"},
    [SQL_SELLER_GET] = {"seller_get", "SELECT " SELLER_COLUMNS "FROM sellers WHERE id = $1",
        &seller_table},
    [SQL_SELLER_LOCK] = {"seller_lock",
        "SELECT " SELLER_COLUMNS "FROM sellers WHERE id = $1 FOR UPDATE", &seller_table},
    [SQL_SELLER_SAVE] = {"seller_save",
        "UPDATE sellers SET name = $2, description = $3, version = version + 1, "
        "updated_at = $4 WHERE id = $1"},
    [SQL_SELLER_CLOSE] = {"seller_close",
        "UPDATE sellers SET status = 'closed', version = version + 1, updated_at = now() "
        "WHERE id = $1 AND status <> 'closed'"},
    /* To the end of the transaction: an account is closed before or after it opens a shop. */
    [SQL_ACCOUNT_TURN] = {"account_turn",
        "SELECT pg_advisory_xact_lock(hashtextextended($1::text, 20032))"},
    [SQL_ACCOUNT_CLOSE] = {"account_close",
        "INSERT INTO closed_accounts (user_id) VALUES ($1) ON CONFLICT DO NOTHING"},
    /* (Live holds are few: the index of their ends is read through.) */
    [SQL_HOLDS_HURRY] = {"holds_hurry",
        "UPDATE holds SET expires_at = now() + make_interval(secs => $2) WHERE state = 'held' "
        "AND user_id = $1 AND expires_at > now() + make_interval(secs => $2)"},
    [SQL_SHELVES_EMPTY] = {"shelves_empty",
        "WITH emptied AS (UPDATE products SET status = 'inactive', version = version + 1, "
        "updated_at = now() WHERE seller_id = $1 AND status = 'active' RETURNING *) "
        "SELECT " PRODUCT_COLUMNS NO_SEARCH
        "FROM emptied p JOIN stock s USING (sku) ORDER BY p.sku",
        &product_table},
    [SQL_PRODUCT_INSERT] = {"product_insert",
        "INSERT INTO products (sku, seller_id, name, description, category, price, currency) "
        "SELECT $1, s.id, $3, $4, $5, $6, $7 FROM sellers s WHERE s.id = $2 "
        "AND s.status = 'active' FOR SHARE"},
    [SQL_STOCK_INSERT] = {"stock_insert", "INSERT INTO stock (sku, available) VALUES ($1, $2)"},
    [SQL_PRODUCT_GET] = {"product_get",
        "SELECT " PRODUCT_COLUMNS NO_SEARCH
        "FROM products p JOIN stock s USING (sku) WHERE p.sku = $1",
        &product_table},
    [SQL_PRODUCT_LOCK] = {"product_lock",
        "SELECT " PRODUCT_COLUMNS NO_SEARCH "FROM products p JOIN stock s USING (sku) "
        "WHERE p.sku = $1 AND ($2::uuid IS NULL OR p.seller_id = $2) FOR UPDATE OF p",
        &product_table},
    [SQL_PRODUCT_SAVE] = {"product_save",
        "UPDATE products SET name = $2, description = $3, category = $4, price = $5, "
        "currency = $6, status = $7, version = version + 1, updated_at = $8 WHERE sku = $1"},
    [SQL_PRODUCTS] = {"products", PRODUCT_PAGE(""), &product_table},
    [SQL_PRODUCTS_OF_CATEGORY] = {"products_of_category", PRODUCT_PAGE("p.category = $5 AND "),
        &product_table},
    [SQL_PRODUCTS_OF_SELLER] = {"products_of_seller",
        PRODUCT_PAGE("p.seller_id = $6 AND ($5::text IS NULL OR p.category = $5) AND "),
        &product_table},
    [SQL_PRODUCTS_SEARCH] = {"products_search",
        "WITH page AS MATERIALIZED (SELECT u.sku, u.rank, f.width FROM products_found("
        "websearch_to_tsquery('english', $1), $2, $3, $4, " JUDGED ", $8) f, "
        "unnest(f.skus, f.ranks) u (sku, rank) WHERE $6::bigint IS NULL "
        "OR (-u.rank, u.sku) > (-$6::bigint, $7::text) ORDER BY u.rank DESC, u.sku LIMIT $5) "
        "SELECT " PRODUCT_COLUMNS "f.rank, f.width FROM page f JOIN products p USING (sku) "
        "JOIN stock s USING (sku) ORDER BY f.rank DESC, p.sku",
        &product_table},
    [SQL_PRICES] = {"prices",
        "SELECT p.sku, p.name, p.seller_id, p.price, p.currency, s.available, p.status "
        "FROM products p JOIN stock s USING (sku) "
        "WHERE p.sku = ANY (string_to_array($1, ',')) ORDER BY p.sku",
        &price_table},
    [SQL_LEVEL_GET] = {"level_get",
        "SELECT " LEVEL_COLUMNS LEVEL_FROM
        "WHERE s.sku = $1 AND ($2::uuid IS NULL OR p.seller_id = $2)",
        &level_table},
    [SQL_LEVEL_LOCK] = {"level_lock",
        "SELECT " LEVEL_COLUMNS LEVEL_FROM
        "WHERE s.sku = $1 AND ($2::uuid IS NULL OR p.seller_id = $2) FOR UPDATE OF s",
        &level_table},
    [SQL_LEVELS] = {"levels",
        "SELECT " LEVEL_COLUMNS LEVEL_FROM
        "WHERE ($1::uuid IS NULL OR p.seller_id = $1) AND (NOT $2 OR s.available <= s.threshold) "
        "AND ($3::text IS NULL OR p.sku > $3) ORDER BY p.sku LIMIT $4",
        &level_table},
    [SQL_LEVEL_SAVE] = {"level_save",
        "UPDATE stock SET available = $2, threshold = $3, version = version + 1, "
        "updated_at = $4 WHERE sku = $1"},
    [SQL_ALERTED_SAVE] = {"alerted_save", "UPDATE stock SET alerted = $2 WHERE sku = $1"},
    [SQL_MOVEMENT_ADD] = {"movement_add",
        "INSERT INTO stock_movements (sku, kind, available, reason, note, actor, correlation_id) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)"},
    [SQL_MOVEMENTS] = {"movements",
        "SELECT id, kind, order_id, available + held + committed, available, held, committed, "
        "reason, note, actor, at FROM stock_movements "
        "WHERE sku = $1 AND ($2::bigint = 0 OR id < $2) ORDER BY id DESC LIMIT $3",
        &movement_table},
    [SQL_HOLD_TAKE] = {"hold_take", HOLD_TAKE("DO NOTHING"), &hold_table},
    [SQL_HOLD_RETAKE] = {"hold_retake",
        HOLD_TAKE("DO UPDATE SET state = 'held', ended_by = NULL, user_id = excluded.user_id, "
                  "expires_at = excluded.expires_at, lines = excluded.lines, updated_at = now() "
                  "WHERE h.state = 'released'"),
        &hold_table},
    [SQL_HOLD_LOOK] = {"hold_look",
        "SELECT w.sku, p.name, p.seller_id, w.quantity, p.price, p.currency, "
        "coalesce(s.available, 0), p.status FROM unnest($1::text[], $2::bigint[]) "
        "AS w (sku, quantity) LEFT JOIN products p USING (sku) LEFT JOIN stock s USING (sku) "
        "WHERE w.quantity BETWEEN " ANY_QUANTITY " ORDER BY w.sku",
        &hold_line_table},
    [SQL_HOLD_GET] = {"hold_get", "SELECT " HOLD_COLUMNS "FROM holds h WHERE h.order_id = $1",
        &hold_table},
    [SQL_HOLDS_MOVE] = {"holds_move",
        "UPDATE holds h SET state = w.becomes, ended_by = w.ended_by, updated_at = now() "
        "FROM unnest($1::uuid[], $2::hold_state[], $3::hold_state[], $4::hold_end[]) "
        "AS w (order_id, was, becomes, ended_by) "
        "WHERE h.order_id = w.order_id AND h.state = w.was RETURNING " HOLD_COLUMNS,
        &hold_table},
    /* A row whose units stay as they are is only locked. */
    [SQL_STOCK_MOVE] = {"stock_move",
        "WITH l AS MATERIALIZED (SELECT s.sku, w.available, w.held, w.committed "
        "FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) "
        "AS w (sku, available, held, committed) JOIN stock s USING (sku) "
        "ORDER BY s.sku FOR UPDATE OF s), "
        "moved AS (UPDATE stock s SET available = s.available + l.available, "
        "held = s.held + l.held, committed = s.committed + l.committed, "
        "version = s.version + 1, updated_at = now() FROM l WHERE s.sku = l.sku "
        "AND (l.available <> 0 OR l.held <> 0 OR l.committed <> 0) RETURNING s.*), "
        "written AS (INSERT INTO stock_movements (sku, kind, order_id, available, held, committed, "
        "reason, correlation_id) SELECT * FROM unnest($5::text[], $6::movement_kind[], "
        "$7::uuid[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::text[])) "
        "SELECT " LEVEL_COLUMNS "FROM moved s JOIN products p USING (sku)",
        &level_table},
    [SQL_HOLD_BURY] = {"hold_bury",
        "INSERT INTO holds (order_id, state, ended_by) VALUES ($1, 'released', $2) "
        "ON CONFLICT (order_id) DO UPDATE SET ended_by = $2, updated_at = now() "
        "WHERE holds.state = 'released' AND holds.ended_by IS DISTINCT FROM 'order_cancelled'"},
    [SQL_HOLDS_EXPIRED] = {"holds_expired",
        "SELECT order_id FROM holds WHERE state = 'held' AND expires_at < now() "
        "ORDER BY expires_at LIMIT 100",
        &hold_params_table},
    [SQL_HOLD_SKUS] = {"hold_skus",
        "SELECT DISTINCT sku FROM hold_lines WHERE order_id = ANY ($1::uuid[])",
        &product_params_table},
};
const size_t seller_statements_count = ARRAY_SIZE(seller_statements);

/* ---- sellers ---- */

int store_seller_insert(
    struct pg_tx *tx, const char *id, const struct seller_body *b, bool *ret_inserted)
{
    struct pg_result result;
    TRY(pg_queue(tx, &seller_statements[SQL_ACCOUNT_TURN], PG_ARGS(PG_TEXT(id))));
    TRY(pg_run(tx, &seller_statements[SQL_SELLER_INSERT],
        PG_ARGS(PG_TEXT(id), PG_TEXT(b->name), PG_TEXT(b->description)), &result));
    *ret_inserted = result.affected == 1;
    return 0;
}

int store_seller_find(const char *id, struct seller **ret_seller)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_SELLER_GET], PG_ARGS(PG_TEXT(id)), &result));
    *ret_seller = PG_FIRST(result, struct seller);
    return 0;
}

int store_seller_get(struct pg_tx *tx, const char *id, bool for_update, struct seller **ret_seller)
{
    struct pg_result result;
    TRY(pg_run(tx, &seller_statements[for_update ? SQL_SELLER_LOCK : SQL_SELLER_GET],
        PG_ARGS(PG_TEXT(id)), &result));
    *ret_seller = PG_FIRST(result, struct seller);
    return 0;
}

int store_seller_save(struct pg_tx *tx, const struct seller *s)
{
    return pg_queue(tx, &seller_statements[SQL_SELLER_SAVE],
        PG_ARGS(PG_TEXT(s->id), PG_TEXT(s->name), PG_TEXT(s->description), PG_TIME(s->updated_at)));
}

int store_seller_close(struct pg_tx *tx, const char *id, struct list *ret_products)
{
    struct pg_result result;
    TRY(pg_queue(tx, &seller_statements[SQL_ACCOUNT_TURN], PG_ARGS(PG_TEXT(id))));
    TRY(pg_queue(tx, &seller_statements[SQL_ACCOUNT_CLOSE], PG_ARGS(PG_TEXT(id))));
    TRY(pg_queue(tx, &seller_statements[SQL_SELLER_CLOSE], PG_ARGS(PG_TEXT(id))));
    TRY(pg_run(tx, &seller_statements[SQL_SHELVES_EMPTY], PG_ARGS(PG_TEXT(id)), &result));
    *ret_products = result.rows;
    return 0;
}

int store_holds_hurry(struct pg_tx *tx, const char *user_id, int64_t seconds)
{
    return pg_queue(
        tx, &seller_statements[SQL_HOLDS_HURRY], PG_ARGS(PG_TEXT(user_id), PG_I64(seconds)));
}

/* ---- products ---- */

int store_product_insert(struct pg_tx *tx, const char *seller_id, const struct product_body *b)
{
    TRY(pg_queue(tx, &seller_statements[SQL_PRODUCT_INSERT],
        PG_ARGS(PG_TEXT(b->sku), PG_TEXT(seller_id), PG_TEXT(b->name), PG_TEXT(b->description),
            PG_TEXT(b->category), PG_I64(b->price.amount), PG_TEXT(b->price.currency))));
    return pg_run(tx, &seller_statements[SQL_STOCK_INSERT],
        PG_ARGS(PG_TEXT(b->sku), PG_I64(b->initial_stock)), NULL);
}

int store_product_find(const char *sku, struct product **ret_product)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_PRODUCT_GET], PG_ARGS(PG_TEXT(sku)), &result));
    *ret_product = PG_FIRST(result, struct product);
    return 0;
}

int store_product_lock(
    struct pg_tx *tx, const char *sku, const char *owner, struct product **ret_product)
{
    struct pg_result result;
    TRY(pg_run(
        tx, &seller_statements[SQL_PRODUCT_LOCK], PG_ARGS(PG_TEXT(sku), PG_TEXT(owner)), &result));
    *ret_product = PG_FIRST(result, struct product);
    return 0;
}

int store_product_save(struct pg_tx *tx, const struct product *p)
{
    return pg_queue(tx, &seller_statements[SQL_PRODUCT_SAVE],
        PG_ARGS(PG_TEXT(p->sku), PG_TEXT(p->name), PG_TEXT(p->description), PG_TEXT(p->category),
            PG_I64(p->price.amount), PG_TEXT(p->price.currency), PG_TEXT(p->status),
            PG_TIME(p->updated_at)));
}

int store_products(const struct product_list_params *p, bool all_states, int64_t before_us,
    const char *before_sku, struct list *ret_products)
{
    struct pg_result result;
    size_t which = p->seller_id  ? SQL_PRODUCTS_OF_SELLER
                   : p->category ? SQL_PRODUCTS_OF_CATEGORY
                                 : SQL_PRODUCTS;
    const struct pg_arg args[] = {PG_TIME(before_us), PG_TEXT(before_sku), PG_BOOL(all_states),
        PG_I64(p->limit + 1), PG_TEXT(p->category), PG_TEXT(p->seller_id)};
    TRY(pg_query(app()->pg, &seller_statements[which],
        (struct pg_args){p->seller_id  ? 6
                         : p->category ? 5
                                       : 4,
            args},
        &result));
    *ret_products = result.rows;
    return 0;
}

int store_products_search(const struct product_list_params *p, bool all_states, int64_t after_rank,
    const char *after_sku, struct list *ret_products)
{
    struct pg_result result;
    uint64_t key = width_key(p, all_states);
    TRY(pg_query(app()->pg, &seller_statements[SQL_PRODUCTS_SEARCH],
        PG_ARGS(PG_TEXT(p->q), PG_TEXT(p->category), PG_TEXT(p->seller_id), PG_BOOL(all_states),
            PG_I64(p->limit + 1), after_sku ? PG_I64(after_rank) : PG_TEXT(NULL),
            PG_TEXT(after_sku), PG_I64(width_of(key))),
        &result));
    if (result.rows.len)
        width_keep(key, PG_ROW(result, struct product, 0)->width);
    else if (!after_sku)
        width_keep(key, INT64_MAX); /* all were looked at */
    *ret_products = result.rows;
    return 0;
}

int store_prices(const char *skus, struct list *ret_prices)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &seller_statements[SQL_PRICES], PG_ARGS(PG_TEXT(skus)), &result));
    *ret_prices = result.rows;
    return 0;
}
