#include "fixture.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/app/fresh.h"
#include "common/base/mem.h"

static void prepare(void)
{
    frame_prepare();
}
TestSuite(outbox, .init = prepare, .fini = frame_clear);

static void rollback(void)
{
    struct pg_tx *tx = NULL;
    cr_assert_eq(outbox_start(), 0);
    cr_assert_eq(pg_begin(app()->pg, &tx), 0);
    cr_assert_eq(outbox_add(tx, &happened, "one", &(struct happened){"well", 1}), 0);
    pg_tx_end(&tx);
    publish_happened("well", 2);
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, queue) == 1, 5000));
    cr_assert_eq(count_of("outbox"), 1);
}
Test(outbox, an_event_of_a_transaction_that_is_rolled_back__never_was)
{
    frame_run(rollback, NULL);
}

static void together(void)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    cr_assert_eq(pg_begin(app()->pg, &tx), 0);
    for (int i = 0; i < 30; i++)
        cr_assert_eq(
            outbox_add(tx, &happened, i % 2 ? "a" : "b", &(struct happened){"{\"we,ll\\'}", i}), 0);
    cr_assert_eq(pg_commit(tx), 0);
}
Test(outbox, events_of_one_transaction__keep_their_order_and_their_text)
{
    frame_run(together, NULL);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM outbox, generate_series(0, 29) AS i "
                                    "WHERE seq = i + 1 AND body::jsonb->'payload'->>'number' = "
                                    "i::text AND aggregate_id = CASE i % 2 WHEN 1 THEN 'a' ELSE "
                                    "'b' END AND body::jsonb->'payload'->>'how' = '{\"we,ll\\''}'"),
        "30");
}

/* The broker says "no queue" to one kind until it is bound. */
static void stubborn(void)
{
    cr_assert_eq(outbox_start(), 0);
    publish_event(&unrouted, "lost", &(struct happened){"well", 0});
    publish_event(&happened, "lost", &(struct happened){"well", 100});
    for (int i = 0; i < 10; i++)
        publish_happened("well", i);
    cr_assert(EVENTUALLY(count_of("outbox WHERE parked_at IS NOT NULL") == 1, 10000));
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 2, 10000));
    cr_assert_eq(count_of("outbox WHERE parked_reason = 'unroutable' AND parks = 1 AND "
                          "type = 'nowhere.happened'"),
        1);
    cr_assert_eq(count_of("outbox WHERE published_at IS NULL AND aggregate_id = 'lost'"), 2,
        "what follows of its aggregate waits behind it");
    sleep_ms(1200);
    cr_assert_eq(rabbit_admin_depth(admin, queue), 10, "the others are not sent again");
    cr_assert_eq(count_of("outbox WHERE parks = 1"), 1, "it is not tried all the time");
    publish_event(&happened, "lost", &(struct happened){"well", 101});
    publish_happened("well", 10);
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NOT NULL") == 11, 5000));
    cr_assert_eq(rabbit_admin_depth(admin, queue), 11, "nor is it overtaken later");

    cr_assert_eq(relay_retry_parked(), 0);
    cr_assert(EVENTUALLY(count_of("outbox WHERE parks = 2 AND parked_at IS NOT NULL") == 1, 5000));
    rabbit_admin_bind(admin, queue, EVENT_EXCHANGE, "nowhere.*");
    cr_assert_eq(relay_retry_parked(), 0);
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 5000));
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, queue) == 14, 5000));
}
Test(outbox, an_event_that_no_queue_wants__is_parked_and_holds_up_only_its_own_aggregate)
{
    frame_run(stubborn, NULL);
}

/* When the topology is mended, one look a minute must not mean 200 events a minute. */
static void many_parked(void)
{
    cr_assert_eq(outbox_start(), 0);
    pg_server_exec("INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, body) "
                   "SELECT gen_random_uuid(), 'nowhere.happened', n, 'test', '{}' "
                   "FROM generate_series(1, 900) n");
    outbox_wake();
    cr_assert(EVENTUALLY(count_of("outbox WHERE parked_at IS NOT NULL") == 900, 20000));
    rabbit_admin_bind(admin, queue, EVENT_EXCHANGE, "nowhere.*");
    cr_assert_eq(relay_retry_parked(), 0);
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 20000));
    cr_assert_eq(count_of("outbox WHERE parks = 1"), 900);
}
Test(outbox, parked_events__all_go_as_soon_as_some_of_them_can)
{
    frame_run(many_parked, NULL);
}

