#include "notification/notification.h"

static const int resend_outcomes[] = {NOTIFICATION_ON_ITS_WAY, NOTIFICATION_UNWANTED, 0};

const struct route notification_routes[] = {
    {HTTP_GET, "/api/v1/notifications", ROLE_SIGNED_IN, get_notifications,
        .params = &notification_list_params_table, .reply = &notification_table,
        .reply_is_page = true, .doc = "What was sent to the caller, newest first."},
    {HTTP_GET, "/api/v1/notifications/preferences", ROLE_SIGNED_IN, get_preferences,
        .reply = &preferences_table, .doc = "What the caller wants to hear, and where."},
    {HTTP_PUT, "/api/v1/notifications/preferences", ROLE_SIGNED_IN, put_preferences,
        .body = &preferences_table, .reply = &preferences_table,
        .doc = "Say anew what to hear and where; messages about the account itself always come."},
    {HTTP_GET, "/api/v1/notifications/deliveries", ROLE_ADMIN, get_deliveries,
        .params = &delivery_list_params_table, .reply = &delivery_table, .reply_is_page = true,
        .doc = "The delivery log, newest first."},
    {HTTP_POST, "/api/v1/notifications/deliveries/{deliveryId}/resend", ROLE_ADMIN, post_resend,
        .others = ROLE_ADMIN, .params = &delivery_params_table, .reply = &delivery_table,
        .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = resend_outcomes,
        .doc = "Send a message once more, under its old Message-ID."},
    {HTTP_GET, "/api/v1/notifications/templates/{name}/preview", ROLE_ADMIN, get_preview,
        .others = ROLE_ADMIN, .params = &template_params_table, .reply = &preview_table,
        .doc = "A template rendered with sample data."},
};
const size_t notification_routes_count = ARRAY_SIZE(notification_routes);
