/* The checkout saga: auth -> payment -> seller -> order, in this order, orchestrated here.
 *
 * Its row was committed before the first call (checkout.c), with an order id that every callee uses
 * as its idempotency key. So the state that recovery needs is just "this order id may have left
 * traces": it asks order to fix whether the order exists (yes, or never), then either completes the
 * saga or undoes payment and hold, both of which leave a tombstone when there is nothing to undo,
 * so that a call still under way can't do harm later.
 *
 * The happy path costs two commits here: the claim and the end. Steps are collected in memory and
 * written with the end; a crash loses the receipt's details, never the undoing.
 *
 * A run owns its row by (attempt, live state). Recovery takes over rows whose lease has run out; a
 * zombie that wakes up later finds its order id abandoned and its row no longer its own. */

#include "cart/cart.h"

#define STEPS_LIMIT     8                   /* 4 of the chain, 3 of the undoing */
#define UNDO_TIME_US    (1 * USEC_PER_SEC)  /* the shopper waits; what takes longer is recovery's */
#define UNDO_BRIEF_US   (500 * USEC_PER_MS) /* when a peer is away */
#define FINISH_TIME_US  (3 * USEC_PER_SEC)
#define RECOVER_TIME_US (10 * USEC_PER_SEC)
#define LEASE_RETRY_US  (2 * USEC_PER_SEC)

struct saga {
    struct request *req; /* NULL in recovery */
    struct checkout *c;
    const struct saga_input *input;
    const char *payment_id;
    const char *email, *name; /* as auth has them now */
    bool payment_touched, stock_touched, order_touched;
    bool may_help_later; /* the refusal is a 5xx */
    struct checkout_step steps[STEPS_LIMIT];
    size_t steps_count;
};

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
    if (s->steps_count < STEPS_LIMIT)
        s->steps[s->steps_count++] = (struct checkout_step){.step = step,
            .outcome = outcome,
            .duration_us = clock_mono_us() - begun_us,
            .at = clock_wall_us()};
    if (r < 0)
        log_warn("checkout step failed", LF_TEXT("step", step), LF_TEXT("orderId", s->c->order_id),
            LF_TEXT("error", error_name(r)), LF_TEXT("trace", error_text()));
    return r;
}

static void name_downstream(struct saga *s, const char *id)
{
    s->steps[s->steps_count - 1].downstream_id = id;
}

/* An answer that is none of the planned ones. */
static int unavailable(struct saga *s, int outcome, int r, const struct peer_answer *answer)
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
        return unavailable(s, CART_LOGIN_UNAVAILABLE, r, &answer);
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
    s->payment_touched = true;
    int r = call_step(s, "payment",
        &(struct peer_call){.peer = "payment",
            .method = HTTP_POST,
            .path = "/internal/v1/authorizations",
            .body_table = &authorize_body_table,
            .body = &(struct authorize_body){s->c->order_id, s->c->user_id, s->email,
                s->input->body->payment_method_id, s->c->total},
            .answer_table = &authorize_answer_table,
            .answer = &payment,
            .idempotent = true},
        &answer);
    if (r == 0 && answer.status == 402)
        return refuse_declined(s, &answer);
    if (r == 0 && answer.status == 404)
        return refuse(s->req, CART_PAYMENT_METHOD_UNKNOWN, "You have no payment method %s",
            s->input->body->payment_method_id);
    if (r < 0 || answer.status >= 300)
        return unavailable(s, CART_PAYMENT_UNAVAILABLE, r, &answer);
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

/* What the price cache believed of these lines was wrong. */
static void forget_moved_prices(struct list before, struct list now)
{
    for (size_t i = 0; i < before.len; i++) {
        const struct order_item *was = LIST_AT(before, struct order_item, i);
        if (!same_price(was, LIST_AT(now, struct order_item, i)))
            price_forget(was->sku);
    }
}

/* The hold tells the present prices. A drop is passed on; a rise ends the checkout and waits for
 * consent. */
static int take_prices(struct saga *s, struct list current)
{
    struct list before = items_copy(s->c->items);
    bool rose = cart_prices_rose(s->c->items, current);
    forget_moved_prices(before, s->c->items);
    if (!rose)
        return cart_items_total(s->c->items, &s->c->total);
    put_risen_lines(s, before, s->c->items);
    return refuse(s->req, CART_PRICE_CHANGED, "The cart shows the new prices now");
}

