/* Finds the command, makes a loop, runs the command on a fiber. Log lines of the rooms below go to
 * standard error: the answer alone is on standard output. */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/crypto.h"
#include "ctl/ctl.h"

static struct ctl ctl;
static struct args args;
static int exit_code = CTL_WRONG;

static const char *environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value && *value ? value : otherwise;
}

static bool part_output(void)
{
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    ctl.tty = isatty(STDOUT_FILENO) == 1;
    ctl.out = fd < 0 ? NULL : fdopen(fd, "w");
    return ctl.out && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0;
}

/* A reader that has seen enough (head) is no failure, and what was done is done. */
static int end_output(int code)
{
    struct pollfd reader = {.fd = fileno(ctl.out), .events = POLLOUT};
    bool failed = fflush(ctl.out) != 0 || ferror(ctl.out) != 0;
    bool gone = failed && poll(&reader, 1, 0) == 1 && (reader.revents & POLLERR);
    failed = (fclose(ctl.out) != 0 || failed) && !gone;
    return failed ? ctl_fail(CTL_WRONG, "the output could not be written") : code;
}

static void run(void *arg)
{
    exit_code = args.command->run(&ctl, &args);
}

static int run_command(void)
{
    signal(SIGPIPE, SIG_IGN);
    if (!part_output() || crypto_init() != 0)
        return ctl_fail(CTL_WRONG, "can't start");
    log_init("soukctl", LOG_ERROR);
    ctl.json = args.json;
    ctl.loop = loop_new();
    loop_set_slow_turn_us(ctl.loop, 3600 * USEC_PER_SEC); /* nobody else is on this loop */
    if (fiber_spawn(ctl.loop, "command", run, NULL, NULL) != 0)
        return CTL_WRONG;
    loop_run(ctl.loop, true);
    loop_free(ctl.loop);
    return end_output(exit_code);
}

int main(int argc, char **argv)
{
    int at = 1;
    ctl.amqp_url = environment("OPS_AMQP_URL", "");
    ctl.audit_path = environment("SOUK_CTL_AUDIT", ".souk/log/soukctl-audit.log");
    if (at < argc && strcmp(argv[at], "--complete") == 0)
        return ctl_complete(argc - 2, argv + 2, stdout), CTL_DONE;
    if (at < argc && (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0))
        return ctl_help(stdout), CTL_DONE;
    if (at + 1 < argc && strcmp(argv[at], "--amqp-url") == 0) {
        ctl.amqp_url = argv[at + 1];
        at += 2;
    }
    const char *group = at < argc ? argv[at] : NULL, *name = at + 1 < argc ? argv[at + 1] : NULL;
    const struct command *c = group ? command_find(group, name) : NULL;
    if (!group)
        ctl_help(stderr);
    if (!c)
        return !group ? CTL_USAGE
               : name ? ctl_fail(CTL_USAGE, "there is no command %s %s (see --help)", group, name)
                      : ctl_fail(CTL_USAGE, "%s alone is no command (see --help)", group);
    at += c->name ? 2 : 1;
    int r = args_parse(c, argc - at, argv + at, &args);
    if (r != 0)
        return r;
    if (args.help)
        return command_help(c, stdout), CTL_DONE;
    return run_command();
}
