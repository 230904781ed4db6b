#include "fixture.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/app/inbox.h"
#include "common/base/uuid.h"
#include "common/json/pretty.h"
#include "support/metrics_hold.h"

#define ID "01900000-0000-7000-8000-00000000000"

static void prepare(void)
{
    frame_prepare();
}
TestSuite(inbox, .init = prepare, .fini = frame_clear);

static const struct dead_letter *letter_of(
    const struct dead_letter *letters, size_t count, const char *code)
{
    for (size_t i = 0; i < count; i++)
        if (letters[i].code && strcmp(letters[i].code, code) == 0)
            return &letters[i];
    return NULL;
}

/* ---- the way through ---- */

static void round_trip(void)
{
    cr_assert_eq(inbox_start(), 0);
    cr_assert_eq(outbox_start(), 0);
    for (int i = 0; i < 120; i++)
        publish_happened("well", i);
    cr_assert(EVENTUALLY(count_of("effects") == 120, 15000), "%ld", count_of("effects"));
    cr_assert_str_eq(
        pg_server_exec("SELECT bool_and(ok) FROM (SELECT number > lag(number, 1, -1::bigint) OVER "
                       "(ORDER BY id) AS ok FROM effects) AS t"),
        "t");
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 5000));
    cr_assert_eq(count_of("inbox"), 120);
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, queue) == 0, 5000));
    cr_assert_eq(rabbit_admin_depth(admin, dead_queue), 0);
}
Test(inbox, events_of_one_aggregate__arrive_once_and_in_order)
{
    frame_run(round_trip, NULL);
}

static void duplicates(void)
{
    cr_assert_eq(inbox_start(), 0);
    const char *text = envelope(ID "1", happened.type, "1.7", "c", "{\"how\":\"well\",\"new\":1}");
    for (int i = 0; i < 3; i++)
        publish_straight((struct straight){.body = text});
    cr_assert(EVENTUALLY(count_of("effects") == 1, 5000));
    for (int i = 0; i < 3; i++)
        publish_straight((struct straight){.body = text});
    publish_straight((struct straight){
        .body = envelope(ID "2", "frame.alias", "1.0", "c", "{\"how\":\"well\"}")});
    cr_assert(EVENTUALLY(count_of("effects") == 2, 5000));
    cr_assert(EVENTUALLY(
        metrics_hold("souk_events_handled_total{type=\"frame.happened\",result=\"handled\"} 1"),
        5000));
    cr_assert(EVENTUALLY(
        metrics_hold("souk_events_handled_total{type=\"frame.happened\",result=\"duplicate\"} 5"),
        5000));
    cr_assert_eq(rabbit_admin_depth(admin, dead_queue), 0);
}
Test(inbox, duplicates__in_a_batch_and_later__have_one_effect)
{
    frame_run(duplicates, NULL);
}

static void others_events(void)
{
    cr_assert_eq(inbox_start(), 0);
    publish_straight((struct straight){.routing_key = "user.registered",
        .body = envelope(ID "1", "user.registered", "1.0", "c", "{}")});
    publish_straight((struct straight){
        .body = envelope(ID "2", happened.type, "1.0", "not a \\\" header", "{\"how\":\"well\"}")});
    cr_assert(EVENTUALLY(count_of("effects") == 1, 5000));
    cr_assert(EVENTUALLY(metrics_hold("{type=\"user.registered\",result=\"ignored\"} 1"), 5000));
    cr_assert_eq(count_of("inbox"), 1);
    cr_assert_eq(rabbit_admin_depth(admin, dead_queue), 0);
}
Test(inbox, events_without_a_row__are_passed_over)
{
    frame_run(others_events, NULL);
}

/* ---- what cannot be handled ---- */

