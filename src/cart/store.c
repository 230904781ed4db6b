#include "cart/cart.h"

#define CART_COLUMNS "c.id, c.user_id, c.lines, c.version, c.updated_at "

/* Two statements for one question: with an OR of both the planner does best with a plan made anew
 * each time, and that costs more than the reading. */
#define OF_USER  "c.user_id = $1 AND NOT c.closed"
#define OF_GUEST "c.token_hash = $1 AND NOT c.closed"
#define FIND_SQL "SELECT " CART_COLUMNS "FROM carts c WHERE "

/* A claim and a completion that meet take the cart's row first, both: so none waits for the other
 * with something in its hand, and a claim that waited finds that its version is gone. */
#define CLAIMED_CART(id, version, updated_at)                                                      \
    "FROM carts c WHERE c.id = " id " AND c.version = " version " AND c.updated_at = " updated_at  \
    " AND NOT c.closed FOR NO KEY UPDATE"

/* Ended is what has a moment of its end; the live ones are few and have an index. */
#define LIVE "finished_at IS NULL"
/* Live in words that no index is for: the one of live checkouts is so small that the planner would
 * read all of it, with every checkout that ended since the last vacuum. */
#define OURS "id = $1 AND attempt = $2 AND coalesce(finished_at, 'infinity') = 'infinity'"

#define CHECKOUT_COLUMNS                                                                           \
    "k.id, k.user_id, k.cart_id, k.fingerprint, k.attempt, k.order_id, k.state, k.items, "         \
    "k.total, k.currency, k.outcome, k.detail, k.extensions, k.kept, k.steps, k.created_at, "      \
    "k.finished_at "

enum {
    SQL_CART_ENSURE,
    SQL_CART_LOCK,
    SQL_CART_LOCK_GUEST,
    SQL_CART_FIND,
    SQL_CART_FIND_GUEST,
    SQL_CART_FOR_CLAIM,
    SQL_CART_WRITE,
    SQL_CART_DELETE,
    SQL_CART_CLOSE,
    SQL_CART_ORDERED,
    SQL_CHECKOUT_INSERT,
    SQL_CHECKOUT_BY_KEY,
    SQL_CHECKOUT_FIND,
    SQL_CHECKOUT_AGAIN,
    SQL_CHECKOUT_COMPLETE,
    SQL_CHECKOUT_SET,
    SQL_CHECKOUT_CART,
    SQL_CHECKOUT_CART_WRITE,
    SQL_CHECKOUT_OVERDUE,
};

