#include "fixture.h"

#include "common/app/fresh.h"
#include "common/app/outbox.h"

/* Events of one aggregate leave in the order of their commits, whatever we hear of those. */

static void prepare(void)
{
    frame_prepare();
}
TestSuite(order, .init = prepare, .fini = frame_clear);

static int commit_result = 1;

/* A commit that outlives our patience: it happens after we have given up on it. */
static void commit_in_doubt(void *arg)
{
    struct work work = {.correlation_id = "doubt"};
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    work_begin(&work);
    cr_assert_eq(pg_begin(app()->pg, &tx), 0);
    cr_assert_eq(pg_queue(tx, &frame_statements[SQL_SLEEP], PG_ARGS(PG_REAL(0.25))), 0);
    cr_assert_eq(outbox_add(tx, &happened, "x", &(struct happened){"well", 1}), 0);
    int64_t outer = fiber_deadline_push(clock_mono_us() + 100 * USEC_PER_MS);
    commit_result = pg_commit(tx);
    fiber_deadline_pop(outer);
    work_end();
}

static void follow_a_commit_in_doubt(void)
{
    cr_assert_eq(outbox_start(), 0);
    cr_assert(EVENTUALLY(fresh_is_open(), 5000));
    for (int round = 0; round < 4; round++) {
        struct fiber *f;
        publish_happened("well", 0);
        sleep_ms(70 * round);
        cr_assert_eq(fiber_spawn(app()->loop, "doubt", commit_in_doubt, NULL, &f), 0);
        cr_assert_eq(fiber_join(f, in_ms(5000)), 0);
        cr_assert_eq(commit_result, ERR_UNKNOWN);
        while (count_of("outbox WHERE aggregate_id = 'x' AND "
                        "body::jsonb->'payload'->>'number' = '1'") <= round)
            ; /* the loop sleeps meanwhile: the relay can't look just now */
        publish_event(&happened, "x", &(struct happened){"well", 2});
        cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 5000));
    }
    cr_assert_eq(inbox_start(), 0);
    cr_assert(EVENTUALLY(count_of("effects WHERE aggregate = 'x'") == 8, 20000));
    cr_assert_str_eq(pg_server_exec("SELECT string_agg(number::text, '' ORDER BY id) FROM effects "
                                    "WHERE aggregate = 'x'"),
        "12121212");
}
Test(order, an_event_behind_a_commit_in_doubt__does_not_overtake_it, .timeout = 60)
{
    frame_run(follow_a_commit_in_doubt, NULL);
}
