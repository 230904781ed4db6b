#include <criterion/criterion.h>

#include "payment/payment.h"

Test(payment, is_card_number__twelve_to_nineteen_digits__is_true)
{
    cr_assert(payment_is_card_number("411111111111"));
    cr_assert(payment_is_card_number("4111111111111111"));
    cr_assert(payment_is_card_number("4111111111111111111"));
}

Test(payment, is_card_number__digits_in_groups__is_true)
{
    cr_assert(payment_is_card_number("4111 1111 1111 1111"));
    cr_assert(payment_is_card_number("4111-1111-1111-1111"));
}

Test(payment, is_card_number__tokens_and_other_lengths__is_false)
{
    static const char *const texts[] = {
        "", "tok_visa", "41111111111", "41111111111111111111", "tok_4111111111111111", "Visa 1111"};
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        cr_assert_not(payment_is_card_number(texts[i]), "%s", texts[i]);
}

static struct payment payment_in(const char *status, int64_t ordered, bool cancelled)
{
    return (struct payment){.status = status, .ordered = ordered, .cancelled = cancelled};
}

#define cr_assert_task(want, ...)                                                                  \
    do {                                                                                           \
        struct payment p_ = payment_in(__VA_ARGS__);                                               \
        cr_assert_eq(payment_task_of(&p_), (want));                                                \
    } while (0)

Test(payment, task_of__authorized_without_an_order__waits)
{
    cr_assert_task(TASK_NONE, "authorized", -1, false);
}

Test(payment, task_of__authorized_with_an_order__captures)
{
    cr_assert_task(TASK_CAPTURE, "authorized", 100, false);
    cr_assert_task(TASK_CAPTURE, "authorized", 0, false);
}

Test(payment, task_of__undecided__asks_the_bank_first)
{
    cr_assert_task(TASK_RESOLVE, "pending", -1, false);
    cr_assert_task(TASK_RESOLVE, "unknown", 100, false);
}

Test(payment, task_of__cancelled_before_the_capture__voids_even_with_an_order)
{
    cr_assert_task(TASK_VOID, "pending", -1, true);
    cr_assert_task(TASK_VOID, "unknown", 100, true);
    cr_assert_task(TASK_VOID, "authorized", 100, true);
}

Test(payment, task_of__over__does_nothing)
{
    static const char *const statuses[] = {
        "voided", "failed", "captured", "partially_refunded", "refunded"};
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
        cr_assert_task(TASK_NONE, statuses[i], 100, false);
        cr_assert_task(TASK_NONE, statuses[i], 100, true);
    }
}

Test(payment, task_of__cancelled_after_the_capture__refunds_until_nothing_is_left)
{
    struct payment p = payment_in("captured", 100, true);
    p.captured = 100;
    cr_assert_eq(payment_task_of(&p), TASK_REFUND_REST);
    p.refunding = 60;
    p.refunded = 30;
    cr_assert_eq(payment_refundable(&p), 10);
    cr_assert_eq(payment_task_of(&p), TASK_REFUND_REST);
    p.refunding = 70;
    cr_assert_eq(payment_task_of(&p), TASK_NONE);
}

Test(payment, capture_amount__order_is_dearer_than_authorized__is_what_was_authorized)
{
    cr_assert_eq(payment_capture_amount(120, 100), 100);
    cr_assert_eq(payment_capture_amount(100, 100), 100);
    cr_assert_eq(payment_capture_amount(80, 100), 80);
}

Test(payment, retry_delay__attempts__doubles_up_to_half_a_minute)
{
    static const int64_t want[] = {1, 1, 2, 4, 8, 16, 30, 30};
    for (size_t i = 0; i < ARRAY_SIZE(want); i++)
        cr_assert_eq(payment_retry_delay_s((int64_t)i), want[i]);
    cr_assert_eq(payment_retry_delay_s(INT64_MAX), 30);
}

Test(payment, is_undecided__only_pending_and_unknown__is_true)
{
    cr_assert(payment_is_undecided("pending"));
    cr_assert(payment_is_undecided("unknown"));
    cr_assert_not(payment_is_undecided("authorized"));
    cr_assert_not(payment_is_undecided("failed"));
}

Test(payment, was_declined__the_bank_refused_the_card__is_true)
{
    cr_assert(
        payment_was_declined(&(struct payment){.status = "failed", .reason = "do_not_honor"}));
    cr_assert(payment_was_declined(&(struct payment){.status = "failed"}));
}

Test(payment, was_declined__the_bank_was_away_or_it_is_not_over__is_false)
{
    cr_assert_not(
        payment_was_declined(&(struct payment){.status = "failed", .reason = NOT_PROCESSED}));
    cr_assert_not(payment_was_declined(&(struct payment){.status = "unknown"}));
    cr_assert_not(
        payment_was_declined(&(struct payment){.status = "voided", .reason = "checkout_failed"}));
}
