#pragma once

/* The cart service: carts of users and guests, and the checkout saga that turns a cart into an
 * order through auth, payment, seller and order. */

#include "common/app/service.h"
#include "common/base/uuid.h"
#include "common/contract/address.h"
#include "common/contract/events.h"

enum cart_outcome {
    CART_OUTCOME_BASE_ = OUTCOME_SERVICE_BASE,
#define OUTCOME(name, status, code, title) CART_##name,
#include "cart/outcomes.def"
#undef OUTCOME
};

#define CART_LINES_LIMIT    100
#define CART_QUANTITY_LIMIT 999
#define CART_TOKEN_HEADER   "X-Cart-Token" /* whose cart it is, without a login */

/* ---- tables.c ---- */

struct cart_item {
    const char *sku, *name, *seller_id;
    int64_t quantity;
    struct money unit_price, line_total;
};
extern const struct table cart_item_table;

struct cart {
    const char *id, *user_id;
    struct list items; /* struct cart_item */
    int64_t version, updated_at;
    struct money total;      /* computed */
    const char *cart_token;  /* only in the answer that makes a guest cart */
    const char *checkout_id; /* of the Idempotency-Key that was asked with, or NULL */
};
extern const struct table cart_table;           /* the answer */
extern const struct table cart_line_table;      /* a line as the row has it */
extern const struct table cart_row_table;       /* the row */
extern const struct table cart_claim_row_table; /* the same with checkout_id */
extern const struct table cart_stamp_table;     /* version and updated_at of the row */

struct item_body {
    const char *sku;
    int64_t quantity;
};
extern const struct table item_body_table;

struct quantity_body {
    int64_t quantity;
};
extern const struct table quantity_body_table;

struct sku_params {
    const char *sku;
};
extern const struct table sku_params_table;

struct merge_body {
    const char *cart_token, *policy;
    bool dry_run;
};
extern const struct table merge_body_table;

struct checkout_body {
    const char *payment_method_id, *address_id;
    struct address *shipping_address;
    struct money expected_total;
};
extern const struct table checkout_body_table;

struct checkout_step {
    const char *step, *outcome, *downstream_id;
    int64_t attempt, duration_us, at;
};
extern const struct table checkout_step_table;

/* The saga's row. */
struct checkout {
    const char *id, *user_id, *cart_id, *fingerprint;
    int64_t attempt;
    const char *order_id, *state;
    struct list items; /* struct order_item */
    struct money total;
    const char *outcome, *detail, *extensions;
    bool kept;
    struct list steps; /* struct checkout_step */
    int64_t created_at, finished_at;
    int64_t cart_version, cart_updated_at; /* of the cart that was claimed; 0: not known */
    bool items_moved;                      /* they differ from the row's */
};
extern const struct table checkout_table;

struct receipt {
    const char *checkout_id, *order_id, *status;
    struct money total;
    const char *outcome, *detail;
    struct list steps; /* struct checkout_step */
    int64_t created_at, finished_at;
};
extern const struct table receipt_table;

struct checkout_params {
    const char *checkout_id;
};
extern const struct table checkout_params_table;

struct checkout_answer {
    const char *order_id, *checkout_id, *status;
    struct money total;
    struct list items; /* struct order_item */
};
extern const struct table checkout_answer_table;

/* A price as the seller service tells it. */
struct price {
    const char *sku, *name, *seller_id, *status;
    struct money price;
    int64_t available;
};
extern const struct table price_table;

/* ---- remembered.c ---- */

/* A user's cart as this process has last written it, copied into `a`; NULL when it is not known.
 * Whoever makes something of it writes that only if the row is still the same, else forgets it. */
struct cart *cart_recall(struct arena *a, const char *user_id);
void cart_remember(const struct cart *cart); /* copied; a guest's or a large one is passed over */
void cart_forget(const char *user_id);

/* ---- rules.c ---- */

/* Totals of the lines and of the cart; -EINVAL mixed currencies, -ERANGE overflow. */
int cart_compute(struct cart *c);
/* The lines of `cart` as order items. */
struct list cart_order_items(struct arena *a, const struct cart *c);
/* Compares what the cart promised with what the seller asks now: true when some price rose. `items`
 * take the new prices. */
bool cart_prices_rose(struct list items, struct list current);
bool cart_one_currency(struct list items); /* of struct order_item */
int cart_items_total(struct list items, struct money *ret_total);
/* sum | max | keep_user | keep_guest; 0 = the line is not kept. */
int64_t cart_merged_quantity(const char *policy, int64_t user_quantity, int64_t guest_quantity);
/* NULL when the cart has no such line. */
struct cart_item *cart_line(const struct cart *c, const char *sku);
/* The line in the place of the one of its sku, or behind all. */
void cart_put(struct arena *a, struct cart *c, const struct cart_item *line);
void cart_remove(struct cart *c, const char *sku);
/* Less what was ordered (struct order_item); what was put in since stays. */
void cart_take_out(struct cart *c, struct list ordered);
/* New prices and names. A line whose currency changed keeps its price, for a cart of two has no
 * total, unless all lines are sold in one currency now. */
void cart_reprice(struct cart *c, struct list current);

/* ---- store.c ---- */

extern const struct pg_statement cart_statements[];
extern const size_t cart_statements_count;
extern const struct pg_statement cart_backlog; /* checkouts under way */

/* Who a cart belongs to: exactly one of the two. */
struct cart_owner {
    const char *user_id, *token_hash;
};
/* `tx` NULL, here and below: a transaction of its own. In a transaction the cart is locked first.
 * Makes the cart when there is none; OUTCOME_UNAUTHENTICATED when the account is closed. */
