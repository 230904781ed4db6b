/* One broker for all tests of this program, started before the first of them forks. They take
 * turns: some kill it. */

#include <criterion/criterion.h>
#include <criterion/options.h>
#include <stdio.h>

#include "support/rabbit_server.h"

int main(int argc, char *argv[])
{
    struct criterion_test_set *tests = criterion_initialize();
    int failed = 0;
    if (criterion_handle_args(argc, argv, true)) {
        criterion_options.jobs = 1;
        struct rabbit_server *server = rabbit_server_start();
        failed = server ? !criterion_run_all_tests(tests) : 1;
        rabbit_server_stop(server);
    }
    criterion_finalize(tests);
    return failed;
}
