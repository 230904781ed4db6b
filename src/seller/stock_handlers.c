#include "seller/seller.h"

static int refuse_no_stock_row(struct request *req, const char *sku)
{
    return refuse(req, OUTCOME_NOT_FOUND, "You have no product %s", sku);
}

/* ---- levels ---- */

int get_levels(struct request *req)
{
    const struct level_list_params *p = req->params;
    const char *after, *next = NULL;
    struct list levels;
    TRY(cursor_decode(req, p->cursor, &after));
    TRY(store_levels(owner_of(req), p->low, after, p->limit, &levels));
    if ((int64_t)levels.len > p->limit) {
        levels.len = (size_t)p->limit;
        next = cursor_encode(req->arena, LIST_AT(levels, struct level, levels.len - 1)->sku);
    }
    return reply_page(req, &level_table, levels, next);
}

int get_level(struct request *req)
{
    const struct product_params *p = req->params;
    struct level *l;
    TRY(store_level_find(p->sku, owner_of(req), &l));
    if (!l)
        return refuse_no_stock_row(req, p->sku);
    reply_etag(req, l->version);
    return reply(req, 200, &level_table, l);
}

/* A cursor is the id of the last movement shown. */
int get_movements(struct request *req)
{
    const struct movement_list_params *p = req->params;
    const char *position, *next = NULL;
    int64_t before = 0;
    struct level *l;
    struct list movements;
    TRY(cursor_decode(req, p->cursor, &position));
    if (position && !span_to_i64(span_of(position), &before))
        return refuse_field(req, "/cursor", "is not a cursor of this list");
    TRY(store_level_find(p->sku, owner_of(req), &l));
    if (!l)
        return refuse_no_stock_row(req, p->sku);
    TRY(store_movements(p->sku, before, p->limit, &movements));
    if ((int64_t)movements.len > p->limit) {
        movements.len = (size_t)p->limit;
        const struct movement *last = LIST_AT(movements, struct movement, movements.len - 1);
        next = cursor_encode(req->arena, arena_printf(req->arena, "%lld", (long long)last->id));
    }
    return reply_page(req, &movement_table, movements, next);
}

static int save_level(struct pg_tx *tx, struct level *l)
{
    l->low = l->available <= l->threshold;
    l->version++;
    l->updated_at = clock_wall_us();
    return store_level_save(tx, l);
}

int post_adjustment(struct request *req)
{
    const struct product_params *p = req->params;
    const struct adjustment_body *b = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct level *l;
    if (b->delta == 0)
        return refuse_field(req, "/delta", "must not be 0");
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_level_lock(tx, p->sku, owner_of(req), &l));
    if (!l)
        return refuse_no_stock_row(req, p->sku);
    if (l->available + b->delta < 0) {
        struct json_writer w = refuse_extra(req);
        json_put_i64(&w, "available", l->available);
        return refuse(req, SELLER_STOCK_TOO_LOW, "Only %lld of %s are available",
            (long long)l->available, p->sku);
    }
    l->available += b->delta;
    l->on_hand += b->delta;
    TRY(store_movement_add(
        tx, p->sku, "adjusted", b->delta, b->reason, b->note, req->caller.user_id));
    TRY(save_level(tx, l));
    TRY(publish_stock(tx, "adjusted", NULL, (struct list){1, l}));
    reply_etag(req, l->version);
    TRY(reply_stored(req, tx, 201, &level_table, l));
    TRY(pg_commit(tx));
    return 0;
}

/* If-Match is looked at when it is there but not required: the version moves with every sale. */
int put_threshold(struct request *req)
{
    const struct product_params *p = req->params;
    const struct threshold_body *b = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct level *l;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_level_lock(tx, p->sku, owner_of(req), &l));
    if (!l)
        return refuse_no_stock_row(req, p->sku);
    TRY(request_if_match(req, l->version));
    l->threshold = b->threshold;
    TRY(save_level(tx, l));
    TRY(publish_alert(tx, l));
    TRY(pg_commit(tx));
    reply_etag(req, l->version);
    return reply(req, 200, &level_table, l);
}

/* ---- holds ---- */