static void permanent(void)
{
    struct dead_letter letters[16];
    for (int i = 0; i < 5; i++)
        publish_straight((struct straight){.body = envelope(arena_printf(fiber_arena(), ID "%d", i),
                                               happened.type, "1.0", "c", "{\"how\":\"well\"}")});
    publish_straight((struct straight){.body = "no json \xff\xfe"});
    publish_straight((struct straight){.body = ""});
    publish_straight(
        (struct straight){.body = envelope(ID "a", "frame.unheard_of", "1.0", "c", "{}")});
    publish_straight((struct straight){
        .body = envelope(ID "b", happened.type, "2.0", "c", "{\"how\":\"well\"}")});
    publish_straight(
        (struct straight){.body = envelope(ID "c", happened.type, "1.0", "c", "{\"number\":1}")});
    publish_straight((struct straight){
        .body = envelope(ID "d", happened.type, "1.0", "c", "{\"how\":\"refused\"}")});
    publish_straight(
        (struct straight){.body = envelope(ID "e", foreign.type, "1.0", "c", "{\"how\":\"well\"}"),
            .header = {.name = "souk-origin-user", .text = "somebody"}});
    for (int i = 5; i < 9; i++)
        publish_straight((struct straight){.body = envelope(arena_printf(fiber_arena(), ID "%d", i),
                                               happened.type, "1.0", "c", "{\"how\":\"well\"}")});
    cr_assert_eq(inbox_start(), 0);
    cr_assert(EVENTUALLY(count_of("effects") == 9, 10000), "%ld", count_of("effects"));
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, dead_queue) == 7, 5000));
    size_t n = dead_letters(letters, ARRAY_SIZE(letters));
    cr_assert_eq(n, 7);
    cr_assert(letter_of(letters, n, "unreadable_event"));
    cr_assert(letter_of(letters, n, "unknown_event_type"));
    cr_assert(letter_of(letters, n, "unknown_event_version"));
    cr_assert(letter_of(letters, n, "conflict"));
    const struct dead_letter *l = letter_of(letters, n, "wrong_publisher");
    cr_assert(l);
    cr_assert_str_eq(l->origin_user, "guest", "a forged header is not believed");
    l = letter_of(letters, n, "invalid_payload");
    cr_assert(l && strstr(l->text, "/how"));
    struct buf laid_out = {0};
    json_pretty(
        span_of(envelope(ID "c", happened.type, "1.0", "c", "{\"number\":1}")), true, &laid_out);
    cr_assert_str_eq(l->body, laid_out.ptr);
    buf_deinit(&laid_out);
    cr_assert_str_eq(l->origin_key, happened.type);
    cr_assert_str_eq(l->origin_queue, queue);
    cr_assert_str_eq(l->consumer, "guest");
    cr_assert(l->first_failed_at && l->trace_parent);
    cr_assert_eq(l->attempts, 0);
    cr_assert_eq(count_of("inbox"), 9);
}
Test(inbox, what_can_never_be_handled__goes_to_the_dead_letters_alone_and_with_its_reason)
{
    frame_run(permanent, NULL);
}

static void tiers(void)
{
    struct dead_letter letters[4];
    cr_assert_eq(inbox_start(), 0);
    publish_straight((struct straight){
        .body = envelope(ID "1", happened.type, "1.0", "c", "{\"how\":\"broken\"}"),
        .header = {.name = "souk-attempts", .value = 5}}); /* forged: counts for nothing */
    publish_straight((struct straight){
        .body = envelope(ID "2", happened.type, "1.0", "c", "{\"how\":\"well\"}")});
    cr_assert(EVENTUALLY(count_of("effects") == 1, 5000));
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, dead_queue) == 1, 15000));
    cr_assert_geq(handler_runs, 6);
    cr_assert_leq(handler_runs, 7, "%u", handler_runs); /* once more when it came in a batch */
    cr_assert_eq(dead_letters(letters, 4), 1);
    cr_assert_eq(letters[0].attempts, 5);
    cr_assert_str_eq(letters[0].code, "EPROTO");
    cr_assert(strstr(letters[0].text, "a gear is missing"), "%s", letters[0].text);
    cr_assert_str_eq(letters[0].origin_key, happened.type);
    cr_assert_str_eq(letters[0].origin_user, "guest");
    cr_assert_eq(count_of("effects"), 1);
    cr_assert_eq(count_of("inbox"), 1);
}
Test(inbox, a_handler_that_always_fails__gets_every_tier_and_then_the_dead_letters)
{
    frame_run(tiers, NULL);
}

static void recovers(void)
{
    cr_assert_eq(inbox_start(), 0);
    publish_straight((struct straight){
        .body = envelope(ID "1", happened.type, "1.0", "c", "{\"how\":\"broken twice\"}")});
    cr_assert(EVENTUALLY(count_of("effects") == 1, 10000));
    cr_assert_eq(handler_runs, 3);
    cr_assert_eq(rabbit_admin_depth(admin, dead_queue), 0);
}
Test(inbox, a_handler_that_recovers__finds_its_event_in_a_tier)
{
    frame_run(recovers, NULL);
}

