#include "cart/cart.h"

#define CART_COLUMNS                                                                               \
    "c.id, c.user_id, "                                                                            \
    "(SELECT json_agg(json_build_object('sku', i.sku, 'name', i.name, 'sellerId', i.seller_id, "   \
    "'quantity', i.quantity, 'unitPrice', "                                                        \
    "json_build_object('amount', i.unit_price, 'currency', i.currency)) ORDER BY i.added_at, "     \
    "i.sku) "                                                                                      \
    "FROM cart_items i WHERE i.cart_id = c.id), c.version, c.updated_at "

/* Two statements for one question: with an OR of both the planner does best with a plan made anew
 * each time, and that costs more than the reading. */
#define OF_USER  "c.user_id = $1 AND NOT c.closed"
#define OF_GUEST "c.token_hash = $1 AND NOT c.closed"
#define LOCK_SQL "SELECT FROM carts c WHERE "
#define FIND_SQL "SELECT " CART_COLUMNS "FROM carts c WHERE "

#define CHECKOUT_COLUMNS                                                                           \
    "k.id, k.user_id, k.cart_id, k.fingerprint, k.attempt, k.order_id, k.state, k.items, "         \
    "k.total, "                                                                                    \
    "k.currency, k.outcome, k.detail, k.extensions, k.response, k.kept, k.lease_until > now(), "   \
    "k.created_at, k.finished_at "

enum {
    SQL_CART_ENSURE,
    SQL_CART_LOCK,
    SQL_CART_LOCK_GUEST,
    SQL_CART_FIND,
    SQL_CART_FIND_GUEST,
    SQL_CART_TOUCH,
    SQL_CART_DELETE,
    SQL_CART_CLOSE,
    SQL_CART_CLOSED,
    SQL_CART_ORDERED,
    SQL_ITEM_PUT,
    SQL_ITEM_DELETE,
    SQL_ITEMS_CLEAR,
    SQL_ITEMS_DELETE_ORDERED,
    SQL_ITEMS_REDUCE,
    SQL_ITEMS_REPRICE,
    SQL_CHECKOUT_INSERT,
    SQL_CHECKOUT_BY_KEY,
    SQL_CHECKOUT_FIND,
    SQL_CHECKOUT_AGAIN,
    SQL_CHECKOUT_SET,
    SQL_CHECKOUT_OVERDUE,
    SQL_STEPS_ADD,
    SQL_STEPS,
};

