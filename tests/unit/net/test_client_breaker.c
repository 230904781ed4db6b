#include <criterion/criterion.h>

#include "common/net/client_breaker.h"

#define MS USEC_PER_MS

static void fail(struct breaker *b, unsigned times, int64_t now)
{
    for (unsigned i = 0; i < times; i++)
        breaker_record(b, breaker_admit(b, now), BREAKER_BAD, now);
}

Test(client_breaker, half_of_the_window_failed__opens)
{
    struct breaker b;
    breaker_init(&b, 20, 1000 * MS);
    fail(&b, 9, 0);
    cr_assert_eq(breaker_state(&b, 0), HTTP_BREAKER_CLOSED);
    cr_assert(breaker_record(&b, breaker_admit(&b, 0), BREAKER_BAD, 0), "tells that it changed");
    cr_assert_eq(breaker_state(&b, 0), HTTP_BREAKER_OPEN);
    cr_assert_eq(breaker_admit(&b, 999 * MS), BREAKER_SHUT);
}

Test(client_breaker, failures_outside_of_the_window__are_forgotten)
{
    struct breaker b;
    breaker_init(&b, 4, MS);
    for (unsigned i = 0; i < 100; i++) {
        fail(&b, 1, 0);
        for (unsigned k = 0; k < 3; k++)
            breaker_record(&b, breaker_admit(&b, 0), BREAKER_GOOD, 0);
    }
    cr_assert_eq(breaker_state(&b, 0), HTTP_BREAKER_CLOSED);
}

Test(client_breaker, widest_and_narrowest_window__work)
{
    struct breaker b;
    breaker_init(&b, 64, MS);
    fail(&b, 31, 0);
    cr_assert_eq(breaker_state(&b, 0), HTTP_BREAKER_CLOSED);
    fail(&b, 1, 0);
    cr_assert_eq(breaker_state(&b, 0), HTTP_BREAKER_OPEN);
    breaker_init(&b, 1, MS);
    fail(&b, 1, 0);
    cr_assert_eq(breaker_state(&b, 0), HTTP_BREAKER_OPEN);
}

Test(client_breaker, open_time_over__lets_a_single_probe_pass)
{
    struct breaker b;
    breaker_init(&b, 2, 10 * MS);
    fail(&b, 1, 0);
    cr_assert_eq(breaker_state(&b, 10 * MS), HTTP_BREAKER_HALF_OPEN);
    cr_assert_eq(breaker_admit(&b, 10 * MS), BREAKER_PROBE);
    cr_assert(breaker_is_shut(&b, 10 * MS));
    cr_assert_eq(breaker_admit(&b, 10 * MS), BREAKER_SHUT);
    cr_assert(breaker_record(&b, BREAKER_PROBE, BREAKER_GOOD, 11 * MS));
    cr_assert_eq(breaker_state(&b, 11 * MS), HTTP_BREAKER_CLOSED);
    cr_assert_eq(breaker_admit(&b, 11 * MS), BREAKER_PASS);
}

Test(client_breaker, probe_failed__stays_open_twice_as_long_up_to_the_limit)
{
    struct breaker b;
    int64_t now = 0, open = 1000 * MS;
    breaker_init(&b, 1, open);
    fail(&b, 1, now);
    for (unsigned i = 0; i < 10; i++) {
        cr_assert_eq(breaker_state(&b, now + open - 1), HTTP_BREAKER_OPEN);
        now += open;
        cr_assert_eq(breaker_admit(&b, now), BREAKER_PROBE);
        breaker_record(&b, BREAKER_PROBE, BREAKER_BAD, now);
        open = open * 2 < BREAKER_OPEN_MAX_US ? open * 2 : BREAKER_OPEN_MAX_US;
    }
    cr_assert_eq(open, BREAKER_OPEN_MAX_US);
    cr_assert_eq(breaker_admit(&b, now + open), BREAKER_PROBE);
    breaker_record(&b, BREAKER_PROBE, BREAKER_GOOD, now + open);
    fail(&b, 1, now + open);
    cr_assert_eq(breaker_state(&b, now + open + 1000 * MS), HTTP_BREAKER_HALF_OPEN,
        "a recovery forgets the doubling");
}

Test(client_breaker, probe_without_a_verdict__leaves_the_probe_to_the_next)
{
    struct breaker b;
    breaker_init(&b, 1, MS);
    fail(&b, 1, 0);
    cr_assert_eq(breaker_admit(&b, MS), BREAKER_PROBE);
    cr_assert_not(breaker_record(&b, BREAKER_PROBE, BREAKER_NONE, MS));
    cr_assert_eq(breaker_admit(&b, MS), BREAKER_PROBE);
}

Test(client_breaker, late_results_of_calls_from_before__do_not_touch_an_open_breaker)
{
    struct breaker b;
    breaker_init(&b, 2, 10 * MS);
    enum breaker_pass early = breaker_admit(&b, 0), other = breaker_admit(&b, 0);
    fail(&b, 1, 0);
    breaker_record(&b, early, BREAKER_GOOD, 5 * MS);
    breaker_record(&b, other, BREAKER_BAD, 5 * MS);
    cr_assert_eq(breaker_state(&b, 9 * MS), HTTP_BREAKER_OPEN);
    cr_assert_eq(breaker_state(&b, 10 * MS), HTTP_BREAKER_HALF_OPEN);
}

Test(retry_budget, spent__is_earned_back_by_first_attempts)
{
    struct retry_budget b;
    retry_budget_init(&b, 0.25);
    for (unsigned i = 0; i < 10; i++)
        cr_assert(retry_budget_spend(&b));
    cr_assert_not(retry_budget_spend(&b));
    for (unsigned i = 0; i < 4; i++)
        retry_budget_earn(&b);
    cr_assert(retry_budget_spend(&b));
    cr_assert_not(retry_budget_spend(&b));
}

Test(retry_budget, long_peace__keeps_no_more_than_the_burst)
{
    struct retry_budget b;
    retry_budget_init(&b, 1);
    for (unsigned i = 0; i < 1000; i++)
        retry_budget_earn(&b);
    unsigned spent = 0;
    while (retry_budget_spend(&b))
        spent++;
    cr_assert_eq(spent, 10);
}