const struct pg_statement cart_statements[] = {
    [SQL_CART_ENSURE] = {"cart_ensure",
        "INSERT INTO carts (id, user_id, token_hash) VALUES ($3, $1, $2) ON CONFLICT DO NOTHING"},
    [SQL_CART_LOCK] = {"cart_lock", FIND_SQL OF_USER " FOR UPDATE", &cart_row_table},
    [SQL_CART_LOCK_GUEST] = {"cart_lock_guest", FIND_SQL OF_GUEST " FOR UPDATE", &cart_row_table},
    [SQL_CART_FIND] = {"cart_find", FIND_SQL OF_USER, &cart_row_table},
    [SQL_CART_FIND_GUEST] = {"cart_find_guest", FIND_SQL OF_GUEST, &cart_row_table},
    [SQL_CART_FOR_CLAIM] = {"cart_for_claim",
        "SELECT c.id, c.user_id, c.lines, c.version, c.updated_at, k.id FROM carts c "
        "LEFT JOIN checkouts k ON k.user_id = $1 AND k.idempotency_key = $2 WHERE " OF_USER,
        &cart_claim_row_table},
    /* Lines may be lost with the server, but never in part, nor with what a checkout committed
     * since: so nobody waits for the disk here. */
    [SQL_CART_WRITE] = {"cart_write",
        "UPDATE carts c SET lines = $3, version = c.version + 1, updated_at = now() "
        "WHERE c.id = $1 AND c.version = $2 AND c.updated_at = $4 AND NOT c.closed "
        "AND set_config('synchronous_commit', 'off', true) = 'off' "
        "RETURNING c.version, c.updated_at",
        &cart_stamp_table},
    [SQL_CART_DELETE] = {"cart_delete", "DELETE FROM carts WHERE id = $1"},
    /* The key on user_id puts it in turn with whoever makes or locks that cart. */
    [SQL_CART_CLOSE] = {"cart_close",
        "INSERT INTO carts (id, user_id, closed) VALUES ($2, $1, true) "
        "ON CONFLICT (user_id) DO UPDATE SET closed = true, lines = '[]', last_order_at = NULL, "
        "version = carts.version + 1, updated_at = now()"},
    [SQL_CART_ORDERED] = {"cart_ordered",
        "UPDATE carts SET last_order_at = greatest(last_order_at, $2) WHERE user_id = $1 "
        "AND NOT closed"},
    [SQL_CHECKOUT_INSERT] = {"checkout_insert",
        "INSERT INTO checkouts (id, user_id, cart_id, idempotency_key, fingerprint, order_id, "
        "lease_until, items, total, currency) SELECT $1, $2, c.id, $4, $5, $6, "
        "now() + interval '10 s', c.lines, $7, $8 " CLAIMED_CART("$3", "$9", "$10")},
    [SQL_CHECKOUT_BY_KEY] = {"checkout_by_key",
        "SELECT " CHECKOUT_COLUMNS
        "FROM checkouts k WHERE k.user_id = $1 AND k.idempotency_key = $2",
        &checkout_table},
    [SQL_CHECKOUT_FIND] = {"checkout_find",
        "SELECT " CHECKOUT_COLUMNS "FROM checkouts k WHERE k.id = $1 AND k.user_id = $2",
        &checkout_table},
    [SQL_CHECKOUT_AGAIN] = {"checkout_again",
        "WITH cart AS (SELECT c.id, c.lines " CLAIMED_CART("$6", "$7",
            "$8") ") "
                  "UPDATE checkouts k SET state = 'running', attempt = k.attempt + 1, "
                  "order_id = $3, "
                  "items = cart.lines, total = $4, currency = $5, cart_id = cart.id, "
                  "lease_until = now() + interval '10 s', outcome = NULL, detail = NULL, "
                  "extensions = NULL, finished_at = NULL FROM cart "
                  "WHERE k.id = $1 AND k.attempt = $2 AND k.state = 'failed' AND NOT k.kept"},
    /* The order is what was promised, and it is on the disk: recovery writes this end again if it
     * is lost. So nobody waits for the disk here either. */
    [SQL_CHECKOUT_COMPLETE] = {"checkout_complete",
        "WITH emptied AS (UPDATE carts SET lines = '[]', version = version + 1, "
        "updated_at = now() WHERE id = $3 AND version = $4 "
        "AND EXISTS (SELECT FROM checkouts WHERE " OURS ") RETURNING version, updated_at) "
        "UPDATE checkouts SET state = 'completed', items = coalesce($5, items), total = $6, "
        "steps = $7, finished_at = now() FROM emptied WHERE " OURS
        " AND set_config('synchronous_commit', 'off', true) = 'off' "
        "RETURNING emptied.version, emptied.updated_at",
        &cart_stamp_table},
    [SQL_CHECKOUT_SET] = {"checkout_set",
        "UPDATE checkouts SET state = $3, outcome = $4, detail = $5, extensions = $6, kept = $7, "
        "items = coalesce($8, items), total = $9, steps = $10, "
        "lease_until = now() + $11 * interval '1 microsecond', "
        "finished_at = CASE WHEN $12 THEN now() END WHERE " OURS},
    [SQL_CHECKOUT_CART] = {"checkout_cart", FIND_SQL "c.id = $1 AND NOT c.closed FOR UPDATE",
        &cart_row_table},
    [SQL_CHECKOUT_CART_WRITE] = {"checkout_cart_write",
        "UPDATE carts SET lines = $2, version = version + 1, updated_at = now() WHERE id = $1"},
    [SQL_CHECKOUT_OVERDUE] = {"checkout_overdue",
        "UPDATE checkouts k SET lease_until = now() + interval '15 s' WHERE k.id IN "
        "(SELECT id FROM checkouts WHERE " LIVE " AND lease_until < now() "
        "ORDER BY lease_until LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING " CHECKOUT_COLUMNS,
        &checkout_table},
};
/* A checkout that was tried again counts from its first attempt. */
const struct pg_statement cart_backlog = {"cart_backlog",
    "SELECT 'checkouts', count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0) "
    "FROM checkouts WHERE " LIVE,
    &backlog_table};

const size_t cart_statements_count = ARRAY_SIZE(cart_statements);

/* ---- carts ---- */

#define OWNER_ARGS(owner) PG_TEXT((owner).user_id), PG_TEXT((owner).token_hash)

static const char *fresh_id(void)
{
    char *id = arena_alloc(fiber_arena(), UUID_TEXT_SIZE);
    uuid_make(id);
    return id;
}