const struct pg_statement cart_statements[] = {
    [SQL_CART_ENSURE] = {"cart_ensure",
        "INSERT INTO carts (id, user_id, token_hash) VALUES ($3, $1, $2) ON CONFLICT DO NOTHING"},
    /* Apart from the reading: what waits for a lock sees the lines as they were before the wait. */
    [SQL_CART_LOCK] = {"cart_lock", LOCK_SQL OF_USER " FOR UPDATE"},
    [SQL_CART_LOCK_GUEST] = {"cart_lock_guest", LOCK_SQL OF_GUEST " FOR UPDATE"},
    [SQL_CART_FIND] = {"cart_find", FIND_SQL OF_USER, &cart_row_table},
    [SQL_CART_FIND_GUEST] = {"cart_find_guest", FIND_SQL OF_GUEST, &cart_row_table},
    [SQL_CART_TOUCH] = {"cart_touch",
        "UPDATE carts SET version = version + 1, updated_at = now() WHERE id = $1"},
    [SQL_CART_DELETE] = {"cart_delete", "DELETE FROM carts WHERE id = $1"},
    /* The key on user_id puts it in turn with whoever makes or locks that cart. */
    [SQL_CART_CLOSE] = {"cart_close",
        "INSERT INTO carts (id, user_id, closed) VALUES ($2, $1, true) "
        "ON CONFLICT (user_id) DO UPDATE SET closed = true, last_order_at = NULL, "
        "version = carts.version + 1, updated_at = now()"},
    [SQL_CART_CLOSED] = {"cart_closed",
        "DELETE FROM cart_items WHERE cart_id = (SELECT id FROM carts WHERE user_id = $1)"},
    [SQL_CART_ORDERED] = {"cart_ordered",
        "UPDATE carts SET last_order_at = greatest(last_order_at, $2) WHERE user_id = $1 "
        "AND NOT closed"},
    [SQL_ITEM_PUT] = {"cart_item_put",
        "INSERT INTO cart_items (cart_id, sku, name, seller_id, quantity, unit_price, currency) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (cart_id, sku) DO UPDATE SET "
        "quantity = $5, name = $3, seller_id = $4, unit_price = $6, currency = $7"},
    [SQL_ITEM_DELETE] = {"cart_item_delete",
        "DELETE FROM cart_items WHERE cart_id = $1 AND sku = $2"},
    [SQL_ITEMS_CLEAR] = {"cart_items_clear", "DELETE FROM cart_items WHERE cart_id = $1"},
    /* What was put in while the checkout ran stays in. */
    [SQL_ITEMS_DELETE_ORDERED] = {"cart_items_delete_ordered",
        "DELETE FROM cart_items c USING jsonb_array_elements($2::jsonb) i "
        "WHERE c.cart_id = $1 AND c.sku = i->>'sku' AND c.quantity <= (i->>'quantity')::bigint"},
    [SQL_ITEMS_REDUCE] = {"cart_items_reduce",
        "UPDATE cart_items c SET quantity = c.quantity - (i->>'quantity')::bigint "
        "FROM jsonb_array_elements($2::jsonb) i WHERE c.cart_id = $1 AND c.sku = i->>'sku'"},
    /* A line that changed its currency keeps its price: a cart of two currencies has no total. */
    [SQL_ITEMS_REPRICE] = {"cart_items_reprice",
        "UPDATE cart_items c SET unit_price = (i->'unitPrice'->>'amount')::bigint, "
        "name = i->>'name' "
        "FROM jsonb_array_elements($2::jsonb) i WHERE c.cart_id = $1 AND c.sku = i->>'sku' "
        "AND c.currency = i->'unitPrice'->>'currency'"},
    [SQL_CHECKOUT_INSERT] = {"checkout_insert",
        "INSERT INTO checkouts (id, user_id, cart_id, idempotency_key, fingerprint, order_id, "
        "lease_until, items, total, currency) VALUES ($1, $2, $3, $4, $5, $6, "
        "now() + interval '10 s', $7, $8, $9) ON CONFLICT (user_id, idempotency_key) DO NOTHING"},
    [SQL_CHECKOUT_BY_KEY] = {"checkout_by_key",
        "SELECT " CHECKOUT_COLUMNS
        "FROM checkouts k WHERE k.user_id = $1 AND k.idempotency_key = $2",
        &checkout_table},
    [SQL_CHECKOUT_FIND] = {"checkout_find",
        "SELECT " CHECKOUT_COLUMNS "FROM checkouts k WHERE k.id = $1 AND k.user_id = $2",
        &checkout_table},
    [SQL_CHECKOUT_AGAIN] = {"checkout_again",
        "UPDATE checkouts SET state = 'running', attempt = attempt + 1, order_id = $3, items = $4, "
        "total = $5, currency = $6, cart_id = $7, lease_until = now() + interval '10 s', outcome = "
        "NULL, "
        "detail = NULL, extensions = NULL, finished_at = NULL "
        "WHERE id = $1 AND attempt = $2 AND state = 'failed' AND NOT kept"},
    [SQL_CHECKOUT_SET] = {"checkout_set",
        "UPDATE checkouts SET state = $3, outcome = $4, detail = $5, extensions = $6, kept = $7, "
        "response = $8, items = $9, total = $10, "
        "lease_until = now() + $11 * interval '1 microsecond', "
        "finished_at = CASE WHEN $3 IN ('completed', 'failed') THEN now() END "
        "WHERE id = $1 AND attempt = $2 AND state IN ('running', 'compensating')"},
    [SQL_CHECKOUT_OVERDUE] = {"checkout_overdue",
        "UPDATE checkouts k SET lease_until = now() + interval '15 s' WHERE k.id IN "
        "(SELECT id FROM checkouts WHERE state IN ('running', 'compensating') "
        "AND lease_until < now() ORDER BY lease_until LIMIT 20 FOR UPDATE SKIP LOCKED) "
        "RETURNING " CHECKOUT_COLUMNS,
        &checkout_table},
    [SQL_STEPS_ADD] = {"checkout_steps_add",
        "INSERT INTO checkout_steps (checkout_id, attempt, step, outcome, downstream_id, "
        "duration_us, at) SELECT $1, $2, s.step, s.outcome, s.\"downstreamId\", s.\"durationUs\", "
        "s.at FROM ROWS FROM (json_to_recordset($3::json) AS (step text, outcome text, "
        "\"downstreamId\" text, \"durationUs\" bigint, at timestamptz)) WITH ORDINALITY AS s "
        "(step, outcome, \"downstreamId\", \"durationUs\", at, line) ORDER BY s.line"},
    [SQL_STEPS] = {"checkout_steps",
        "SELECT step, outcome, downstream_id, attempt, duration_us, at FROM checkout_steps "
        "WHERE checkout_id = $1 ORDER BY id",
        &checkout_step_table},
};
/* A checkout that was tried again counts from its first attempt. */
const struct pg_statement cart_backlog = {"cart_backlog",
    "SELECT 'checkouts', count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0) "
    "FROM checkouts WHERE state IN ('running', 'compensating')",
    &backlog_table};

const size_t cart_statements_count = ARRAY_SIZE(cart_statements);

