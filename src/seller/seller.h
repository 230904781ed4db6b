#pragma once

/* The seller service: sellers, their products with prices, and stock. Stock of a product is in
 * three buckets, available + held + committed = on hand; every change is a movement in the ledger.
 * A checkout holds stock for a while; the order's events commit, release, restock or ship it. */

#include "common/app/service.h"
#include "common/contract/events.h"

enum seller_outcome {
    SELLER_OUTCOME_BASE_ = OUTCOME_SERVICE_BASE,
#define OUTCOME(name, status, code, title) SELLER_##name,
#include "seller/outcomes.def"
#undef OUTCOME
};

/* ---- tables.c ---- */

extern const struct config_row seller_config[];
extern const size_t seller_config_count;

struct seller {
    const char *id, *name, *description, *status;
    int64_t version, created_at, updated_at;
};
extern const struct table seller_table;

struct seller_body {
    const char *name, *description;
};
extern const struct table seller_create_table;
extern const struct table seller_change_table;

struct seller_params {
    const char *seller_id;
};
extern const struct table seller_params_table;

struct product {
    const char *sku, *seller_id, *name, *description, *category;
    struct money price;
    const char *status;
    int64_t available, version, created_at, updated_at;
    /* not shown */
    int64_t rank;  /* relevance in a search, millionths */
    int64_t width; /* where the next search for the same may begin, see widths.c */
};
extern const struct table product_table;

struct product_body {
    const char *sku, *name, *description, *category;
    struct money price;
    const char *status;
    int64_t initial_stock;
};
extern const struct table product_create_table;
extern const struct table product_put_table;   /* all of it */
extern const struct table product_patch_table; /* what is absent stays */

struct product_params {
    const char *sku;
};
extern const struct table product_params_table;

struct product_list_params {
    const char *q, *category, *seller_id, *cursor;
    int64_t limit;
};
extern const struct table product_list_params_table;

struct level {
    const char *sku, *name, *seller_id;
    int64_t on_hand, available, held, committed, threshold;
    bool low;
    int64_t version, updated_at;
    bool alerted; /* not shown: low stock was told and has not recovered since */
};
extern const struct table level_table;

struct level_list_params {
    bool low;
    const char *cursor;
    int64_t limit;
};
extern const struct table level_list_params_table;

struct movement {
    int64_t id;
    const char *kind, *order_id;
    int64_t on_hand, available, held, committed; /* by how much each changed */
    const char *reason, *note, *actor;
    int64_t at;
};
extern const struct table movement_table;

struct movement_list_params {
    const char *sku, *cursor;
    int64_t limit;
};
extern const struct table movement_list_params_table;

struct adjustment_body {
    int64_t delta;
    const char *reason, *note;
};
extern const struct table adjustment_table;

struct threshold_body {
    int64_t threshold;
};
extern const struct table threshold_table;

struct hold_item {
    const char *sku;
    int64_t quantity;
};
extern const struct table hold_item_table;

struct hold_body {
    const char *order_id, *user_id;
    struct list items; /* struct hold_item */
};
extern const struct table hold_body_table;

struct hold_line {
    const char *sku, *name, *seller_id;
    int64_t quantity;
    struct money unit_price;
    /* not shown */
    int64_t available;
    const char *status; /* of the product; NULL when there is none */
};
extern const struct table hold_line_table;

struct hold {
    const char *order_id;
    int64_t expires_at;
    struct list items; /* struct hold_line */
    /* not shown */
    const char *state, *ended_by;
};
extern const struct table hold_table;

struct hold_params {
    const char *order_id;
};
extern const struct table hold_params_table;

struct price_params {
    const char *skus; /* separated by commas */
};
extern const struct table price_params_table;

struct price {
    const char *sku, *name, *seller_id;
    struct money price;
    int64_t available;
    const char *status;
};
extern const struct table price_table;

struct price_list {
    struct list prices; /* struct price */
};
extern const struct table price_list_table;

/* ---- rules.c ---- */

/* What a step in the life of a hold does to each unit of stock. */
struct stock_move {
    const char *from, *to; /* states of the hold; `to` is also the movement's kind */
    int available, held, committed;
};
extern const struct stock_move MOVE_COMMIT, MOVE_RELEASE, MOVE_RESTOCK, MOVE_SHIP;

/* One step of one hold. */
struct hold_step {
    const char *order_id;
    const struct stock_move *move;
    const char *ended_by, *correlation_id;
    struct list lines; /* struct hold_line, once it is moved; none: it was in another state */
};

/* What becomes of a product's stock; all 0: it is only locked. */
struct stock_change {
    const char *sku;
    int64_t available, held, committed;
};