static void slow_one(void)
{
    struct dead_letter letters[4];
    cr_assert_eq(inbox_start(), 0);
    publish_straight((struct straight){
        .body = envelope(ID "1", happened.type, "1.0", "c", "{\"how\":\"slow\"}")});
    for (int i = 2; i < 8; i++)
        publish_straight((struct straight){.body = envelope(arena_printf(fiber_arena(), ID "%d", i),
                                               happened.type, "1.0", "c", "{\"how\":\"well\"}")});
    cr_assert(EVENTUALLY(count_of("effects") == 6, 10000), "%ld", count_of("effects"));
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, dead_queue) == 1, 30000));
    cr_assert_eq(dead_letters(letters, 4), 1);
    cr_assert_str_eq(letters[0].code, "ETIMEDOUT");
    cr_assert_geq(handler_runs, 18);
    cr_assert_leq(handler_runs, 24);
}
Test(inbox, a_handler_that_always_times_out__does_not_hold_up_the_queue_for_ever)
{
    frame_run(slow_one, NULL);
}

static void secrets(void)
{
    struct dead_letter letters[8];
    publish_straight((struct straight){.body = envelope(ID "1", confided.type, "1.0", "c",
                                           "{\"how\":\"refused\",\"token\":\"s3cret\"}")});
    publish_straight((struct straight){
        .body = envelope(ID "2", confided.type, "1.0", "c", "{\"how\":1,\"token\":\"s3cret\"}")});
    publish_straight((struct straight){.body = envelope(ID "3", confided.type, "9.0", "c",
                                           "{\"how\":\"well\",\"token\":\"s3cret\"}")});
    publish_straight((struct straight){.body = envelope(ID "4", confided.type, "1.0", "c",
                                           "{\"how\":\"broken twice\",\"token\":\"s3cret\"}")});
    cr_assert_eq(inbox_start(), 0);
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, dead_queue) == 3, 10000));
    cr_assert_eq(dead_letters(letters, 8), 3);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_null(strstr(letters[i].body, "s3cret"), "%s", letters[i].body);
        cr_assert(strstr(letters[i].body, "***"));
        cr_assert(strstr(letters[i].body, "\"eventId\": \"" ID));
    }
    cr_assert(EVENTUALLY(count_of("effects WHERE number = 1") == 1, 10000),
        "a retry copy keeps the secret");
}
Test(inbox, secrets__are_masked_in_dead_letters_but_not_in_retries)
{
    frame_run(secrets, NULL);
}

/* As the page's "Move messages" puts a dead letter back: with its headers, past the exchange. */
static void moved_back(void)
{
    struct dead_letter letters[4];
    struct bus_message m = {.exchange = "", .routing_key = queue, .type = confided.type};
    int result = -1;
    m.body = span_of(
        envelope(ID "1", confided.type, "1.0", "c", "{\"how\":\"well\",\"token\": \"***\"}"));
    cr_assert_eq(inbox_start(), 0);
    cr_assert_eq(bus_publish(app()->bus, &m, 1, &result, clock_mono_us() + 5 * USEC_PER_SEC), 0);
    cr_assert_eq(result, 0);
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, dead_queue) == 1, 10000));
    cr_assert_eq(dead_letters(letters, 4), 1);
    cr_assert_str_eq(letters[0].code, "secret_is_gone");
    cr_assert_eq(count_of("effects"), 0);
}
Test(inbox, a_dead_letter_whose_secret_was_masked__is_not_handled_without_it)
{
    frame_run(moved_back, NULL);
}

/* ---- when something around it is away ---- */

static struct pg_private database;

static long effects_there(void)
{
    static const struct field fields[] = {FIELD_I64(struct happened, number, "n")};
    static const struct table table = TABLE("Count", struct happened, fields);
    static const struct pg_statement count = {"effects", "SELECT count(*) FROM effects", &table};
    struct pg_result result;
    error_clear();
    return pg_query(app()->pg, &count, PG_NO_ARGS, &result) == 0
               ? (long)PG_ROW(result, struct happened, 0)->number
               : -1;
}

