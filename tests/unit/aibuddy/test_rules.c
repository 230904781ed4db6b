#include <criterion/criterion.h>

#include "aibuddy/aibuddy.h"

Test(aibuddy, reason__one_order__is_singular)
{
    struct arena *a = arena_new();
    cr_assert_str_eq(reason_together(a, "Tea pot", 1), "bought together with Tea pot in 1 order");
    cr_assert_str_eq(reason_trending(a, 1), "in 1 order of the last 7 days");
    arena_free(a);
}

Test(aibuddy, reason__many_orders__tells_their_number)
{
    struct arena *a = arena_new();
    cr_assert_str_eq(
        reason_together(a, "Tea pot", 14), "bought together with Tea pot in 14 orders");
    cr_assert_str_eq(reason_trending(a, 0), "in 0 orders of the last 7 days");
    arena_free(a);
}
