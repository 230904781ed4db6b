#include "common/fiber/sync.h"
#include "pg_test.h"

static struct fiber_signal notified = {0};
static unsigned notifications;

static void on_notify(void *ctx)
{
    cr_assert_eq(ctx, &notifications);
    notifications++;
    fiber_signal_all(&notified);
}

static void wait_for_more_than(unsigned before)
{
    while (notifications <= before)
        OK(fiber_signal_wait(&notified, "a notification", clock_mono_us() + 5 * USEC_PER_SEC));
}

PG_TEST(pg_listener, notification__on_its_channel__is_told_and_on_another_is_not)
{
    struct pg_listener *ls =
        pg_listener_new(test_loop, pg_server_url(), "outbox \"x\"", on_notify, &notifications);

    wait_for_more_than(0); /* it listens now */
    pg_server_exec("NOTIFY other; NOTIFY \"outbox \"\"x\"\"\"");
    wait_for_more_than(1);
    OK(fiber_sleep(20 * USEC_PER_MS));
    cr_assert_eq(notifications, 2);
    pg_listener_free(ls);
    pg_server_exec("NOTIFY \"outbox \"\"x\"\"\"");
    OK(fiber_sleep(20 * USEC_PER_MS));
    cr_assert_eq(notifications, 2);
}

PG_TEST(pg_listener, connection__that_is_lost__is_made_again_and_counts_as_a_notification)
{
    struct pg_listener *ls =
        pg_listener_new(test_loop, pg_server_url(), "outbox", on_notify, &notifications);

    wait_for_more_than(0);
    pg_server_exec("SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
                   "WHERE application_name = 'souk listener' AND datname = current_database()");
    wait_for_more_than(1);
    pg_server_exec("NOTIFY outbox");
    wait_for_more_than(2);
    pg_listener_free(ls);
}

PG_TEST(pg_listener, server__that_is_away__is_found_when_it_comes)
{
    struct pg_proxy proxy = {0};
    struct pg_listener *ls;

    pg_proxy_start(&proxy);
    pg_proxy_stop(&proxy);
    ls = pg_listener_new(test_loop, pg_proxy_url(&proxy), "outbox", on_notify, &notifications);
    OK(fiber_sleep(50 * USEC_PER_MS));
    cr_assert_eq(notifications, 0);
    pg_proxy_start(&proxy);
    wait_for_more_than(0);
    pg_listener_free(ls);
    OK(fiber_sleep(5 * USEC_PER_MS));
    pg_proxy_stop(&proxy);
}

PG_TEST(pg_listener, free__before_it_has_run_and_of_none__is_fine)
{
    pg_listener_free(
        pg_listener_new(test_loop, pg_server_url(), "outbox", on_notify, &notifications));
    pg_listener_free(NULL);
    OK(fiber_sleep(5 * USEC_PER_MS));
    cr_assert_eq(notifications, 0);
}
