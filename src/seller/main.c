#include "seller/migrations.h"
#include "seller/seller.h"

#define OUTCOME(name, status, code, title) {SELLER_##name, status, code, title},
static const struct outcome_row outcomes[] = {
#include "seller/outcomes.def"
};
#undef OUTCOME

static int start(void)
{
    return app_every("hold expiry", config_i64("HOLD_SWEEP_MS") * USEC_PER_MS, expire_holds);
}

int main(int argc, char **argv)
{
    const struct service service = {
        .name = "seller",
        .doc = "Sellers, their products, prices and stock, and the stock held for checkouts.",
        SERVICE_TABLE(routes, seller_routes),
        .queue = "seller-updates-queue",
        SERVICE_TABLE(consumers, seller_consumers),
        .before_batch = seller_before_batch,
        SERVICE_TABLE(publishes, seller_publishes),
        SERVICE_TABLE(statements, seller_statements),
        SERVICE_TABLE(config, seller_config),
        .outcomes = outcomes,
        .outcomes_count = ARRAY_SIZE(outcomes),
        SERVICE_TABLE(migrations, seller_migrations),
        .peers = (const char *const[]){"auth", NULL},
        .start = start,
    };
    return service_main(&service, argc, argv);
}
