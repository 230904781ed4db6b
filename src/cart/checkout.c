/* The checkout route: claims the saga's row under the request's Idempotency-Key, runs the saga,
 * answers. */

#include "cart/cart.h"
#include "common/app/pace.h"

/* ---- repeats ---- */

/* The enum value of a code stored as text. */
static int outcome_of_code(const char *code)
{
    for (size_t i = 0; i < cart_outcomes_count; i++)
        if (strcmp(cart_outcomes[i].code, code) == 0)
            return cart_outcomes[i].outcome;
    return strcmp(code, "unauthenticated") == 0 ? OUTCOME_UNAUTHENTICATED : OUTCOME_UNAVAILABLE;
}

static int replay_refusal(struct request *req, const struct checkout *c)
{
    if (c->extensions)
        buf_put_text(&req->extensions, c->extensions);
    return refuse(req, outcome_of_code(c->outcome), "%s", c->detail ? c->detail : "");
}

static int reply_completed(struct request *req, const struct checkout *c)
{
    reply_header(req, "Location", arena_printf(req->arena, "/api/v1/orders/%s", c->order_id));
    return reply(req, 201, &checkout_answer_table,
        &(struct checkout_answer){c->order_id, c->id, "created", c->total, c->items});
}

static int refuse_running(struct request *req, const struct checkout *c)
{
    refuse_retry_after(req, 1);
    return refuse(req, OUTCOME_KEY_IN_USE, "Checkout %s is still running", c->id);
}

/* It has failed, and was told so; what it took is given back as soon as that can be reached. */
static int refuse_undoing(struct request *req, const struct checkout *c)
{
    int outcome = c->outcome ? outcome_of_code(c->outcome) : OUTCOME_UNAVAILABLE;
    refuse_retry_after(req, 1);
    return refuse(req, outcome_find(outcome)->status >= 500 ? outcome : OUTCOME_UNAVAILABLE,
        "Checkout %s has failed and is still being undone; try again in a moment", c->id);
}

/* What an earlier request with this key has done. 0 with `*ret_again` when it may run again under
 * its key. */
static int answer_repeat(struct request *req, const struct checkout *c, bool *ret_again)
{
    *ret_again = false;
    if (strcmp(c->fingerprint, req->fingerprint) != 0)
        return refuse(req, OUTCOME_KEY_REUSED, "The first request with this key had another body");
    if (strcmp(c->state, "running") == 0)
        return refuse_running(req, c);
    if (strcmp(c->state, "compensating") == 0)
        return refuse_undoing(req, c);
    if (strcmp(c->state, "failed") == 0 && !c->kept)
        return *ret_again = true, 0;
    reply_header(req, "Idempotent-Replayed", "true");
    return strcmp(c->state, "completed") == 0 ? reply_completed(req, c) : replay_refusal(req, c);
}

/* ---- the address ---- */

static int check_one_address(struct request *req, const struct checkout_body *body)
{
    if (body->shipping_address && body->address_id)
        return refuse_field(req, "/addressId", "must not come beside shippingAddress");
    return 0;
}

static int resolve_address(struct request *req, struct checkout_body *body)
{
    if (body->shipping_address || !body->address_id)
        return 0;
    struct address *address = arena_alloc(req->arena, sizeof(*address));
    struct peer_answer answer;
    int r = peer_call(&(struct peer_call){.peer = "auth",
                          .method = HTTP_GET,
                          .path = arena_printf(req->arena, "/internal/v1/users/%s/addresses/%s",
                              req->caller.user_id, body->address_id),
                          .answer_table = &address_table,
                          .answer = address,
                          .idempotent = true},
        &answer);
    if (r == 0 && answer.status == 404)
        return refuse(req, CART_ADDRESS_UNKNOWN, "You have no address %s", body->address_id);
    if (r < 0 || answer.status != 200) {
        refuse_retry_after(req, 1);
        return refuse(req, CART_LOGIN_UNAVAILABLE, "Your addresses can't be read right now");
    }
    body->shipping_address = address;
    return 0;
}

