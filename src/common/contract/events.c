#include "common/contract/events.h"

#include <string.h>

static const struct field user_event_fields[] = {
    FIELD_UUID(struct user_event, user_id, "userId", .required = true),
    FIELD_TEXT(struct user_event, email, "email", .required = true, .max = 254),
    FIELD_TEXT(struct user_event, name, "name", .max = 200),
};
static const struct table user_event_table =
    TABLE("UserEvent", struct user_event, user_event_fields);

/* The member's name is the one thing in which the two differ. */
#define USER_LINK_FIELDS(token_name)                                                               \
    FIELD_UUID(struct user_link_event, user_id, "userId", .required = true),                       \
        FIELD_TEXT(struct user_link_event, email, "email", .required = true, .max = 254),          \
        FIELD_TEXT(struct user_link_event, token, token_name, .required = true, .max = 512,        \
            .secret = true, .doc = "sealed for the notification service"),                         \
        FIELD_TIME(struct user_link_event, expires_at, "expiresAt", .required = true)

static const struct field user_verification_fields[] = {USER_LINK_FIELDS("verificationToken")};
static const struct table user_verification_table =
    TABLE("UserVerification", struct user_link_event, user_verification_fields);

static const struct field user_reset_fields[] = {USER_LINK_FIELDS("resetToken")};
static const struct table user_reset_table =
    TABLE("UserPasswordReset", struct user_link_event, user_reset_fields);

static const struct field user_session_fields[] = {
    FIELD_UUID(struct user_session_event, user_id, "userId", .required = true),
    FIELD_TEXT(struct user_session_event, email, "email", .required = true, .max = 254),
    FIELD_TEXT(struct user_session_event, name, "name", .max = 200),
    FIELD_UUID(struct user_session_event, session_id, "sessionId"),
    FIELD_TEXT(struct user_session_event, address, "address", .max = 64),
    FIELD_TEXT(struct user_session_event, user_agent, "userAgent", .max = 200),
};
static const struct table user_session_table =
    TABLE("UserSession", struct user_session_event, user_session_fields);

