#include <criterion/criterion.h>

#include "seller/seller.h"

/* ---- moves ---- */

static int on_hand_change(const struct stock_move *m)
{
    return m->available + m->held + m->committed;
}

Test(rules, moves_inside_the_house__keep_what_is_on_hand)
{
    cr_assert_eq(on_hand_change(&MOVE_COMMIT), 0);
    cr_assert_eq(on_hand_change(&MOVE_RELEASE), 0);
    cr_assert_eq(on_hand_change(&MOVE_RESTOCK), 0);
}

Test(rules, shipping__takes_committed_units_out_of_the_house)
{
    cr_assert_eq(on_hand_change(&MOVE_SHIP), -1);
    cr_assert_eq(MOVE_SHIP.committed, -1);
}

Test(rules, moves__take_units_from_the_bucket_of_their_state)
{
    const struct stock_move *moves[] = {&MOVE_COMMIT, &MOVE_RELEASE, &MOVE_RESTOCK, &MOVE_SHIP};
    for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
        bool held = strcmp(moves[i]->from, "held") == 0;
        cr_assert_eq(held ? moves[i]->held : moves[i]->committed, -1, "%s", moves[i]->to);
        cr_assert_str_neq(moves[i]->from, moves[i]->to);
    }
}

/* ---- alerts ---- */

Test(rules, alert__sinking_to_the_threshold__is_told)
{
    cr_assert_eq(stock_alert(false, 6, 5), ALERT_NONE);
    cr_assert_eq(stock_alert(false, 5, 5), ALERT_LOW);
    cr_assert_eq(stock_alert(false, 0, 5), ALERT_LOW);
}

Test(rules, alert__told_already__is_not_told_again)
{
    for (int64_t available = 0; available <= 5; available++)
        cr_assert_eq(stock_alert(true, available, 5), ALERT_NONE);
}

Test(rules, alert__swinging_around_the_threshold__stays_quiet)
{
    bool alerted = false;
    int told = 0;
    for (int i = 0; i < 10; i++) {
        enum stock_alert a = stock_alert(alerted, i % 2 ? 21 : 20, 20);
        told += a != ALERT_NONE;
        alerted = a == ALERT_NONE ? alerted : a == ALERT_LOW;
    }
    cr_assert_eq(told, 1);
}

Test(rules, alert__risen_a_quarter_above_the_threshold__is_back)
{
    cr_assert_eq(stock_alert(true, 25, 20), ALERT_NONE);
    cr_assert_eq(stock_alert(true, 26, 20), ALERT_BACK);
    cr_assert_eq(stock_alert(false, 26, 20), ALERT_NONE);
}

Test(rules, alert__threshold_zero__tells_sold_out_and_back)
{
    cr_assert_eq(stock_alert(false, 1, 0), ALERT_NONE);
    cr_assert_eq(stock_alert(false, 0, 0), ALERT_LOW);
    cr_assert_eq(stock_alert(true, 1, 0), ALERT_BACK);
}

/* ---- holds ---- */

static struct list lines_of(struct hold_line *lines, size_t count)
{
    return (struct list){count, lines};
}

Test(rules, hold__every_line_fits__is_not_refused)
{
    struct hold_line lines[] = {
        {.quantity = 2, .available = 2, .status = "active"},
        {.quantity = 1, .available = 9, .status = "active"},
    };
    cr_assert_eq(hold_refusal(lines_of(lines, 2)), 0);
}

Test(rules, hold__one_line_short__is_out_of_stock)
{
    struct hold_line lines[] = {
        {.quantity = 2, .available = 9, .status = "active"},
        {.quantity = 3, .available = 2, .status = "active"},
    };
    cr_assert_eq(hold_refusal(lines_of(lines, 2)), SELLER_OUT_OF_STOCK);
}

Test(rules, hold__unknown_or_inactive_product__comes_before_short_stock)
{
    struct hold_line lines[] = {
        {.quantity = 3, .available = 2, .status = "active"},
        {.quantity = 1, .available = 9, .status = "inactive"},
    };
    cr_assert_eq(hold_refusal(lines_of(lines, 2)), SELLER_PRODUCT_UNAVAILABLE);
    lines[1].status = NULL;
    cr_assert_eq(hold_refusal(lines_of(lines, 2)), SELLER_PRODUCT_UNAVAILABLE);
}

Test(rules, hold__lines_of_one_product__are_added_up)
{
    struct arena *a = arena_new();
    struct hold_item items[] = {{"B", 2}, {"A", 1}, {"B", 3}};
    struct list merged = hold_items_merged(a, (struct list){3, items});
    cr_assert_eq(merged.len, 2);
    cr_assert_str_eq(LIST_AT(merged, struct hold_item, 0)->sku, "A");
    cr_assert_eq(LIST_AT(merged, struct hold_item, 0)->quantity, 1);
    cr_assert_str_eq(LIST_AT(merged, struct hold_item, 1)->sku, "B");
    cr_assert_eq(LIST_AT(merged, struct hold_item, 1)->quantity, 5);
    cr_assert_eq(items[0].quantity, 2);
    arena_free(a);
}

static bool awaits(const char *state, const char *ended_by)
{
    const struct hold h = {.state = state, .ended_by = ended_by};
    return hold_awaits_order(&h);
}

Test(rules, hold__ended_by_time_or_checkout__still_awaits_its_order)
{
    cr_assert(hold_awaits_order(NULL));
    cr_assert(awaits("held", NULL));
    cr_assert(awaits("released", "expired"));
    cr_assert(awaits("released", "checkout"));
}

Test(rules, hold__whose_order_was_heard_of__awaits_nothing)
{
    cr_assert_not(awaits("committed", NULL));
    cr_assert_not(awaits("shipped", NULL));
    cr_assert_not(awaits("restocked", "order_cancelled"));
    cr_assert_not(awaits("released", "order_cancelled"));
    cr_assert_not(awaits("released", "no_stock"));
}

/* ---- products ---- */

static struct product sample(void)
{
    return (struct product){.sku = "A",
        .name = "Lamp",
        .description = "Bright",
        .category = "home",
        .price = {900, "USD"},
        .status = "active"};
}

Test(rules, product_change__nothing_given__changes_nothing)
{
    struct product p = sample();
    cr_assert_not(product_change(&p, &(struct product_body){0}));
    cr_assert_str_eq(p.name, "Lamp");
    cr_assert_eq(p.price.amount, 900);
}

Test(rules, product_change__same_values__change_nothing)
{
    struct product p = sample();
    struct product_body same = {
        .name = "Lamp", .description = "Bright", .category = "home", .price = {900, "USD"}};
    cr_assert_not(product_change(&p, &same));
}

Test(rules, product_change__each_member_alone__is_a_change)
{
    const struct product_body bodies[] = {{.name = "Light"}, {.description = ""},
        {.category = "kitchen"}, {.status = "inactive"}, {.price = {901, "USD"}},
        {.price = {900, "EUR"}}};
    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        struct product p = sample();
        cr_assert(product_change(&p, &bodies[i]), "body %zu", i);
        cr_assert_not(product_change(&p, &bodies[i]), "body %zu again", i);
    }
}
