#include <stdio.h>

#include "common/base/uuid.h"
#include "order/order.h"

/* What somebody is to an order, a set. */
enum access {
    ACCESS_BUYER = 1 << 0,
    ACCESS_STAFF = 1 << 1,     /* admins and services */
    ACCESS_SELLER = 1 << 2,    /* sells all of it */
    ACCESS_SOME_LINE = 1 << 3, /* sells a part of it: may look, not touch */
};

static unsigned access_to(const struct request *req, const struct order *o)
{
    bool all = false, some = req->caller.user_id && caller_is(req, ROLE_SELLER) &&
                             order_sold_by(o->items, req->caller.user_id, &all);
    unsigned access = caller_is(req, ROLE_ADMIN | ROLE_SERVICE) ? ACCESS_STAFF : 0;
    if (req->caller.user_id && strcmp(o->user_id, req->caller.user_id) == 0)
        access |= ACCESS_BUYER;
    return access | (all ? ACCESS_SELLER : 0u) | (some ? ACCESS_SOME_LINE : 0u);
}

/* The order of the path when the caller is something to it; somebody else's order does not exist.
 */
static int visible_order(struct request *req, struct order **ret_order, unsigned *ret_access)
{
    const struct order_params *p = req->params;
    const char *reader_id = caller_is(req, ROLE_ADMIN | ROLE_SERVICE) ? NULL : req->caller.user_id;
    *ret_access = 0;
    TRY(store_find(p->order_id, reader_id, caller_is(req, ROLE_SELLER), ret_order));
    if (*ret_order)
        *ret_access = access_to(req, *ret_order);
    if (!*ret_access)
        return refuse(req, OUTCOME_NOT_FOUND, "You have no order %s", p->order_id);
    return 0;
}

/* ---- creating ---- */

static int check_total(struct request *req, const struct order_create_body *body)
{
    struct money total;
    if (order_lines_total(body->items, &total) != 0 || !money_same_currency(&total, &body->total))
        return refuse_field(req, "/items", "all prices must be in the currency of the total");
    if (total.amount != body->total.amount)
        return refuse_field(
            req, "/total/amount", "must be the sum of the lines, %lld", (long long)total.amount);
    return 0;
}

static int publish_created(struct pg_tx *tx, const struct order_create_body *b)
{
    const struct order_created e = {.order_id = b->order_id,
        .user_id = b->user_id,
        .customer_id = b->user_id,
        .user_email = b->user_email,
        .user_name = b->user_name,
        .items = b->items,
        .total_amount = b->total.amount,
        .currency = b->total.currency,
        .payment_id = b->payment_id};
    return outbox_add(tx, &EVENT_ORDER_CREATED, b->order_id, &e);
}

static int reply_created(struct request *req, struct pg_tx *tx, const struct order *o)
{
    reply_header(req, "Location", arena_printf(req->arena, "/api/v1/orders/%s", o->id));
    reply_etag(req, o->version);
    return reply_stored(req, tx, 201, &order_table, o);
}

/* The id is the caller's: a repeat finds the order that the first request made. */
static int reply_repeat(struct request *req, const struct order_create_body *body)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct order *o;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_get(tx, body->order_id, false, &o));
    if (!o)
        return ERR(ERR_RETRY);
    if (strcmp(o->user_id, body->user_id) != 0 || o->total.amount != body->total.amount)
        return refuse(req, ORDER_ID_TAKEN, "Order %s exists with other content", body->order_id);
    TRY(reply_created(req, tx, o));
    return pg_commit(tx);
}

static const char *actor_of(const struct request *req)
{
    return req->caller.user_id ? req->caller.user_id : req->caller.service;
}

static struct order order_from(struct request *req, const struct order_create_body *b)
{
    struct order o = {.id = b->order_id,
        .user_id = b->user_id,
        .status = "created",
        .items = b->items,
        .total = b->total,
        .payment_id = b->payment_id,
        .version = 1,
        .user_email = b->user_email,
        .user_name = b->user_name};
    if (b->shipping_address)
        o.shipping_address =
            span_of(json_struct_text(req->arena, &address_table, b->shipping_address));
    o.created_at = o.updated_at = clock_wall_us();
    order_note(&o, NULL, actor_of(req), NULL, NULL);
    return o;
}

/* One round trip; a second one for who wants the answer stored, as it must be right by then. */
static int create(struct request *req, const struct order_create_body *body)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct order made = order_from(req, body), *o = &made;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_insert(tx, o));
    TRY(publish_created(tx, body));
    if (req->idempotency_key) {
        TRY(store_get(tx, o->id, false, &o));
        TRY(reply_created(req, tx, o));
    }
    FAULT("order_before_commit");
    TRY(pg_commit(tx));
    FAULT("order_after_commit");
    return req->replied ? 0 : reply_created(req, NULL, o);
}

int post_order(struct request *req)
{
    struct order_create_body body = *(const struct order_create_body *)req->body;
    if (!body.order_id) {
        char *id = arena_alloc(req->arena, UUID_TEXT_SIZE);
        uuid_make(id);
        body.order_id = id;
    }
    TRY(check_total(req, &body));
    int r = create(req, &body);
    if (r == PG_NOT_NULL)
        return refuse(req, ORDER_ABANDONED, "Order %s will never exist", body.order_id);
    return r == PG_UNIQUE ? reply_repeat(req, &body) : r;
}

/* For a checkout that does not know whether its create arrived: from now on the answer is fixed. */
int post_abandon(struct request *req)
{
    const struct order_params *p = req->params;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct order *o;
    bool abandoned;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_is_abandoned(tx, p->order_id, &abandoned));
    TRY(store_get(tx, p->order_id, false, &o));
    if (!o && !abandoned)
        TRY(store_abandon(tx, p->order_id));
    TRY(pg_commit(tx));
    return reply(req, 200, &abandon_answer_table, &(struct abandon_answer){.exists = o != NULL});
}

