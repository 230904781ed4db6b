#include <criterion/criterion.h>
#include <stdio.h>

#include "load/tally.h"

static void good(struct tally *t, const char *series, int64_t us)
{
    tally_answer(t, tally_series(t, series), ANSWER_GOOD, "200", SPAN(""), us);
}

Test(tally, tick__closes_a_second__and_keeps_its_own_percentiles)
{
    struct tally t = {0};
    good(&t, "add", 100);
    tally_tick(&t);
    good(&t, "add", 200);
    good(&t, "late", 50);
    tally_tick(&t);
    const struct series *add = tally_find(&t, "add"), *late = tally_find(&t, "late");
    cr_assert_eq(add->moments_count, 2);
    cr_assert_eq(add->moments[0].p99_us, 100);
    cr_assert_eq(add->moments[1].p99_us, 200);
    cr_assert_eq(add->all.count, 2);
    /* What began later stands in the same second as the others. */
    cr_assert_eq(late->moments_count, 2);
    cr_assert_eq(late->moments[0].good, 0);
    cr_assert_eq(late->moments[1].good, 1);
    tally_deinit(&t);
}

Test(tally, answer__that_is_wrong__is_counted_by_outcome_and_shows_the_first)
{
    struct tally t = {0};
    struct series *s = tally_series(&t, "add");
    tally_answer(&t, s, ANSWER_WRONG, "500 internal", SPAN("first"), 10);
    tally_answer(&t, s, ANSWER_WRONG, "500 internal", SPAN("second"), 10);
    tally_answer(&t, s, ANSWER_LOST, "timeout", SPAN(""), 10);
    tally_answer(&t, s, ANSWER_AGAIN, "409 in_use", SPAN(""), 10);
    good(&t, "visit.buy", 5);
    tally_tick(&t);
    cr_assert_eq(s->outcomes_count, 3);
    cr_assert_eq(s->outcomes[0].count, 2);
    cr_assert_str_eq(s->outcomes[0].sample, "first");
    cr_assert_eq(s->all.count, 0, "only good answers have times");
    cr_assert_eq(tally_count(&t, true), 3);
    cr_assert_eq(tally_count(&t, false), 4, "visits are not answers");
    tally_deinit(&t);
}

Test(tally, answer__with_more_outcomes_than_places__counts_all_the_same)
{
    struct tally t = {0};
    struct series *s = tally_series(&t, "add");
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "%d", 400 + i);
        tally_answer(&t, s, ANSWER_WRONG, name, SPAN(""), 1);
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < s->outcomes_count; i++)
        sum += s->outcomes[i].count;
    cr_assert_eq(s->outcomes_count, TALLY_OUTCOMES);
    cr_assert_eq(sum, 100);
    cr_assert_str_eq(s->outcomes[TALLY_OUTCOMES - 1].name, "others");
    tally_deinit(&t);
}

Test(tally, promise__broken_once__says_how)
{
    struct tally t = {0};
    tally_promise(&t, "one order", true, "-");
    tally_promise(&t, "one order", false, "%d orders", 2);
    tally_promise(&t, "one order", false, "%d orders", 3);
    cr_assert_eq(tally_broken(&t), 2);
    cr_assert_eq(t.promises[0].kept, 1);
    cr_assert_str_eq(t.promises[0].sample, "2 orders");
    tally_deinit(&t);
}