enum stock_alert { ALERT_NONE, ALERT_LOW, ALERT_BACK };
/* What to tell about a level, once per crossing: low at the threshold, back a quarter above it. */
enum stock_alert stock_alert(bool alerted, int64_t available, int64_t threshold);

/* Why a hold was not taken: a line that can't be sold at all comes first. 0 when every line fits.
 */
int hold_refusal(struct list lines);
/* Lines of one product added up (struct hold_item). */
struct list hold_items_merged(struct arena *a, struct list items);
/* Whether order.created is still to be heard: nothing but a failed checkout or time ended the hold.
 */
bool hold_awaits_order(const struct hold *h);
bool hold_line_sellable(const struct hold_line *l);
bool hold_line_fits(const struct hold_line *l);
/* Sets in `p` what is there in `b`; whether anything changed. */
bool product_change(struct product *p, const struct product_body *b);

/* ---- widths.c ---- */

/* Stands for all that a search is asked for but its page. */
uint64_t width_key(const struct product_list_params *p, bool all_states);
/* Among how many of the newest products to look first. */
int64_t width_of(uint64_t key);
void width_keep(uint64_t key, int64_t width);

/* ---- store.c, and store_stock.c for stock and holds ---- */

extern const struct pg_statement seller_statements[];
extern const size_t seller_statements_count;

enum {
    SQL_SELLER_INSERT,
    SQL_SELLER_GET,
    SQL_SELLER_LOCK,
    SQL_SELLER_SAVE,
    SQL_SELLER_CLOSE,
    SQL_ACCOUNT_TURN,
    SQL_ACCOUNT_CLOSE,
    SQL_HOLDS_HURRY,
    SQL_SHELVES_EMPTY,
    SQL_PRODUCT_INSERT,
    SQL_STOCK_INSERT,
    SQL_PRODUCT_GET,
    SQL_PRODUCT_LOCK,
    SQL_PRODUCT_SAVE,
    SQL_PRODUCTS,
    SQL_PRODUCTS_OF_CATEGORY,
    SQL_PRODUCTS_OF_SELLER,
    SQL_PRODUCTS_SEARCH,
    SQL_PRICES,
    SQL_LEVEL_GET,
    SQL_LEVEL_LOCK,
    SQL_LEVELS,
    SQL_LEVEL_SAVE,
    SQL_ALERTED_SAVE,
    SQL_MOVEMENT_ADD,
    SQL_MOVEMENTS,
    SQL_HOLD_TAKE,
    SQL_HOLD_RETAKE,
    SQL_HOLD_LOOK,
    SQL_HOLD_GET,
    SQL_HOLDS_MOVE,
    SQL_STOCK_MOVE,
    SQL_HOLD_BURY,
    SQL_HOLDS_EXPIRED,
    SQL_HOLD_SKUS,
};

/* Owners: NULL matches every seller. Those that find nothing give 0 with NULL. */
int store_seller_insert(
    struct pg_tx *tx, const char *id, const struct seller_body *b, bool *ret_inserted) PARKS;
int store_seller_find(const char *id, struct seller **ret_seller) PARKS;
int store_seller_get(struct pg_tx *tx, const char *id, bool for_update, struct seller **ret_seller)
    PARKS;
int store_seller_save(struct pg_tx *tx, const struct seller *s); /* queued */

/* 0; PG_UNIQUE: the SKU is taken; PG_FOREIGN: no such seller. */
int store_product_insert(struct pg_tx *tx, const char *seller_id, const struct product_body *b)
    PARKS;
int store_product_find(const char *sku, struct product **ret_product) PARKS;
int store_product_lock(
    struct pg_tx *tx, const char *sku, const char *owner, struct product **ret_product) PARKS;
int store_product_save(struct pg_tx *tx, const struct product *p); /* queued; version + 1 */
/* A page ends after limit + 1 rows so that the caller sees whether more exist. */
int store_products(const struct product_list_params *p, bool all_states, int64_t before_us,
    const char *before_sku, struct list *ret_products) PARKS;
int store_products_search(const struct product_list_params *p, bool all_states, int64_t after_rank,
    const char *after_sku, struct list *ret_products) PARKS;
int store_prices(const char *skus, struct list *ret_prices) PARKS;
/* Holds of the user that last longer end after `seconds`; queued. */
int store_holds_hurry(struct pg_tx *tx, const char *user_id, int64_t seconds);
/* Closes the profile and takes its products off the shelves; gives those that were on them. */
int store_seller_close(struct pg_tx *tx, const char *id, struct list *ret_products) PARKS;

int store_level_find(const char *sku, const char *owner, struct level **ret_level) PARKS;
int store_level_lock(struct pg_tx *tx, const char *sku, const char *owner, struct level **ret_level)
    PARKS;
