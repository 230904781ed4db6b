/* A keeper is a process of its own here, and each of its children says over a pipe who it is. The
 * pipe's end is the end of them all. */

#include "common/app/processes.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"

#define PATIENCE_MS 20000

struct report {
    unsigned number;
    pid_t pid;
    int64_t share, least;
};

struct keeper {
    pid_t pid;
    int reports;
};

/* What is the test program's own to do at exit is not the keeper's. */
static void leave_at_once(int status, void *arg)
{
    (void)arg;
    _exit(status);
}

static void report(int fd, unsigned number)
{
    struct report r = {number, getpid(), processes_share(20, 1), processes_share(20, 9)};
    if (write(fd, &r, sizeof(r)) != sizeof(r))
        _exit(99);
}

/* `exits[n - 1]` is the status that child n ends with when it is told to; below 0: at once, with
 * the opposite. */
static struct keeper keeper_start(unsigned count, const int *exits)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    fflush(stdout);
    pid_t pid = fork();
    cr_assert_neq(pid, -1);
    if (pid > 0) {
        close(fds[1]);
        return (struct keeper){pid, fds[0]};
    }
    on_exit(leave_at_once, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM); /* a test that fails leaves nobody behind */
    sigset_t orders;
    sigemptyset(&orders);
    sigaddset(&orders, SIGTERM);
    sigaddset(&orders, SIGHUP);
    sigprocmask(SIG_BLOCK, &orders, NULL); /* none comes too early for sigwait */
    unsigned mine = processes_start(count);
    report(fds[1], mine);
    if (exits[mine - 1] < 0)
        _exit(-exits[mine - 1]);
    for (int signo; sigwait(&orders, &signo) == 0 && signo == SIGHUP;)
        report(fds[1], mine);
    _exit(exits[mine - 1]);
}

/* False: they have all ended. */
static bool next_report(struct keeper k, struct report *ret_report)
{
    struct pollfd p = {.fd = k.reports, .events = POLLIN};
    cr_assert_eq(poll(&p, 1, PATIENCE_MS), 1, "nobody says anything");
    ssize_t n = read(k.reports, ret_report, sizeof(*ret_report));
    cr_assert(n == 0 || n == sizeof(*ret_report));
    return n > 0;
}

/* The pids by number, from 1 on. */
static void next_reports(struct keeper k, unsigned count, pid_t *ret_pids)
{
    struct report r;
    unsigned seen = 0;
    for (unsigned i = 0; i < count; i++) {
        cr_assert(next_report(k, &r));
        cr_assert(r.number >= 1 && r.number <= count && !(seen & 1u << r.number));
        seen |= 1u << r.number;
        ret_pids[r.number] = r.pid;
    }
}

static void assert_all_gone(struct keeper k)
{
    struct report r;
    cr_assert(!next_report(k, &r));
    close(k.reports);
}

static int status_of(struct keeper k)
{
    int status;
    cr_assert_eq(waitpid(k.pid, &status, 0), k.pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(processes, share__one_process__is_the_whole)
{
    cr_assert_eq(processes_share(20, 2), 20);
    cr_assert_eq(processes_share(1, 2), 2);
}

Test(processes, start__three__each_has_its_number_and_its_share)
{
    struct keeper k = keeper_start(3, (int[]){0, 0, 0});
    struct report r;
    unsigned numbers = 0;
    for (int i = 0; i < 3; i++) {
        cr_assert(next_report(k, &r));
        numbers += 1u << r.number;
        cr_assert_eq(r.share, 7, "a third of 20, rounded up");
        cr_assert_eq(r.least, 9, "a third, but 9 at least");
    }
    cr_assert_eq(numbers, 0xe, "1, 2 and 3, each once");
    kill(k.pid, SIGTERM);
    assert_all_gone(k);
    cr_assert_eq(status_of(k), 0);
}

Test(processes, one_is_killed__comes_again_as_the_same_number__others_stay)
{
    struct keeper k = keeper_start(3, (int[]){0, 0, 0});
    pid_t before[4], after[4];
    struct report r;
    next_reports(k, 3, before);
    kill(before[2], SIGKILL);
    cr_assert(next_report(k, &r));
    cr_assert_eq(r.number, 2);
    cr_assert_eq(r.share, 7);
    cr_assert_neq(r.pid, before[2]);
    kill(k.pid, SIGHUP); /* is passed on, and all report again */
    next_reports(k, 3, after);
    cr_assert_eq(after[1], before[1]);
    cr_assert_eq(after[2], r.pid);
    cr_assert_eq(after[3], before[3]);
    kill(k.pid, SIGTERM);
    assert_all_gone(k);
    cr_assert_eq(status_of(k), 0);
}

Test(processes, one_is_killed_twice__waits_the_second_time)
{
    struct keeper k = keeper_start(1, (int[]){0});
    struct report r;
    cr_assert(next_report(k, &r));
    kill(r.pid, SIGKILL);
    cr_assert(next_report(k, &r));
    int64_t killed_us = clock_mono_us();
    kill(r.pid, SIGKILL);
    cr_assert(next_report(k, &r));
    cr_assert_geq(clock_mono_us() - killed_us, 1 * USEC_PER_SEC);
    kill(k.pid, SIGTERM);
    assert_all_gone(k);
    cr_assert_eq(status_of(k), 0);
}

Test(processes, one_cannot_start__all_end__with_its_status)
{
    struct keeper k = keeper_start(3, (int[]){0, -7, 0});
    struct report r;
    unsigned seen = 0;
    while (next_report(k, &r)) {
        cr_assert(!(seen & 1u << r.number), "number %u came again", r.number);
        seen |= 1u << r.number;
    }
    cr_assert(seen & 1u << 2);
    cr_assert_eq(status_of(k), 7);
}

Test(processes, told_to_end__one_ends_badly__so_does_the_whole)
{
    struct keeper k = keeper_start(2, (int[]){0, 5});
    pid_t pids[3];
    next_reports(k, 2, pids);
    kill(k.pid, SIGINT);
    assert_all_gone(k);
    cr_assert_eq(status_of(k), 5);
}

Test(processes, keeper_is_killed__nobody_is_left_behind)
{
    struct keeper k = keeper_start(3, (int[]){0, 0, 0});
    pid_t pids[4];
    next_reports(k, 3, pids);
    kill(k.pid, SIGKILL);
    assert_all_gone(k);
    int status;
    cr_assert_eq(waitpid(k.pid, &status, 0), k.pid);
    cr_assert(WIFSIGNALED(status));
}
