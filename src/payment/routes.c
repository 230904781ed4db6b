#include "payment/payment.h"

#define PEOPLE    (ROLE_SIGNED_IN)
#define EVERYBODY (ROLE_SIGNED_IN | ROLE_SERVICE)

static const int method_outcomes[] = {PAYMENT_METHOD_NOT_FOUND, 0};
static const int authorize_outcomes[] = {PAYMENT_DECLINED, PAYMENT_METHOD_NOT_FOUND, PAYMENT_VOIDED,
    PAYMENT_ORDER_TAKEN, PAYMENT_UNDECIDED, 0};
static const int capture_outcomes[] = {PAYMENT_DECLINED, PAYMENT_VOIDED, PAYMENT_UNDECIDED, 0};
static const int refund_outcomes[] = {PAYMENT_NOT_CAPTURED, PAYMENT_REFUND_TOO_LARGE, 0};

const struct route payment_routes[] = {
    {HTTP_POST, "/api/v1/payment-methods", PEOPLE, post_payment_method,
        .body = &payment_method_body_table, .reply = &payment_method_table, .status = 201,
        .idempotency = IDEMPOTENCY_ACCEPTED,
        .doc = "Keep a token of the payment provider; card numbers are refused."},
    {HTTP_GET, "/api/v1/payment-methods", PEOPLE, get_payment_methods, .params = &page_params_table,
        .reply = &payment_method_table, .reply_is_page = true,
        .doc = "Own payment methods, newest first."},
    {HTTP_DELETE, "/api/v1/payment-methods/{paymentMethodId}", PEOPLE, delete_payment_method,
        .params = &method_params_table, .status = 204, .outcomes = method_outcomes,
        .doc = "Forget a payment method."},
    {HTTP_POST, "/api/v1/payment-methods/{paymentMethodId}/validation", PEOPLE, post_validation,
        .params = &method_params_table, .reply = &validation_answer_table, .status = 200,
        .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = method_outcomes,
        .doc = "Ask the provider whether it would take this method."},
    {HTTP_GET, "/api/v1/payments/{paymentId}", EVERYBODY, get_payment,
        .others = ROLE_ADMIN | ROLE_SERVICE, .params = &payment_params_table,
        .reply = &payment_answer_table, .doc = "One payment with its refunds."},
    {HTTP_GET, "/api/v1/payments", EVERYBODY, get_payments, .others = ROLE_ADMIN | ROLE_SERVICE,
        .params = &order_params_table, .reply = &payment_answer_table, .reply_is_page = true,
        .doc = "The payment of an order."},
    {HTTP_POST, "/api/v1/payments/{paymentId}/refunds", ROLE_ADMIN, post_refund,
        .others = ROLE_ADMIN, .params = &payment_params_table, .body = &refund_body_table,
        .reply = &refund_table, .status = 201, .idempotency = IDEMPOTENCY_REQUIRED,
        .outcomes = refund_outcomes, .class = CLASS_CHECKOUT,
        .doc = "Give money back, at most what is left of the captured amount."},
    {HTTP_POST, "/internal/v1/authorizations", ROLE_SERVICE, post_authorization,
        .body = &authorization_body_table, .reply = &authorization_table, .status = 201,
        .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = authorize_outcomes,
        .doc = "Reserve an order's amount; a repeat for the same order gives the same payment."},
    {HTTP_POST, "/internal/v1/authorizations/{orderId}/void", ROLE_SERVICE, post_void,
        .others = ROLE_SERVICE, .params = &order_params_table, .body = &void_body_table,
        .reply = &authorization_table, .status = 200, .idempotency = IDEMPOTENCY_ACCEPTED,
        .doc = "Give an order's payment up, now or whenever it should arrive; captured money goes "
               "back."},
    {HTTP_POST, "/internal/v1/authorizations/{orderId}/capture", ROLE_SERVICE, post_capture,
        .others = ROLE_SERVICE, .params = &order_params_table, .reply = &authorization_table,
        .status = 200, .idempotency = IDEMPOTENCY_ACCEPTED, .outcomes = capture_outcomes,
        .doc = "Capture what was authorized; happens by itself when the order is created."},
};
const size_t payment_routes_count = ARRAY_SIZE(payment_routes);