int store_levels(const char *owner, bool low, const char *after_sku, int64_t limit,
    struct list *ret_levels) PARKS;
int store_level_save(struct pg_tx *tx, const struct level *l); /* queued: available, threshold */
int store_alerted_save(struct pg_tx *tx, const char *sku, bool alerted); /* queued */
int store_movement_add(struct pg_tx *tx, const char *sku, const char *kind, int64_t available,
    const char *reason, const char *note, const char *actor); /* queued */
int store_movements(const char *sku, int64_t before_id, int64_t limit, struct list *ret_movements)
    PARKS;

/* Takes all lines or none, in a transaction of its own and one round trip; each product once among
 * the items. NULL: not taken, because the order id has a hold or something can't be had. */
int store_hold_take(const struct hold_body *b, int64_t ttl_s, struct hold **ret_hold) PARKS;
/* The same in `tx`, also where the order's hold was released. */
int store_hold_retake(
    struct pg_tx *tx, const struct hold_body *b, int64_t ttl_s, struct hold **ret_hold) PARKS;
/* What there is of the items (struct hold_line). `tx` NULL: outside of any. */
int store_hold_look(struct pg_tx *tx, struct list items, struct list *ret_lines) PARKS;
int store_hold_find(const char *order_id, struct hold **ret_hold) PARKS;
int store_hold_get(struct pg_tx *tx, const char *order_id, struct hold **ret_hold) PARKS;
/* Gives the holds that were in the state that their step begins with and are moved now. */
int store_holds_move(
    struct pg_tx *tx, const struct hold_step *steps, size_t count, struct list *ret_holds) PARKS;
/* Changes the levels (struct stock_change) and writes the movements of the steps' lines. Gives the
 * levels that have changed, in no order. */
int store_stock_move(struct pg_tx *tx, struct list changes, const struct hold_step *steps,
    size_t count, struct list *ret_levels) PARKS;
/* From now on the order id gets no hold; changes nothing while it has one. Queued. */
int store_hold_bury(struct pg_tx *tx, const char *order_id, const char *ended_by);
int store_holds_expired(struct list *ret_holds) PARKS; /* struct hold_params */
/* What the holds of "{id,id}" are of, whatever became of them (struct product_params). */
int store_hold_skus(struct pg_tx *tx, const char *order_ids, struct list *ret_skus) PARKS;

/* ---- holds.c ---- */

/* Moves the holds, of different orders, and fills in the lines of those that have moved. */
int holds_move_first(struct pg_tx *tx, struct hold_step *steps, size_t count) PARKS;
/* Then their stock, and locks that of `also` (const char *, SKUs) with it. Gives the levels that
 * have changed, in the order of their SKUs. */
int holds_move_stock(struct pg_tx *tx, const struct hold_step *steps, size_t count,
    struct list also, struct list *ret_levels) PARKS;
/* One hold; no levels when it is not in the state that the move begins with. */
int hold_move(struct pg_tx *tx, const char *order_id, const struct stock_move *m,
    const char *ended_by, struct list *ret_levels) PARKS;
/* The levels of the step's lines, in a list of their own. */
struct list hold_levels(const struct hold_step *s, struct list levels);

/* ---- events.c ---- */

extern const struct consumer_row seller_consumers[];
extern const size_t seller_consumers_count;
extern const struct event_kind *const seller_publishes[];
extern const size_t seller_publishes_count;

int seller_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count) PARKS;
/* inventory.updated for levels that changed together, and the alerts that follow (all queued). */
int publish_stock(struct pg_tx *tx, const char *reason, const char *order_id, struct list levels);
/* Low stock or back in stock, when the level has crossed its threshold; notes that in `l`. */
int publish_alert(struct pg_tx *tx, struct level *l);
int publish_product(struct pg_tx *tx, const struct product *p);

/* ---- routes.c, handlers.c, stock_handlers.c ---- */

/* Whose products the caller may change: NULL for admins, every seller's. */
const char *owner_of(const struct request *req);

extern const struct route seller_routes[];
extern const size_t seller_routes_count;

int post_seller(struct request *req);
int get_seller(struct request *req);
int patch_seller(struct request *req);
int get_products(struct request *req);
int get_product(struct request *req);
int post_product(struct request *req);
int change_product(struct request *req); /* PUT, PATCH */
int delete_product(struct request *req);

int get_levels(struct request *req);
int get_level(struct request *req);
int post_adjustment(struct request *req);
int get_movements(struct request *req);
int put_threshold(struct request *req);
int post_hold(struct request *req);
int delete_hold(struct request *req);
int get_prices(struct request *req);

/* Releases the holds that ran out; a periodic task. */
int expire_holds(void) PARKS;