/* A window may hold a whole aggregate's story; a middle piece without a queue ends it there. */
static void broken_story(void)
{
    for (int i = 0; i < 3; i++)
        publish_event(i == 1 ? &unrouted : &happened, "story", &(struct happened){"well", i});
    cr_assert_eq(outbox_start(), 0);
    cr_assert(EVENTUALLY(count_of("outbox WHERE parked_at IS NOT NULL") == 1, 10000));
    cr_assert_eq(count_of("outbox WHERE published_at IS NOT NULL AND seq = 1"), 1);
    cr_assert_eq(count_of("outbox WHERE published_at IS NULL AND seq = 3"), 1);
    cr_assert_eq(rabbit_admin_depth(admin, queue), 1);
}
Test(outbox, what_follows_a_parked_event_in_its_window__does_not_overtake_it)
{
    frame_run(broken_story, NULL);
}

/* What is asked all the time has its plan from when the outbox was empty and nothing known of it;
 * then the outbox grows. */
struct scanned {
    int64_t rows;
};
static const struct field scanned_fields[] = {FIELD_I64(struct scanned, rows, "rows")};
static const struct table scanned_table = TABLE("Scanned", struct scanned, scanned_fields);
static const struct pg_statement scanned_rows = {"scanned_rows",
    "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'outbox'", &scanned_table};

static int64_t rows_scanned(struct pg_tx *tx)
{
    struct pg_result result;
    cr_assert_eq(pg_run(tx, &scanned_rows, PG_NO_ARGS, &result), 0, "%s", error_text());
    return PG_FIRST(result, struct scanned)->rows;
}

static void ask(struct pg_tx *tx, const char *name)
{
    const struct pg_statement *lists[] = {outbox_statements, relay_statements};
    const size_t counts[] = {outbox_statements_count, relay_statements_count};
    for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
        for (size_t i = 0; i < counts[l]; i++)
            if (strcmp(lists[l][i].name, name) == 0) {
                cr_assert_eq(pg_run(tx, &lists[l][i], PG_NO_ARGS, NULL), 0, "%s", error_text());
                return;
            }
    cr_assert_fail("no statement %s", name);
}

static void grown(void)
{
    static const char *const periodic[] = {"outbox_any_parked", "outbox_look", "outbox_claim"};
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    pg_server_exec("ALTER TABLE outbox SET (autovacuum_enabled = off)");
    cr_assert_eq(pg_begin(app()->pg, &tx), 0);
    for (size_t i = 0; i < ARRAY_SIZE(periodic); i++)
        ask(tx, periodic[i]);
    pg_server_exec("INSERT INTO outbox (event_id, type, aggregate_id, correlation_id, body, "
                   "published_at) SELECT gen_random_uuid(), 'frame.happened', n, 'test', "
                   "repeat('x', 500), now() FROM generate_series(1, 5000) n");
    for (size_t i = 0; i < ARRAY_SIZE(periodic); i++) {
        int64_t before = rows_scanned(tx);
        ask(tx, periodic[i]);
        cr_assert_eq(rows_scanned(tx), before, "%s reads the table", periodic[i]);
    }
}
Test(outbox, what_is_asked_all_the_time__does_not_read_what_is_published)
{
    frame_run(grown, NULL);
}

static void too_big(void)
{
    char *how = mem_alloc(BUS_BODY_LIMIT + 1);
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    memset(how, 'x', BUS_BODY_LIMIT);
    how[BUS_BODY_LIMIT] = 0;
    cr_assert_eq(pg_begin(app()->pg, &tx), 0);
    cr_assert_eq(outbox_add(tx, &happened, "one", &(struct happened){how, 1}), ERR_INVALID);
    mem_free(how);
}
Test(outbox, an_event_too_big_for_the_broker__fails_the_transaction_that_makes_it)
{
    frame_run(too_big, NULL);
}

/* Whoever asks the outbox sees them later than the queue does: they went out from memory. */
static void from_memory(void)
{
    bool queue_was_first = false;
    cr_assert_eq(outbox_start(), 0);
    cr_assert(EVENTUALLY(fresh_is_open(), 5000));
    for (int i = 1; i <= 20 && !queue_was_first; i++) {
        publish_happened("well", i);
        cr_assert(EVENTUALLY(rabbit_admin_depth(admin, queue) == i, 5000));
        queue_was_first = count_of("outbox WHERE published_at IS NULL") == 1;
    }
    cr_assert(queue_was_first);
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 5000));
    pg_server_exec("UPDATE outbox SET published_at = NULL WHERE seq = 1");
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 5000),
        "what others put there is found");
}
Test(outbox, what_was_just_committed__goes_out_from_memory_and_is_marked_later)
{
    frame_run(from_memory, NULL);
}

