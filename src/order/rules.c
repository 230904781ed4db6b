/* The life of an order, as pure functions.
 *
 *     created -> paid -> confirmed -> shipped -> completed
 *
 * `paid` and `confirmed` are facts told by payment and seller; they may arrive in either order.
 * People move an order to shipped, completed or cancelled. Money back after the capture makes it
 * (partially) refunded, except that a cancelled order stays cancelled. */

#include <errno.h>

#include "order/order.h"

static const struct {
    const char *from, *to;
} transitions[] = {
    {"created", "paid"},
    {"created", "payment_failed"},
    {"created", "cancelled"},
    {"paid", "confirmed"},
    {"paid", "cancelled"},
    {"confirmed", "shipped"},
    {"confirmed", "cancelled"},
    {"shipped", "completed"},
    {"confirmed", "partially_refunded"},
    {"confirmed", "refunded"},
    {"shipped", "partially_refunded"},
    {"shipped", "refunded"},
    {"completed", "partially_refunded"},
    {"completed", "refunded"},
    {"partially_refunded", "refunded"},
};

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool order_may_become(const char *from, const char *to)
{
    for (size_t i = 0; i < ARRAY_SIZE(transitions); i++)
        if (same(transitions[i].from, from) && same(transitions[i].to, to))
            return true;
    return false;
}

bool order_person_may_set(const char *to)
{
    return same(to, "shipped") || same(to, "completed") || same(to, "cancelled");
}

void order_next_statuses(struct json_writer *w, const char *from)
{
    json_array_begin(w);
    for (size_t i = 0; i < ARRAY_SIZE(transitions); i++)
        if (same(transitions[i].from, from) && order_person_may_set(transitions[i].to))
            json_text(w, transitions[i].to);
    json_array_end(w);
}

const char *order_status_by_facts(const char *current, bool paid, bool stock_committed)
{
    if (same(current, "created") && paid)
        return "paid";
    if (same(current, "paid") && stock_committed)
        return "confirmed";
    return current;
}

bool order_is_open(const char *status)
{
    return same(status, "created") || same(status, "paid") || same(status, "confirmed");
}

const char *order_status_after_refund(const char *current, int64_t total, int64_t refunded)
{
    const char *to = refunded >= total ? "refunded" : "partially_refunded";
    return order_may_become(current, to) ? to : current;
}

int order_lines_total(struct list items, struct money *ret_total)
{
    struct money sum = {0};
    for (size_t i = 0; i < items.len; i++) {
        const struct order_item *item = LIST_AT(items, struct order_item, i);
        struct money line;
        TRY(money_multiply(&item->unit_price, item->quantity, &line));
        if (i == 0)
            sum = line;
        else
            TRY(money_add(&sum, &line, &sum));
    }
    *ret_total = sum;
    return 0;
}

bool order_sold_by(struct list items, const char *seller_id, bool *ret_all)
{
    size_t own = 0;
    for (size_t i = 0; i < items.len; i++)
        own += same(LIST_AT(items, struct order_item, i)->seller_id, seller_id);
    *ret_all = own > 0 && own == items.len;
    return own > 0;
}

const struct event_kind *order_event_for(const char *status)
{
    if (same(status, "created"))
        return &EVENT_ORDER_CREATED;
    if (same(status, "shipped"))
        return &EVENT_ORDER_SHIPPED;
    if (same(status, "completed"))
        return &EVENT_ORDER_COMPLETED;
    if (same(status, "cancelled") || same(status, "payment_failed"))
        return &EVENT_ORDER_CANCELLED;
    if (same(status, "refunded") || same(status, "partially_refunded"))
        return &EVENT_ORDER_REFUNDED;
    return &EVENT_ORDER_UPDATED;
}