/* ---- reading ---- */

int get_order(struct request *req)
{
    struct order *o;
    unsigned access;
    TRY(visible_order(req, &o, &access));
    reply_etag(req, o->version);
    return reply(req, 200, &order_table, o);
}

int get_order_items(struct request *req)
{
    struct order *o;
    unsigned access;
    TRY(visible_order(req, &o, &access));
    return reply(req, 200, &order_items_table, &(struct order_items){o->items});
}

int get_order_history(struct request *req)
{
    struct order *o;
    unsigned access;
    struct order_history history;
    TRY(visible_order(req, &o, &access));
    TRY(store_history(o->id, &history));
    return reply(req, 200, &order_history_table, &history);
}

static int list_orders(struct request *req, const char *user_id, const struct list_params *p)
{
    struct place before;
    struct list orders;
    const char *next = NULL;
    TRY(place_read(req, p->cursor, true, &before));
    TRY(store_list(user_id, p->status, before.number, before.id, p->limit, &orders));
    if ((int64_t)orders.len > p->limit) {
        orders.len = (size_t)p->limit;
        const struct order *last = LIST_AT(orders, struct order, orders.len - 1);
        next = place_cursor(req->arena, last->created_at, last->id);
    }
    return reply_page(req, &order_table, orders, next);
}

int get_orders(struct request *req)
{
    return list_orders(req, caller_is(req, ROLE_ADMIN) ? NULL : req->caller.user_id, req->params);
}

int get_customer_orders(struct request *req)
{
    const struct list_params *p = req->params;
    bool own = req->caller.user_id && strcmp(p->customer_id, req->caller.user_id) == 0;
    if (!own && !caller_is(req, ROLE_ADMIN | ROLE_SERVICE))
        return refuse(req, OUTCOME_NOT_FOUND, "There is no customer %s for you", p->customer_id);
    return list_orders(req, p->customer_id, p);
}

/* ---- changing ---- */

static int refuse_transition(struct request *req, const struct order *o, const char *to)
{
    struct json_writer w = refuse_extra(req);
    json_put_text(&w, "currentStatus", o->status);
    json_key(&w, "allowed");
    order_next_statuses(&w, o->status);
    return refuse(
        req, ORDER_INVALID_TRANSITION, "An order that is %s can't become %s", o->status, to);
}

static int refuse_access(struct request *req, unsigned access)
{
    return refuse(req, OUTCOME_FORBIDDEN, "%s",
        access & ACCESS_BUYER ? "Only the shop may do that"
        : access & ACCESS_SELLER
            ? "Only the customer or the shop may do that"
            : "You sell only a part of this order; that is for the shop to do");
}

/* Locks the order as the caller saw it. */
static int lock_order(struct request *req, struct pg_tx *tx, struct order **ret_order)
{
    const struct order_params *p = req->params;
    TRY(store_get(tx, p->order_id, true, ret_order));
    return request_if_match(req, (*ret_order)->version);
}

/* Of two that come at once the second finds the first one's status and is judged by it. */
static int move_order(struct request *req, const char *to, const char *reason)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct order *o;
    TRY(pg_begin(app()->pg, &tx));
    TRY(lock_order(req, tx, &o));
    if (!order_person_may_set(to) || !order_may_become(o->status, to))
        return refuse_transition(req, o, to);
    TRY(order_move(tx, o, to, actor_of(req), reason, NULL));
    TRY(store_save(tx, &o, 1));
    reply_etag(req, o->version);
    TRY(reply_stored(req, tx, 200, &order_table, o));
    return pg_commit(tx);
}

int patch_order_status(struct request *req)
{
    const struct status_body *body = req->body;
    struct order *o;
    unsigned access;
    TRY(visible_order(req, &o, &access));
    if (!(access & (ACCESS_STAFF | ACCESS_SELLER)))
        return refuse_access(req, access);
    return move_order(req, body->status, body->reason);
}

int post_cancellation(struct request *req)
{
    const struct cancellation_body *body = req->body;
    struct order *o;
    unsigned access;
    TRY(visible_order(req, &o, &access));
    if (!(access & (ACCESS_BUYER | ACCESS_STAFF | ACCESS_SELLER)))
        return refuse_access(req, access);
    return move_order(req, "cancelled", body->reason);
}

int delete_order(struct request *req)
{
    struct order *o;
    unsigned access;
    TRY(visible_order(req, &o, &access));
    if (!(access & (ACCESS_BUYER | ACCESS_STAFF | ACCESS_SELLER)))
        return refuse_access(req, access);
    return move_order(req, "cancelled",
        access & ACCESS_BUYER ? "Cancelled by the customer" : "Cancelled by the shop");
}

int put_order(struct request *req)
{
    const struct order_change_body *body = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct order *o;
    unsigned access;
    TRY(visible_order(req, &o, &access));
    if (!(access & (ACCESS_BUYER | ACCESS_STAFF)))
        return refuse_access(req, access);
    TRY(pg_begin(app()->pg, &tx));
    TRY(lock_order(req, tx, &o));
    if (!order_is_open(o->status))
        return refuse(
            req, OUTCOME_CONFLICT, "The address is fixed once the order is %s", o->status);
    o->shipping_address =
        span_of(json_struct_text(req->arena, &address_table, body->shipping_address));
    TRY(store_save_address(tx, o));
    TRY(pg_commit(tx));
    reply_etag(req, o->version);
    return reply(req, 200, &order_table, o);
}
