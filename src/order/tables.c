#include "order/order.h"

static const struct field order_fields[] = {
    FIELD_UUID(struct order, id, "orderId", .required = true),
    FIELD_UUID(struct order, user_id, "userId"),
    FIELD_TEXT(struct order, status, "status"),
    FIELD_LIST(struct order, items, "items", order_item_table),
    FIELD_MONEY(struct order, total, "total"),
    FIELD_UUID(struct order, payment_id, "paymentId"),
    FIELD_RAW(struct order, shipping_address, "shippingAddress"),
    FIELD_I64(struct order, refunded, "refundedAmount", .doc = "minor units"),
    FIELD_TEXT(struct order, reason, "reason", .max = 500, .omit_empty = true),
    FIELD_I64(struct order, version, "version"),
    FIELD_TIME(struct order, created_at, "createdAt"),
    FIELD_TIME(struct order, updated_at, "updatedAt"),
    FIELD_TEXT(struct order, user_email, "userEmail", .hidden = true),
    FIELD_TEXT(struct order, user_name, "userName", .hidden = true),
    FIELD_TIME(struct order, paid_at, "paidAt", .hidden = true),
    FIELD_TIME(struct order, stock_committed_at, "stockCommittedAt", .hidden = true),
};
const struct table order_table = TABLE("Order", struct order, order_fields);

static const struct field history_entry_fields[] = {
    FIELD_TEXT(struct history_entry, from_status, "from"),
    FIELD_TEXT(struct history_entry, to_status, "to"),
    FIELD_TEXT(struct history_entry, actor, "actor"),
    FIELD_TEXT(struct history_entry, reason, "reason", .max = 500),
    FIELD_TIME(struct history_entry, at, "at"),
};
const struct table history_entry_table =
    TABLE("OrderHistoryEntry", struct history_entry, history_entry_fields);

static const struct field history_row_fields[] = {
    FIELD_TEXT(struct history_row, from_status, "from"),
    FIELD_TEXT(struct history_row, to_status, "to"),
    FIELD_TEXT(struct history_row, actor, "actor"),
    FIELD_TEXT(struct history_row, reason, "reason"),
    FIELD_TEXT(struct history_row, event_id, "eventId"),
    FIELD_TEXT(struct history_row, correlation_id, "correlationId"),
    FIELD_TIME(struct history_row, at, "at"),
};
const struct table history_row_table =
    TABLE("OrderHistoryRow", struct history_row, history_row_fields);

static const struct field order_history_fields[] = {
    FIELD_LIST(struct order_history, entries, "data", history_entry_table),
};
const struct table order_history_table =
    TABLE("OrderHistory", struct order_history, order_history_fields);

static const struct field order_items_fields[] = {
    FIELD_LIST(struct order_items, items, "data", order_item_table),
};
const struct table order_items_table = TABLE("OrderItems", struct order_items, order_items_fields);

static const struct field order_create_fields[] = {
    FIELD_UUID(struct order_create_body, order_id, "orderId",
        .doc = "allotted by the caller; made here when absent"),
    FIELD_UUID(struct order_create_body, user_id, "userId", .required = true),
    FIELD_TEXT(
        struct order_create_body, user_email, "userEmail", .required = true, .pattern = "email"),
    FIELD_TEXT(struct order_create_body, user_name, "userName", .max = 200),
    FIELD_UUID(struct order_create_body, payment_id, "paymentId"),
    FIELD_LIST(struct order_create_body, items, "items", order_item_table, .required = true,
        .min = 1, .max = 100),
    FIELD_MONEY(struct order_create_body, total, "total", .required = true),
    FIELD_OBJECT(struct order_create_body, shipping_address, "shippingAddress", address_table),
};
const struct table order_create_table =
    TABLE("OrderCreate", struct order_create_body, order_create_fields);

static const struct field order_change_fields[] = {
    FIELD_OBJECT(struct order_change_body, shipping_address, "shippingAddress", address_table,
        .required = true),
};
const struct table order_change_table =
    TABLE("OrderChange", struct order_change_body, order_change_fields);

static const char *const statuses[] = {"created", "paid", "confirmed", "shipped", "completed",
    "cancelled", "payment_failed", "refunded", "partially_refunded", NULL};

static const struct field status_fields[] = {
    FIELD_TEXT(struct status_body, status, "status", .required = true, .choices = statuses),
    FIELD_TEXT(struct status_body, reason, "reason", .max = 500),
};
const struct table status_table = TABLE("OrderStatus", struct status_body, status_fields);

static const struct field cancellation_fields[] = {
    FIELD_TEXT(struct cancellation_body, reason, "reason", .required = true, .min = 1, .max = 500),
};
const struct table cancellation_table =
    TABLE("OrderCancellation", struct cancellation_body, cancellation_fields);

static const struct field order_params_fields[] = {
    FIELD_UUID(struct order_params, order_id, "orderId", .required = true),
};
const struct table order_params_table =
    TABLE("OrderParams", struct order_params, order_params_fields);

static const struct field list_params_fields[] = {
    FIELD_TEXT(struct list_params, status, "status", .choices = statuses),
    FIELD_TEXT(struct list_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct list_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table list_params_table =
    TABLE("OrderListParams", struct list_params, list_params_fields);

static const struct field customer_list_params_fields[] = {
    FIELD_UUID(struct list_params, customer_id, "customerId", .required = true),
    FIELD_TEXT(struct list_params, status, "status", .choices = statuses),
    FIELD_TEXT(struct list_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct list_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table customer_list_params_table =
    TABLE("CustomerOrderListParams", struct list_params, customer_list_params_fields);

static const struct field abandon_answer_fields[] = {
    FIELD_BOOL(struct abandon_answer, exists, "exists"),
};
const struct table abandon_answer_table =
    TABLE("AbandonAnswer", struct abandon_answer, abandon_answer_fields);