static const char *items_json(struct list items)
{
    return json_list_text(fiber_arena(), &order_item_table, items);
}

/* ---- carts ---- */

#define OWNER_ARGS(owner) PG_TEXT((owner).user_id), PG_TEXT((owner).token_hash)

static const char *fresh_id(void)
{
    char *id = arena_alloc(fiber_arena(), UUID_TEXT_SIZE);
    uuid_make(id);
    return id;
}

static int store_cart_ensure(struct pg_tx *tx, struct cart_owner owner)
{
    return pg_queue(
        tx, &cart_statements[SQL_CART_ENSURE], PG_ARGS(OWNER_ARGS(owner), PG_TEXT(fresh_id())));
}

static const struct pg_statement *find_statement(struct cart_owner owner)
{
    return &cart_statements[owner.user_id ? SQL_CART_FIND : SQL_CART_FIND_GUEST];
}

static const char *owner_key(struct cart_owner owner)
{
    return owner.user_id ? owner.user_id : owner.token_hash;
}

static struct cart *first_cart(const struct pg_result *result)
{
    return result->rows.len ? PG_ROW(*result, struct cart, 0) : NULL;
}

int store_cart_read(struct pg_tx *tx, struct cart_owner owner, struct cart **ret_cart)
{
    struct pg_result result;
    TRY(pg_run(tx, find_statement(owner), PG_ARGS(PG_TEXT(owner_key(owner))), &result));
    *ret_cart = first_cart(&result);
    return 0;
}

/* The reading is a statement of its own: what waits for a lock sees the lines as they were before
 * the wait. */
int store_cart_lock(struct pg_tx *tx, struct cart_owner owner, struct cart **ret_cart)
{
    TRY(pg_queue(tx, &cart_statements[owner.user_id ? SQL_CART_LOCK : SQL_CART_LOCK_GUEST],
        PG_ARGS(PG_TEXT(owner_key(owner)))));
    return store_cart_read(tx, owner, ret_cart);
}

int store_cart_open(struct pg_tx *tx, struct cart_owner owner, struct cart **ret_cart)
{
    TRY(store_cart_lock(tx, owner, ret_cart));
    if (*ret_cart) /* as nearly always */
        return 0;
    TRY(store_cart_ensure(tx, owner));
    TRY(store_cart_lock(tx, owner, ret_cart));
    if (*ret_cart)
        return 0;
    if (owner.user_id) /* the account was closed since its token was looked at */
        return OUTCOME_UNAUTHENTICATED;
    return ERR(ERR_RETRY);
}

int store_cart_find(struct cart_owner owner, struct cart **ret_cart)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, find_statement(owner), PG_ARGS(PG_TEXT(owner_key(owner))), &result));
    *ret_cart = first_cart(&result);
    return 0;
}

int store_cart_make(struct cart_owner owner, struct cart **ret_cart)
{
    TRY(pg_query(app()->pg, &cart_statements[SQL_CART_ENSURE],
        PG_ARGS(OWNER_ARGS(owner), PG_TEXT(fresh_id())), NULL));
    return store_cart_find(owner, ret_cart);
}

int store_cart_touch(struct pg_tx *tx, const char *cart_id)
{
    return pg_queue(tx, &cart_statements[SQL_CART_TOUCH], PG_ARGS(PG_TEXT(cart_id)));
}

int store_cart_delete(struct pg_tx *tx, const char *cart_id)
{
    return pg_queue(tx, &cart_statements[SQL_CART_DELETE], PG_ARGS(PG_TEXT(cart_id)));
}

int store_cart_told(struct pg_tx *tx, const char *user_id)
{
    return store_cart_ensure(tx, (struct cart_owner){.user_id = user_id});
}

int store_cart_forget(struct pg_tx *tx, const char *user_id)
{
    TRY(pg_queue(
        tx, &cart_statements[SQL_CART_CLOSE], PG_ARGS(PG_TEXT(user_id), PG_TEXT(fresh_id()))));
    return pg_queue(tx, &cart_statements[SQL_CART_CLOSED], PG_ARGS(PG_TEXT(user_id)));
}

int store_cart_ordered(struct pg_tx *tx, const char *user_id, int64_t at_us)
{
    TRY(store_cart_told(tx, user_id));
    return pg_queue(
        tx, &cart_statements[SQL_CART_ORDERED], PG_ARGS(PG_TEXT(user_id), PG_TIME(at_us)));
}

int store_item_put(struct pg_tx *tx, const char *cart_id, const struct price *p, int64_t quantity)
{
    return pg_queue(tx, &cart_statements[SQL_ITEM_PUT],
        PG_ARGS(PG_TEXT(cart_id), PG_TEXT(p->sku), PG_TEXT(p->name), PG_TEXT(p->seller_id),
            PG_I64(quantity), PG_I64(p->price.amount), PG_TEXT(p->price.currency)));
}

