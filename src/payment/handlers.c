/* What people ask of payment: their methods, their payments; refunds by admins. */

#include "common/base/uuid.h"
#include "payment/payment.h"

/* ---- payment methods ---- */

int post_payment_method(struct request *req)
{
    const struct payment_method_body *body = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    char id[UUID_TEXT_SIZE];
    if (payment_is_card_number(body->token))
        return refuse_field(
            req, "/token", "looks like a card number; send the token that the provider gave you");
    if (body->label && payment_is_card_number(body->label))
        return refuse_field(req, "/label", "looks like a card number");
    uuid_make(id);
    struct payment_method m = {
        .id = id, .provider = provider_name(), .label = body->label, .created_at = clock_wall_us()};
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_method_insert(tx, &m, req->caller.user_id, body->token));
    reply_header(req, "Location", arena_printf(req->arena, "/api/v1/payment-methods/%s", id));
    TRY(reply_stored(req, tx, 201, &payment_method_table, &m));
    return pg_commit(tx);
}

int get_payment_methods(struct request *req)
{
    const struct page_params *p = req->params;
    struct place before;
    struct list methods;
    const char *next = NULL;
    TRY(place_read(req, p->cursor, true, &before));
    TRY(store_method_list(req->caller.user_id, before.number, before.id, p->limit, &methods));
    if ((int64_t)methods.len > p->limit) {
        methods.len = (size_t)p->limit;
        const struct payment_method *last =
            LIST_AT(methods, struct payment_method, methods.len - 1);
        next = place_cursor(req->arena, last->created_at, last->id);
    }
    return reply_page(req, &payment_method_table, methods, next);
}

int delete_payment_method(struct request *req)
{
    const struct id_params *p = req->params;
    bool deleted;
    TRY(store_method_delete(p->id, req->caller.user_id, &deleted));
    if (!deleted)
        return refuse(req, PAYMENT_METHOD_NOT_FOUND, "You have no payment method %s", p->id);
    return reply_empty(req, 204);
}

int post_validation(struct request *req)
{
    const struct id_params *p = req->params;
    struct payment_method *m;
    struct provider_charge answer;
    TRY(store_method_find(p->id, req->caller.user_id, &m));
    if (!m)
        return refuse(req, PAYMENT_METHOD_NOT_FOUND, "You have no payment method %s", p->id);
    int r = provider_validate(m->token, &answer);
    if (r < 0)
        return ERR(r);
    return reply(req, 200, &validation_answer_table,
        &(struct validation_answer){.valid = r == 0, .reason = answer.reason});
}

/* ---- payments ---- */

/* Whose payments the caller may see; NULL: all. */
static const char *reader_of(const struct request *req)
{
    return caller_is(req, ROLE_ADMIN | ROLE_SERVICE) ? NULL : req->caller.user_id;
}

int get_payment(struct request *req)
{
    const struct id_params *params = req->params;
    struct payment *p;
    TRY(store_find(params->id, reader_of(req), &p));
    if (!p)
        return refuse(req, OUTCOME_NOT_FOUND, "You have no payment %s", params->id);
    TRY(store_refunds(p->id, &p->refunds));
    return reply(req, 200, &payment_answer_table, p);
}

/* An order has one payment at most, so the page has one row at most. */
int get_payments(struct request *req)
{
    const struct order_params *params = req->params;
    struct payment *p;
    struct list page = {0};
    TRY(store_find_by_order(params->order_id, reader_of(req), &p));
    if (p) {
        TRY(store_refunds(p->id, &p->refunds));
        page = (struct list){.len = 1, .items = p};
    }
    return reply_page(req, &payment_answer_table, page, NULL);
}

/* ---- refunds ---- */

static int check_refund(
    struct request *req, const struct refund_body *body, const struct payment *p)
{
    int64_t left = payment_refundable(p);
    if (p->captured == 0)
        return refuse(req, PAYMENT_NOT_CAPTURED, "Payment %s is %s", p->id, p->status);
    if (!money_same_currency(&body->amount, &p->amount))
        return refuse_field(req, "/amount/currency", "must be %s", p->amount.currency);
    if (body->amount.amount <= left)
        return 0;
    struct money rest = p->amount;
    rest.amount = left;
    struct json_writer w = refuse_extra(req);
    json_put_money(&w, "refundable", &rest);
    return refuse(req, PAYMENT_REFUND_TOO_LARGE, "%lld minor units are left", (long long)left);
}

/* Reserves the amount; the worker asks the bank. */
int post_refund(struct request *req)
{
    const struct id_params *params = req->params;
    const struct refund_body *body = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct payment *p;
    char id[UUID_TEXT_SIZE];
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_lock(tx, params->id, &p));
    if (!p)
        return refuse(req, OUTCOME_NOT_FOUND, "There is no payment %s", params->id);
    TRY(check_refund(req, body, p));
    uuid_make(id);
    struct refund r = {.id = id,
        .payment_id = p->id,
        .amount = body->amount,
        .status = "pending",
        .reason = body->reason,
        .created_at = clock_wall_us()};
    TRY(store_refund_insert(tx, &r, req->caller.user_id));
    reply_header(req, "Location", arena_printf(req->arena, "/api/v1/payments/%s", p->id));
    TRY(reply_stored(req, tx, 201, &refund_table, &r));
    TRY(pg_commit(tx));
    payment_refund_nudge();
    return 0;
}
