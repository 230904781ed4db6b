#include "common/app/periodic.h"

#include "common/app/work.h"
#include "rig.h"

static unsigned ticks, failures;
static const char *adopted;

static int tick(void)
{
    ticks++;
    cr_assert_not_null(correlation_current());
    correlation_adopt("of-a-request");
    adopted = correlation_current();
    cr_assert_str_eq(adopted, "of-a-request");
    return 0;
}

static int failing(void)
{
    failures++;
    return ERR(ERR_PROTOCOL);
}

static void nudges(void)
{
    cr_assert_eq(app_every("ticking", 3600 * USEC_PER_SEC, tick), 0);
    cr_assert_eq(app_every("failing", 10 * USEC_PER_MS, failing), 0);
    app_nudge("ticking"); /* before its fiber has run at all */
    cr_assert(EVENTUALLY(ticks == 1, 2000));
    app_nudge("ticking");
    app_nudge("nobody");
    cr_assert(EVENTUALLY(ticks == 2, 2000));
    cr_assert(EVENTUALLY(failures >= 3, 2000), "a failure does not end it");
    struct work work = {.correlation_id = "c", .event = true};
    work_begin(&work);
    app_nudge("ticking");
    work_end();
    (void)fiber_sleep(20 * USEC_PER_MS);
    cr_assert_eq(ticks, 2, "an event's effects are not committed yet");
    periodics_nudge_late();
    cr_assert(EVENTUALLY(ticks == 3, 2000));
    app()->draining = true;
    periodics_wake();
    (void)fiber_sleep(50 * USEC_PER_MS);
    unsigned ended = failures;
    (void)fiber_sleep(50 * USEC_PER_MS);
    cr_assert_eq(failures, ended);
    cr_assert_eq(ticks, 3);
}
Test(periodic, a_task__runs_when_nudged_and_until_draining)
{
    rig_run(nudges);
}

static void purges(void)
{
    static const struct pg_statement some = {"purge_things",
        "DELETE FROM things WHERE name IN (SELECT name FROM things WHERE name < 't' "
        "LIMIT " PURGE_LIMIT_TEXT ")",
        NULL};
    pg_server_exec("INSERT INTO things SELECT 'n' || n FROM generate_series(1, 12345) AS n");
    pg_server_exec("INSERT INTO things VALUES ('t1')");
    cr_assert_eq(purge(&some), 0);
    cr_assert_str_eq(pg_server_exec("SELECT string_agg(name, ',') FROM things"), "t1");
}
Test(periodic, purge__goes_on_until_nothing_is_left)
{
    rig_run(purges);
}