/* Alone, or in the caller's transaction. */
static int run(struct pg_tx *tx, const struct pg_statement *statement, struct pg_args args,
    struct pg_result *ret_result) PARKS
{
    return tx ? pg_run(tx, statement, args, ret_result)
              : pg_query(app()->pg, statement, args, ret_result);
}

static int run_counted(struct pg_tx *tx, const struct pg_statement *statement, struct pg_args args,
    bool *ret_done) PARKS
{
    struct pg_result result;
    TRY(run(tx, statement, args, &result));
    *ret_done = result.affected == 1;
    return 0;
}

static int run_for_cart(struct pg_tx *tx, const struct pg_statement *statement, struct pg_args args,
    struct cart **ret_cart) PARKS
{
    struct pg_result result;
    TRY(run(tx, statement, args, &result));
    *ret_cart = PG_FIRST(result, struct cart);
    return 0;
}

static const char *owner_key(struct cart_owner owner)
{
    return owner.user_id ? owner.user_id : owner.token_hash;
}

static int find_cart(struct cart_owner owner, struct cart **ret_cart) PARKS
{
    return run_for_cart(NULL, &cart_statements[owner.user_id ? SQL_CART_FIND : SQL_CART_FIND_GUEST],
        PG_ARGS(PG_TEXT(owner_key(owner))), ret_cart);
}

int store_cart_lock(struct pg_tx *tx, struct cart_owner owner, struct cart **ret_cart)
{
    return run_for_cart(tx, &cart_statements[owner.user_id ? SQL_CART_LOCK : SQL_CART_LOCK_GUEST],
        PG_ARGS(PG_TEXT(owner_key(owner))), ret_cart);
}

static int find_or_lock(struct pg_tx *tx, struct cart_owner owner, struct cart **ret_cart) PARKS
{
    return tx ? store_cart_lock(tx, owner, ret_cart) : find_cart(owner, ret_cart);
}

int store_cart_open(struct pg_tx *tx, struct cart_owner owner, struct cart **ret_cart)
{
    TRY(find_or_lock(tx, owner, ret_cart));
    if (*ret_cart) /* as nearly always */
        return 0;
    TRY(run(tx, &cart_statements[SQL_CART_ENSURE], PG_ARGS(OWNER_ARGS(owner), PG_TEXT(fresh_id())),
        NULL));
    TRY(find_or_lock(tx, owner, ret_cart));
    if (*ret_cart)
        return 0;
    if (owner.user_id) /* the account was closed since its token was looked at */
        return OUTCOME_UNAUTHENTICATED;
    return ERR(ERR_RETRY);
}

int store_cart_find_for_claim(const char *user_id, const char *key, struct cart **ret_cart)
{
    return run_for_cart(NULL, &cart_statements[SQL_CART_FOR_CLAIM],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(key)), ret_cart);
}

static const char *lines_json(const struct cart *cart)
{
    return json_list_text(fiber_arena(), &cart_line_table, cart->items);
}

int store_cart_write(struct pg_tx *tx, struct cart *cart, bool *ret_written)
{
    struct cart *now;
    TRY(run_for_cart(tx, &cart_statements[SQL_CART_WRITE],
        PG_ARGS(PG_TEXT(cart->id), PG_I64(cart->version), PG_TEXT(lines_json(cart)),
            PG_TIME(cart->updated_at)),
        &now));
    *ret_written = now != NULL;
    if (now) {
        cart->version = now->version;
        cart->updated_at = now->updated_at;
    }
    return 0;
}

int store_cart_delete(struct pg_tx *tx, const char *cart_id)
{
    return pg_queue(tx, &cart_statements[SQL_CART_DELETE], PG_ARGS(PG_TEXT(cart_id)));
}

int store_cart_told(struct pg_tx *tx, const char *user_id)
{
    return pg_queue(tx, &cart_statements[SQL_CART_ENSURE],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(NULL), PG_TEXT(fresh_id())));
}

int store_cart_forget(struct pg_tx *tx, const char *user_id)
{
    return pg_queue(
        tx, &cart_statements[SQL_CART_CLOSE], PG_ARGS(PG_TEXT(user_id), PG_TEXT(fresh_id())));
}

int store_cart_ordered(struct pg_tx *tx, const char *user_id, int64_t at_us)
{
    TRY(store_cart_told(tx, user_id));
    return pg_queue(
        tx, &cart_statements[SQL_CART_ORDERED], PG_ARGS(PG_TEXT(user_id), PG_TIME(at_us)));
}

/* ---- checkouts ---- */

static const char *steps_json(const struct checkout *c)
{
    return json_list_text(fiber_arena(), &checkout_step_table, c->steps);
}