/* ---- the claim ---- */

static const char *fresh_id(struct request *req)
{
    char *id = arena_alloc(req->arena, UUID_TEXT_SIZE);
    uuid_make(id);
    return id;
}

static int check_expected(
    struct request *req, const struct checkout_body *body, const struct cart *cart)
{
    const struct money *want = &body->expected_total;
    if (!*want->currency ||
        (want->amount == cart->total.amount && money_same_currency(want, &cart->total)))
        return 0;
    struct json_writer w = refuse_extra(req);
    json_put_money(&w, "total", &cart->total);
    return refuse(req, CART_TOTAL_CHANGED, "The total is %lld %s, not %lld %s",
        (long long)cart->total.amount, cart->total.currency, (long long)want->amount,
        want->currency);
}

static struct checkout *checkout_of(
    struct request *req, const struct cart *cart, const struct checkout *again)
{
    struct checkout *c = arena_alloc(req->arena, sizeof(*c));
    *c = (struct checkout){.id = again ? again->id : fresh_id(req),
        .user_id = req->caller.user_id,
        .cart_id = cart->id,
        .fingerprint = req->fingerprint,
        .attempt = again ? again->attempt + 1 : 1,
        .order_id = fresh_id(req),
        .state = "running",
        .items = cart_order_items(req->arena, cart),
        .total = cart->total,
        .cart_version = cart->version,
        .cart_updated_at = cart->updated_at};
    if (again)
        c->steps = again->steps;
    return c;
}

/* Claims the cart as it was read: 0 with the checkout, or NULL when the cart has changed since.
 * OUTCOME_CONFLICT: another request has the key. */
static int claim_cart(struct request *req, struct pg_tx *tx, const struct checkout_body *body,
    struct cart *cart, const struct checkout *again, struct checkout **ret_checkout) PARKS
{
    bool claimed = false;
    if (cart->items.len == 0)
        return refuse(req, CART_CART_EMPTY, "Put something into the cart first");
    TRY(cart_compute(cart));
    TRY(check_expected(req, body, cart));
    struct checkout *c = checkout_of(req, cart, again);
    int r = again ? store_checkout_again(tx, c, &claimed)
                  : store_checkout_insert(tx, c, req->idempotency_key, &claimed);
    if (r == PG_UNIQUE && strcmp(pg_constraint(), CHECKOUT_ONE_LIVE) == 0) {
        refuse_retry_after(req, 1);
        return refuse(req, CART_CHECKOUT_IN_PROGRESS, "Wait for the first one to end");
    }
    if (r == PG_UNIQUE)
        return OUTCOME_CONFLICT;
    TRY(r);
    *ret_checkout = claimed ? c : NULL;
    return 0;
}

/* As claim_cart, of a cart that can't change meanwhile. */
static int claim_locked(struct request *req, const struct checkout_body *body,
    const struct checkout *again, struct checkout **ret_checkout) PARKS
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct cart *cart;
    struct checkout *c;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_cart_open(tx, (struct cart_owner){.user_id = req->caller.user_id}, &cart));
    TRY(claim_cart(req, tx, body, cart, again, &c));
    TRY(pg_commit(tx));
    *ret_checkout = c;
    return 0;
}

/* Commits the saga's row. 0 with the checkout; 0 with NULL when another request has the key. `cart`
 * is as it was read; if it has changed since, it is locked. */
static int claim(struct request *req, const struct checkout_body *body, struct cart *cart,
    const struct checkout *again, struct checkout **ret_checkout) PARKS
{
    int r = cart ? claim_cart(req, NULL, body, cart, again, ret_checkout) : 0;
    if (r == 0 && !*ret_checkout)
        r = claim_locked(req, body, again, ret_checkout);
    if (r == OUTCOME_CONFLICT)
        return 0;
    return r < 0 ? ERR(r) : r;
}

