/* What processes and the machine have used of the processors, several times a second, until it is
 * ended:
 *
 *   bench-meter INTERVAL_MS NAME:PID[,PID...]...
 *
 * A line each time: microseconds since 1970, then what the machine has had and used (in seconds of
 * all its processors together, since it was booted), then for each name the seconds of user and
 * system time of those processes, of their children, and of children that have ended and been
 * waited for. That is the whole of PostgreSQL by its first process: backends that come and go in
 * between lose nothing. A process that is gone counts nothing any more, so only compare lines
 * between which it lived. */

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GROUPS_LIMIT 16
#define PIDS_LIMIT   32

struct group {
    char name[32];
    long pids[PIDS_LIMIT];
    size_t count;
};

static volatile sig_atomic_t ended;

static void end(int signal)
{
    ended = 1;
}

static double ticks_to_s(unsigned long long ticks)
{
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

/* With `whole` also what ended children have used. 0 when there is no such process. */
static unsigned long long process_ticks(long pid, bool whole)
{
    char path[64], line[1024];
    unsigned long long user, system;
    long long gone_user, gone_system;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    size_t n = fread(line, 1, sizeof(line) - 1, f);
    fclose(f);
    line[n] = 0;
    const char *rest = strrchr(line, ')'); /* the name may hold anything */
    if (!rest || sscanf(rest + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %lld %lld",
                     &user, &system, &gone_user, &gone_system) != 4)
        return 0;
    return user + system + (whole ? (unsigned long long)(gone_user + gone_system) : 0);
}

static double group_s(const struct group *g)
{
    unsigned long long ticks = 0;
    for (size_t i = 0; i < g->count; i++) {
        char path[64];
        long child;
        ticks += process_ticks(g->pids[i], true);
        snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", g->pids[i], g->pids[i]);
        FILE *f = fopen(path, "r");
        while (f && fscanf(f, "%ld", &child) == 1)
            ticks += process_ticks(child, false);
        if (f)
            fclose(f);
    }
    return ticks_to_s(ticks);
}

static bool machine_s(double *ret_had, double *ret_used)
{
    /* user, nice, system, idle, waiting for disks, interrupts (2), stolen */
    unsigned long long t[8], sum = 0;
    FILE *f = fopen("/proc/stat", "r");
    int n = f ? fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", t, t + 1, t + 2, t + 3,
                    t + 4, t + 5, t + 6, t + 7)
              : 0;
    if (f)
        fclose(f);
    if (n != 8)
        return false;
    for (size_t i = 0; i < 8; i++)
        sum += t[i];
    *ret_had = ticks_to_s(sum);
    *ret_used = ticks_to_s(sum - t[3] - t[4]);
    return true;
}

static bool group_read(struct group *g, char *word)
{
    char *list = strchr(word, ':');
    if (!list || list - word >= (long)sizeof(g->name))
        return false;
    *list++ = 0;
    snprintf(g->name, sizeof(g->name), "%s", word);
    for (char *pid; (pid = strsep(&list, ","));) {
        char *stop;
        if (g->count == PIDS_LIMIT || !isdigit((unsigned char)*pid))
            return false;
        g->pids[g->count++] = strtol(pid, &stop, 10);
        if (*stop)
            return false;
    }
    return true;
}

static bool look(const struct group *groups, size_t count)
{
    struct timespec now;
    double had, used;
    if (!machine_s(&had, &used))
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    printf(
        "%lld had=%.2f used=%.2f", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000, had, used);
    for (size_t i = 0; i < count; i++)
        printf(" %s=%.2f", groups[i].name, group_s(&groups[i]));
    putchar('\n');
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    struct group groups[GROUPS_LIMIT] = {0};
    size_t count = 0;
    long interval_ms = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    bool good = interval_ms >= 1 && argc > 2 && argc - 2 <= GROUPS_LIMIT;
    for (int i = 2; good && i < argc; i++)
        good = group_read(&groups[count++], argv[i]);
    if (!good) {
        fputs("usage: bench-meter INTERVAL_MS NAME:PID[,PID...]...\n", stderr);
        return 2;
    }
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    while (look(groups, count) && !ended) {
        due.tv_nsec += interval_ms % 1000 * 1000000;
        due.tv_sec += interval_ms / 1000 + due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
    if (ferror(stdout))
        perror("bench-meter");
    return ferror(stdout) ? 1 : 0;
}
