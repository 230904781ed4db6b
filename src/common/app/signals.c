/* One thread waits for signals and posts them to the loop, so nothing ever runs in a signal
 * handler. */

#include "common/app/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "common/base/error.h"
#include "common/base/log.h"

static struct loop *target;
static void (*handler)(int signo);

static sigset_t wanted(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void signals_block(void)
{
    sigset_t set = wanted();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void deliver(void *arg)
{
    handler((int)(intptr_t)arg);
}

static void *wait_for_signals(void *arg)
{
    sigset_t set = wanted();
    for (;;) {
        int signo = 0;
        if (sigwait(&set, &signo) == 0)
            loop_post(target, deliver, (void *)(intptr_t)signo);
    }
    return NULL;
}

void signals_start(struct loop *l, void (*fn)(int signo))
{
    pthread_t thread;
    target = l;
    handler = fn;
    int r = pthread_create(&thread, NULL, wait_for_signals, NULL);
    if (r != 0) { /* it could not be told to end */
        log_error("no thread for signals", LF_TEXT("error", error_name(-r)));
        exit(1);
    }
    pthread_detach(thread);
}
