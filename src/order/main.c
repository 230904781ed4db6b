#include "order/migrations.h"
#include "order/order.h"

#define OUTCOME(name, status, code, title) {ORDER_##name, status, code, title},
static const struct outcome_row outcomes[] = {
#include "order/outcomes.def"
};
#undef OUTCOME

int main(int argc, char **argv)
{
    const struct service service = {
        .name = "order",
        .doc = "Orders: created by checkout, driven by events of payment and stock.",
        SERVICE_TABLE(routes, order_routes),
        .queue = "order-queue",
        SERVICE_TABLE(consumers, order_consumers),
        .before_batch = order_before_batch,
        .after_batch = order_after_batch,
        SERVICE_TABLE(publishes, order_publishes),
        SERVICE_TABLE(statements, order_statements),
        .outcomes = outcomes,
        .outcomes_count = ARRAY_SIZE(outcomes),
        SERVICE_TABLE(migrations, order_migrations),
    };
    return service_main(&service, argc, argv);
}
