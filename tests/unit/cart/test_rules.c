#include <criterion/criterion.h>
#include <errno.h>

#include "cart/cart.h"

static struct money usd(int64_t amount)
{
    return (struct money){.amount = amount, .currency = "USD"};
}

static struct order_item item(const char *sku, int64_t quantity, int64_t price)
{
    return (struct order_item){
        .sku = sku, .name = sku, .quantity = quantity, .unit_price = usd(price)};
}

Test(cart, compute__fills_line_totals_and_total)
{
    struct cart_item lines[] = {{.sku = "A", .quantity = 3, .unit_price = usd(250)},
        {.sku = "B", .quantity = 1, .unit_price = usd(99)}};
    struct cart c = {.items = {2, lines}};
    cr_assert_eq(cart_compute(&c), 0);
    cr_assert_eq(lines[0].line_total.amount, 750);
    cr_assert_eq(c.total.amount, 849);
    cr_assert_str_eq(c.total.currency, "USD");
}

Test(cart, compute__of_an_empty_cart__has_no_currency)
{
    struct cart c = {0};
    cr_assert_eq(cart_compute(&c), 0);
    cr_assert_str_eq(c.total.currency, "");
}

Test(cart, prices__that_fell__are_passed_on_silently)
{
    struct order_item mine[] = {item("A", 2, 100)}, now[] = {item("A", 2, 80)};
    struct money total;
    cr_assert_not(cart_prices_rose((struct list){1, mine}, (struct list){1, now}));
    cr_assert_eq(cart_items_total((struct list){1, mine}, &total), 0);
    cr_assert_eq(total.amount, 160);
}

Test(cart, prices__of_which_one_rose__need_consent_and_show_the_new_price)
{
    struct order_item mine[] = {item("A", 1, 100), item("B", 1, 100)};
    struct order_item now[] = {item("B", 1, 101), item("A", 1, 50)};
    cr_assert(cart_prices_rose((struct list){2, mine}, (struct list){2, now}));
    cr_assert_eq(mine[1].unit_price.amount, 101);
    cr_assert_eq(mine[0].unit_price.amount, 50);
}

Test(cart, prices__in_another_currency__count_as_risen)
{
    struct order_item mine[] = {item("A", 1, 100)}, now[] = {item("A", 1, 1)};
    strcpy(now[0].unit_price.currency, "EUR");
    cr_assert(cart_prices_rose((struct list){1, mine}, (struct list){1, now}));
}

Test(cart, merge__by_each_policy)
{
    cr_assert_eq(cart_merged_quantity("sum", 2, 3), 5);
    cr_assert_eq(cart_merged_quantity("max", 2, 3), 3);
    cr_assert_eq(cart_merged_quantity("keep_user", 2, 3), 2);
    cr_assert_eq(cart_merged_quantity("keep_guest", 2, 3), 3);
}

Test(cart, merge__never_exceeds_the_limit)
{
    cr_assert_eq(cart_merged_quantity("sum", 998, 998), CART_QUANTITY_LIMIT);
}
