#pragma once

/* The order service: orders, their lines, their history. Created by cart's checkout on an id that
 * cart allotted; afterwards driven by events of payment and seller, and by people through the
 * guarded status table. */

#include "common/app/service.h"
#include "common/contract/address.h"
#include "common/contract/events.h"

enum order_outcome {
    ORDER_OUTCOME_BASE_ = OUTCOME_SERVICE_BASE,
#define OUTCOME(name, status, code, title) ORDER_##name,
#include "order/outcomes.def"
#undef OUTCOME
};

/* ---- tables.c ---- */

struct order {
    const char *id, *user_id, *status;
    struct list items; /* struct order_item */
    struct money total;
    const char *payment_id;
    struct span shipping_address; /* JSON */
    int64_t refunded;             /* minor units */
    const char *reason;
    int64_t version, created_at, updated_at;
    /* not shown */
    const char *user_email, *user_name;
    int64_t paid_at, stock_committed_at;
    struct list news; /* struct history_row: what its row does not tell yet */
};
extern const struct table order_table;

struct history_entry {
    const char *from_status, *to_status, *actor, *reason;
    int64_t at;
};
extern const struct table history_entry_table;

/* As it is kept. */
struct history_row {
    const char *from_status, *to_status, *actor, *reason, *event_id, *correlation_id;
    int64_t at;
};
extern const struct table history_row_table;

struct order_history {
    struct list entries; /* struct history_entry */
};
extern const struct table order_history_table;

struct order_items {
    struct list items; /* struct order_item */
};
extern const struct table order_items_table;

struct order_create_body {
    const char *order_id, *user_id, *user_email, *user_name, *payment_id;
    struct list items; /* struct order_item */
    struct money total;
    struct address *shipping_address;
};
extern const struct table order_create_table;

struct order_change_body {
    struct address *shipping_address;
};
extern const struct table order_change_table;

struct status_body {
    const char *status, *reason;
};
extern const struct table status_table;

struct cancellation_body {
    const char *reason;
};
extern const struct table cancellation_table;

struct order_params {
    const char *order_id;
};
extern const struct table order_params_table;

struct list_params {
    const char *customer_id, *status, *cursor;
    int64_t limit;
};
extern const struct table list_params_table;
extern const struct table customer_list_params_table;

struct abandon_answer {
    bool exists;
};
extern const struct table abandon_answer_table;

/* ---- rules.c ---- */

/* Whether the status table allows from -> to at all, and whether a person may ask for it. */
bool order_may_become(const char *from, const char *to);
bool order_person_may_set(const char *to);
/* Writes the statuses reachable from `from` as a JSON array. */
void order_next_statuses(struct json_writer *w, const char *from);
/* The next status that the facts demand; the current one when nothing changes. */
const char *order_status_by_facts(const char *current, bool paid, bool stock_committed);
bool order_is_open(const char *status); /* created, paid or confirmed: may still be cancelled */
const char *order_status_after_refund(const char *current, int64_t total, int64_t refunded);
/* Sum of the lines; -EINVAL on mixed currencies, -ERANGE on overflow. */
int order_lines_total(struct list items, struct money *ret_total);
/* Whether the seller sells some line, or even all of them. */
bool order_sold_by(struct list items, const char *seller_id, bool *ret_all);
const struct event_kind *order_event_for(const char *status);

/* ---- store.c ---- */

extern const struct pg_statement order_statements[];
extern const size_t order_statements_count;

/* Queued; a later wait says PG_NOT_NULL when the id was given up, PG_UNIQUE when it exists. */
int store_insert(struct pg_tx *tx, const struct order *o);
/* 0 with NULL when there is none. `for_update` locks the row until the commit. */
int store_get(struct pg_tx *tx, const char *order_id, bool for_update, struct order **ret_order)
    PARKS;
/* Locks those of "{id,id}" that exist, in one order whoever asks; they come without their items. */
int store_lock_all(struct pg_tx *tx, const char *order_ids, struct list *ret_orders) PARKS;
/* When it is the reader's, or has a line of theirs if they sell. `reader_id` NULL: anybody's. */
int store_find(
    const char *order_id, const char *reader_id, bool reader_sells, struct order **ret_order) PARKS;
/* NULL filters match everything; a page ends after limit + 1 rows so that the caller sees whether
 * more exist. */
int store_list(const char *user_id, const char *status, int64_t before_us, const char *before_id,
    int64_t limit, struct list *ret_orders) PARKS;
int store_history(const char *order_id, struct order_history *ret_history) PARKS;
int store_abandon(struct pg_tx *tx, const char *order_id); /* queued */
/* Locks the id until the commit, then looks. */
int store_is_abandoned(struct pg_tx *tx, const char *order_id, bool *ret_abandoned) PARKS;
/* Saves status, facts, refund and reason with version + 1, and appends the news to the history
 * (queued); the orders are then as their rows will be. */
int store_save(struct pg_tx *tx, struct order *const *orders, size_t count);
int store_save_address(struct pg_tx *tx, struct order *o); /* the same way */

/* ---- events.c ---- */

extern const struct consumer_row order_consumers[];
extern const size_t order_consumers_count;
int order_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count) PARKS;
int order_after_batch(struct pg_tx *tx);
extern const struct event_kind *const order_publishes[];
extern const size_t order_publishes_count;

/* Moves the order to `to` and publishes the event (queued in `tx`); who calls saves the order. */
int order_move(struct pg_tx *tx, struct order *o, const char *to, const char *actor,
    const char *reason, const char *event_id);
/* A row of history that is to be saved with the order. */
void order_note(
    struct order *o, const char *from, const char *actor, const char *reason, const char *event_id);

/* ---- routes.c, handlers.c ---- */

extern const struct route order_routes[];
extern const size_t order_routes_count;

int post_order(struct request *req);
int get_orders(struct request *req);
int get_customer_orders(struct request *req);
int get_order(struct request *req);
int get_order_items(struct request *req);
int get_order_history(struct request *req);
int put_order(struct request *req);
int delete_order(struct request *req);
int patch_order_status(struct request *req);
int post_cancellation(struct request *req);
int post_abandon(struct request *req);
