#include "ctl/databases.h"

#include <stdlib.h>

#include "common/base/error.h"
#include "ctl/ctl.h"

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

int database_failed(const char *service, int r)
{
    const char *name = arena_printf(fiber_arena(), "the database of %s", service);
    if (r == ERR_UNAVAILABLE || r == ERR_TIMEOUT || r == ERR_UNKNOWN)
        return ctl_unreachable(name, error_sentence());
    return ctl_fail(CTL_WRONG, "%s: %s", name, error_sentence());
}