/* NULL: the row has them already. */
static const char *moved_items_json(const struct checkout *c)
{
    return c->items_moved ? json_list_text(fiber_arena(), &order_item_table, c->items) : NULL;
}

static int run_for_checkout(
    const struct pg_statement *statement, struct pg_args args, struct checkout **ret_checkout) PARKS
{
    struct pg_result result;
    TRY(pg_query(app()->pg, statement, args, &result));
    *ret_checkout = PG_FIRST(result, struct checkout);
    return 0;
}

int store_checkout_insert(
    struct pg_tx *tx, const struct checkout *c, const char *key, bool *ret_inserted)
{
    return run_counted(tx, &cart_statements[SQL_CHECKOUT_INSERT],
        PG_ARGS(PG_TEXT(c->id), PG_TEXT(c->user_id), PG_TEXT(c->cart_id), PG_TEXT(key),
            PG_TEXT(c->fingerprint), PG_TEXT(c->order_id), PG_I64(c->total.amount),
            PG_TEXT(c->total.currency), PG_I64(c->cart_version), PG_TIME(c->cart_updated_at)),
        ret_inserted);
}

int store_checkout_by_key(const char *user_id, const char *key, struct checkout **ret_checkout)
{
    return run_for_checkout(&cart_statements[SQL_CHECKOUT_BY_KEY],
        PG_ARGS(PG_TEXT(user_id), PG_TEXT(key)), ret_checkout);
}

int store_checkout_find(const char *id, const char *user_id, struct checkout **ret_checkout)
{
    return run_for_checkout(
        &cart_statements[SQL_CHECKOUT_FIND], PG_ARGS(PG_TEXT(id), PG_TEXT(user_id)), ret_checkout);
}

int store_checkout_again(struct pg_tx *tx, const struct checkout *c, bool *ret_again)
{
    return run_counted(tx, &cart_statements[SQL_CHECKOUT_AGAIN],
        PG_ARGS(PG_TEXT(c->id), PG_I64(c->attempt - 1), PG_TEXT(c->order_id),
            PG_I64(c->total.amount), PG_TEXT(c->total.currency), PG_TEXT(c->cart_id),
            PG_I64(c->cart_version), PG_TIME(c->cart_updated_at)),
        ret_again);
}

int store_checkout_complete(const struct checkout *c, struct cart **ret_emptied)
{
    TRY(run_for_cart(NULL, &cart_statements[SQL_CHECKOUT_COMPLETE],
        PG_ARGS(PG_TEXT(c->id), PG_I64(c->attempt), PG_TEXT(c->cart_id), PG_I64(c->cart_version),
            PG_TEXT(moved_items_json(c)), PG_I64(c->total.amount), PG_TEXT(steps_json(c))),
        ret_emptied));
    if (*ret_emptied) {
        (*ret_emptied)->id = c->cart_id;
        (*ret_emptied)->user_id = c->user_id;
    }
    return 0;
}

int store_checkout_set(
    struct pg_tx *tx, const struct checkout *c, const char *state, int64_t lease_us, bool *ret_ours)
{
    bool ended = strcmp(state, "completed") == 0 || strcmp(state, "failed") == 0;
    return run_counted(tx, &cart_statements[SQL_CHECKOUT_SET],
        PG_ARGS(PG_TEXT(c->id), PG_I64(c->attempt), PG_TEXT(state), PG_TEXT(c->outcome),
            PG_TEXT(c->detail), PG_TEXT(c->extensions), PG_BOOL(c->kept),
            PG_TEXT(moved_items_json(c)), PG_I64(c->total.amount), PG_TEXT(steps_json(c)),
            PG_I64(lease_us), PG_BOOL(ended)),
        ret_ours);
}

int store_checkout_cart(struct pg_tx *tx, const struct checkout *c, struct cart **ret_cart)
{
    return run_for_cart(
        tx, &cart_statements[SQL_CHECKOUT_CART], PG_ARGS(PG_TEXT(c->cart_id)), ret_cart);
}

int store_checkout_cart_write(struct pg_tx *tx, const struct cart *cart)
{
    return pg_queue(tx, &cart_statements[SQL_CHECKOUT_CART_WRITE],
        PG_ARGS(PG_TEXT(cart->id), PG_TEXT(lines_json(cart))));
}

int store_checkout_overdue(size_t limit, struct list *ret_checkouts)
{
    struct pg_result result;
    TRY(pg_query(app()->pg, &cart_statements[SQL_CHECKOUT_OVERDUE], PG_ARGS(PG_I64((int64_t)limit)),
        &result));
    *ret_checkouts = result.rows;
    return 0;
}
