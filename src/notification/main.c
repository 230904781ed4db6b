#include "notification/migrations.h"
#include "notification/notification.h"

int main(int argc, char **argv)
{
    const struct service service = {
        .name = "notification",
        .doc = "Messages to people: by mail, SMS and push, from templates, each exactly as wanted.",
        SERVICE_TABLE(routes, notification_routes),
        .queue = "notification-queue",
        SERVICE_TABLE(consumers, notification_consumers),
        .before_batch = notification_before_batch,
        .after_batch = notification_after_batch,
        .batch_committed = notification_batch_committed,
        SERVICE_TABLE(statements, notification_statements),
        .backlog = &notification_backlog,
        SERVICE_TABLE(config, notification_config),
        SERVICE_TABLE(outcomes, notification_outcomes),
        SERVICE_TABLE(migrations, notification_migrations),
        .peers = (const char *const[]){"auth", NULL},
        .start = sender_start,
    };
    return service_main(&service, argc, argv);
}
