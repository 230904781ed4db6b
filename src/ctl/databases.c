#include "ctl/databases.h"

#include <stdlib.h>

const char *const ctl_services[SERVICES_COUNT] = {
    "auth", "cart", "order", "payment", "seller", "notification", "aibuddy"};

const char *database_url(struct arena *a, const char *service, const char **ret_variable)
{
    char *name = arena_printf(a, "%s_AUDIT_DATABASE_URL", service);
    for (char *p = name; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    const char *url = getenv(name);
    *ret_variable = arena_printf(a, "%.*sDATABASE_URL", (int)strlen(service) + 1, name);
    if (!url || !*url)
        url = getenv(*ret_variable);
    return url && *url ? url : NULL;
}
