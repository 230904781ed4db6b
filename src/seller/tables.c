#include "seller/seller.h"

const struct config_row seller_config[] = {
    {"HOLD_TTL_S", CONFIG_I64, "600", 1, 86400, .doc = "How long stock is held for a checkout."},
    {"HOLD_SWEEP_MS", CONFIG_I64, "5000", 100, 600000,
        .doc = "How often holds that ran out are looked for."},
};
const size_t seller_config_count = ARRAY_SIZE(seller_config);

/* ---- sellers ---- */

static const struct field seller_fields[] = {
    FIELD_UUID(struct seller, id, "sellerId", .doc = "the id of the seller's user account"),
    FIELD_TEXT(struct seller, name, "name"),
    FIELD_TEXT(struct seller, description, "description"),
    FIELD_TEXT(struct seller, status, "status"),
    FIELD_I64(struct seller, version, "version"),
    FIELD_TIME(struct seller, created_at, "createdAt"),
    FIELD_TIME(struct seller, updated_at, "updatedAt"),
};
const struct table seller_table = TABLE("Seller", struct seller, seller_fields);

static const struct field seller_create_fields[] = {
    FIELD_TEXT(struct seller_body, name, "name", .required = true, .pattern = "name"),
    FIELD_TEXT(struct seller_body, description, "description", .max = 2000),
};
const struct table seller_create_table =
    TABLE("SellerCreate", struct seller_body, seller_create_fields);

static const struct field seller_change_fields[] = {
    FIELD_TEXT(struct seller_body, name, "name", .pattern = "name"),
    FIELD_TEXT(struct seller_body, description, "description", .max = 2000),
};
const struct table seller_change_table =
    TABLE("SellerChange", struct seller_body, seller_change_fields);

static const struct field seller_params_fields[] = {
    FIELD_UUID(struct seller_params, seller_id, "sellerId", .required = true),
};
const struct table seller_params_table =
    TABLE("SellerParams", struct seller_params, seller_params_fields);

/* ---- products ---- */

#define PRICE_LIMIT    1000000000 /* minor units */
#define QUANTITY_LIMIT 1000000

static const struct field product_fields[] = {
    FIELD_TEXT(struct product, sku, "sku", .pattern = "sku"),
    FIELD_UUID(struct product, seller_id, "sellerId"),
    FIELD_TEXT(struct product, name, "name", .max = 200),
    FIELD_TEXT(struct product, description, "description"),
    FIELD_TEXT(struct product, category, "category", .max = 64),
    FIELD_MONEY(struct product, price, "price"),
    FIELD_TEXT(struct product, status, "status"),
    FIELD_I64(struct product, available, "available"),
    FIELD_I64(struct product, version, "version"),
    FIELD_TIME(struct product, created_at, "createdAt"),
    FIELD_TIME(struct product, updated_at, "updatedAt"),
    FIELD_I64(struct product, rank, "rank", .hidden = true),
    FIELD_I64(struct product, width, "width", .hidden = true),
};
const struct table product_table = TABLE("Product", struct product, product_fields);

static const char *const statuses[] = {"active", "inactive", NULL};

#define PRODUCT_TEXTS(must)                                                                        \
    FIELD_TEXT(struct product_body, name, "name", .required = (must), .pattern = "name"),          \
        FIELD_TEXT(struct product_body, description, "description", .max = 4000),                  \
        FIELD_TEXT(                                                                                \
            struct product_body, category, "category", .required = (must), .min = 1, .max = 64),   \
        FIELD_MONEY(                                                                               \
            struct product_body, price, "price", .required = (must), .min = 1, .max = PRICE_LIMIT)

static const struct field product_create_fields[] = {
    FIELD_TEXT(struct product_body, sku, "sku", .required = true, .pattern = "sku"),
    PRODUCT_TEXTS(true),
    FIELD_I64(struct product_body, initial_stock, "initialStock", .max = QUANTITY_LIMIT,
        .doc = "units on hand from the start"),
};
const struct table product_create_table =
    TABLE("ProductCreate", struct product_body, product_create_fields);

