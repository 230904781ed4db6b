#include "payment/migrations.h"
#include "payment/payment.h"

#define OUTCOME(name, status, code, title) {PAYMENT_##name, status, code, title},
static const struct outcome_row outcomes[] = {
#include "payment/outcomes.def"
};
#undef OUTCOME

int main(int argc, char **argv)
{
    const struct service service = {
        .name = "payment",
        .doc = "Payment methods, authorizations, captures, refunds and their ledger.",
        SERVICE_TABLE(routes, payment_routes),
        .queue = "payment-settlement-queue",
        .before_batch = payment_before_batch,
        .batch_committed = payment_batch_committed,
        SERVICE_TABLE(consumers, payment_consumers),
        SERVICE_TABLE(publishes, payment_publishes),
        SERVICE_TABLE(statements, payment_statements),
        .backlog = &payment_backlog,
        SERVICE_TABLE(config, payment_config),
        .outcomes = outcomes,
        .outcomes_count = ARRAY_SIZE(outcomes),
        SERVICE_TABLE(migrations, payment_migrations),
        .peers = (const char *const[]){"auth", NULL}, /* its keys */
        .start = payment_start,
    };
    return service_main(&service, argc, argv);
}