int store_cart_open(struct pg_tx *tx, struct cart_owner owner, struct cart **ret_cart) PARKS;
/* Locked; NULL when there is none. */
int store_cart_lock(struct pg_tx *tx, struct cart_owner owner, struct cart **ret_cart) PARKS;
/* The user's cart and whether `key` has a checkout; NULL when there is no cart. */
int store_cart_find_for_claim(const char *user_id, const char *key, struct cart **ret_cart) PARKS;
/* Writes the lines if the row still has the cart's version, which is then a new one; false when it
 * has not. A crash of PostgreSQL may lose it. */
int store_cart_write(struct pg_tx *tx, struct cart *cart, bool *ret_written) PARKS;
int store_cart_delete(struct pg_tx *tx, const char *cart_id); /* queued */
/* Queued: of an account that is not closed, whenever its events come. */
int store_cart_told(struct pg_tx *tx, const char *user_id);
int store_cart_forget(struct pg_tx *tx, const char *user_id); /* queued: empty, closed for good */
int store_cart_ordered(struct pg_tx *tx, const char *user_id, int64_t at_us); /* queued */

/* Of the cart as `c->cart_version` has it; false when it has another one by now. PG_UNIQUE: the key
 * has a checkout, or the cart (CHECKOUT_ONE_LIVE). */
int store_checkout_insert(
    struct pg_tx *tx, const struct checkout *c, const char *key, bool *ret_inserted) PARKS;
#define CHECKOUT_ONE_LIVE "checkouts_one_live_per_cart"
int store_checkout_by_key(const char *user_id, const char *key, struct checkout **ret_checkout)
    PARKS;
int store_checkout_find(const char *id, const char *user_id, struct checkout **ret_checkout) PARKS;
/* A failed checkout whose answer was not kept runs again under its key, with a fresh order id;
 * false when it lost the race or the cart has another version. PG_UNIQUE as above. */
int store_checkout_again(struct pg_tx *tx, const struct checkout *c, bool *ret_again) PARKS;
/* Completed and the cart emptied, all at once: if the saga is still ours and the cart as it was
 * claimed; answers with the empty cart, else NULL, and nothing is written. */
int store_checkout_complete(const struct checkout *c, struct cart **ret_emptied) PARKS;
/* Ends or changes the saga if it is still ours (same attempt, still live); false when it is not. */
int store_checkout_set(struct pg_tx *tx, const struct checkout *c, const char *state,
    int64_t lease_us, bool *ret_ours) PARKS;
/* For the end of a saga: locks its cart, NULL when it is gone; writes what became of its lines
 * (queued). */
int store_checkout_cart(struct pg_tx *tx, const struct checkout *c, struct cart **ret_cart) PARKS;
int store_checkout_cart_write(struct pg_tx *tx, const struct cart *cart);
/* At most `limit`; leases them to the caller. */
int store_checkout_overdue(size_t limit, struct list *ret_checkouts) PARKS;

/* ---- prices.c ---- */

/* The seller's present price, at most PRICE_CACHE_S old. 0; CART_PRODUCT_UNAVAILABLE; negative. */
int price_get(struct request *req, const char *sku, struct price *ret_price) PARKS;
void price_forget(const char *sku);

/* ---- saga_calls.c ---- */

#define SAGA_STEPS_LIMIT 8 /* 4 of the chain, 3 of the undoing */

struct saga_input {
    struct checkout *checkout;
    const struct checkout_body *body;
    struct span token; /* the shopper's */
    const char *email, *name;
};
/* One run of the chain, in the request's or the recovery's fiber. */
struct saga {
    struct request *req; /* NULL in recovery */
    struct checkout *c;
    const struct saga_input *input;
    const char *payment_id;
    const char *email, *name; /* as auth has them now */
    bool payment_touched, stock_touched, order_touched;
    bool may_help_later; /* the refusal is a 5xx */
    struct checkout_step steps[SAGA_STEPS_LIMIT];
    size_t steps_count; /* that are not in the row yet */
};
/* Auth, payment, stock, order. 0, or the outcome to refuse with. */
int saga_chain(struct saga *s) PARKS;
/* Undoes what may have been done. True when nothing is left; else recovery goes on. */
bool saga_undo(struct saga *s) PARKS;
/* Fixes whether the order exists. 0 with the answer; negative while order can't tell. */
int saga_ask_order(struct saga *s, bool *ret_exists) PARKS;
/* What the order says is what was bought: its prices may be lower than the claim's. */
int saga_read_order(struct saga *s) PARKS;
/* Refuses with `outcome` for an answer that is none of the planned ones. */
int saga_unavailable(struct saga *s, int outcome, int r, const struct peer_answer *answer);

/* ---- saga.c ---- */

/* Runs the chain. 0: completed; else the outcome to refuse with (already undone or handed to
 * recovery). */
int saga_run(struct request *req, const struct saga_input *input) PARKS;
#define SAGA_RECOVERY      "checkout recovery" /* the background task's name */
#define SAGA_RECOVERY_HELP "checkout recovery help"
int saga_recover(void) PARKS; /* any number of fibers at once */

/* ---- events.c ---- */

extern const struct consumer_row cart_consumers[];
extern const size_t cart_consumers_count;

/* ---- routes.c, handlers.c, checkout.c ---- */

extern const struct route cart_routes[];
extern const size_t cart_routes_count;
extern const struct outcome_row cart_outcomes[];
extern const size_t cart_outcomes_count;

int get_cart(struct request *req);
int post_item(struct request *req);
int put_item(struct request *req);
int delete_item(struct request *req);
int delete_cart(struct request *req);
int post_merge(struct request *req);
int post_checkout(struct request *req);
int get_checkout(struct request *req);
