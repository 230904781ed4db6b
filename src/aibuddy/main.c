#include "aibuddy/aibuddy.h"
#include "aibuddy/migrations.h"

int main(int argc, char **argv)
{
    const struct service service = {
        .name = "aibuddy",
        .doc = "Recommendations that give their reasons, learned from the events of the shop.",
        SERVICE_TABLE(routes, aibuddy_routes),
        .queue = "ai-events-queue",
        .gather_us = 100 * USEC_PER_MS,
        SERVICE_TABLE(consumers, aibuddy_consumers),
        .before_batch = aibuddy_before_batch,
        SERVICE_TABLE(statements, aibuddy_statements),
        SERVICE_TABLE(migrations, aibuddy_migrations),
        .notice = aibuddy_notice,
    };
    return service_main(&service, argc, argv);
}