static const struct field order_item_fields[] = {
    FIELD_TEXT(struct order_item, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_TEXT(struct order_item, name, "name", .required = true, .max = 200),
    FIELD_UUID(struct order_item, seller_id, "sellerId", .required = true),
    FIELD_I64(struct order_item, quantity, "quantity", .required = true, .min = 1, .max = 999),
    FIELD_MONEY(struct order_item, unit_price, "unitPrice", .required = true, .min = 0, .max = -1),
};
const struct table order_item_table = TABLE("OrderItem", struct order_item, order_item_fields);

static const struct field order_created_fields[] = {
    FIELD_UUID(struct order_created, order_id, "orderId", .required = true),
    FIELD_UUID(struct order_created, user_id, "userId", .required = true),
    FIELD_UUID(struct order_created, customer_id, "customerId"),
    FIELD_TEXT(struct order_created, user_email, "userEmail", .required = true, .max = 254),
    FIELD_TEXT(struct order_created, user_name, "userName", .max = 200),
    FIELD_LIST(struct order_created, items, "items", order_item_table, .required = true, .min = 1,
        .max = 100),
    FIELD_I64(struct order_created, total_amount, "totalAmount", .required = true, .min = 0,
        .max = -1, .doc = "minor units"),
    FIELD_TEXT(struct order_created, currency, "currency", .required = true, .pattern = "currency"),
    FIELD_UUID(struct order_created, payment_id, "paymentId"),
};
static const struct table order_created_table =
    TABLE("OrderCreated", struct order_created, order_created_fields);

static const struct field order_event_fields[] = {
    FIELD_UUID(struct order_event, order_id, "orderId", .required = true),
    FIELD_UUID(struct order_event, user_id, "userId", .required = true),
    FIELD_TEXT(struct order_event, user_email, "userEmail", .max = 254),
    FIELD_TEXT(struct order_event, status, "status", .required = true, .max = 32),
    FIELD_TEXT(struct order_event, reason, "reason", .max = 500),
    FIELD_UUID(struct order_event, payment_id, "paymentId"),
    FIELD_I64(
        struct order_event, total_amount, "totalAmount", .min = 0, .max = -1, .doc = "minor units"),
    FIELD_TEXT(struct order_event, currency, "currency", .pattern = "currency"),
};
static const struct table order_event_table =
    TABLE("OrderEvent", struct order_event, order_event_fields);

static const struct field payment_event_fields[] = {
    FIELD_UUID(struct payment_event, payment_id, "paymentId", .required = true),
    FIELD_UUID(struct payment_event, order_id, "orderId", .required = true),
    FIELD_UUID(struct payment_event, user_id, "userId", .required = true),
    FIELD_TEXT(struct payment_event, user_email, "userEmail", .max = 254),
    FIELD_TEXT(struct payment_event, reason, "reason", .max = 500),
    FIELD_I64(struct payment_event, amount, "amount", .required = true, .min = 0, .max = -1,
        .doc = "minor units"),
    FIELD_TEXT(struct payment_event, currency, "currency", .required = true, .pattern = "currency"),
    FIELD_I64(struct payment_event, refunded_total, "refundedTotal", .min = 0, .max = -1,
        .doc = "minor units, all refunds so far"),
};
static const struct table payment_event_table =
    TABLE("PaymentEvent", struct payment_event, payment_event_fields);

static const struct field inventory_level_fields[] = {
    FIELD_TEXT(struct inventory_level, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_UUID(struct inventory_level, seller_id, "sellerId"),
    FIELD_I64(struct inventory_level, on_hand, "onHand", .required = true),
    FIELD_I64(struct inventory_level, available, "available", .required = true),
    FIELD_I64(struct inventory_level, held, "held", .required = true),
};
static const struct table inventory_level_table =
    TABLE("InventoryLevel", struct inventory_level, inventory_level_fields);

static const char *const inventory_reasons[] = {
    "held", "committed", "released", "restocked", "adjusted", NULL};
static const struct field inventory_updated_fields[] = {
    FIELD_TEXT(
        struct inventory_updated, reason, "reason", .required = true, .choices = inventory_reasons),
    FIELD_UUID(struct inventory_updated, order_id, "orderId"),
    FIELD_LIST(struct inventory_updated, items, "items", inventory_level_table, .required = true,
        .max = 1000),
};
static const struct table inventory_updated_table =
    TABLE("InventoryUpdated", struct inventory_updated, inventory_updated_fields);

static const struct field inventory_alert_fields[] = {
    FIELD_TEXT(struct inventory_alert, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_UUID(struct inventory_alert, seller_id, "sellerId", .required = true),
    FIELD_TEXT(struct inventory_alert, name, "name", .max = 200),
    FIELD_I64(struct inventory_alert, available, "available", .required = true),
    FIELD_I64(struct inventory_alert, threshold, "threshold", .required = true),
};
static const struct table inventory_alert_table =
    TABLE("InventoryAlert", struct inventory_alert, inventory_alert_fields);

static const struct field product_updated_fields[] = {
    FIELD_TEXT(struct product_updated, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_UUID(struct product_updated, seller_id, "sellerId", .required = true),
    FIELD_TEXT(struct product_updated, name, "name", .required = true, .max = 200),
    FIELD_TEXT(struct product_updated, category, "category", .max = 100),
    FIELD_TEXT(struct product_updated, status, "status", .max = 32),
    FIELD_MONEY(struct product_updated, price, "price", .required = true, .min = 0, .max = -1),
};
static const struct table product_updated_table =
    TABLE("ProductUpdated", struct product_updated, product_updated_fields);

#define EVENT(symbol, type_, publisher_, table)                                                    \
    const struct event_kind EVENT_##symbol = {                                                     \
        .type = type_, .version = EVENT_VERSION, .publisher = publisher_, .payload = &table};
#include "common/contract/events.def"
#undef EVENT

const struct event_kind *const event_kinds[] = {
#define EVENT(symbol, type_, publisher_, table) &EVENT_##symbol,
#include "common/contract/events.def"
#undef EVENT
    NULL};

const struct event_kind *event_kind_find(const char *type)
{
    for (size_t i = 0; event_kinds[i]; i++)
        if (strcmp(event_kinds[i]->type, type) == 0)
            return event_kinds[i];
    return NULL;
}
