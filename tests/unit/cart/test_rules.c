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

/* ---- lines ---- */

static struct cart_item line(const char *sku, int64_t quantity, int64_t price)
{
    return (struct cart_item){
        .sku = sku, .name = sku, .quantity = quantity, .unit_price = usd(price)};
}

static struct cart cart_of(struct arena *a, size_t len, const struct cart_item lines[])
{
    struct cart c = {0};
    for (size_t i = 0; i < len; i++)
        cart_put(a, &c, &lines[i]);
    return c;
}

/* "A3 B1" */
static const char *told(struct arena *a, const struct cart *c)
{
    const char *text = "";
    for (size_t i = 0; i < c->items.len; i++) {
        const struct cart_item *item = LIST_AT(c->items, struct cart_item, i);
        text =
            arena_printf(a, "%s%s%s%lld", text, i ? " " : "", item->sku, (long long)item->quantity);
    }
    return text;
}

Test(cart, put__of_a_line_that_is_there__takes_its_place)
{
    struct arena *a = arena_new();
    struct cart c =
        cart_of(a, 3, (struct cart_item[]){line("A", 1, 100), line("B", 2, 100), line("A", 5, 90)});
    cr_assert_str_eq(told(a, &c), "A5 B2");
    cr_assert_eq(cart_line(&c, "A")->unit_price.amount, 90);
    cr_assert_null(cart_line(&c, "C"));
    arena_free(a);
}

Test(cart, remove__of_a_line__leaves_the_others_in_order)
{
    struct arena *a = arena_new();
    struct cart c = cart_of(
        a, 3, (struct cart_item[]){line("A", 1, 100), line("B", 2, 100), line("C", 3, 100)});
    cart_remove(&c, "B");
    cart_remove(&c, "none");
    cr_assert_str_eq(told(a, &c), "A1 C3");
    arena_free(a);
}

Test(cart, take_out__leaves_what_was_put_in_since)
{
    struct arena *a = arena_new();
    struct cart c = cart_of(a, 4,
        (struct cart_item[]){
            line("A", 3, 100), line("B", 2, 100), line("C", 1, 100), line("NEW", 1, 100)});
    struct order_item ordered[] = {
        item("A", 1, 100), item("B", 2, 100), item("C", 9, 100), item("GONE", 1, 100)};
    cart_take_out(&c, (struct list){ARRAY_SIZE(ordered), ordered});
    cr_assert_str_eq(told(a, &c), "A2 NEW1");
    arena_free(a);
}

Test(cart, reprice__of_a_line_in_another_currency__keeps_its_price)
{
    struct arena *a = arena_new();
    struct cart c = cart_of(a, 2, (struct cart_item[]){line("A", 1, 100), line("B", 1, 100)});
    struct order_item now[] = {item("A", 1, 120), item("B", 1, 7), item("GONE", 1, 1)};
    strcpy(now[1].unit_price.currency, "EUR");
    cart_reprice(&c, (struct list){ARRAY_SIZE(now), now});
    cr_assert_eq(cart_line(&c, "A")->unit_price.amount, 120);
    cr_assert_eq(cart_line(&c, "B")->unit_price.amount, 100);
    arena_free(a);
}

Test(cart, reprice__of_all_lines_to_another_currency__moves_them)
{
    struct arena *a = arena_new();
    struct cart c = cart_of(a, 2, (struct cart_item[]){line("A", 1, 100), line("B", 1, 100)});
    struct order_item now[] = {item("A", 1, 90), item("B", 1, 7)};
    strcpy(now[0].unit_price.currency, "EUR");
    strcpy(now[1].unit_price.currency, "EUR");
    cart_reprice(&c, (struct list){1, now});
    cr_assert_eq(cart_line(&c, "A")->unit_price.amount, 100, "B came since, in another currency");
    cart_reprice(&c, (struct list){2, now});
    cr_assert_eq(cart_line(&c, "A")->unit_price.amount, 90);
    cr_assert_str_eq(cart_line(&c, "B")->unit_price.currency, "EUR");
    arena_free(a);
}
