#pragma once

/* The events of the exchange `order-events`: payload structs, tables and kinds, shared by
 * publishers and consumers. Data only. Additive change = minor version; consumers ignore unknown
 * members. */

#include "common/contract/event_kind.h"
#include "common/json/table.h"

struct user_event { /* user.registered, user.updated, user.deactivated */
    const char *user_id, *email, *name;
};

struct user_link_event { /* user.email.verification.requested, user.password.reset.requested */
    const char *user_id, *email;
    const char *token; /* sealed for notification (crypto_seal, context: user_id) */
    int64_t expires_at;
};
struct user_session_event { /* user.session.*, user.password.changed */
    const char *user_id, *email, *name;
    const char *session_id, *address, *user_agent; /* where it was seen; NULL: not known */
};

struct order_item {
    const char *sku, *name, *seller_id;
    int64_t quantity;
    struct money unit_price;
};
struct order_created {
    const char *order_id, *user_id, *customer_id /* = user_id */, *user_email, *user_name;
    struct list items; /* struct order_item */
    int64_t total_amount;
    const char *currency, *payment_id;
};
struct order_event { /* order.updated, .shipped, .completed, .cancelled, .refunded */
    const char *order_id, *user_id, *user_email, *status, *reason, *payment_id;
    int64_t total_amount;
    const char *currency;
};

struct payment_event { /* payment.authorized, .completed (= captured), .failed, .refunded, .settled
                        */
    const char *payment_id, *order_id, *user_id, *user_email, *reason;
    int64_t amount; /* of this step, minor units */
    const char *currency;
    int64_t refunded_total; /* payment.refunded: all refunds so far */
};

struct inventory_level {
    const char *sku, *seller_id;
    int64_t on_hand, available, held;
};
struct inventory_updated {
    const char *reason;   /* held, committed, released, restocked, adjusted */
    const char *order_id; /* NULL for adjustments */
    struct list items;    /* struct inventory_level */
};
struct inventory_alert { /* inventory.low_stock, inventory.back_in_stock */
    const char *sku, *seller_id, *name;
    int64_t available, threshold;
};
struct product_updated {
    const char *sku, *seller_id, *name, *category, *status;
    struct money price;
};

#define EVENT(symbol, type, publisher, table) extern const struct event_kind EVENT_##symbol;
#include "common/contract/events.def"
#undef EVENT

/* All kinds, NULL-terminated, for lookups, schemas and topology checks. */
extern const struct event_kind *const event_kinds[];
const struct event_kind *event_kind_find(const char *type);

extern const struct table order_item_table; /* also the REST shape of an order's line */
