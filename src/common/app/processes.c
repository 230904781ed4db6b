/* Several processes of one service, made before there are threads, memory or connections to share.
 * They share nothing but the port (each has a listening socket of its own, SO_REUSEPORT, and the
 * kernel deals the connections out), the log and this parent, which does nothing but wait:
 *
 *   a child ends by itself -> it is started again, at once the first time and then ever later, up
 *                             to 10 s; the others go on
 *   all of them are young  -> whatever keeps one from starting keeps them all: the parent ends as
 *                             it did, and whoever started the parent judges
 *   SIGTERM, SIGINT, HUP   -> every child gets it; the parent leaves after the last one
 *   the parent dies        -> the kernel sends each child SIGTERM, and it drains: nobody is left
 *                             behind without a keeper
 *
 * What the processes must agree about is in the database or in Redis, as it is for processes on
 * several hosts. */

#include "common/app/processes.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"

#define YOUNG_US       (30 * USEC_PER_SEC)
#define PAUSE_FIRST_US (1 * USEC_PER_SEC)
#define PAUSE_MAX_US   (10 * USEC_PER_SEC)
#define FAULT_STATUS   137 /* as a kill by SIGKILL reads: how an armed fault point ends */

struct child {
    pid_t pid; /* 0: none now */
    int64_t begun_us, start_us, pause_us;
};

static struct {
    struct child children[PROCESSES_LIMIT];
    unsigned count;
    int64_t begun_us;
    bool ending;
    int exit_code; /* the first that was not 0 while ending */
    sigset_t signals, before;
} keeper;

/* True in the child. */
static bool start(unsigned i)
{
    struct child *c = &keeper.children[i];
    pid_t parent = getpid(), pid = fork();
    if (pid < 0) {
        log_error("a process can't be made", LF_I64("process", i + 1),
            LF_TEXT("error", error_name(-errno)));
        c->start_us = clock_mono_us() + PAUSE_FIRST_US;
        return false;
    }
    if (pid > 0) {
        c->pid = pid;
        c->begun_us = clock_mono_us();
        return false;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before that could be asked for */
        _exit(1);
    sigprocmask(SIG_SETMASK, &keeper.before, NULL);
    return true;
}

/* An armed fault strikes once, what comes back is whole; a poison stays poison. */
static void disarm(void)
{
    const char *fault = getenv("SOUK_FAULT");
    if (fault && strncmp(fault, "consumer_poison:", strlen("consumer_poison:")) != 0)
        unsetenv("SOUK_FAULT");
}

static void pass_on(int signo)
{
    for (unsigned i = 0; i < keeper.count; i++)
        if (keeper.children[i].pid)
            kill(keeper.children[i].pid, signo);
}

static void end(int exit_code)
{
    keeper.ending = true;
    keeper.exit_code = keeper.exit_code ? keeper.exit_code : exit_code;
    pass_on(SIGTERM);
}

static void ended(struct child *c, int status)
{
    int64_t now_us = clock_mono_us();
    unsigned number = (unsigned)(c - keeper.children) + 1;
    bool by_itself = WIFEXITED(status) && WEXITSTATUS(status) != FAULT_STATUS;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    c->pid = 0;
    if (keeper.ending) {
        keeper.exit_code = keeper.exit_code ? keeper.exit_code : code;
        return;
    }
    if (by_itself && now_us - keeper.begun_us < YOUNG_US) {
        log_error("a process can't start: all of them end", LF_I64("process", number),
            LF_I64("status", code));
        end(code);
        return;
    }
    if (now_us - c->begun_us >= YOUNG_US)
        c->pause_us = 0;
    c->start_us = now_us + c->pause_us;
    log_warn("a process ended by itself and is started again", LF_I64("process", number),
        LF_I64("status", code), LF_MS("pauseMs", c->pause_us));
    c->pause_us = c->pause_us ? 2 * c->pause_us : PAUSE_FIRST_US;
    if (c->pause_us > PAUSE_MAX_US)
        c->pause_us = PAUSE_MAX_US;
    disarm();
}

static void reap(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (unsigned i = 0; i < keeper.count; i++)
            if (keeper.children[i].pid == pid)
                ended(&keeper.children[i], status);
}

static bool anybody_left(void)
{
    for (unsigned i = 0; i < keeper.count; i++)
        if (keeper.children[i].pid)
            return true;
    return false;
}

/* Until a signal comes or the next child is due. */
static int wait_for_signal(void)
{
    int64_t next_us = INT64_MAX, now_us = clock_mono_us();
    for (unsigned i = 0; i < keeper.count && !keeper.ending; i++)
        if (!keeper.children[i].pid && keeper.children[i].start_us < next_us)
            next_us = keeper.children[i].start_us;
    if (next_us == INT64_MAX)
        return sigwaitinfo(&keeper.signals, NULL);
    int64_t wait_us = next_us > now_us ? next_us - now_us : 0;
    return sigtimedwait(&keeper.signals, NULL,
        &(struct timespec){
            .tv_sec = wait_us / USEC_PER_SEC, .tv_nsec = wait_us % USEC_PER_SEC * 1000});
}

/* The child's number in a child, 0 in the parent. */
static unsigned start_due(void)
{
    for (unsigned i = 0; i < keeper.count && !keeper.ending; i++)
        if (!keeper.children[i].pid && clock_mono_us() >= keeper.children[i].start_us && start(i))
            return i + 1;
    return 0;
}

unsigned processes_start(unsigned count)
{
    keeper.count = count;
    keeper.begun_us = clock_mono_us();
    sigemptyset(&keeper.signals);
    sigaddset(&keeper.signals, SIGTERM);
    sigaddset(&keeper.signals, SIGINT);
    sigaddset(&keeper.signals, SIGHUP);
    sigaddset(&keeper.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &keeper.signals, &keeper.before);
    for (;;) {
        unsigned mine = start_due();
        if (mine)
            return mine;
        int signo = wait_for_signal();
        if (signo == SIGCHLD)
            reap();
        else if (signo == SIGHUP)
            pass_on(signo);
        else if (signo > 0)
            end(0);
        if (keeper.ending && !anybody_left())
            exit(keeper.exit_code);
    }
}

unsigned processes_count(void)
{
    return keeper.count ? keeper.count : 1;
}

int64_t processes_share(int64_t whole, int64_t least)
{
    int64_t count = processes_count(), share = (whole + count - 1) / count;
    return share < least ? least : share;
}