static const struct field product_put_fields[] = {
    PRODUCT_TEXTS(true),
    FIELD_TEXT(struct product_body, status, "status", .required = true, .choices = statuses),
};
const struct table product_put_table = TABLE("ProductPut", struct product_body, product_put_fields);

static const struct field product_patch_fields[] = {
    PRODUCT_TEXTS(false),
    FIELD_TEXT(struct product_body, status, "status", .choices = statuses),
};
const struct table product_patch_table =
    TABLE("ProductPatch", struct product_body, product_patch_fields);

static const struct field product_params_fields[] = {
    FIELD_TEXT(struct product_params, sku, "sku", .required = true, .pattern = "sku"),
};
const struct table product_params_table =
    TABLE("ProductParams", struct product_params, product_params_fields);

static const struct field product_list_params_fields[] = {
    FIELD_TEXT(struct product_list_params, q, "q", .min = 1, .max = 200,
        .doc = "words to look for; quotes, or and - as in web searches"),
    FIELD_TEXT(struct product_list_params, category, "category", .max = 64),
    FIELD_UUID(struct product_list_params, seller_id, "sellerId"),
    FIELD_TEXT(struct product_list_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct product_list_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table product_list_params_table =
    TABLE("ProductListParams", struct product_list_params, product_list_params_fields);

/* ---- stock ---- */

static const struct field level_fields[] = {
    FIELD_TEXT(struct level, sku, "sku"),
    FIELD_TEXT(struct level, name, "name"),
    FIELD_UUID(struct level, seller_id, "sellerId"),
    FIELD_I64(struct level, on_hand, "onHand", .doc = "available + held + committed"),
    FIELD_I64(struct level, available, "available"),
    FIELD_I64(struct level, held, "held", .doc = "by checkouts under way"),
    FIELD_I64(struct level, committed, "committed", .doc = "to orders not yet shipped"),
    FIELD_I64(struct level, threshold, "threshold"),
    FIELD_BOOL(struct level, low, "low"),
    FIELD_I64(struct level, version, "version"),
    FIELD_TIME(struct level, updated_at, "updatedAt"),
    FIELD_BOOL(struct level, alerted, "alerted", .hidden = true),
};
const struct table level_table = TABLE("StockLevel", struct level, level_fields);

static const struct field level_list_params_fields[] = {
    FIELD_BOOL(
        struct level_list_params, low, "low", .doc = "only what is at its threshold or below"),
    FIELD_TEXT(struct level_list_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct level_list_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table level_list_params_table =
    TABLE("StockListParams", struct level_list_params, level_list_params_fields);

static const struct field movement_fields[] = {
    FIELD_I64(struct movement, id, "movementId"),
    FIELD_TEXT(struct movement, kind, "kind"),
    FIELD_UUID(struct movement, order_id, "orderId"),
    FIELD_I64(struct movement, on_hand, "onHand"),
    FIELD_I64(struct movement, available, "available"),
    FIELD_I64(struct movement, held, "held"),
    FIELD_I64(struct movement, committed, "committed"),
    FIELD_TEXT(struct movement, reason, "reason"),
    FIELD_TEXT(struct movement, note, "note"),
    FIELD_TEXT(struct movement, actor, "actor"),
    FIELD_TIME(struct movement, at, "at"),
};
const struct table movement_table = TABLE("StockMovement", struct movement, movement_fields);

static const struct field movement_list_params_fields[] = {
    FIELD_TEXT(struct movement_list_params, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_TEXT(struct movement_list_params, cursor, "cursor", .max = 512),
    FIELD_I64(struct movement_list_params, limit, "limit", .min = 1, .max = 100, .fallback = 20),
};
const struct table movement_list_params_table =
    TABLE("StockMovementListParams", struct movement_list_params, movement_list_params_fields);

static const struct field adjustment_fields[] = {
    FIELD_I64(struct adjustment_body, delta, "delta", .required = true, .min = -QUANTITY_LIMIT,
        .max = QUANTITY_LIMIT),
    FIELD_TEXT(struct adjustment_body, reason, "reason", .required = true, .min = 1, .max = 64),
    FIELD_TEXT(struct adjustment_body, note, "note", .max = 500),
};
const struct table adjustment_table =
    TABLE("StockAdjustment", struct adjustment_body, adjustment_fields);

static const struct field threshold_fields[] = {
    FIELD_I64(struct threshold_body, threshold, "threshold", .required = true, .min = 0,
        .max = QUANTITY_LIMIT),
};
const struct table threshold_table =
    TABLE("StockThreshold", struct threshold_body, threshold_fields);

/* ---- holds and prices ---- */

static const struct field hold_item_fields[] = {
    FIELD_TEXT(struct hold_item, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_I64(struct hold_item, quantity, "quantity", .required = true, .min = 1, .max = 999),
};
const struct table hold_item_table = TABLE("HoldItem", struct hold_item, hold_item_fields);

static const struct field hold_body_fields[] = {
    FIELD_UUID(struct hold_body, order_id, "orderId", .required = true),
    FIELD_UUID(struct hold_body, user_id, "userId"),
    FIELD_LIST(
        struct hold_body, items, "items", hold_item_table, .required = true, .min = 1, .max = 100),
};
const struct table hold_body_table = TABLE("HoldCreate", struct hold_body, hold_body_fields);

static const struct field hold_line_fields[] = {
    FIELD_TEXT(struct hold_line, sku, "sku"),
    FIELD_TEXT(struct hold_line, name, "name"),
    FIELD_UUID(struct hold_line, seller_id, "sellerId"),
    FIELD_I64(struct hold_line, quantity, "quantity"),
    FIELD_MONEY(struct hold_line, unit_price, "unitPrice"),
    FIELD_I64(struct hold_line, available, "available", .hidden = true),
    FIELD_TEXT(struct hold_line, status, "status", .hidden = true),
};
const struct table hold_line_table = TABLE("HoldLine", struct hold_line, hold_line_fields);

static const struct field hold_fields[] = {
    FIELD_UUID(struct hold, order_id, "orderId"),
    FIELD_TIME(struct hold, expires_at, "expiresAt"),
    FIELD_LIST(struct hold, items, "items", hold_line_table),
    FIELD_TEXT(struct hold, state, "state", .hidden = true),
    FIELD_TEXT(struct hold, ended_by, "endedBy", .hidden = true),
};
const struct table hold_table = TABLE("Hold", struct hold, hold_fields);

static const struct field hold_params_fields[] = {
    FIELD_UUID(struct hold_params, order_id, "orderId", .required = true),
};
const struct table hold_params_table = TABLE("HoldParams", struct hold_params, hold_params_fields);

static const struct field price_params_fields[] = {
    FIELD_TEXT(struct price_params, skus, "sku", .required = true, .min = 1, .max = 4000,
        .doc = "separated by commas"),
};
const struct table price_params_table =
    TABLE("PriceParams", struct price_params, price_params_fields);

static const struct field price_fields[] = {
    FIELD_TEXT(struct price, sku, "sku"),
    FIELD_TEXT(struct price, name, "name"),
    FIELD_UUID(struct price, seller_id, "sellerId"),
    FIELD_MONEY(struct price, price, "price"),
    FIELD_I64(struct price, available, "available"),
    FIELD_TEXT(struct price, status, "status"),
};
const struct table price_table = TABLE("Price", struct price, price_fields);

static const struct field price_list_fields[] = {
    FIELD_LIST(struct price_list, prices, "data", price_table),
};
const struct table price_list_table = TABLE("PriceList", struct price_list, price_list_fields);
