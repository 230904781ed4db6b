#include <criterion/criterion.h>

#include <string.h>

#include "common/app/fresh.h"

/* A transaction of at most three events, of the aggregates "a", "b" … in `aggregates`. */
struct transaction {
    struct fresh_events events;
    struct fresh_event each[3];
    char texts[3][2];
};

static struct fresh_events *transaction(struct transaction *t, const char *aggregates)
{
    *t = (struct transaction){0};
    t->events.end = &t->events.first;
    for (size_t i = 0; aggregates[i]; i++) {
        t->texts[i][0] = aggregates[i];
        t->each[i].row = (struct outbox_row){.event_id = t->texts[i],
            .type = "order.created",
            .aggregate_id = t->texts[i],
            .correlation_id = "c",
            .body = "{}",
            .created_at = 7};
        *t->events.end = &t->each[i];
        t->events.end = &t->each[i].next;
    }
    return &t->events;
}

/* The aggregates in the list, in its order; empties it. */
static const char *taken(size_t limit)
{
    static char text[32];
    size_t count, n = 0;
    struct fresh_event *list = fresh_take(limit, &count);
    for (const struct fresh_event *e = list; e; e = e->next)
        text[n++] = e->row.aggregate_id[0];
    text[n] = 0;
    cr_assert_eq(n, count);
    fresh_free(list);
    return text;
}

static void commit(const char *aggregates)
{
    struct transaction t;
    fresh_announce(transaction(&t, aggregates));
    fresh_settle(&t.events, true);
    memset(&t, 'x', sizeof(t)); /* it was copied */
}

Test(fresh, what_was_committed__comes_out_in_that_order)
{
    fresh_begin(true);
    commit("ab");
    commit("c");
    commit("def");
    cr_assert_eq(fresh_count(), 6);
    cr_assert_str_eq(taken(4), "abcd");
    commit("a");
    cr_assert_str_eq(taken(10), "efa");
    cr_assert_str_eq(taken(10), "");
    cr_assert_not(fresh_missed());
    commit("b");
    cr_assert_str_eq(taken(10), "b");
}

Test(fresh, what_was_rolled_back__is_in_nobodys_way)
{
    struct transaction t;
    fresh_begin(true);
    fresh_announce(transaction(&t, "a"));
    fresh_settle(&t.events, false);
    cr_assert_eq(fresh_count(), 0);
    cr_assert_not(fresh_missed());
    commit("a");
    cr_assert_str_eq(taken(10), "a");
}

Test(fresh, of_two_that_may_have_crossed__the_first_to_be_told_is_left_to_the_outbox)
{
    struct transaction early, late, other;
    fresh_begin(true);
    fresh_announce(transaction(&early, "ab"));
    fresh_announce(transaction(&other, "c"));
    fresh_announce(transaction(&late, "db"));
    fresh_settle(&late.events, true); /* perhaps behind `early`, whose answer is on its way */
    cr_assert_eq(fresh_count(), 0);
    cr_assert(fresh_missed());
    fresh_settle(&other.events, true);
    fresh_settle(&early.events, true);
    commit("b");
    cr_assert_str_eq(taken(10), "", "nothing overtakes what is not here");
    fresh_begin(true);
    cr_assert_not(fresh_missed());
    commit("b");
    cr_assert_str_eq(taken(10), "b");
}

Test(fresh, a_commit_in_doubt__leaves_all_that_follows_to_the_outbox)
{
    struct transaction t;
    fresh_begin(true);
    fresh_announce(transaction(&t, "a"));
    fresh_doubt(&t.events);
    cr_assert(fresh_missed());
    fresh_begin(true); /* a look, which may have come before it */
    commit("a");
    cr_assert_eq(fresh_count(), 0);
    cr_assert(fresh_missed());
}

Test(fresh, while_it_is_closed__everything_is_missed)
{
    fresh_begin(false);
    commit("a");
    cr_assert_eq(fresh_count(), 0);
    cr_assert(fresh_missed());
    cr_assert_not(fresh_is_open());
}

Test(fresh, more_than_it_holds__is_missed_but_not_what_it_has)
{
    fresh_begin(true);
    for (int i = 0; i < 5000 && !fresh_missed(); i++)
        commit("a");
    cr_assert(fresh_missed());
    cr_assert(fresh_count() >= 1000 && fresh_count() < 5000);
    fresh_begin(true);
    cr_assert_eq(fresh_count(), 0);
}

Test(fresh, what_has_gone_another_way__is_dropped_wherever_it_stands)
{
    fresh_begin(true);
    commit("abc");
    cr_assert(fresh_forget("c"));
    cr_assert(fresh_forget("a"));
    cr_assert_not(fresh_forget("z"));
    commit("d");
    cr_assert_eq(fresh_count(), 2);
    cr_assert_str_eq(taken(10), "bd");
}
