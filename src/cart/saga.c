/* The checkout saga: auth -> payment -> seller -> order, in this order, orchestrated here.
 *
 * Its row was committed before the first call (checkout.c), with an order id that every callee uses
 * as its idempotency key. So the state that recovery needs is just "this order id may have left
 * traces": it asks order to fix whether the order exists (yes, or never), then either completes the
 * saga or undoes payment and hold, both of which leave a tombstone when there is nothing to undo,
 * so that a call still under way can't do harm later.
 *
 * The happy path costs two commits here, each of a single statement: the claim, and the end, which
 * does not wait for the disk (ADR 17). Steps are collected in memory and written with the end; a
 * crash loses the receipt's details, never the undoing.
 *
 * A run owns its row by (attempt, live state). Recovery takes over rows whose lease has run out; a
 * zombie that wakes up later finds its order id abandoned and its row no longer its own. */

#include "cart/cart.h"

#define UNDO_TIME_US    (1 * USEC_PER_SEC)  /* the shopper waits; what takes longer is recovery's */
#define UNDO_BRIEF_US   (500 * USEC_PER_MS) /* when a peer is away */
#define FINISH_TIME_US  (3 * USEC_PER_SEC)
#define RECOVER_TIME_US (10 * USEC_PER_SEC)
#define LEASE_RETRY_US  (2 * USEC_PER_SEC)
#define RECOVERY_BATCH  20

/* ---- the end ---- */

/* The steps behind those that are in the row; they count as written when it is. */
static void gather_steps(struct saga *s)
{
    size_t before = s->c->steps.len;
    if (s->steps_count == 0)
        return;
    struct checkout_step *all =
        arena_array(fiber_arena(), before + s->steps_count, sizeof(struct checkout_step));
    if (before)
        memcpy(all, s->c->steps.items, before * sizeof(*all));
    memcpy(all + before, s->steps, s->steps_count * sizeof(*all));
    s->c->steps = (struct list){.len = before + s->steps_count, .items = all};
    s->steps_count = 0;
}

/* What the end does to the cart's lines. */
enum cart_end { CART_KEEP, CART_TAKE_OUT, CART_REPRICE };

static int end_cart(struct pg_tx *tx, const struct checkout *c, enum cart_end what) PARKS
{
    struct cart *cart;
    TRY(store_checkout_cart(tx, c, &cart));
    if (!cart) /* its account was closed */
        return 0;
    if (what == CART_TAKE_OUT)
        cart_take_out(cart, c->items);
    else
        cart_reprice(cart, c->items);
    return store_checkout_cart_write(tx, cart);
}

/* 0; OUTCOME_CONFLICT when recovery was faster (nothing is written then). The cart comes first, as
 * with a claim. `lease_us`: how long a saga that goes on is left alone. */
static int write_end(struct saga *s, const char *state, enum cart_end what, int64_t lease_us) PARKS
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    bool ours;
    gather_steps(s);
    TRY(pg_begin(app()->pg, &tx));
    if (what != CART_KEEP)
        TRY(end_cart(tx, s->c, what));
    TRY(store_checkout_set(tx, s->c, state, lease_us, &ours));
    if (!ours)
        return OUTCOME_CONFLICT;
    return pg_commit(tx);
}

/* As nearly always, the cart is still what was claimed: then one statement does it. */
static int write_completion(struct saga *s) PARKS
{
    struct cart *emptied = NULL;
    gather_steps(s);
    if (s->c->cart_version)
        TRY(store_checkout_complete(s->c, &emptied));
    if (!emptied)
        return write_end(s, "completed", CART_TAKE_OUT, 0);
    cart_remember(emptied);
    return 0;
}

/* The order exists, so the saga is completed whatever else happens; when this commit fails,
 * recovery finds the order. */
static int complete(struct saga *s) PARKS
{
    s->c->outcome = s->c->detail = s->c->extensions = NULL;
    s->c->kept = false;
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + FINISH_TIME_US);
    int r = write_completion(s);
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
 * left; `*ret_exists` when the order's create had arrived after all: then nothing was undone. */
static bool undo_in_time(struct saga *s, bool *ret_exists)
{
    struct fiber_shield shield =
        fiber_shield_begin(clock_mono_us() + (s->may_help_later ? UNDO_BRIEF_US : UNDO_TIME_US));
    int asked = s->order_touched ? saga_ask_order(s, ret_exists) : 0;
    bool undone = asked == 0 && !*ret_exists && saga_undo(s);
    fiber_shield_end(shield);
    return undone;
}

/* With time of its own: a peer that hung in the undoing must not cost the row's end. */
static void write_failure(struct saga *s, bool undone, bool reprice)
{
    struct fiber_shield shield = fiber_shield_begin(clock_mono_us() + FINISH_TIME_US);
    int r = write_end(s, undone ? "failed" : "compensating", reprice ? CART_REPRICE : CART_KEEP, 0);
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
        r > 0 ? r
              : saga_unavailable(s, CART_ORDER_UNAVAILABLE, 0, &(struct peer_answer){.code = ""});
    bool exists = false;
    keep_refusal(s, outcome);
    bool undone = undo_in_time(s, &exists);
    if (exists) {
        refuse_undo(s->req);
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
    int r = saga_chain(s);
    return r == 0 ? complete(s) : fail(s, r);
}

/* ---- recovery ---- */

/* Asks order, then completes or undoes. What can't be done now is tried again when the lease has
 * run out; such a round leaves steps in the receipt once only, or a long outage would fill it.
 * Whether it has ended. */
static bool recover_saga(struct saga *s) PARKS
{
    bool exists, waited = strcmp(s->c->state, "compensating") == 0;
    if (saga_ask_order(s, &exists) != 0) {
        s->steps_count = 0;
        (void)write_end(s, s->c->state, CART_KEEP, LEASE_RETRY_US);
        return false;
    }
    log_info("checkout recovered", LF_TEXT("orderId", s->c->order_id), LF_BOOL("exists", exists));
    if (exists)
        return saga_read_order(s) == 0 && complete(s) == 0;
    if (!s->c->outcome)
        s->c->outcome = "service_unavailable";
    bool undone = saga_undo(s);
    if (!undone && waited)
        s->steps_count = 0;
    (void)write_end(s, undone ? "failed" : "compensating", CART_KEEP, undone ? 0 : LEASE_RETRY_US);
    return undone;
}

static bool recover_one(struct checkout *c) PARKS
{
    struct saga *s = arena_alloc(fiber_arena(), sizeof(*s));
    *s = (struct saga){
        .c = c, .payment_touched = true, .stock_touched = true, .order_touched = true};
    int64_t outer = fiber_deadline_push(clock_mono_us() + RECOVER_TIME_US);
    bool ended = recover_saga(s);
    fiber_deadline_pop(outer);
    return ended;
}

/* After an outage many wait, each with a cart that can't be bought meanwhile. As soon as one of a
 * full batch has ended, the peers are back: then the helpers are called, and this fiber goes on
 * without a pause. While none ends, a batch a second is enough. */
int saga_recover(void)
{
    struct list overdue;
    TRY(store_checkout_overdue(RECOVERY_BATCH, &overdue));
    bool called = overdue.len < RECOVERY_BATCH;
    for (size_t i = 0; i < overdue.len; i++)
        if (recover_one(LIST_AT(overdue, struct checkout, i)) && !called) {
            app_nudge(SAGA_RECOVERY);
            app_nudge(SAGA_RECOVERY_HELP);
            called = true;
        }
    return 0;
}
