/* The life of a payment, as pure functions.
 *
 *     pending -> authorized -> captured -> partially_refunded -> refunded
 *        |           |
 *        +-> unknown +-> voided
 *        +-> failed
 *
 * A row's status says what the bank did. Beside it stand two wishes that events and requests write
 * and never take back: `ordered` (the order exists, capture it) and `cancelled` (give everything
 * back). What is to be done next follows from the three; giving back wins. */

#include "payment/payment.h"

#define CARD_DIGITS_MIN 12
#define CARD_DIGITS_MAX 19
#define RETRY_MAX_S     30

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

bool payment_is_card_number(const char *text)
{
    unsigned digits = 0;
    for (const char *c = text; *c; c++) {
        if (*c >= '0' && *c <= '9')
            digits++;
        else if (*c != ' ' && *c != '-')
            return false;
    }
    return digits >= CARD_DIGITS_MIN && digits <= CARD_DIGITS_MAX;
}

bool payment_is_undecided(const char *status)
{
    return same(status, "pending") || same(status, "unknown");
}

bool payment_was_declined(const struct payment *p)
{
    return same(p->status, "failed") && !(p->reason && same(p->reason, NOT_PROCESSED));
}

enum payment_task payment_task_of(const struct payment *p)
{
    bool undecided = payment_is_undecided(p->status), authorized = same(p->status, "authorized");
    if (p->cancelled && (undecided || authorized))
        return TASK_VOID;
    if (p->cancelled)
        return payment_refundable(p) > 0 ? TASK_REFUND_REST : TASK_NONE;
    if (undecided)
        return TASK_RESOLVE;
    return authorized && p->ordered >= 0 ? TASK_CAPTURE : TASK_NONE;
}

int64_t payment_capture_amount(int64_t ordered, int64_t authorized)
{
    return ordered < authorized ? ordered : authorized;
}

int64_t payment_refundable(const struct payment *p)
{
    return p->captured - p->refunded - p->refunding;
}

int64_t payment_retry_delay_s(int64_t attempts)
{
    int64_t delay_s = 1;
    for (int64_t i = 1; i < attempts && delay_s < RETRY_MAX_S; i++)
        delay_s *= 2;
    return delay_s < RETRY_MAX_S ? delay_s : RETRY_MAX_S;
}
