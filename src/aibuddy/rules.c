/* Reasons in words. */

#include "aibuddy/aibuddy.h"

static const char *orders_text(struct arena *a, int64_t orders)
{
    return arena_printf(a, "%lld order%s", (long long)orders, orders == 1 ? "" : "s");
}

const char *reason_together(struct arena *a, const char *with_name, int64_t orders)
{
    return arena_printf(a, "bought together with %s in %s", with_name, orders_text(a, orders));
}

const char *reason_trending(struct arena *a, int64_t orders)
{
    return arena_printf(a, "in %s of the last 7 days", orders_text(a, orders));
}
