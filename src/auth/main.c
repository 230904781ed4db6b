#include "auth/auth.h"
#include "auth/migrations.h"

#define OUTCOME(name, status, code, title) {AUTH_##name, status, code, title},
static const struct outcome_row outcomes[] = {
#include "auth/outcomes.def"
};
#undef OUTCOME

static int start(void)
{
    TRY(signing_start());
    passwords_start();
    TRY(password_list_load());
    TRY(recovery_start());
    return app_every("session purge", 3600 * USEC_PER_SEC, store_purge);
}

int main(int argc, char **argv)
{
    const struct service service = {
        .name = "auth",
        .doc = "Accounts, sessions and tokens.",
        SERVICE_TABLE(routes, auth_routes),
        SERVICE_TABLE(publishes, auth_publishes),
        SERVICE_TABLE(statements, auth_statements),
        SERVICE_TABLE(config, auth_config),
        .outcomes = outcomes,
        .outcomes_count = ARRAY_SIZE(outcomes),
        SERVICE_TABLE(migrations, auth_migrations),
        SERVICE_TABLE(commands, signing_commands),
        .start = start,
    };
    return service_main(&service, argc, argv);
}
