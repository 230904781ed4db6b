#include <criterion/criterion.h>
#include <errno.h>

#include "order/order.h"

static const char *const all[] = {"created", "paid", "confirmed", "shipped", "completed",
    "cancelled", "payment_failed", "refunded", "partially_refunded"};

static unsigned reachable(const char *from)
{
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        n += order_may_become(from, all[i]);
    return n;
}

Test(order, may_become__along_the_usual_life__is_allowed)
{
    cr_assert(order_may_become("created", "paid"));
    cr_assert(order_may_become("paid", "confirmed"));
    cr_assert(order_may_become("confirmed", "shipped"));
    cr_assert(order_may_become("shipped", "completed"));
}

Test(order, may_become__backwards_or_in_place__is_refused)
{
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        cr_assert_not(order_may_become(all[i], all[i]), "%s", all[i]);
    cr_assert_not(order_may_become("paid", "created"));
    cr_assert_not(order_may_become("completed", "shipped"));
    cr_assert_not(order_may_become("shipped", "cancelled"));
}

Test(order, may_become__from_an_end__leads_nowhere)
{
    cr_assert_eq(reachable("cancelled"), 0);
    cr_assert_eq(reachable("payment_failed"), 0);
    cr_assert_eq(reachable("refunded"), 0);
}

Test(order, person__may_set__only_shipped_completed_cancelled)
{
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        n += order_person_may_set(all[i]);
    cr_assert_eq(n, 3);
    cr_assert_not(order_person_may_set("paid"));
    cr_assert_not(order_person_may_set("confirmed"));
}

Test(order, facts__in_either_order__end_confirmed)
{
    cr_assert_str_eq(order_status_by_facts("created", true, false), "paid");
    cr_assert_str_eq(order_status_by_facts("paid", true, true), "confirmed");
    cr_assert_str_eq(order_status_by_facts("created", false, true), "created");
    cr_assert_str_eq(order_status_by_facts("created", true, true), "paid");
}

Test(order, facts__after_a_cancellation__change_nothing)
{
    cr_assert_str_eq(order_status_by_facts("cancelled", true, true), "cancelled");
    cr_assert_str_eq(order_status_by_facts("shipped", true, true), "shipped");
}

Test(order, refund__of_all__is_refunded__of_a_part__partially)
{
    cr_assert_str_eq(order_status_after_refund("confirmed", 1000, 1000), "refunded");
    cr_assert_str_eq(order_status_after_refund("completed", 1000, 1), "partially_refunded");
    cr_assert_str_eq(order_status_after_refund("partially_refunded", 1000, 1000), "refunded");
    cr_assert_str_eq(order_status_after_refund("cancelled", 1000, 1000), "cancelled");
}

Test(order, open__until_shipped)
{
    cr_assert(order_is_open("created") && order_is_open("paid") && order_is_open("confirmed"));
    cr_assert_not(order_is_open("shipped") || order_is_open("cancelled"));
}

static struct order_item line(int64_t quantity, int64_t amount, const char *currency)
{
    struct order_item item = {.sku = "A", .name = "A", .quantity = quantity};
    item.unit_price.amount = amount;
    strcpy(item.unit_price.currency, currency);
    return item;
}

Test(order, lines_total__is_the_sum_of_quantity_times_price)
{
    struct order_item items[] = {line(2, 1050, "USD"), line(1, 99, "USD")};
    struct money total;
    cr_assert_eq(order_lines_total((struct list){2, items}, &total), 0);
    cr_assert_eq(total.amount, 2199);
    cr_assert_str_eq(total.currency, "USD");
}

Test(order, lines_total__of_mixed_currencies_or_overflow__fails)
{
    struct order_item mixed[] = {line(1, 1, "USD"), line(1, 1, "EUR")};
    struct order_item huge[] = {line(999, INT64_MAX / 2, "USD")};
    struct money total;
    cr_assert_eq(order_lines_total((struct list){2, mixed}, &total), -EINVAL);
    cr_assert_eq(order_lines_total((struct list){1, huge}, &total), -ERANGE);
}

Test(order, event_for__each_status__is_one_that_the_service_publishes)
{
    cr_assert_str_eq(order_event_for("paid")->type, "order.updated");
    cr_assert_str_eq(order_event_for("shipped")->type, "order.shipped");
    cr_assert_str_eq(order_event_for("payment_failed")->type, "order.cancelled");
    cr_assert_str_eq(order_event_for("partially_refunded")->type, "order.refunded");
}

Test(rules, order__lines_of_two_sellers__are_sold_by_each_in_part)
{
    struct order_item items[] = {{.seller_id = "s1"}, {.seller_id = "s2"}};
    bool whole = true;
    cr_assert(order_sold_by((struct list){2, items}, "s1", &whole));
    cr_assert_not(whole);
    cr_assert(order_sold_by((struct list){1, items}, "s1", &whole));
    cr_assert(whole);
    cr_assert_not(order_sold_by((struct list){2, items}, "s3", &whole));
    cr_assert_not(whole);
}
