/* What the checkout saga asks of other services: the four steps of its chain, each undoing, and
 * what recovery has to know. Every call names the order id, by which its callee tells a repeat, and
 * leaves a line in the receipt. */

#include "cart/cart.h"

/* ---- bodies of the calls ---- */

struct introspect_body {
    const char *token;
};
static const struct field introspect_body_fields[] = {
    FIELD_TEXT(struct introspect_body, token, "token", .max = 4096, .secret = true)};
static const struct table introspect_body_table =
    TABLE("IntrospectBody", struct introspect_body, introspect_body_fields);

struct introspect_answer {
    bool active;
    const char *email, *name;
};
static const struct field introspect_answer_fields[] = {
    FIELD_BOOL(struct introspect_answer, active, "active"),
    FIELD_TEXT(struct introspect_answer, email, "email"),
    FIELD_TEXT(struct introspect_answer, name, "name"),
};
static const struct table introspect_answer_table =
    TABLE("IntrospectAnswer", struct introspect_answer, introspect_answer_fields);

struct authorize_body {
    const char *order_id, *user_id, *user_email, *payment_method_id;
    struct money amount;
};
static const struct field authorize_body_fields[] = {
    FIELD_UUID(struct authorize_body, order_id, "orderId"),
    FIELD_UUID(struct authorize_body, user_id, "userId"),
    FIELD_TEXT(struct authorize_body, user_email, "userEmail"),
    FIELD_UUID(struct authorize_body, payment_method_id, "paymentMethodId"),
    FIELD_MONEY(struct authorize_body, amount, "amount"),
};
static const struct table authorize_body_table =
    TABLE("AuthorizeBody", struct authorize_body, authorize_body_fields);

struct authorize_answer {
    const char *payment_id;
};
static const struct field authorize_answer_fields[] = {
    FIELD_UUID(struct authorize_answer, payment_id, "paymentId", .required = true)};
static const struct table authorize_answer_table =
    TABLE("AuthorizeAnswer", struct authorize_answer, authorize_answer_fields);

struct declined_answer {
    const char *reason;
};
static const struct field declined_answer_fields[] = {
    FIELD_TEXT(struct declined_answer, reason, "reason")};
static const struct table declined_answer_table =
    TABLE("DeclinedAnswer", struct declined_answer, declined_answer_fields);

static const struct field hold_line_fields[] = {
    FIELD_TEXT(struct order_item, sku, "sku"),
    FIELD_I64(struct order_item, quantity, "quantity"),
};
static const struct table hold_line_table = TABLE("HoldLine", struct order_item, hold_line_fields);

struct hold_body {
    const char *order_id, *user_id;
    struct list items; /* struct order_item */
};
static const struct field hold_body_fields[] = {
    FIELD_UUID(struct hold_body, order_id, "orderId"),
    FIELD_UUID(struct hold_body, user_id, "userId"),
    FIELD_LIST(struct hold_body, items, "items", hold_line_table),
};
static const struct table hold_body_table = TABLE("HoldBody", struct hold_body, hold_body_fields);

struct hold_answer {
    struct list items; /* struct order_item */
};
static const struct field hold_answer_fields[] = {
    FIELD_LIST(struct hold_answer, items, "items", order_item_table, .required = true)};
static const struct table hold_answer_table =
    TABLE("HoldAnswer", struct hold_answer, hold_answer_fields);

struct lines_answer {
    struct span lines;
};
static const struct field lines_answer_fields[] = {FIELD_RAW(struct lines_answer, lines, "lines")};
static const struct table lines_answer_table =
    TABLE("LinesAnswer", struct lines_answer, lines_answer_fields);

struct order_body {
    const char *order_id, *user_id, *user_email, *user_name, *payment_id;
    struct list items;
    struct money total;
    struct address *shipping_address;
};
static const struct field order_body_fields[] = {
    FIELD_UUID(struct order_body, order_id, "orderId"),
    FIELD_UUID(struct order_body, user_id, "userId"),
    FIELD_TEXT(struct order_body, user_email, "userEmail"),
    FIELD_TEXT(struct order_body, user_name, "userName", .omit_empty = true),
    FIELD_UUID(struct order_body, payment_id, "paymentId", .omit_empty = true),
    FIELD_LIST(struct order_body, items, "items", order_item_table),
    FIELD_MONEY(struct order_body, total, "total"),
    FIELD_OBJECT(
        struct order_body, shipping_address, "shippingAddress", address_table, .omit_empty = true),
};
static const struct table order_body_table =
    TABLE("OrderBody", struct order_body, order_body_fields);