static int step_stock(struct saga *s)
{
    struct hold_answer hold = {0};
    struct peer_answer answer;
    s->stock_touched = true;
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
    if (r == 0 && strcmp(answer.code, "out_of_stock") == 0)
        return refuse_lines(s, CART_OUT_OF_STOCK, &answer, "See lines for what is left");
    if (r == 0 && strcmp(answer.code, "product_unavailable") == 0)
        return refuse_lines(
            s, CART_PRODUCT_UNAVAILABLE, &answer, "Take these items out of the cart");
    if (r < 0 || answer.status >= 300)
        return unavailable(s, CART_STOCK_UNAVAILABLE, r, &answer);
    name_downstream(s, s->c->order_id);
    return take_prices(s, hold.items);
}

static int step_order(struct saga *s)
{
    struct peer_answer answer;
    s->order_touched = true;
    int r = call_step(s, "order",
        &(struct peer_call){.peer = "order",
            .method = HTTP_POST,
            .path = "/api/v1/orders",
            .body_table = &order_body_table,
            .body = &(struct order_body){s->c->order_id, s->c->user_id, s->email, s->name,
                s->payment_id, s->c->items, s->c->total, s->input->body->shipping_address},
            .idempotent = true},
        &answer);
    if (r < 0 || answer.status >= 300)
        return unavailable(s, CART_ORDER_UNAVAILABLE, r, &answer);
    name_downstream(s, s->c->order_id);
    return 0;
}

static int run_chain(struct saga *s)
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

/* Fixes whether the order exists. 0 with the answer; negative while order can't tell. */
static int ask_order(struct saga *s, bool *ret_exists)
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

/* What the order says is what was bought: its prices may be lower than the claim's. */
static int read_order(struct saga *s)
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
    s->c->total = order.total;
    return 0;
}

/* Undoes what may have been done. True when nothing is left; else recovery goes on. */
static bool undo(struct saga *s)
{
    bool payment = !s->payment_touched || undo_payment(s);
    bool stock = !s->stock_touched || undo_stock(s);
    return payment && stock;
}

/* ---- the end ---- */

static const char *answer_of(const struct checkout *c)
{
    struct buf text = {0};
    struct json_writer w = json_writer_on(&text);
    json_struct(&w, &checkout_answer_table,
        &(struct checkout_answer){c->order_id, c->id, "created", c->total, c->items});
    const char *copy = arena_strndup(fiber_arena(), text.ptr, text.len);
    buf_deinit(&text);
    return copy;
}

/* 0; OUTCOME_CONFLICT when recovery was faster (nothing is written then). The cart is locked before
 * its lines, as every other writer does. `lease_us`: how long a saga that goes on is left alone. */
static int write_end(
    struct saga *s, const char *state, bool take_out, bool reprice, int64_t lease_us)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    bool ours;
    TRY(pg_begin(app()->pg, &tx));
    if (take_out || reprice)
        TRY(store_cart_touch(tx, s->c->cart_id));
    if (s->steps_count > 0)
        TRY(store_steps_add(tx, s->c, (struct list){s->steps_count, s->steps}));
    if (take_out)
        TRY(store_items_take_out(tx, s->c));
    if (reprice)
        TRY(store_items_reprice(tx, s->c, s->c->items));
    TRY(store_checkout_set(tx, s->c, state, lease_us, &ours));
    if (!ours)
        return OUTCOME_CONFLICT;
    TRY(pg_commit(tx));
    s->steps_count = 0;
    return 0;
}

/* The order exists, so the saga is completed whatever else happens; when this commit fails,
 * recovery finds the order. */
static int complete(struct saga *s)
{
    s->c->response = answer_of(s->c);
    s->c->outcome = s->c->detail = s->c->extensions = NULL;
    s->c->kept = false;
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + FINISH_TIME_US);
    int r = write_end(s, "completed", true, false, 0);
    fiber_shield_end(shield);
    if (r != 0)
        log_warn("checkout end not written, recovery will", LF_TEXT("orderId", s->c->order_id),
            LF_TEXT("error", r < 0 ? error_name(r) : "taken over"));
    return 0;
}

/* The outcome as it will be replayed under the same key. 5xx are not kept: a retry may run again.
 */
