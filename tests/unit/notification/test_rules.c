#include <criterion/criterion.h>

#include "common/base/arena.h"
#include "notification/notification.h"

Test(notification, pause__doubles_from_five_seconds_to_half_an_hour)
{
    cr_assert_eq(delivery_pause_us(1), 5 * USEC_PER_SEC);
    cr_assert_eq(delivery_pause_us(2), 10 * USEC_PER_SEC);
    cr_assert_eq(delivery_pause_us(9), 1280 * USEC_PER_SEC);
    cr_assert_eq(delivery_pause_us(10), 1800 * USEC_PER_SEC);
    cr_assert_eq(delivery_pause_us(INT64_MAX), 1800 * USEC_PER_SEC);
}

Test(notification, pause__before_any_attempt__is_the_shortest)
{
    cr_assert_eq(delivery_pause_us(0), 5 * USEC_PER_SEC);
}

Test(notification, fate__of_a_success__is_sent_whatever_the_attempt)
{
    cr_assert_eq(delivery_fate(0, 1), DELIVERY_SENT);
    cr_assert_eq(delivery_fate(0, DELIVERY_ATTEMPTS + 1), DELIVERY_SENT);
}

Test(notification, fate__of_a_refusal__is_failed_at_once)
{
    cr_assert_eq(delivery_fate(CHANNEL_REFUSED, 1), DELIVERY_FAILED);
}

Test(notification, fate__of_a_failure__is_again_until_the_last_attempt)
{
    cr_assert_eq(delivery_fate(ERR_UNAVAILABLE, 1), DELIVERY_AGAIN);
    cr_assert_eq(delivery_fate(ERR_UNKNOWN, DELIVERY_ATTEMPTS - 1), DELIVERY_AGAIN);
    cr_assert_eq(delivery_fate(ERR_UNKNOWN, DELIVERY_ATTEMPTS), DELIVERY_FAILED);
}

Test(notification, message_id__made_twice__is_the_same_and_of_the_sender)
{
    struct arena *a = arena_new();
    const char *id = delivery_message_id(a, "e1", "welcome", "shop@souk.example");
    cr_assert_str_eq(id, "<e1.welcome@souk.example>");
    cr_assert_str_eq(delivery_message_id(a, "e1", "welcome", "shop@souk.example"), id);
    cr_assert_str_eq(delivery_message_id(a, "e1", "welcome", "nobody"), "<e1.welcome@localhost>");
    arena_free(a);
}
