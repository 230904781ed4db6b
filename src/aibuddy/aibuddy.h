#pragma once

/* The aibuddy service: learns from orders which items are bought together and what is wanted now,
 * and recommends with its reasons. */

#include "common/app/service.h"
#include "common/contract/events.h"

/* ---- tables.c ---- */

struct recommendation {
    const char *sku, *name, *reason, *based_on;
    int64_t count;
};
extern const struct table recommendation_table;

struct recommendations {
    struct list data; /* struct recommendation */
    bool personal;
};
extern const struct table recommendations_table;

struct limit_params {
    const char *sku;
    int64_t limit;
};
extern const struct table limit_params_table;
extern const struct table related_params_table;

struct preferences {
    bool opt_out;
};
extern const struct table preferences_table;

/* An unfinished replay from the beginning: what was learned is incomplete. */
struct rebuild {
    int64_t started_us, sent;
};

/* ---- rules.c ---- */

/* A sentence for people: "bought together with X in 14 orders", "in 9 orders of the last 7 days".
 */
const char *reason_together(struct arena *a, const char *with_name, int64_t orders);
const char *reason_trending(struct arena *a, int64_t orders);

/* ---- store.c: what takes a transaction is queued in it ---- */

extern const struct pg_statement aibuddy_statements[];
extern const size_t aibuddy_statements_count;

/* Only one batch learns at a time, in whatever process. */
int store_one_batch(struct pg_tx *tx);
/* Events order.created, of an order each. */
int store_orders_created(struct pg_tx *tx, const struct event *const *created, size_t count);
int store_order_cancelled(struct pg_tx *tx, const char *order_id, int64_t at_us);
int store_item_told(struct pg_tx *tx, const struct product_updated *p, int64_t at_us);
int store_profile_add(struct pg_tx *tx, const char *user_id);
int store_user_forget(struct pg_tx *tx, const char *user_id);
/* Counts and names, best first; `reason` is filled by the caller. */
int store_personal(const char *user_id, int64_t limit, struct list *ret_rows) PARKS;
int store_related(const char *sku, int64_t limit, struct list *ret_rows) PARKS;
/* The TRENDING_MAX items that sold best in seven days, today's included. */
int store_trending(struct list *ret_rows) PARKS;
int store_opted_out(const char *user_id, bool *ret_opted_out) PARKS;
int store_opt_out(const char *user_id, bool opt_out) PARKS;
/* NULL: none is under way. */
int store_rebuilding(struct rebuild **ret_rebuild) PARKS;

/* ---- trending.c ---- */

#define TRENDING_MAX 100 /* the greatest limit of the route */

/* The first of store_trending, from memory for a while; the rows are in `a` and the caller's. */
int trending_get(struct arena *a, int64_t limit, struct list *ret_rows) PARKS;

/* ---- events.c ---- */

extern const struct consumer_row aibuddy_consumers[];
extern const size_t aibuddy_consumers_count;
int aibuddy_before_batch(struct pg_tx *tx, const struct event *const *events, size_t count);

/* ---- routes.c, handlers.c ---- */

const char *aibuddy_notice(void) PARKS;

extern const struct route aibuddy_routes[];
extern const size_t aibuddy_routes_count;

int get_recommendations(struct request *req);
int get_related(struct request *req);
int get_trending(struct request *req);
int get_preferences(struct request *req);
int put_preferences(struct request *req);
