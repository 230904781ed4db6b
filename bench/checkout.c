/* Checkouts per second, closed loop: N shoppers, each a fiber that puts one item into its cart and
 * checks out, again and again.
 *
 *     bench/checkout.sh                       # 1, 16 and 64 shoppers against a suite of its own
 *     build/bench/bench-checkout --shoppers 16 --seconds 10 --pids auth=123,cart=124
 *
 * The shoppers, their cards, a seller and 200 items with plenty of stock are made through the
 * public API first, outside of the measured time. CPU is read from /proc for the given processes
 * with their children, before and after. One JSON line on stdout.
 *
 * Latency is measured per checkout from send to answer; a closed loop hides queueing, so read it as
 * service time. */

#include <argp.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/json/writer.h"
#include "shop.h"

#define SAMPLES_LIMIT 2000000
#define PIDS_LIMIT    16

static struct {
    int shoppers, seconds, warmup;
    char *pids;
} opt = {.shoppers = 16, .seconds = 10, .warmup = 2};

static struct shopper *shoppers;
static bool measuring, over;
static int64_t *samples;
static size_t samples_count;
static uint64_t failures;
static unsigned running;
static int exit_code;

/* ---- the measured loop ---- */

static void buy(struct shopper *s)
{
    struct span answer;
    if (shop_put(s) != 200) {
        failures += measuring;
        return;
    }
    int64_t begun_us = clock_mono_us();
    int status = shop_checkout(s, &answer);
    if (!measuring)
        return;
    if (status == 201 && samples_count < SAMPLES_LIMIT) {
        samples[samples_count++] = clock_mono_us() - begun_us;
    } else if (failures++ < 3) {
        fprintf(stderr, "checkout answered %d %.*s\n", status, SPAN_ARG(answer));
    }
}

static void shop(void *arg)
{
    while (!over) {
        buy(arg);
        arena_reset(fiber_arena());
    }
    running--;
}

/* ---- CPU of processes and their children ---- */

struct process {
    long parent;
    double cpu_s;
};

static bool process_read(long pid, struct process *ret_process)
{
    char path[64], line[1024];
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(line, 1, sizeof(line) - 1, f);
    fclose(f);
    line[n] = 0;
    const char *rest = strrchr(line, ')'); /* the name may hold anything */
    unsigned long user, system;
    long parent;
    if (!rest || sscanf(rest + 2, "%*c %ld %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &parent,
                     &user, &system) != 3)
        return false;
    *ret_process = (struct process){parent, (double)(user + system) / (double)sysconf(_SC_CLK_TCK)};
    return true;
}

/* The process and its children: a PostgreSQL server is one parent with many. */
static double cpu_of_tree(long root)
{
    double sum = 0;
    DIR *proc = opendir("/proc");
    struct dirent *e;
    while (proc && (e = readdir(proc))) {
        long pid = strtol(e->d_name, NULL, 10);
        struct process p;
        if (pid > 0 && process_read(pid, &p) && (pid == root || p.parent == root))
            sum += p.cpu_s;
    }
    if (proc)
        closedir(proc);
    return sum;
}

struct watched {
    char name[32];
    long pid;
    double before, after;
};
static struct watched watched[PIDS_LIMIT];
static size_t watched_count;

static void read_pids(const char *text)
{
    struct span rest = span_of(text), pair, name;
    while (text && *text && span_cut(&rest, ',', &pair) && watched_count < PIDS_LIMIT) {
        int64_t pid;
        if (!span_cut(&pair, '=', &name) || !span_to_i64(pair, &pid))
            continue;
        struct watched *w = &watched[watched_count++];
        snprintf(w->name, sizeof(w->name), "%.*s", SPAN_ARG(name));
        w->pid = (long)pid;
    }
}

/* ---- the report ---- */

static void report(double seconds)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    double per_thousand = samples_count ? 1000.0 / (double)samples_count : 0;
    json_object_begin(&w);
    json_put_i64(&w, "shoppers", opt.shoppers);
    json_put_i64(&w, "checkouts", (int64_t)samples_count);
    json_put_i64(&w, "failures", (int64_t)failures);
    json_key(&w, "perSecond");
    json_double(&w, (double)samples_count / seconds);
    json_key(&w, "p50Ms");
    json_double(&w, shop_percentile_ms(samples, samples_count, 0.5));
    json_key(&w, "p99Ms");
    json_double(&w, shop_percentile_ms(samples, samples_count, 0.99));
    json_key(&w, "cpuMsPerCheckout");
    json_object_begin(&w);
    for (size_t i = 0; i < watched_count; i++) {
        json_key(&w, watched[i].name);
        json_double(&w, (watched[i].after - watched[i].before) * per_thousand);
    }
    json_object_end(&w);
    json_object_end(&w);
    printf("%.*s\n", SPAN_ARG(buf_span(&out)));
    buf_deinit(&out);
}

static void run(void *arg)
{
    shoppers = shop_open(opt.shoppers);
    for (int i = 0; i < opt.shoppers; i++) {
        running++;
        if (fiber_spawn(loop_current(), "shopper", shop, &shoppers[i], NULL) != 0)
            exit(1);
    }
    (void)fiber_sleep(opt.warmup * USEC_PER_SEC);
    for (size_t i = 0; i < watched_count; i++)
        watched[i].before = cpu_of_tree(watched[i].pid);
    measuring = true;
    int64_t begun_us = clock_mono_us();
    (void)fiber_sleep(opt.seconds * USEC_PER_SEC);
    measuring = false;
    double seconds = (double)(clock_mono_us() - begun_us) / USEC_PER_SEC;
    over = true;
    while (running > 0)
        (void)fiber_sleep(10 * USEC_PER_MS);
    for (size_t i = 0; i < watched_count; i++)
        watched[i].after = cpu_of_tree(watched[i].pid);
    report(seconds);
    exit_code = failures > 0;
    loop_stop(loop_current());
}

/* ---- arguments ---- */

static const struct argp_option options[] = {
    {"shoppers", 's', "N", 0, "Shoppers at once (16)", 0},
    {"seconds", 'd', "N", 0, "Measured time (10)", 0},
    {"warmup", 'w', "N", 0, "Time before it (2)", 0},
    {"pids", 'p', "NAME=PID,...", 0, "Processes whose CPU is told", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 's':
        return opt.shoppers = (int)strtol(arg, NULL, 10), 0;
    case 'd':
        return opt.seconds = (int)strtol(arg, NULL, 10), 0;
    case 'w':
        return opt.warmup = (int)strtol(arg, NULL, 10), 0;
    case 'p':
        return opt.pids = arg, 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    const struct argp argp = {.options = options,
        .parser = parse_option,
        .doc = "Checkouts per second, closed loop. Base URLs come from AUTH_SERVICE_URL, "
               "CART_SERVICE_URL, "
               "PAYMENT_SERVICE_URL and SELLER_SERVICE_URL."};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    log_init("bench", LOG_ERROR);
    if (crypto_init() != 0)
        return 1;
    read_pids(opt.pids);
    struct loop *l = loop_new();
    if (shop_connect(l) != 0)
        return 1;
    samples = mem_array(SAMPLES_LIMIT, sizeof(*samples));
    if (fiber_spawn(l, "run", run, NULL, NULL) != 0)
        return 1;
    loop_run(l, false);
    return exit_code;
}