static void keep_refusal(struct saga *s, int outcome)
{
    s->c->outcome = "service_unavailable";
    for (size_t i = 0; i < cart_outcomes_count; i++)
        if (cart_outcomes[i].outcome == outcome) {
            s->c->outcome = cart_outcomes[i].code;
            s->c->kept = cart_outcomes[i].status < 500 && cart_outcomes[i].status != 422;
            s->may_help_later = cart_outcomes[i].status >= 500;
        }
    if (outcome == OUTCOME_UNAUTHENTICATED)
        s->c->outcome = "unauthenticated";
    s->c->detail = s->req->detail;
    if (s->req->extensions.len)
        s->c->extensions =
            arena_strndup(fiber_arena(), s->req->extensions.ptr, s->req->extensions.len);
}

/* Under a shield, for the shopper may have left. When a peer is away the undoing will hardly
 * succeed now either: it is left to recovery soon, for the shopper waits. True when nothing is
 * left;
 * `*ret_exists` when the order's create had arrived after all: then nothing was undone. */
static bool undo_in_time(struct saga *s, bool *ret_exists)
{
    struct fiber_shield shield =
        fiber_shield_begin(clock_mono_us() + (s->may_help_later ? UNDO_BRIEF_US : UNDO_TIME_US));
    int asked = s->order_touched ? ask_order(s, ret_exists) : 0;
    bool undone = asked == 0 && !*ret_exists && undo(s);
    fiber_shield_end(shield);
    return undone;
}

/* With time of its own: a peer that hung in the undoing must not cost the row's end. */
static void write_failure(struct saga *s, bool undone, bool reprice)
{
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + FINISH_TIME_US);
    int r = write_end(s, undone ? "failed" : "compensating", false, reprice, 0);
    fiber_shield_end(shield);
    if (r == 0 && undone)
        return;
    log_warn("checkout left to recovery", LF_TEXT("orderId", s->c->order_id));
    app_nudge(SAGA_RECOVERY);
}

/* The request's failure: undo what can be undone while the shopper waits, then end the row or leave
 * it to recovery. */
static int fail(struct saga *s, int r)
{
    int outcome =
        r > 0 ? r : unavailable(s, CART_ORDER_UNAVAILABLE, 0, &(struct peer_answer){.code = ""});
    bool exists = false;
    keep_refusal(s, outcome);
    bool undone = undo_in_time(s, &exists);
    if (exists) {
        s->req->detail = NULL;
        buf_reset(&s->req->extensions);
        return complete(s);
    }
    write_failure(s, undone, outcome == CART_PRICE_CHANGED);
    if (s->may_help_later)
        refuse_retry_after(s->req, 1);
    return outcome;
}

int saga_run(struct request *req, const struct saga_input *input)
{
    struct saga *s = arena_alloc(req->arena, sizeof(*s));
    *s = (struct saga){.req = req, .c = input->checkout, .input = input};
    int r = run_chain(s);
    return r == 0 ? complete(s) : fail(s, r);
}

/* ---- recovery ---- */

/* Asks order, then completes or undoes. What can't be done now is tried again when the lease has
 * run out; such a round leaves steps in the receipt once only, or a long outage would fill it. */
static void recover_saga(struct saga *s)
{
    bool exists, waited = strcmp(s->c->state, "compensating") == 0;
    if (ask_order(s, &exists) != 0) {
        s->steps_count = 0;
        (void)write_end(s, s->c->state, false, false, LEASE_RETRY_US);
        return;
    }
    log_info("checkout recovered", LF_TEXT("orderId", s->c->order_id), LF_BOOL("exists", exists));
    if (exists) {
        if (read_order(s) == 0)
            (void)complete(s);
        return;
    }
    if (!s->c->outcome)
        s->c->outcome = "service_unavailable";
    bool undone = undo(s);
    if (!undone && waited)
        s->steps_count = 0;
    (void)write_end(
        s, undone ? "failed" : "compensating", false, false, undone ? 0 : LEASE_RETRY_US);
}

static void recover_one(struct checkout *c)
{
    struct saga *s = arena_alloc(fiber_arena(), sizeof(*s));
    *s = (struct saga){
        .c = c, .payment_touched = true, .stock_touched = true, .order_touched = true};
    int64_t outer = fiber_deadline_push(clock_mono_us() + RECOVER_TIME_US);
    recover_saga(s);
    fiber_deadline_pop(outer);
}

int saga_recover(void)
{
    struct list overdue;
    TRY(store_checkout_overdue(&overdue));
    for (size_t i = 0; i < overdue.len; i++)
        recover_one(LIST_AT(overdue, struct checkout, i));
    return 0;
}