struct order_answer {
    struct list items; /* struct order_item */
    struct money total;
};
static const struct field order_answer_fields[] = {
    FIELD_LIST(struct order_answer, items, "items", order_item_table, .required = true),
    FIELD_MONEY(struct order_answer, total, "total", .required = true),
};
static const struct table order_answer_table =
    TABLE("OrderAnswer", struct order_answer, order_answer_fields);

struct reason_body {
    const char *reason;
};
static const struct field reason_body_fields[] = {FIELD_TEXT(struct reason_body, reason, "reason")};
static const struct table reason_body_table =
    TABLE("ReasonBody", struct reason_body, reason_body_fields);

struct exists_answer {
    bool exists;
};
static const struct field exists_answer_fields[] = {
    FIELD_BOOL(struct exists_answer, exists, "exists", .required = true)};
static const struct table exists_answer_table =
    TABLE("ExistsAnswer", struct exists_answer, exists_answer_fields);

/* ---- steps ---- */

static int call_step(
    struct saga *s, const char *step, const struct peer_call *call, struct peer_answer *ret_answer)
{
    int64_t begun_us = clock_mono_us();
    int r = peer_call(call, ret_answer);
    const char *outcome = r < 0                      ? error_name(r)
                          : ret_answer->status < 300 ? "ok"
                          : *ret_answer->code
                              ? ret_answer->code
                              : arena_printf(fiber_arena(), "%d", ret_answer->status);
    if (s->steps_count < SAGA_STEPS_LIMIT)
        s->steps[s->steps_count++] = (struct checkout_step){.step = step,
            .outcome = outcome,
            .attempt = s->c->attempt,
            .duration_us = clock_mono_us() - begun_us,
            .at = clock_wall_us()};
    if (r < 0)
        log_warn("checkout step failed", LF_TEXT("step", step), LF_TEXT("orderId", s->c->order_id),
            LF_TEXT("error", error_name(r)), LF_TEXT("trace", error_text()));
    return r;
}

/* What surely never reached the peer leaves nothing to undo there. */
static bool may_have_arrived(int r)
{
    return r != ERR_UNAVAILABLE && r != ERR_BUSY;
}

static void name_downstream(struct saga *s, const char *id)
{
    s->steps[s->steps_count - 1].downstream_id = id;
}

int saga_unavailable(struct saga *s, int outcome, int r, const struct peer_answer *answer)
{
    if (r == 0)
        log_warn("unexpected answer in a checkout", LF_TEXT("orderId", s->c->order_id),
            LF_I64("status", answer->status), LF_TEXT("code", answer->code));
    return refuse(s->req, outcome, "Try again in a moment with the same Idempotency-Key");
}

static int step_auth(struct saga *s)
{
    struct introspect_answer who = {0};
    struct peer_answer answer;
    const char *token = arena_strndup(fiber_arena(), s->input->token.ptr, s->input->token.len);
    int r = call_step(s, "auth",
        &(struct peer_call){.peer = "auth",
            .method = HTTP_POST,
            .path = "/internal/v1/tokens/introspect",
            .body_table = &introspect_body_table,
            .body = &(struct introspect_body){token},
            .answer_table = &introspect_answer_table,
            .answer = &who,
            .idempotent = true},
        &answer);
    if (r < 0 || answer.status != 200)
        return saga_unavailable(s, CART_LOGIN_UNAVAILABLE, r, &answer);
    if (!who.active)
        return refuse(s->req, OUTCOME_UNAUTHENTICATED, "Your login has ended; log in again");
    s->email = who.email ? who.email : s->input->email;
    s->name = who.name ? who.name : s->input->name;
    return 0;
}

static int refuse_declined(struct saga *s, const struct peer_answer *answer)
{
    struct declined_answer declined = {0};
    struct json_errors errors;
    const char *reason = "declined";
    if (json_read(fiber_arena(), answer->body, &declined_answer_table, JSON_LENIENT, &declined,
            &errors) == 0 &&
        declined.reason)
        reason = declined.reason;
    struct json_writer w = refuse_extra(s->req);
    json_put_text(&w, "reason", reason);
    return refuse(s->req, CART_PAYMENT_DECLINED, "The bank said: %s. Try another card.", reason);
}