int store_item_delete(struct pg_tx *tx, const char *cart_id, const char *sku)
{
    return pg_queue(tx, &cart_statements[SQL_ITEM_DELETE], PG_ARGS(PG_TEXT(cart_id), PG_TEXT(sku)));
}

int store_items_clear(struct pg_tx *tx, const char *cart_id)
{
    return pg_queue(tx, &cart_statements[SQL_ITEMS_CLEAR], PG_ARGS(PG_TEXT(cart_id)));
}

int store_items_take_out(struct pg_tx *tx, const struct checkout *c)
{
    const char *items = items_json(c->items);
    TRY(pg_queue(tx, &cart_statements[SQL_ITEMS_DELETE_ORDERED],
        PG_ARGS(PG_TEXT(c->cart_id), PG_TEXT(items))));
    return pg_queue(
        tx, &cart_statements[SQL_ITEMS_REDUCE], PG_ARGS(PG_TEXT(c->cart_id), PG_TEXT(items)));
}

int store_items_reprice(struct pg_tx *tx, const struct checkout *c, struct list items)
{
    return pg_queue(tx, &cart_statements[SQL_ITEMS_REPRICE],
        PG_ARGS(PG_TEXT(c->cart_id), PG_TEXT(items_json(items))));
}

/* ---- checkouts ---- */

int store_checkout_insert(
    struct pg_tx *tx, const struct checkout *c, const char *key, bool *ret_inserted)
{
    struct pg_result result;
    TRY(pg_run(tx, &cart_statements[SQL_CHECKOUT_INSERT],
        PG_ARGS(PG_TEXT(c->id), PG_TEXT(c->user_id), PG_TEXT(c->cart_id), PG_TEXT(key),
            PG_TEXT(c->fingerprint), PG_TEXT(c->order_id), PG_TEXT(items_json(c->items)),
            PG_I64(c->total.amount), PG_TEXT(c->total.currency)),
        &result));
    *ret_inserted = result.affected == 1;
    return 0;
}

int store_checkout_by_key(const char *user_id, const char *key, struct checkout **ret_checkout)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &cart_statements[SQL_CHECKOUT_BY_KEY],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(key)), &result));
    *ret_checkout = result.rows.len ? PG_ROW(result, struct checkout, 0) : NULL;
    return 0;
}

int store_checkout_find(const char *id, const char *user_id, struct checkout **ret_checkout)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &cart_statements[SQL_CHECKOUT_FIND],
        PG_ARGS(PG_TEXT(id), PG_TEXT(user_id)), &result));
    *ret_checkout = result.rows.len ? PG_ROW(result, struct checkout, 0) : NULL;
    return 0;
}

int store_checkout_again(struct pg_tx *tx, const struct checkout *c, bool *ret_again)
{
    struct pg_result result;
    TRY(pg_run(tx, &cart_statements[SQL_CHECKOUT_AGAIN],
        PG_ARGS(PG_TEXT(c->id), PG_I64(c->attempt - 1), PG_TEXT(c->order_id),
            PG_TEXT(items_json(c->items)), PG_I64(c->total.amount), PG_TEXT(c->total.currency),
            PG_TEXT(c->cart_id)),
        &result));
    *ret_again = result.affected == 1;
    return 0;
}

int store_checkout_set(
    struct pg_tx *tx, const struct checkout *c, const char *state, int64_t lease_us, bool *ret_ours)
{
    struct pg_result result;
    TRY(pg_run(tx, &cart_statements[SQL_CHECKOUT_SET],
        PG_ARGS(PG_TEXT(c->id), PG_I64(c->attempt), PG_TEXT(state), PG_TEXT(c->outcome),
            PG_TEXT(c->detail), PG_TEXT(c->extensions), PG_BOOL(c->kept), PG_TEXT(c->response),
            PG_TEXT(items_json(c->items)), PG_I64(c->total.amount), PG_I64(lease_us)),
        &result));
    *ret_ours = result.affected == 1;
    return 0;
}

int store_checkout_overdue(struct list *ret_checkouts)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &cart_statements[SQL_CHECKOUT_OVERDUE], PG_NO_ARGS, &result));
    *ret_checkouts = result.rows;
    return 0;
}

int store_steps_add(struct pg_tx *tx, const struct checkout *c, struct list steps)
{
    return pg_queue(tx, &cart_statements[SQL_STEPS_ADD],
        PG_ARGS(PG_TEXT(c->id), PG_I64(c->attempt),
            PG_TEXT(json_list_text(fiber_arena(), &checkout_step_table, steps))));
}

int store_steps(const char *checkout_id, struct list *ret_steps)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &cart_statements[SQL_STEPS], PG_ARGS(PG_TEXT(checkout_id)), &result));
    *ret_steps = result.rows;
    return 0;
}