static int refuse_lines(struct request *req, int outcome, struct list lines)
{
    struct json_writer w = refuse_extra(req);
    json_key(&w, "lines");
    json_array_begin(&w);
    for (size_t i = 0; i < lines.len; i++) {
        const struct hold_line *l = LIST_AT(lines, struct hold_line, i);
        bool short_of = outcome == SELLER_OUT_OF_STOCK;
        if (short_of ? hold_line_fits(l) : hold_line_sellable(l))
            continue;
        json_object_begin(&w);
        json_put_text(&w, "sku", l->sku);
        if (short_of) {
            json_put_i64(&w, "requested", l->quantity);
            json_put_i64(&w, "available", l->available);
        }
        json_object_end(&w);
    }
    json_array_end(&w);
    return refuse(req, outcome, "See lines");
}

/* The order id has a hold: the answer is the first one's, as long as that holds. */
static int reply_repeat(struct request *req, const struct hold *h)
{
    if (strcmp(h->state, "held") == 0 || strcmp(h->state, "committed") == 0)
        return reply(req, 201, &hold_table, h);
    return refuse(req, SELLER_HOLD_RELEASED, "The hold of order %s is %s", h->order_id, h->state);
}

/* The order has no hold, so something can't be had. Not 0: everything could be, by now. */
static int refuse_hold(struct request *req, struct list items)
{
    struct list lines;
    TRY(store_hold_look(NULL, items, &lines));
    int outcome = hold_refusal(lines);
    return outcome ? refuse_lines(req, outcome, lines) : ERR(ERR_RETRY);
}

/* The hottest path of the house: one statement, which is its own transaction. Only who does not get
 * the stock pays for more, to see whether it is a repeat, and what is not there. */
int post_hold(struct request *req)
{
    struct hold_body b = *(const struct hold_body *)req->body;
    struct hold *h;
    b.items = hold_items_merged(req->arena, b.items);
    FAULT("hold_before_commit");
    TRY(store_hold_take(&b, config_i64("HOLD_TTL_S"), &h));
    if (h) {
        FAULT("hold_after_commit");
        return reply(req, 201, &hold_table, h);
    }
    TRY(store_hold_find(b.order_id, &h));
    return h ? reply_repeat(req, h) : refuse_hold(req, b.items);
}

/* Moves held stock back to the shelves; nothing when the hold is not held (any more). */
static int release(struct pg_tx *tx, const char *order_id, const char *why)
{
    struct list levels;
    TRY(hold_move(tx, order_id, &MOVE_RELEASE, why, &levels));
    return levels.len ? publish_stock(tx, "released", NULL, levels) : 0;
}

/* The tombstone goes first: it waits for a hold of this order that is being taken right now, and
 * what it has met is released behind it. */
int delete_hold(struct request *req)
{
    const struct hold_params *p = req->params;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_hold_bury(tx, p->order_id, "checkout"));
    TRY(release(tx, p->order_id, "checkout"));
    TRY(pg_commit(tx));
    return reply_empty(req, 204);
}

static int release_expired(struct pg_tx *tx, void *arg)
{
    return release(tx, arg, "expired");
}

/* Several processes may find the same holds; the state in the statement lets only one release. One
 * that the books refuse to release is told and left: those behind it must not wait for it. */
int expire_holds(void)
{
    struct list holds;
    int refused = 0;
    TRY(store_holds_expired(&holds));
    for (size_t i = 0; i < holds.len; i++) {
        char *order_id =
            arena_strdup(fiber_arena(), LIST_AT(holds, struct hold_params, i)->order_id);
        int r = pg_transaction(app()->pg, release_expired, order_id);
        if (r < 0)
            return ERR(r);
        if (r == 0) {
            log_info("hold ran out", LF_TEXT("orderId", order_id));
            continue;
        }
        log_error("a hold that ran out can't be released", LF_TEXT("orderId", order_id),
            LF_TEXT("constraint", pg_constraint()));
        refused = ERR_INVALID;
    }
    return refused ? ERR(refused) : 0;
}

/* ---- prices ---- */

int get_prices(struct request *req)
{
    const struct price_params *p = req->params;
    struct price_list list;
    TRY(store_prices(p->skus, &list.prices));
    return reply(req, 200, &price_list_table, &list);
}
