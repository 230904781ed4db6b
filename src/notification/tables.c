#include "notification/notification.h"

/* ---- preferences ---- */

static const struct field email_preferences_fields[] = {
    FIELD_BOOL(struct email_preferences, orders, "orders", .fallback = true,
        .doc = "confirmation, shipment, cancellation"),
    FIELD_BOOL(struct email_preferences, payments, "payments", .fallback = true,
        .doc = "receipts and refunds"),
    FIELD_BOOL(struct email_preferences, marketing, "marketing"),
};
static const struct table email_preferences_table =
    TABLE("EmailPreferences", struct email_preferences, email_preferences_fields);

static const struct field sms_preferences_fields[] = {
    FIELD_BOOL(struct sms_preferences, enabled, "enabled", .required = true),
    FIELD_TEXT(struct sms_preferences, phone, "phone", .pattern = "phone"),
};
static const struct table sms_preferences_table =
    TABLE("SmsPreferences", struct sms_preferences, sms_preferences_fields);

static const struct field push_preferences_fields[] = {
    FIELD_BOOL(struct push_preferences, enabled, "enabled", .required = true),
    FIELD_TEXT(struct push_preferences, topic, "topic", .pattern = "sku",
        .doc = "letters, digits, dots, underscores and hyphens"),
};
static const struct table push_preferences_table =
    TABLE("PushPreferences", struct push_preferences, push_preferences_fields);

static const struct field preferences_fields[] = {
    FIELD_OBJECT(struct preferences, email, "email", email_preferences_table, .required = true),
    FIELD_OBJECT(struct preferences, sms, "sms", sms_preferences_table),
    FIELD_OBJECT(struct preferences, push, "push", push_preferences_table),
};
const struct table preferences_table =
    TABLE("NotificationPreferences", struct preferences, preferences_fields);

/* ---- deliveries ---- */

static const struct field notification_fields[] = {
    FIELD_UUID(struct delivery, id, "deliveryId"),
    FIELD_TEXT(struct delivery, template, "template"),
    FIELD_TEXT(struct delivery, channel, "channel"),
    FIELD_TEXT(struct delivery, recipient, "recipient"),
    FIELD_TEXT(struct delivery, subject, "subject"),
    FIELD_TEXT(struct delivery, status, "status"),
    FIELD_TIME(struct delivery, created_at, "createdAt"),
    FIELD_TIME(struct delivery, sent_at, "sentAt"),
};
const struct table notification_table = TABLE("Notification", struct delivery, notification_fields);

static const struct field delivery_fields[] = {
    FIELD_UUID(struct delivery, id, "deliveryId"),
    FIELD_UUID(struct delivery, event_id, "eventId"),
    FIELD_TEXT(struct delivery, template, "template"),
    FIELD_TEXT(struct delivery, channel, "channel"),
    FIELD_TEXT(struct delivery, recipient, "recipient"),
    FIELD_UUID(struct delivery, user_id, "userId"),
    FIELD_TEXT(struct delivery, subject, "subject"),
    FIELD_TEXT(struct delivery, message_id, "messageId"),
    FIELD_TEXT(struct delivery, correlation_id, "correlationId"),
    FIELD_TEXT(struct delivery, status, "status"),
    FIELD_I64(struct delivery, attempts, "attempts"),
    FIELD_TIME(struct delivery, next_attempt_at, "nextAttemptAt"),
    FIELD_TEXT(struct delivery, last_error, "lastError"),
    FIELD_TIME(struct delivery, created_at, "createdAt"),
    FIELD_TIME(struct delivery, sent_at, "sentAt"),
};
const struct table delivery_table = TABLE("Delivery", struct delivery, delivery_fields);

static const struct field delivery_params_fields[] = {
    FIELD_UUID(struct delivery_params, delivery_id, "deliveryId", .required = true),
};
const struct table delivery_params_table =
    TABLE("DeliveryParams", struct delivery_params, delivery_params_fields);

static const struct field notification_list_params_fields[] = {
    FIELD_TEXT(struct list_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct list_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table notification_list_params_table =
    TABLE("NotificationListParams", struct list_params, notification_list_params_fields);

static const char *const statuses[] = {"pending", "sending", "sent", "failed", "suppressed", NULL};
static const struct field delivery_list_params_fields[] = {
    FIELD_TEXT(struct list_params, status, "status", .choices = statuses),
    FIELD_TEXT(struct list_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct list_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table delivery_list_params_table =
    TABLE("DeliveryListParams", struct list_params, delivery_list_params_fields);

static const struct field template_params_fields[] = {
    FIELD_TEXT(struct template_params, name, "name", .required = true, .max = 64),
};
const struct table template_params_table =
    TABLE("TemplateParams", struct template_params, template_params_fields);

static const struct field preview_fields[] = {
    FIELD_TEXT(struct preview, name, "name"),
    FIELD_TEXT(struct preview, subject, "subject"),
    FIELD_TEXT(struct preview, text, "text"),
    FIELD_TEXT(struct preview, html, "html"),
};
const struct table preview_table = TABLE("TemplatePreview", struct preview, preview_fields);

/* ---- configuration, outcomes ---- */

const struct config_row notification_config[] = {
    {"SMTP_URL", CONFIG_TEXT, .fallback = "", .secret = true,
        .doc = "smtp://[user:password@]host:port; empty: mails are logged like SMS and push"},
    {"MAIL_FROM", CONFIG_TEXT, .fallback = "shop@souk.example",
        .doc = "bare address that mails come from"},
    {"MAIL_TOKEN_KEY", CONFIG_TEXT, .fallback = NULL, .secret = true,
        .doc = "opens the tokens of mailed links; the same as auth's"},
    {"NOTIFY_LOG_FILE", CONFIG_TEXT, .fallback = "",
        .doc = "where SMS and push go, one JSON object a line; empty: the service's own log"},
    {"WELCOME_DELAY_S", CONFIG_I64, .fallback = "0", .max = 604800,
        .doc = "from a registration to its welcome"},
};
const size_t notification_config_count = ARRAY_SIZE(notification_config);

const struct outcome_row notification_outcomes[] = {
#define OUTCOME(name, status, code, title) {NOTIFICATION_##name, status, code, title},
#include "notification/outcomes.def"
#undef OUTCOME
};
const size_t notification_outcomes_count = ARRAY_SIZE(notification_outcomes);
