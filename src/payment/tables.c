#include "payment/payment.h"

static const struct field payment_method_fields[] = {
    FIELD_UUID(struct payment_method, id, "paymentMethodId", .required = true),
    FIELD_TEXT(struct payment_method, provider, "provider"),
    FIELD_TEXT(struct payment_method, label, "label", .max = 100),
    FIELD_TIME(struct payment_method, created_at, "createdAt"),
    FIELD_TEXT(struct payment_method, token, "token", .hidden = true, .secret = true),
};
const struct table payment_method_table =
    TABLE("PaymentMethod", struct payment_method, payment_method_fields);

static const struct field payment_method_body_fields[] = {
    FIELD_TEXT(struct payment_method_body, token, "token", .required = true, .min = 1, .max = 200,
        .secret = true, .doc = "the provider's token; never a card number"),
    FIELD_TEXT(struct payment_method_body, label, "label", .max = 100),
};
const struct table payment_method_body_table =
    TABLE("PaymentMethodCreate", struct payment_method_body, payment_method_body_fields);

static const struct field validation_answer_fields[] = {
    FIELD_BOOL(struct validation_answer, valid, "valid"),
    FIELD_TEXT(struct validation_answer, reason, "reason"),
};
const struct table validation_answer_table =
    TABLE("PaymentMethodValidation", struct validation_answer, validation_answer_fields);

static const struct field refund_fields[] = {
    FIELD_UUID(struct refund, id, "refundId"),
    FIELD_UUID(struct refund, payment_id, "paymentId"),
    FIELD_MONEY(struct refund, amount, "amount"),
    FIELD_TEXT(struct refund, status, "status", .doc = "pending, done or failed"),
    FIELD_TEXT(struct refund, reason, "reason", .max = 500),
    FIELD_TIME(struct refund, created_at, "createdAt"),
    FIELD_TEXT(struct refund, reference, "reference", .hidden = true),
    FIELD_TEXT(struct refund, correlation_id, "correlationId", .hidden = true),
    FIELD_I64(struct refund, attempts, "attempts", .hidden = true),
};
const struct table refund_table = TABLE("Refund", struct refund, refund_fields);

/* A row of the database, in the order of PAYMENT_COLUMNS. */
static const struct field payment_fields[] = {
    FIELD_UUID(struct payment, id, "paymentId"),
    FIELD_UUID(struct payment, order_id, "orderId"),
    FIELD_UUID(struct payment, user_id, "userId"),
    FIELD_TEXT(struct payment, status, "status"),
    FIELD_MONEY(struct payment, amount, "amount"),
    FIELD_I64(struct payment, captured, "capturedAmount"),
    FIELD_I64(struct payment, refunded, "refundedAmount"),
    FIELD_TEXT(struct payment, reason, "reason"),
    FIELD_TIME(struct payment, created_at, "createdAt"),
    FIELD_TIME(struct payment, updated_at, "updatedAt"),
    FIELD_TEXT(struct payment, user_email, "userEmail"),
    FIELD_TEXT(struct payment, token, "token", .secret = true),
    FIELD_TEXT(struct payment, reference, "reference"),
    FIELD_TEXT(struct payment, correlation_id, "correlationId"),
    FIELD_I64(struct payment, ordered, "ordered", .fallback = -1),
    FIELD_I64(struct payment, refunding, "refunding"),
    FIELD_BOOL(struct payment, cancelled, "cancelled"),
    FIELD_BOOL(struct payment, busy, "busy"),
    FIELD_I64(struct payment, attempts, "attempts"),
};
const struct table payment_table = TABLE("PaymentRow", struct payment, payment_fields);

static const struct field payment_answer_fields[] = {
    FIELD_UUID(struct payment, id, "paymentId"),
    FIELD_UUID(struct payment, order_id, "orderId"),
    FIELD_UUID(struct payment, user_id, "userId"),
    FIELD_TEXT(struct payment, status, "status"),
    FIELD_MONEY(struct payment, amount, "amount", .doc = "what was authorized"),
    FIELD_I64(struct payment, captured, "capturedAmount", .doc = "minor units"),
    FIELD_I64(struct payment, refunded, "refundedAmount", .doc = "minor units"),
    FIELD_TEXT(struct payment, reason, "reason", .omit_empty = true),
    FIELD_LIST(struct payment, refunds, "refunds", refund_table),
    FIELD_TIME(struct payment, created_at, "createdAt"),
    FIELD_TIME(struct payment, updated_at, "updatedAt"),
};
const struct table payment_answer_table = TABLE("Payment", struct payment, payment_answer_fields);

static const struct field authorization_fields[] = {
    FIELD_UUID(struct payment, id, "paymentId"),
    FIELD_UUID(struct payment, order_id, "orderId"),
    FIELD_TEXT(struct payment, status, "status"),
    FIELD_MONEY(struct payment, amount, "amount"),
};
const struct table authorization_table =
    TABLE("Authorization", struct payment, authorization_fields);

static const struct field authorization_body_fields[] = {
    FIELD_UUID(struct authorization_body, order_id, "orderId", .required = true),
    FIELD_UUID(struct authorization_body, user_id, "userId", .required = true),
    FIELD_TEXT(
        struct authorization_body, user_email, "userEmail", .required = true, .pattern = "email"),
    FIELD_UUID(struct authorization_body, payment_method_id, "paymentMethodId", .required = true),
    FIELD_MONEY(struct authorization_body, amount, "amount", .required = true, .min = 0, .max = -1),
};
const struct table authorization_body_table =
    TABLE("AuthorizationCreate", struct authorization_body, authorization_body_fields);

static const struct field void_body_fields[] = {
    FIELD_TEXT(struct void_body, reason, "reason", .max = 500),
};
const struct table void_body_table = TABLE("AuthorizationVoid", struct void_body, void_body_fields);

static const struct field refund_body_fields[] = {
    FIELD_MONEY(struct refund_body, amount, "amount", .required = true, .min = 1),
    FIELD_TEXT(struct refund_body, reason, "reason", .required = true, .min = 1, .max = 500),
};
const struct table refund_body_table =
    TABLE("RefundCreate", struct refund_body, refund_body_fields);

static const struct field order_params_fields[] = {
    FIELD_UUID(struct order_params, order_id, "orderId", .required = true),
};
const struct table order_params_table =
    TABLE("PaymentOrderParams", struct order_params, order_params_fields);

static const struct field method_params_fields[] = {
    FIELD_UUID(struct id_params, id, "paymentMethodId", .required = true),
};
const struct table method_params_table =
    TABLE("PaymentMethodParams", struct id_params, method_params_fields);

static const struct field payment_params_fields[] = {
    FIELD_UUID(struct id_params, id, "paymentId", .required = true),
};
const struct table payment_params_table =
    TABLE("PaymentParams", struct id_params, payment_params_fields);

static const struct field page_params_fields[] = {
    FIELD_TEXT(struct page_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct page_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table page_params_table =
    TABLE("PaymentMethodListParams", struct page_params, page_params_fields);

const struct config_row payment_config[] = {
    {"PROVIDER", CONFIG_TEXT, .fallback = "sandbox", .doc = "payment provider: sandbox"},
};
const size_t payment_config_count = ARRAY_SIZE(payment_config);
