#include "seller/seller.h"

#define SELLERS (ROLE_SELLER | ROLE_ADMIN)

static const int seller_outcomes[] = {SELLER_SELLER_EXISTS, 0};
static const int product_outcomes[] = {SELLER_SKU_TAKEN, SELLER_NO_PROFILE, 0};
static const int adjustment_outcomes[] = {SELLER_STOCK_TOO_LOW, 0};
static const int hold_outcomes[] = {
    SELLER_OUT_OF_STOCK, SELLER_PRODUCT_UNAVAILABLE, SELLER_HOLD_RELEASED, 0};

const struct route seller_routes[] = {
    {HTTP_POST, "/api/v1/sellers", SELLERS, post_seller, .body = &seller_create_table,
        .reply = &seller_table, .status = 201, .idempotency = IDEMPOTENCY_ACCEPTED,
        .outcomes = seller_outcomes, .doc = "Make the caller's own seller profile."},
    {HTTP_GET, "/api/v1/sellers/{sellerId}", ROLE_ANYONE, get_seller, .others = ROLE_ANYONE,
        .params = &seller_params_table, .reply = &seller_table, .doc = "A seller's profile."},
    {HTTP_PATCH, "/api/v1/sellers/{sellerId}", SELLERS, patch_seller, .others = ROLE_ADMIN,
        .params = &seller_params_table, .body = &seller_change_table, .reply = &seller_table,
        .match = MATCH_REQUIRED, .doc = "Change the own profile."},
    {HTTP_GET, "/api/v1/products", ROLE_ANYONE, get_products, .params = &product_list_params_table,
        .reply = &product_table, .reply_is_page = true,
        .doc = "What is on the shelves, newest first, or by relevance when q is given."},
    {HTTP_GET, "/api/v1/products/{sku}", ROLE_ANYONE, get_product, .others = ROLE_ANYONE,
        .params = &product_params_table, .reply = &product_table, .doc = "One product."},
    {HTTP_POST, "/api/v1/products", SELLERS, post_product, .body = &product_create_table,
        .reply = &product_table, .status = 201, .idempotency = IDEMPOTENCY_ACCEPTED,
        .outcomes = product_outcomes, .doc = "Add an own product."},
    {HTTP_PUT, "/api/v1/products/{sku}", SELLERS, change_product, .others = ROLE_ADMIN,
        .params = &product_params_table, .body = &product_put_table, .reply = &product_table,
        .match = MATCH_REQUIRED, .doc = "Replace an own product."},
    {HTTP_PATCH, "/api/v1/products/{sku}", SELLERS, change_product, .others = ROLE_ADMIN,
        .params = &product_params_table, .body = &product_patch_table, .reply = &product_table,
        .match = MATCH_REQUIRED, .doc = "Change an own product."},
    {HTTP_DELETE, "/api/v1/products/{sku}", SELLERS, delete_product, .others = ROLE_ADMIN,
        .params = &product_params_table, .status = 204, .match = MATCH_ACCEPTED,
        .doc = "Take an own product off the shelves."},
    {HTTP_GET, "/api/v1/inventory", SELLERS, get_levels, .params = &level_list_params_table,
        .reply = &level_table, .reply_is_page = true, .doc = "Own stock levels by SKU."},
    {HTTP_GET, "/api/v1/inventory/{sku}", SELLERS, get_level, .others = ROLE_ADMIN,
        .params = &product_params_table, .reply = &level_table,
        .doc = "The stock level of an own product."},
    {HTTP_POST, "/api/v1/inventory/{sku}/adjustments", SELLERS, post_adjustment,
        .others = ROLE_ADMIN, .params = &product_params_table, .body = &adjustment_table,
        .reply = &level_table, .status = 201, .idempotency = IDEMPOTENCY_ACCEPTED,
        .outcomes = adjustment_outcomes,
        .doc = "Add units to what is available, or take them away."},
    {HTTP_GET, "/api/v1/inventory/{sku}/movements", SELLERS, get_movements, .others = ROLE_ADMIN,
        .params = &movement_list_params_table, .reply = &movement_table, .reply_is_page = true,
        .doc = "Every change of an own product's stock, newest first."},
    {HTTP_PUT, "/api/v1/inventory/{sku}/threshold", SELLERS, put_threshold, .others = ROLE_ADMIN,
        .params = &product_params_table, .body = &threshold_table, .reply = &level_table,
        .match = MATCH_ACCEPTED, .doc = "Set where low stock is told."},
    {HTTP_POST, "/internal/v1/holds", ROLE_SERVICE, post_hold, .body = &hold_body_table,
        .reply = &hold_table, .status = 201, .outcomes = hold_outcomes,
        .doc = "Hold stock for an order, all lines or none; a repeat gives the same answer."},
    {HTTP_DELETE, "/internal/v1/holds/{orderId}", ROLE_SERVICE, delete_hold, .others = ROLE_SERVICE,
        .params = &hold_params_table, .status = 204,
        .doc = "Release a hold, and refuse it for ever where there is none."},
    {HTTP_GET, "/internal/v1/prices", ROLE_SERVICE, get_prices, .params = &price_params_table,
        .reply = &price_list_table, .doc = "Present prices of products."},
};
const size_t seller_routes_count = ARRAY_SIZE(seller_routes);