/* The cart as it is remembered, by a key that nobody has used. 0 with NULL when that is not so, or
 * the checkout would be refused: then it is for those who read first. An address of the account
 * would have to be read before. */
static int claim_remembered(
    struct request *req, const struct checkout_body *body, struct checkout **ret_checkout) PARKS
{
    bool address_at_hand = body->shipping_address || !body->address_id;
    struct cart *cart = address_at_hand ? cart_recall(req->arena, req->caller.user_id) : NULL;
    if (!cart)
        return 0;
    cart_forget(cart->user_id);
    int r = claim_cart(req, NULL, body, cart, NULL, ret_checkout);
    if (r < 0)
        return ERR(r);
    refuse_undo(req);
    return 0;
}

/* Somebody else may have claimed the key since it was looked up, and may even be done: then that is
 * the answer, not the refusal that an emptied cart brought. `refusal` is 0 when the claim lost. */
static int answer_late_repeat(struct request *req, const struct checkout *earlier, int refusal)
{
    struct checkout *now = NULL;
    bool again = false;
    TRY(store_checkout_by_key(req->caller.user_id, req->idempotency_key, &now));
    bool taken = now && (!earlier || now->attempt != earlier->attempt);
    if (refusal && !taken)
        return refusal;
    if (!now)
        return ERR(ERR_RETRY);
    refuse_undo(req);
    TRY(answer_repeat(req, now, &again));
    return again ? refuse_running(req, now) : 0;
}

/* A repeat is answered before anything else is asked: its cart is empty, its address may be gone.
 */
static int claim_or_repeat(
    struct request *req, struct checkout_body *body, struct checkout **ret_checkout)
{
    struct checkout *earlier = NULL;
    struct cart *cart;
    bool again = false;
    *ret_checkout = NULL;
    TRY(claim_remembered(req, body, ret_checkout));
    if (*ret_checkout)
        return 0;
    TRY(store_cart_find_for_claim(req->caller.user_id, req->idempotency_key, &cart));
    if (!cart || cart->checkout_id)
        TRY(store_checkout_by_key(req->caller.user_id, req->idempotency_key, &earlier));
    if (earlier) {
        TRY(answer_repeat(req, earlier, &again));
        if (!again)
            return 0;
    }
    TRY(resolve_address(req, body));
    int r = claim(req, body, cart, earlier, ret_checkout);
    if (r < 0)
        return ERR(r);
    return *ret_checkout ? 0 : answer_late_repeat(req, earlier, r);
}

static int check_out(struct request *req) PARKS
{
    struct checkout_body body = *(const struct checkout_body *)req->body;
    struct checkout *c;
    TRY(check_one_address(req, &body));
    TRY(claim_or_repeat(req, &body, &c));
    if (req->replied)
        return 0;
    FAULT("checkout_after_claim");
    TRY(saga_run(req, &(struct saga_input){.checkout = c,
                          .body = &body,
                          .token = req->caller.token,
                          .email = req->caller.email,
                          .name = req->caller.name}));
    return reply_completed(req, c);
}

int post_checkout(struct request *req)
{
    TRY(pace_enter());
    int r = check_out(req);
    pace_leave();
    return r < 0 ? ERR(r) : r;
}

/* ---- the receipt ---- */

int get_checkout(struct request *req)
{
    const struct checkout_params *params = req->params;
    struct checkout *c;
    TRY(store_checkout_find(params->checkout_id, req->caller.user_id, &c));
    if (!c)
        return refuse(req, OUTCOME_NOT_FOUND, "You have no checkout %s", params->checkout_id);
    return reply(req, 200, &receipt_table,
        &(struct receipt){.checkout_id = c->id,
            .order_id = strcmp(c->state, "completed") == 0 ? c->order_id : NULL,
            .status = c->state,
            .total = c->total,
            .outcome = c->outcome,
            .detail = c->detail,
            .steps = c->steps,
            .created_at = c->created_at,
            .finished_at = c->finished_at});
}
