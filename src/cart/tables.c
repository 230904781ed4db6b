#include "cart/cart.h"

static const struct field cart_item_fields[] = {
    FIELD_TEXT(struct cart_item, sku, "sku"),
    FIELD_TEXT(struct cart_item, name, "name"),
    FIELD_UUID(struct cart_item, seller_id, "sellerId"),
    FIELD_I64(struct cart_item, quantity, "quantity"),
    FIELD_MONEY(struct cart_item, unit_price, "unitPrice"),
    FIELD_MONEY(struct cart_item, line_total, "lineTotal"),
};
const struct table cart_item_table = TABLE("CartItem", struct cart_item, cart_item_fields);

static const struct field cart_fields[] = {
    FIELD_UUID(struct cart, id, "cartId"),
    FIELD_UUID(struct cart, user_id, "userId"),
    FIELD_LIST(struct cart, items, "items", cart_item_table),
    FIELD_MONEY(struct cart, total, "total", .doc = "null while the cart is empty"),
    FIELD_I64(struct cart, version, "version"),
    FIELD_TIME(struct cart, updated_at, "updatedAt"),
    FIELD_TEXT(struct cart, cart_token, "cartToken", .secret = true, .omit_empty = true),
};
const struct table cart_table = TABLE("Cart", struct cart, cart_fields);

static const struct field cart_line_fields[] = {
    FIELD_TEXT(struct cart_item, sku, "sku"),
    FIELD_TEXT(struct cart_item, name, "name"),
    FIELD_UUID(struct cart_item, seller_id, "sellerId"),
    FIELD_I64(struct cart_item, quantity, "quantity"),
    FIELD_MONEY(struct cart_item, unit_price, "unitPrice"),
};
const struct table cart_line_table = TABLE("CartLine", struct cart_item, cart_line_fields);

#define CART_ROW_FIELDS                                                                            \
    FIELD_UUID(struct cart, id, "cartId"), FIELD_UUID(struct cart, user_id, "userId"),             \
        FIELD_LIST(struct cart, items, "items", cart_line_table),                                  \
        FIELD_I64(struct cart, version, "version"),                                                \
        FIELD_TIME(struct cart, updated_at, "updatedAt")

static const struct field cart_row_fields[] = {CART_ROW_FIELDS};
const struct table cart_row_table = TABLE("CartRow", struct cart, cart_row_fields);

static const struct field cart_claim_row_fields[] = {
    CART_ROW_FIELDS,
    FIELD_UUID(struct cart, checkout_id, "checkoutId"),
};
const struct table cart_claim_row_table = TABLE("CartClaimRow", struct cart, cart_claim_row_fields);

static const struct field cart_stamp_fields[] = {
    FIELD_I64(struct cart, version, "version"),
    FIELD_TIME(struct cart, updated_at, "updatedAt"),
};
const struct table cart_stamp_table = TABLE("CartStamp", struct cart, cart_stamp_fields);

static const struct field item_body_fields[] = {
    FIELD_TEXT(struct item_body, sku, "sku", .required = true, .pattern = "sku"),
    FIELD_I64(struct item_body, quantity, "quantity", .min = 1, .max = CART_QUANTITY_LIMIT,
        .fallback = 1),
};
const struct table item_body_table = TABLE("CartItemAdd", struct item_body, item_body_fields);

static const struct field quantity_body_fields[] = {
    FIELD_I64(struct quantity_body, quantity, "quantity", .required = true, .min = 0,
        .max = CART_QUANTITY_LIMIT, .doc = "0 takes the line out"),
};
const struct table quantity_body_table =
    TABLE("CartItemQuantity", struct quantity_body, quantity_body_fields);

static const struct field sku_params_fields[] = {
    FIELD_TEXT(struct sku_params, sku, "sku", .required = true, .pattern = "sku"),
};
const struct table sku_params_table = TABLE("SkuParams", struct sku_params, sku_params_fields);

static const char *const policies[] = {"sum", "max", "keep_user", "keep_guest", NULL};
static const struct field merge_body_fields[] = {
    FIELD_TEXT(struct merge_body, cart_token, "cartToken", .required = true, .min = 43, .max = 43,
        .secret = true),
    FIELD_TEXT(struct merge_body, policy, "policy", .required = true, .choices = policies),
    FIELD_BOOL(struct merge_body, dry_run, "dryRun"),
};
const struct table merge_body_table = TABLE("CartMerge", struct merge_body, merge_body_fields);

