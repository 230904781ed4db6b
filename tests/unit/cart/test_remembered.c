#include <criterion/criterion.h>
#include <stdio.h>

#include "cart/cart.h"

static struct arena *arena;

static void setup(void)
{
    arena = arena_new();
}

static void teardown(void)
{
    arena_free(arena);
}

TestSuite(cart_remembered, .init = setup, .fini = teardown);

static const char *user(int n)
{
    return arena_printf(arena, "01900000-0000-7000-8000-%012d", n);
}

static struct cart cart_of(const char *user_id, size_t lines, int64_t version)
{
    struct cart_item *items = arena_array(arena, lines, sizeof(*items));
    for (size_t i = 0; i < lines; i++)
        items[i] = (struct cart_item){.sku = arena_printf(arena, "SKU-%zu", i),
            .name = "Thing",
            .seller_id = user(0),
            .quantity = (int64_t)i + 1,
            .unit_price = {100, "USD"}};
    return (struct cart){.id = user(999999),
        .user_id = user_id,
        .items = {lines, items},
        .version = version,
        .updated_at = 1700000000000000};
}

Test(cart_remembered, recall__nobody_was_remembered__is_null)
{
    cr_assert_null(cart_recall(arena, user(1)));
    cr_assert_null(cart_recall(arena, NULL));
    cart_forget(user(1));
}

Test(cart_remembered, recall__is_a_copy_that_may_be_changed)
{
    struct cart cart = cart_of(user(1), 2, 7);
    cart_remember(&cart);
    struct cart *first = cart_recall(arena, user(1));
    cr_assert_eq(first->version, 7);
    cr_assert_eq(first->updated_at, 1700000000000000);
    cr_assert_eq(first->items.len, 2);
    first->items.len = 0;
    first->version = 8;
    struct cart *second = cart_recall(arena, user(1));
    cr_assert_eq(second->version, 7);
    cr_assert_eq(second->items.len, 2);
    const struct cart_item *item = LIST_AT(second->items, struct cart_item, 1);
    cr_assert_str_eq(item->sku, "SKU-1");
    cr_assert_eq(item->quantity, 2);
    cr_assert_eq(item->unit_price.amount, 100);
    cart_forget(user(1));
}

Test(cart_remembered, remember__again__is_the_later_one)
{
    struct cart before = cart_of(user(1), 1, 1), after = cart_of(user(1), 0, 2);
    cart_remember(&before);
    cart_remember(&after);
    cr_assert_eq(cart_recall(arena, user(1))->version, 2);
    cart_forget(user(1));
    cr_assert_null(cart_recall(arena, user(1)));
}

Test(cart_remembered, remember__a_guests_or_a_large_cart__is_not)
{
    struct cart small = cart_of(user(1), 8, 1), large = cart_of(user(1), 9, 2);
    struct cart guests = cart_of(NULL, 1, 1);
    cart_remember(&guests);
    cart_remember(&small);
    cr_assert_not_null(cart_recall(arena, user(1)));
    cart_remember(&large);
    cr_assert_null(cart_recall(arena, user(1)), "the smaller one of before is outdated");
}

Test(cart_remembered, remember__more_than_a_thousand__loses_the_oldest)
{
    for (int n = 0; n < 1001; n++) {
        struct cart cart = cart_of(user(n), 1, n);
        cart_remember(&cart);
    }
    cr_assert_null(cart_recall(arena, user(0)));
    cr_assert_eq(cart_recall(arena, user(1))->version, 1);
    cr_assert_eq(cart_recall(arena, user(1000))->version, 1000);
    for (int n = 0; n < 1001; n++)
        cart_forget(user(n));
}