static int step_payment(struct saga *s)
{
    struct authorize_answer payment = {0};
    struct peer_answer answer;
    int r = call_step(s, "payment",
        &(struct peer_call){.peer = "payment",
            .method = HTTP_POST,
            .path = "/internal/v1/authorizations",
            .body_table = &authorize_body_table,
            .body = &(struct authorize_body){s->c->order_id, s->c->user_id, s->email,
                s->input->body->payment_method_id, s->c->total},
            .answer_table = &authorize_answer_table,
            .answer = &payment,
            .idempotent = true,
            .own_affair = "payment_outcome_unknown"},
        &answer);
    s->payment_touched = may_have_arrived(r);
    if (r == 0 && answer.status == 402)
        return refuse_declined(s, &answer);
    if (r == 0 && answer.status == 404)
        return refuse(s->req, CART_PAYMENT_METHOD_UNKNOWN, "You have no payment method %s",
            s->input->body->payment_method_id);
    if (r < 0 || answer.status >= 300)
        return saga_unavailable(s, CART_PAYMENT_UNAVAILABLE, r, &answer);
    s->payment_id = payment.payment_id;
    name_downstream(s, payment.payment_id);
    return 0;
}

static int refuse_lines(
    struct saga *s, int outcome, const struct peer_answer *answer, const char *detail)
{
    struct lines_answer lines = {0};
    struct json_errors errors;
    if (json_read(
            fiber_arena(), answer->body, &lines_answer_table, JSON_LENIENT, &lines, &errors) == 0 &&
        lines.lines.len) {
        struct json_writer w = refuse_extra(s->req);
        json_key(&w, "lines");
        json_raw(&w, lines.lines);
    }
    return refuse(s->req, outcome, "%s", detail);
}

static bool same_price(const struct order_item *a, const struct order_item *b)
{
    return a->unit_price.amount == b->unit_price.amount &&
           money_same_currency(&a->unit_price, &b->unit_price);
}

/* Both prices of each line that costs something else than the cart said. */
static void put_risen_lines(struct saga *s, struct list before, struct list now)
{
    struct json_writer w = refuse_extra(s->req);
    json_key(&w, "lines");
    json_array_begin(&w);
    for (size_t i = 0; i < before.len; i++) {
        const struct order_item *was = LIST_AT(before, struct order_item, i);
        const struct order_item *is = LIST_AT(now, struct order_item, i);
        if (same_price(was, is))
            continue;
        json_object_begin(&w);
        json_put_text(&w, "sku", was->sku);
        json_put_money(&w, "was", &was->unit_price);
        json_put_money(&w, "is", &is->unit_price);
        json_object_end(&w);
    }
    json_array_end(&w);
}

static struct list items_copy(struct list items)
{
    struct list copy = {.len = items.len,
        .items = arena_array(fiber_arena(), items.len, sizeof(struct order_item))};
    memcpy(copy.items, items.items, items.len * sizeof(struct order_item));
    return copy;
}

static bool same_item(const struct order_item *a, const struct order_item *b)
{
    return same_price(a, b) && strcmp(a->name, b->name) == 0 &&
           strcmp(a->seller_id, b->seller_id) == 0;
}

/* What the price cache believed of these lines was wrong. True when there are some. */
static bool forget_moved_items(struct list before, struct list now)
{
    bool moved = false;
    for (size_t i = 0; i < before.len; i++) {
        const struct order_item *was = LIST_AT(before, struct order_item, i);
        if (same_item(was, LIST_AT(now, struct order_item, i)))
            continue;
        price_forget(was->sku);
        moved = true;
    }
    return moved;
}

/* The hold tells the present prices. A drop is passed on; a rise ends the checkout and waits for
 * consent. */
static int take_prices(struct saga *s, struct list current)
{
    struct list before = items_copy(s->c->items);
    bool rose = cart_prices_rose(s->c->items, current);
    s->c->items_moved = forget_moved_items(before, s->c->items);
    if (!rose)
        return cart_items_total(s->c->items, &s->c->total);
    put_risen_lines(s, before, s->c->items);
    if (!cart_one_currency(s->c->items))
        return refuse(s->req, CART_CURRENCY_MISMATCH,
            "Take out what is sold in another currency now: see lines");
    return refuse(s->req, CART_PRICE_CHANGED, "The cart shows the new prices now");
}