/* More is in memory than a look into the outbox takes at once. */
static void crowd(void)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    cr_assert_eq(outbox_start(), 0);
    cr_assert(EVENTUALLY(fresh_is_open(), 5000));
    cr_assert_eq(pg_begin(app()->pg, &tx), 0);
    for (int i = 0; i < 450; i++)
        cr_assert_eq(
            outbox_add(tx, &happened, i % 2 ? "a" : "b", &(struct happened){"well", i}), 0);
    cr_assert_eq(pg_commit(tx), 0);
    outbox_wake();
    for (int64_t until_us = clock_mono_us() + 10 * USEC_PER_SEC;
         rabbit_admin_depth(admin, queue) < 450 && clock_mono_us() < until_us; sleep_ms(5))
        cr_assert(fresh_is_open());
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 5000));
    cr_assert_eq(rabbit_admin_depth(admin, queue), 450, "each went once");
}
Test(outbox, a_look_that_finds_but_what_memory_knows__leaves_it_open)
{
    frame_run(crowd, NULL);
}

/* A slow transaction adds first and commits last; a quick one in between takes the relay's look. */
static int64_t slow_committed_us;

static void slow_transaction(void *arg)
{
    struct work work = {.correlation_id = "slow"};
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    work_begin(&work);
    cr_assert_eq(pg_begin(app()->pg, &tx), 0);
    cr_assert_eq(outbox_add(tx, &happened, "slow", &(struct happened){"well", 1}), 0);
    cr_assert_eq(pg_run(tx, &frame_statements[SQL_SLEEP], PG_ARGS(PG_REAL(0.12)), NULL), 0);
    cr_assert_eq(pg_commit(tx), 0);
    slow_committed_us = clock_mono_us();
    work_end();
}

static void no_lost_nudge(void)
{
    int64_t longest_us = 0;
    cr_assert_eq(outbox_start(), 0);
    publish_happened("well", 0);
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, queue) == 1, 5000));
    for (int i = 1; i <= 4; i++) {
        struct fiber *f;
        cr_assert_eq(fiber_spawn(app()->loop, "slow", slow_transaction, NULL, &f), 0);
        sleep_ms(30);
        struct work work = {.correlation_id = "quick"};
        work_begin(&work);
        publish_happened("well", i);
        work_end();
        cr_assert_eq(fiber_join(f, in_ms(5000)), 0);
        cr_assert(EVENTUALLY(rabbit_admin_depth(admin, queue) == 2 * i + 1, 5000));
        int64_t took_us = clock_mono_us() - slow_committed_us;
        longest_us = took_us > longest_us ? took_us : longest_us;
    }
    cr_assert_lt(
        longest_us, 350 * USEC_PER_MS, "it waited for the poll: %lld us", (long long)longest_us);
}
Test(outbox, a_nudge_in_between__does_not_take_away_the_nudge_of_a_slower_transaction)
{
    frame_run(no_lost_nudge, NULL);
}

static int64_t start_number;

static void add_200(void)
{
    cr_assert_eq(outbox_start(), 0);
    for (int i = 0; i < 200; i++)
        publish_event(
            &happened, start_number ? "b" : "a", &(struct happened){"well", start_number + i});
    cr_assert(EVENTUALLY(count_of("outbox") == 400, 20000));
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 20000));
}

static void drain_the_queue(void)
{
    cr_assert_eq(inbox_start(), 0);
    cr_assert(EVENTUALLY(count_of("effects") == 400, 20000));
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, queue) == 0, 5000));
}

Test(outbox, the_relays_of_two_processes__publish_everything_and_keep_each_aggregates_order,
    .timeout = 90)
{
    pid_t children[2];
    pg_server_url();
    for (int i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        start_number = 1000 * i;
        frame_run(add_200, NULL);
        _exit(0);
    }
    for (int i = 0; i < 2; i++) {
        int status = -1;
        cr_assert_eq(waitpid(children[i], &status, 0), children[i]);
        cr_assert_eq(status, 0);
    }
    frame_run(drain_the_queue, NULL);
    cr_assert_str_eq(
        pg_server_exec("SELECT bool_and(ok) FROM (SELECT number > lag(number, 1, -1::bigint) OVER "
                       "(PARTITION BY aggregate ORDER BY id) AS ok FROM effects) AS t"),
        "t");
}

static void broker_away(void)
{
    cr_assert_eq(inbox_start(), 0);
    cr_assert_eq(outbox_start(), 0);
    publish_happened("well", 0);
    cr_assert(EVENTUALLY(count_of("effects") == 1, 10000));
    rabbit_server_kill(the_server());
    for (int i = 1; i < 50; i++)
        publish_happened("well", i);
    sleep_ms(500);
    cr_assert_eq(pg_pool_stats(app()->pg).in_use, 0, "no transaction waits for the broker");
    cr_assert(rabbit_server_launch(the_server()));
    cr_assert(EVENTUALLY(count_of("effects") == 50, 60000), "%ld", count_of("effects"));
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 5000));
}
Test(outbox, a_broker_that_was_away__gets_everything_when_it_is_back, .timeout = 120)
{
    if (!rabbit_server_private(the_server()))
        return;
    frame_run(broker_away, NULL);
}
