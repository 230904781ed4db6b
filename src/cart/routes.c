#include "cart/cart.h"

static const int item_outcomes[] = {
    CART_PRODUCT_UNAVAILABLE, CART_CURRENCY_MISMATCH, CART_CART_FULL, 0};
static const int merge_outcomes[] = {CART_CURRENCY_MISMATCH, CART_CART_FULL, 0};
static const int checkout_outcomes[] = {CART_PAYMENT_DECLINED, CART_OUT_OF_STOCK,
    CART_PRICE_CHANGED, CART_CURRENCY_MISMATCH, CART_TOTAL_CHANGED, CART_CHECKOUT_IN_PROGRESS,
    CART_PRODUCT_UNAVAILABLE, CART_CART_EMPTY, CART_PAYMENT_METHOD_UNKNOWN, CART_ADDRESS_UNKNOWN,
    CART_PAYMENT_UNAVAILABLE, CART_STOCK_UNAVAILABLE, CART_ORDER_UNAVAILABLE,
    CART_LOGIN_UNAVAILABLE, 0};

/* Open to guests: the owner is the token's user or the bearer of a cart token. */
#define GUESTS .token_header = CART_TOKEN_HEADER

const struct route cart_routes[] = {
    {HTTP_GET, "/api/v1/cart", ROLE_ANYONE, get_cart, .reply = &cart_table, .class = CLASS_CART,
        GUESTS, .doc = "The own cart; made when there is none. Guests get a cartToken."},
    {HTTP_POST, "/api/v1/cart/items", ROLE_ANYONE, post_item, .body = &item_body_table,
        .reply = &cart_table, .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = item_outcomes,
        .match = MATCH_ACCEPTED, GUESTS, .doc = "Add a quantity of an item."},
    {HTTP_PUT, "/api/v1/cart/items/{sku}", ROLE_ANYONE, put_item, .params = &sku_params_table,
        .body = &quantity_body_table, .reply = &cart_table, .outcomes = item_outcomes,
        .match = MATCH_ACCEPTED, GUESTS, .doc = "Set the quantity of an item; 0 takes it out."},
    {HTTP_DELETE, "/api/v1/cart/items/{sku}", ROLE_ANYONE, delete_item, .params = &sku_params_table,
        .reply = &cart_table, .match = MATCH_ACCEPTED, GUESTS, .doc = "Take an item out."},
    {HTTP_DELETE, "/api/v1/cart", ROLE_ANYONE, delete_cart, .status = 204, .match = MATCH_ACCEPTED,
        GUESTS, .doc = "Empty the cart."},
    {HTTP_POST, "/api/v1/cart/merge", ROLE_SIGNED_IN, post_merge, .body = &merge_body_table,
        .reply = &cart_table, .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = merge_outcomes,
        .doc = "Merge a guest's cart into the own one."},
    {HTTP_POST, "/api/v1/cart/checkout", ROLE_SIGNED_IN, post_checkout,
        .body = &checkout_body_table, .reply = &checkout_answer_table, .status = 201,
        .idempotency = IDEMPOTENCY_OWN, .outcomes = checkout_outcomes, .class = CLASS_CHECKOUT,
        .doc = "Buy what is in the cart."},
    {HTTP_GET, "/api/v1/checkouts/{checkoutId}", ROLE_SIGNED_IN, get_checkout,
        .params = &checkout_params_table, .reply = &receipt_table, .class = CLASS_CHECKOUT,
        .doc = "The receipt of a checkout: each step, its duration, what was undone."},
};
const size_t cart_routes_count = ARRAY_SIZE(cart_routes);