static const struct field checkout_body_fields[] = {
    FIELD_UUID(struct checkout_body, payment_method_id, "paymentMethodId", .required = true),
    FIELD_UUID(struct checkout_body, address_id, "addressId", .doc = "one of the own addresses"),
    FIELD_OBJECT(struct checkout_body, shipping_address, "shippingAddress", address_table),
    FIELD_MONEY(struct checkout_body, expected_total, "expectedTotal",
        .doc = "refuse when the total is another one"),
};
const struct table checkout_body_table =
    TABLE("Checkout", struct checkout_body, checkout_body_fields);

static const struct field checkout_step_fields[] = {
    FIELD_TEXT(struct checkout_step, step, "step"),
    FIELD_TEXT(struct checkout_step, outcome, "outcome"),
    FIELD_TEXT(struct checkout_step, downstream_id, "downstreamId", .omit_empty = true),
    FIELD_I64(struct checkout_step, attempt, "attempt"),
    FIELD_I64(struct checkout_step, duration_us, "durationUs"),
    FIELD_TIME(struct checkout_step, at, "at"),
};
const struct table checkout_step_table =
    TABLE("CheckoutStep", struct checkout_step, checkout_step_fields);

static const struct field checkout_fields[] = {
    FIELD_UUID(struct checkout, id, "id"),
    FIELD_UUID(struct checkout, user_id, "userId"),
    FIELD_UUID(struct checkout, cart_id, "cartId"),
    FIELD_TEXT(struct checkout, fingerprint, "fingerprint"),
    FIELD_I64(struct checkout, attempt, "attempt"),
    FIELD_UUID(struct checkout, order_id, "orderId"),
    FIELD_TEXT(struct checkout, state, "state"),
    FIELD_LIST(struct checkout, items, "items", order_item_table),
    FIELD_MONEY(struct checkout, total, "total"),
    FIELD_TEXT(struct checkout, outcome, "outcome"),
    FIELD_TEXT(struct checkout, detail, "detail"),
    FIELD_TEXT(struct checkout, extensions, "extensions"),
    FIELD_BOOL(struct checkout, kept, "kept"),
    FIELD_LIST(struct checkout, steps, "steps", checkout_step_table),
    FIELD_TIME(struct checkout, created_at, "createdAt"),
    FIELD_TIME(struct checkout, finished_at, "finishedAt"),
};
const struct table checkout_table = TABLE("CheckoutRow", struct checkout, checkout_fields);

static const struct field receipt_fields[] = {
    FIELD_UUID(struct receipt, checkout_id, "checkoutId"),
    FIELD_UUID(struct receipt, order_id, "orderId"),
    FIELD_TEXT(struct receipt, status, "status"),
    FIELD_MONEY(struct receipt, total, "total"),
    FIELD_TEXT(struct receipt, outcome, "outcome"),
    FIELD_TEXT(struct receipt, detail, "detail"),
    FIELD_LIST(struct receipt, steps, "steps", checkout_step_table),
    FIELD_TIME(struct receipt, created_at, "createdAt"),
    FIELD_TIME(struct receipt, finished_at, "finishedAt"),
};
const struct table receipt_table = TABLE("CheckoutReceipt", struct receipt, receipt_fields);

static const struct field checkout_params_fields[] = {
    FIELD_UUID(struct checkout_params, checkout_id, "checkoutId", .required = true),
};
const struct table checkout_params_table =
    TABLE("CheckoutParams", struct checkout_params, checkout_params_fields);

static const struct field checkout_answer_fields[] = {
    FIELD_UUID(struct checkout_answer, order_id, "orderId"),
    FIELD_UUID(struct checkout_answer, checkout_id, "checkoutId"),
    FIELD_TEXT(struct checkout_answer, status, "status"),
    FIELD_MONEY(struct checkout_answer, total, "total"),
    FIELD_LIST(struct checkout_answer, items, "items", order_item_table),
};
const struct table checkout_answer_table =
    TABLE("CheckoutAnswer", struct checkout_answer, checkout_answer_fields);

static const struct field price_fields[] = {
    FIELD_TEXT(struct price, sku, "sku", .required = true),
    FIELD_TEXT(struct price, name, "name", .required = true),
    FIELD_UUID(struct price, seller_id, "sellerId", .required = true),
    FIELD_TEXT(struct price, status, "status"),
    FIELD_MONEY(struct price, price, "price", .required = true),
    FIELD_I64(struct price, available, "available"),
};
const struct table price_table = TABLE("Price", struct price, price_fields);

#define OUTCOME(name, status, code, title) {CART_##name, status, code, title},
const struct outcome_row cart_outcomes[] = {
#include "cart/outcomes.def"
};
#undef OUTCOME
const size_t cart_outcomes_count = ARRAY_SIZE(cart_outcomes);