static int step_stock(struct saga *s)
{
    struct hold_answer hold = {0};
    struct peer_answer answer;
    int r = call_step(s, "stock",
        &(struct peer_call){.peer = "seller",
            .method = HTTP_POST,
            .path = "/internal/v1/holds",
            .body_table = &hold_body_table,
            .body = &(struct hold_body){s->c->order_id, s->c->user_id, s->c->items},
            .answer_table = &hold_answer_table,
            .answer = &hold,
            .idempotent = true},
        &answer);
    s->stock_touched = may_have_arrived(r);
    if (r == 0 && strcmp(answer.code, "out_of_stock") == 0)
        return refuse_lines(s, CART_OUT_OF_STOCK, &answer, "See lines for what is left");
    if (r == 0 && strcmp(answer.code, "product_unavailable") == 0)
        return refuse_lines(
            s, CART_PRODUCT_UNAVAILABLE, &answer, "Take these items out of the cart");
    if (r < 0 || answer.status >= 300)
        return saga_unavailable(s, CART_STOCK_UNAVAILABLE, r, &answer);
    name_downstream(s, s->c->order_id);
    return take_prices(s, hold.items);
}

static int step_order(struct saga *s)
{
    struct peer_answer answer;
    int r = call_step(s, "order",
        &(struct peer_call){.peer = "order",
            .method = HTTP_POST,
            .path = "/api/v1/orders",
            .body_table = &order_body_table,
            .body = &(struct order_body){s->c->order_id, s->c->user_id, s->email, s->name,
                s->payment_id, s->c->items, s->c->total, s->input->body->shipping_address},
            .idempotent = true},
        &answer);
    s->order_touched = may_have_arrived(r);
    if (r < 0 || answer.status >= 300)
        return saga_unavailable(s, CART_ORDER_UNAVAILABLE, r, &answer);
    name_downstream(s, s->c->order_id);
    return 0;
}

int saga_chain(struct saga *s)
{
    FAULT("checkout_before_auth");
    TRY(step_auth(s));
    FAULT("checkout_before_payment");
    TRY(step_payment(s));
    FAULT("checkout_before_stock");
    TRY(step_stock(s));
    FAULT("checkout_before_order");
    TRY(step_order(s));
    FAULT("checkout_before_end");
    return 0;
}

/* ---- undoing ---- */

static bool call_undo(struct saga *s, const char *step, const struct peer_call *call)
{
    struct peer_answer answer;
    return call_step(s, step, call, &answer) == 0 && answer.status < 300;
}

static bool undo_payment(struct saga *s)
{
    return call_undo(s, "void",
        &(struct peer_call){.peer = "payment",
            .method = HTTP_POST,
            .path =
                arena_printf(fiber_arena(), "/internal/v1/authorizations/%s/void", s->c->order_id),
            .body_table = &reason_body_table,
            .body = &(struct reason_body){"checkout_failed"},
            .idempotent = true});
}

static bool undo_stock(struct saga *s)
{
    return call_undo(s, "release",
        &(struct peer_call){.peer = "seller",
            .method = HTTP_DELETE,
            .path = arena_printf(fiber_arena(), "/internal/v1/holds/%s", s->c->order_id),
            .idempotent = true});
}

int saga_ask_order(struct saga *s, bool *ret_exists)
{
    struct exists_answer exists = {0};
    struct peer_answer answer;
    TRY(call_step(s, "abandon",
        &(struct peer_call){.peer = "order",
            .method = HTTP_POST,
            .path = arena_printf(fiber_arena(), "/internal/v1/orders/%s/abandon", s->c->order_id),
            .answer_table = &exists_answer_table,
            .answer = &exists,
            .idempotent = true},
        &answer));
    if (answer.status != 200)
        return ERR(ERR_UNAVAILABLE);
    *ret_exists = exists.exists;
    return 0;
}

int saga_read_order(struct saga *s)
{
    struct order_answer order = {0};
    struct peer_answer answer;
    TRY(call_step(s, "order",
        &(struct peer_call){.peer = "order",
            .method = HTTP_GET,
            .path = arena_printf(fiber_arena(), "/api/v1/orders/%s", s->c->order_id),
            .answer_table = &order_answer_table,
            .answer = &order,
            .idempotent = true},
        &answer));
    if (answer.status != 200)
        return ERR(ERR_UNAVAILABLE);
    name_downstream(s, s->c->order_id);
    s->c->items = order.items;
    s->c->items_moved = true;
    s->c->total = order.total;
    return 0;
}

bool saga_undo(struct saga *s)
{
    bool payment = !s->payment_touched || undo_payment(s);
    bool stock = !s->stock_touched || undo_stock(s);
    return payment && stock;
}
