#include <criterion/criterion.h>

#include "ctl/facts.h"
#include "ctl/proof.h"

#define GRACE_US (30 * USEC_PER_SEC)

static const struct sighting old = {.published = true, .age_us = 60 * USEC_PER_SEC};

static enum proof_state judged(struct sighting s)
{
    return proof_judge(&s, GRACE_US);
}

Test(proof, judge__old_and_nowhere__is_a_gap)
{
    cr_assert_eq(judged(old), PROOF_GAP);
}

Test(proof, judge__handled__counts_before_all_else)
{
    struct sighting s = old;
    s.handled = s.dead = s.retrying = s.queued = true;
    cr_assert_eq(judged(s), PROOF_HANDLED);
    s.published = false; /* the relay died between the confirm and its mark */
    cr_assert_eq(judged(s), PROOF_HANDLED);
}

Test(proof, judge__dead_letter__is_dead_however_young_or_full_the_queue)
{
    struct sighting s = old;
    s.dead = s.queued = true;
    cr_assert_eq(judged(s), PROOF_DEAD);
    s.age_us = 0;
    cr_assert_eq(judged(s), PROOF_DEAD);
}

Test(proof, judge__held_by_the_broker_or_young_or_unpublished__is_under_way)
{
    struct sighting tier = old, queue = old, young = old, waiting = old;
    tier.retrying = true;
    queue.queued = true;
    young.age_us = GRACE_US - 1;
    waiting.published = false;
    cr_assert_eq(judged(tier), PROOF_UNDER_WAY);
    cr_assert_eq(judged(queue), PROOF_UNDER_WAY);
    cr_assert_eq(judged(young), PROOF_UNDER_WAY);
    cr_assert_eq(judged(waiting), PROOF_UNDER_WAY);
    young.age_us = GRACE_US;
    cr_assert_eq(judged(young), PROOF_GAP);
}

Test(proof, sums__gaps_and_late_events__are_counted_together)
{
    struct proof_event kept[2] = {{.late = true}, {.row.published_us = 1}};
    struct proof p = {.kept = kept, .kept_count = 2, .unpublished = 1};
    p.tally[1].gaps = 2;
    cr_assert_eq(proof_gaps(&p), 3);
    cr_assert_not(proof_at_rest(&p));
    p.set_aside = 1; /* for somebody, not for the broker */
    cr_assert(proof_at_rest(&p));
    p.tally[4].under_way = 1;
    cr_assert_not(proof_at_rest(&p));
}

Test(proof, missing__only_what_was_published__is_looked_for)
{
    struct proof_event kept[2] = {{.row.published_us = 0}, {.row.published_us = 1}};
    struct proof p = {.kept = kept, .kept_count = 2};
    kept[0].marks[0].state = PROOF_GAP;
    kept[1].marks[0].state = PROOF_HANDLED;
    cr_assert_eq(proof_missing(&p), 0);
    kept[1].marks[2].state = PROOF_GAP;
    cr_assert_eq(proof_missing(&p), 1U << 2);
    p.tally[5].unnamed_missing = 1;
    cr_assert_eq(proof_missing(&p), 1U << 2 | 1U << 5);
}

Test(whereabouts, find__after_sorting__each_letter_and_no_other)
{
    struct arena *a = arena_new();
    struct held_list list = {0};
    cr_assert_null(whereabouts_find(&list, "b"));
    for (int i = 199; i >= 0; i -= 2)
        whereabouts_add(a, &list, &(struct held_letter){arena_printf(a, "%03d", i), "code", i});
    whereabouts_sort(&list);
    cr_assert_eq(list.count, 100);
    for (int i = 0; i < 200; i++) {
        const struct held_letter *found = whereabouts_find(&list, arena_printf(a, "%03d", i));
        cr_assert_eq(found != NULL, i % 2 == 1, "%d", i);
        cr_assert(!found || found->failed_us == i);
    }
    arena_free(a);
}

Test(facts, payload__known_ids_left_out__money_for_people)
{
    struct arena *a = arena_new();
    struct span p = SPAN("{\"orderId\":\"o1\",\"userId\":\"u1\",\"userEmail\":\"a@b.example\","
                         "\"totalAmount\":1205,\"currency\":\"USD\",\"items\":[{\"sku\":\"A\"}]}");
    cr_assert_str_eq(facts_of_payload(a, p, NULL), "order=o1 total=12.05 USD items=1");
    cr_assert_str_eq(facts_of_payload(a, p, "o1"), "total=12.05 USD items=1");
    cr_assert_str_eq(facts_order(a, p), "o1");
    cr_assert_null(facts_order(a, SPAN("{}")));
    arena_free(a);
}

Test(facts, payload__strange_or_broken__is_harmless)
{
    struct arena *a = arena_new();
    cr_assert_str_eq(facts_of_payload(a, SPAN("[1"), NULL), "");
    cr_assert_str_eq(facts_of_payload(a, SPAN("{\"reason\":\"\\u001b[2J\"}"), NULL), "reason=?[2J");
    cr_assert_str_eq(
        facts_of_payload(a, SPAN("{\"amount\":7,\"currency\":\"doubloons\"}"), NULL), "amount=7");
    cr_assert_str_eq(
        facts_of_body(a, SPAN("{\"payload\":{\"status\":\"paid\"}}"), NULL), "status=paid");
    cr_assert_str_eq(facts_of_body(a, SPAN("{}"), NULL), "");
    arena_free(a);
}
