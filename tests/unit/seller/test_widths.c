#include <criterion/criterion.h>

#include "seller/seller.h"

#define FIRST 4096

static uint64_t key_of(const char *q, const char *category, const char *seller_id)
{
    return width_key(
        &(struct product_list_params){.q = q, .category = category, .seller_id = seller_id}, false);
}

Test(widths, never_asked_for__begins_with_the_first)
{
    cr_assert_eq(width_of(key_of("lamp", NULL, NULL)), FIRST);
    cr_assert_eq(width_of(0), FIRST);
}

Test(widths, asked_for_again__begins_where_it_ended)
{
    width_keep(key_of("lamp", NULL, NULL), 12728);
    cr_assert_eq(width_of(key_of("lamp", NULL, NULL)), 12728);
    width_keep(key_of("lamp", NULL, NULL), INT64_MAX);
    cr_assert_eq(width_of(key_of("lamp", NULL, NULL)), INT64_MAX);
}

Test(widths, another_category_seller_or_state__is_another_search)
{
    const char *const q = "lamp";
    struct product_list_params p = {.q = q};
    width_keep(key_of(q, NULL, NULL), 9);
    cr_assert_eq(width_of(key_of(q, "tools", NULL)), FIRST);
    cr_assert_eq(width_of(key_of(q, NULL, "tools")), FIRST);
    cr_assert_eq(width_of(key_of(q, "", NULL)), FIRST);
    cr_assert_eq(width_of(key_of("lam", "p", NULL)), FIRST);
    cr_assert_eq(width_of(width_key(&p, true)), FIRST);
    cr_assert_eq(width_of(width_key(&p, false)), 9);
}

Test(widths, as_many_as_there_are_places__later_ones_take_them)
{
    width_keep(77, 5);
    width_keep(77 + (UINT64_C(1) << 40), 6);
    cr_assert_eq(width_of(77 + (UINT64_C(1) << 40)), 6);
    cr_assert_eq(width_of(77), FIRST);
}
