#include <criterion/criterion.h>

#include "common/base/bucket.h"
#include "common/base/clock.h"

#define S USEC_PER_SEC

Test(bucket, when_empty__says_how_long_to_wait)
{
    struct bucket b = {0};
    for (int i = 0; i < 3; i++)
        cr_assert_eq(bucket_take(&b, 3, 60, 100 * S), 0);
    int64_t wait_ms = bucket_take(&b, 3, 60, 100 * S);
    cr_assert(wait_ms >= 1000 && wait_ms <= 1001, "%lld", (long long)wait_ms);
    wait_ms = bucket_take(&b, 3, 60, 100 * S + S / 2);
    cr_assert(wait_ms >= 500 && wait_ms <= 501, "%lld", (long long)wait_ms);
}

Test(bucket, after_the_wait_it_named__gives_one_token)
{
    struct bucket b = {0};
    int64_t now_us = 100 * S, wait_ms;
    while ((wait_ms = bucket_take(&b, 5, 7, now_us)) == 0)
        continue;
    now_us += wait_ms * USEC_PER_MS;
    cr_assert_eq(bucket_take(&b, 5, 7, now_us), 0);
    cr_assert_gt(bucket_take(&b, 5, 7, now_us), 0);
}

Test(bucket, long_unused__is_full_and_no_fuller)
{
    struct bucket b = {0};
    int taken = 0;
    cr_assert_eq(bucket_take(&b, 4, 2, 100 * S), 0);
    for (int64_t now_us = INT64_MAX / 2; bucket_take(&b, 4, 2, now_us) == 0;)
        taken++;
    cr_assert_eq(taken, 4);
}

Test(bucket, clock_stepped_back__is_full_again)
{
    struct bucket b = {0};
    while (bucket_take(&b, 2, 1, 100 * S) == 0)
        continue;
    cr_assert_eq(bucket_take(&b, 2, 1, 50 * S), 0);
}

Test(bucket, says_how_many_are_left)
{
    struct bucket b = {0};
    cr_assert_eq(bucket_take(&b, 3, 60, 100 * S), 0);
    cr_assert_eq(bucket_whole(&b), 2);
    cr_assert_eq(bucket_take(&b, 3, 60, 100 * S + S / 2), 0);
    cr_assert_eq(bucket_whole(&b), 1, "a half is none");
}