static void database_away(void)
{
    static const struct pg_statement make = {"make",
        "CREATE TABLE effects (id bigserial, event_id uuid UNIQUE, aggregate text, number bigint)",
        NULL};
    cr_assert_eq(pg_query(app()->pg, &make, PG_NO_ARGS, NULL), 0);
    pg_private_stop(&database);
    cr_assert_eq(inbox_start(), 0);
    for (int i = 1; i < 9; i++)
        publish_straight((struct straight){.body = envelope(arena_printf(fiber_arena(), ID "%d", i),
                                               happened.type, "1.0", "c", "{\"how\":\"well\"}")});
    sleep_ms(900);
    cr_assert_eq(rabbit_admin_depth(admin, queue), 0, "they are being held, not refused");
    pg_private_start(&database);
    cr_assert(EVENTUALLY(effects_there() == 8, 10000));
    cr_assert_eq(rabbit_admin_depth(admin, dead_queue), 0);
    for (int tier = 1; tier <= 5; tier++)
        cr_assert_eq(rabbit_admin_depth(admin, tier_name(tier)), 0);
}
Test(inbox, the_own_database_away__costs_no_event_an_attempt, .timeout = 60)
{
    pg_private_start(&database);
    frame_run(database_away, database.url);
    pg_private_free(&database);
}

static void draining(void)
{
    pg_private_stop(&database);
    cr_assert_eq(inbox_start(), 0);
    publish_straight((struct straight){
        .body = envelope(ID "1", happened.type, "1.0", "c", "{\"how\":\"well\"}")});
    sleep_ms(400);
    app()->draining = true;
    int64_t begin = clock_mono_us();
    cr_assert_eq(inbox_stop(in_ms(8000)), 0);
    cr_assert_lt(clock_mono_us() - begin, 6 * USEC_PER_SEC);
    cr_assert(EVENTUALLY(rabbit_admin_depth(admin, queue) == 1, 5000), "it is the queue's again");
}
Test(inbox, draining_while_the_database_is_away__gives_the_events_back, .timeout = 60)
{
    pg_private_start(&database);
    frame_run(draining, database.url);
    pg_private_free(&database);
}

/* ---- several processes ---- */

static void compete(void)
{
    cr_assert_eq(inbox_start(), 0);
    cr_assert(EVENTUALLY(count_of("effects") >= 400, 30000));
}

static void publish_many(void)
{
    struct happened payload = {"well", 0};
    cr_assert_eq(outbox_start(), 0);
    for (int i = 0; i < 400; i++) {
        payload.number = i;
        publish_event(&happened, i % 2 ? "odd" : "even", &payload);
    }
    compete();
    cr_assert(EVENTUALLY(count_of("outbox WHERE published_at IS NULL") == 0, 5000));
}

Test(inbox, two_processes_on_one_queue__share_the_work_and_no_event_is_handled_twice, .timeout = 90)
{
    pg_server_url();
    pid_t other = fork();
    if (other == 0) {
        frame_run(compete, NULL);
        _exit(0);
    }
    frame_run(publish_many, NULL);
    int status = -1;
    cr_assert_eq(waitpid(other, &status, 0), other);
    cr_assert_eq(status, 0);
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM effects"), "400");
    cr_assert_str_eq(pg_server_exec("SELECT count(*) FROM inbox"), "400");
}

/* ---- room for others ---- */

#define FULL_BATCH 50
#define OLD_US     (30 * USEC_PER_SEC)
#define WORKED_US  (10 * USEC_PER_MS)

Test(inbox_rest, full_batch_of_old_events__rests_by_its_share)
{
    cr_assert_eq(inbox_rest_us(FULL_BATCH, OLD_US, WORKED_US, 50), 10 * USEC_PER_MS);
    cr_assert_eq(inbox_rest_us(FULL_BATCH, OLD_US, WORKED_US, 20), 40 * USEC_PER_MS);
    cr_assert_eq(inbox_rest_us(FULL_BATCH, 40 * OLD_US, WORKED_US, 20), 40 * USEC_PER_MS);
}

Test(inbox_rest, younger_than_half_a_minute__goes_on)
{
    cr_assert_eq(inbox_rest_us(FULL_BATCH, OLD_US - 1, WORKED_US, 15), 0);
    cr_assert_eq(inbox_rest_us(FULL_BATCH, 0, WORKED_US, 15), 0);
    cr_assert_eq(inbox_rest_us(FULL_BATCH, -OLD_US, WORKED_US, 15), 0, "another host's clock");
}

Test(inbox_rest, batch_not_full__is_no_backlog)
{
    cr_assert_eq(inbox_rest_us(FULL_BATCH - 1, 40 * OLD_US, WORKED_US, 15), 0);
}

Test(inbox_rest, whole_share__never_rests)
{
    cr_assert_eq(inbox_rest_us(FULL_BATCH, OLD_US, WORKED_US, 100), 0);
}

Test(inbox_rest, slow_batch__rests_a_second_at_most)
{
    cr_assert_eq(inbox_rest_us(FULL_BATCH, OLD_US, 5 * USEC_PER_SEC, 1), 1 * USEC_PER_SEC);
}
