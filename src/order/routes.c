#include "order/order.h"

#define PEOPLE    (ROLE_SIGNED_IN)
#define CREATORS  (ROLE_SERVICE | ROLE_ADMIN)
#define EVERYBODY (ROLE_SIGNED_IN | ROLE_SERVICE)

static const int move_outcomes[] = {ORDER_INVALID_TRANSITION, 0};
static const int create_outcomes[] = {ORDER_ABANDONED, ORDER_ID_TAKEN, 0};

/* The plain /orders paths are aliases of /api/v1/orders. */
const struct route order_routes[] = {
    {HTTP_POST, "/api/v1/orders", CREATORS, post_order, .body = &order_create_table,
        .reply = &order_table, .status = 201, .idempotency = IDEMPOTENCY_ACCEPTED,
        .outcomes = create_outcomes, .class = CLASS_VITAL,
        .doc = "Create an order on an id that the caller allotted."},
    {HTTP_POST, "/orders", CREATORS, post_order, .body = &order_create_table, .reply = &order_table,
        .status = 201, .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = create_outcomes,
        .class = CLASS_VITAL, .doc = "Alias of POST /api/v1/orders."},
    {HTTP_GET, "/api/v1/orders", PEOPLE, get_orders, .params = &list_params_table,
        .reply = &order_table, .reply_is_page = true,
        .doc = "Own orders, newest first; all for admins."},
    {HTTP_GET, "/orders", PEOPLE, get_orders, .params = &list_params_table, .reply = &order_table,
        .reply_is_page = true, .doc = "Alias of GET /api/v1/orders."},
    {HTTP_GET, "/api/v1/orders/{orderId}", EVERYBODY, get_order,
        .others = ROLE_ADMIN | ROLE_SERVICE, .params = &order_params_table, .reply = &order_table,
        .class = CLASS_CHECKOUT, .doc = "One order."},
    {HTTP_GET, "/orders/{orderId}", EVERYBODY, get_order, .others = ROLE_ADMIN | ROLE_SERVICE,
        .params = &order_params_table, .reply = &order_table, .class = CLASS_CHECKOUT,
        .doc = "Alias of GET /api/v1/orders/{orderId}."},
    {HTTP_GET, "/api/v1/orders/{orderId}/items", EVERYBODY, get_order_items,
        .others = ROLE_ADMIN | ROLE_SERVICE, .params = &order_params_table,
        .reply = &order_items_table, .doc = "The lines of an order."},
    {HTTP_GET, "/api/v1/orders/{orderId}/history", EVERYBODY, get_order_history,
        .others = ROLE_ADMIN | ROLE_SERVICE, .params = &order_params_table,
        .reply = &order_history_table, .doc = "Every change of status: who, why, when."},
    {HTTP_PUT, "/api/v1/orders/{orderId}", PEOPLE, put_order, .others = ROLE_ADMIN,
        .params = &order_params_table, .body = &order_change_table, .reply = &order_table,
        .match = MATCH_ACCEPTED, .doc = "Change the shipping address before the shipment."},
    {HTTP_DELETE, "/api/v1/orders/{orderId}", PEOPLE, delete_order, .others = ROLE_ADMIN,
        .params = &order_params_table, .reply = &order_table, .outcomes = move_outcomes,
        .match = MATCH_ACCEPTED, .class = CLASS_CHECKOUT, .doc = "Cancel an order."},
    {HTTP_PATCH, "/api/v1/orders/{orderId}/status", ROLE_ADMIN | ROLE_SELLER | ROLE_SERVICE,
        patch_order_status, .others = ROLE_ADMIN | ROLE_SERVICE, .params = &order_params_table,
        .body = &status_table, .reply = &order_table, .outcomes = move_outcomes,
        .match = MATCH_ACCEPTED, .doc = "Move an order along the guarded status table."},
    {HTTP_POST, "/api/v1/orders/{orderId}/cancellation", PEOPLE, post_cancellation,
        .others = ROLE_ADMIN, .params = &order_params_table, .body = &cancellation_table,
        .reply = &order_table, .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = move_outcomes,
        .match = MATCH_ACCEPTED, .class = CLASS_CHECKOUT,
        .doc = "Cancel an order with a reason; what was paid comes back."},
    {HTTP_GET, "/api/v1/customers/{customerId}/orders", EVERYBODY, get_customer_orders,
        .others = ROLE_ADMIN | ROLE_SERVICE, .params = &customer_list_params_table,
        .reply = &order_table, .reply_is_page = true,
        .doc = "Orders of one customer: oneself, or anybody for admins."},
    {HTTP_POST, "/internal/v1/orders/{orderId}/abandon", ROLE_SERVICE, post_abandon,
        .others = ROLE_SERVICE, .params = &order_params_table, .reply = &abandon_answer_table,
        .doc = "Fix whether an order exists: yes, or never."},
};
const size_t order_routes_count = ARRAY_SIZE(order_routes);
