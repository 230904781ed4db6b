#include "aibuddy/aibuddy.h"

static const struct field recommendation_fields[] = {
    FIELD_TEXT(struct recommendation, sku, "sku"),
    FIELD_TEXT(struct recommendation, name, "name"),
    FIELD_I64(struct recommendation, count, "count", .doc = "orders behind the reason"),
    FIELD_TEXT(struct recommendation, based_on, "basedOn", .omit_empty = true,
        .doc = "name of the item that it goes with"),
    FIELD_TEXT(struct recommendation, reason, "reason"),
};
const struct table recommendation_table =
    TABLE("Recommendation", struct recommendation, recommendation_fields);

static const struct field recommendations_fields[] = {
    FIELD_LIST(struct recommendations, data, "data", recommendation_table),
    FIELD_BOOL(
        struct recommendations, personal, "personal", .doc = "false: the same for everybody"),
};
const struct table recommendations_table =
    TABLE("Recommendations", struct recommendations, recommendations_fields);

static const struct field limit_params_fields[] = {
    FIELD_I64(struct limit_params, limit, "limit", .min = 1, .max = 100, .fallback = 10),
};
const struct table limit_params_table =
    TABLE("LimitParams", struct limit_params, limit_params_fields);

static const struct field related_params_fields[] = {
    FIELD_TEXT(struct limit_params, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_I64(struct limit_params, limit, "limit", .min = 1, .max = 100, .fallback = 10),
};
const struct table related_params_table =
    TABLE("RelatedParams", struct limit_params, related_params_fields);

static const struct field preferences_fields[] = {
    FIELD_BOOL(struct preferences, opt_out, "optOut", .required = true),
};
const struct table preferences_table =
    TABLE("RecommendationPreferences", struct preferences, preferences_fields);
