#include "cart/cart.h"
#include "cart/migrations.h"
#include "common/app/pace.h"

#define RECOVERY_PERIOD_US USEC_PER_SEC
#define HELPERS            3 /* who come when recovery calls them */
#define HELPERS_PERIOD_US  (3600 * USEC_PER_SEC)

static const struct config_row config[] = {
    {"PRICE_CACHE_S", CONFIG_I64, .fallback = "30", .min = 0, .max = 3600,
        .doc = "how long a price of the seller service is believed"},
};

static int start(void)
{
    pace_start();
    for (int i = 0; i < HELPERS; i++)
        TRY(app_every(SAGA_RECOVERY_HELP, HELPERS_PERIOD_US, saga_recover));
    return app_every(SAGA_RECOVERY, RECOVERY_PERIOD_US, saga_recover);
}

int main(int argc, char **argv)
{
    const struct service service = {
        .name = "cart",
        .doc = "Carts of users and guests, and the checkout saga.",
        SERVICE_TABLE(routes, cart_routes),
        .queue = "cart-queue",
        SERVICE_TABLE(consumers, cart_consumers),
        SERVICE_TABLE(statements, cart_statements),
        .backlog = &cart_backlog,
        .config = config,
        .config_count = ARRAY_SIZE(config),
        SERVICE_TABLE(outcomes, cart_outcomes),
        SERVICE_TABLE(migrations, cart_migrations),
        .peers = (const char *const[]){"auth", "payment", "seller", "order", NULL},
        .start = start,
    };
    return service_main(&service, argc, argv);
}
