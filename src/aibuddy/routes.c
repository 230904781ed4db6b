#include "aibuddy/aibuddy.h"

const struct route aibuddy_routes[] = {
    {HTTP_GET, "/api/v1/recommendations", ROLE_SIGNED_IN, get_recommendations,
        .params = &limit_params_table, .reply = &recommendations_table,
        .doc = "Items that go with what the caller has bought, with reasons and counts."},
    {HTTP_GET, "/api/v1/recommendations/preferences", ROLE_SIGNED_IN, get_preferences,
        .reply = &preferences_table,
        .doc = "Whether the caller opted out of personal recommendations."},
    {HTTP_PUT, "/api/v1/recommendations/preferences", ROLE_SIGNED_IN, put_preferences,
        .body = &preferences_table, .reply = &preferences_table,
        .doc = "Opt out of personal recommendations, or in again."},
    {HTTP_GET, "/api/v1/products/{sku}/related", ROLE_ANYONE, get_related, .others = ROLE_ANYONE,
        .params = &related_params_table, .reply = &recommendations_table,
        .doc = "What is bought together with an item."},
    {HTTP_GET, "/api/v1/trending", ROLE_ANYONE, get_trending, .params = &limit_params_table,
        .reply = &recommendations_table, .doc = "What is bought most in the last 7 days."},
};
const size_t aibuddy_routes_count = ARRAY_SIZE(aibuddy_routes);
