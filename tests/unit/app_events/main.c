/* One broker for all tests of this program, started before the first of them forks; its retry tiers
 * are as in production but for their lengths. They take turns: they share the exchanges. */

#include <criterion/criterion.h>
#include <criterion/options.h>
#include <stdio.h>

#include "support/rabbit_server.h"

static bool shorten_tiers(struct rabbit_server *s)
{
    static const char *const args[] = {"set_policy", "tiers", "^order-events\\.retry\\.",
        "{\"message-ttl\":60,\"dead-letter-exchange\":\"order-events.return\"}", "--apply-to",
        "queues", NULL};
    return rabbit_server_ctl(s, args) == 0;
}

int main(int argc, char *argv[])
{
    struct criterion_test_set *tests = criterion_initialize();
    int failed = 0;
    if (criterion_handle_args(argc, argv, true)) {
        criterion_options.jobs = 1;
        struct rabbit_server *server = rabbit_server_start();
        failed = server && shorten_tiers(server) ? !criterion_run_all_tests(tests) : 1;
        rabbit_server_stop(server);
    }
    criterion_finalize(tests);
    return failed;
}
