/* souk-load: drives a shop and tells what came of it. See load.h for the parts. */

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/base/crypto.h"
#include "load/load.h"
#include "load/watch.h"

static struct options options;
static struct run the_run = {.o = &options};
static int exit_code = LOAD_UNPREPARED;

static void on_signal(int signo)
{
    run_asked_to_end++;
}

/* ---- connections ---- */

static int connect_to(enum shop_peer peer, const char *url)
{
    const char *wrong;
    if (wire_new(the_run.loop, url,
            &(struct wire_config){.ca_file = options.ca_file,
                .insecure = options.insecure,
                .timeout_us = options.timeout_us},
            &the_run.shop.wires[peer], &wrong) == 0)
        return 0;
    fprintf(stderr, "souk-load: %s: %s\n", url, wrong);
    return LOAD_USAGE;
}

static int connect_directly(void)
{
    static const char *const names[SHOP_PEERS] = {
        "AUTH_SERVICE_URL", "CART_SERVICE_URL", "PAYMENT_SERVICE_URL", "SELLER_SERVICE_URL"};
    for (int i = 0; i < SHOP_PEERS; i++) {
        const char *url = getenv(names[i]);
        if (!url || !*url) {
            fprintf(stderr, "souk-load: --direct needs %s; ./souk load sets it\n", names[i]);
            return LOAD_USAGE;
        }
        int r = connect_to((enum shop_peer)i, url);
        if (r != 0)
            return r;
    }
    return 0;
}

static int connect_all(void)
{
    if (options.direct)
        return connect_directly();
    int r = connect_to(SHOP_AUTH, options.target);
    for (int i = 1; i < SHOP_PEERS; i++)
        the_run.shop.wires[i] = the_run.shop.wires[SHOP_AUTH];
    return r;
}

/* ---- files ---- */

static bool file_write(const char *path, const struct buf *text)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    bool good = f && fwrite(text->ptr, 1, text->len, f) == text->len;
    if (f && f != stdout)
        good = fclose(f) == 0 && good;
    if (!good)
        fprintf(stderr, "souk-load: %s: %s\n", path, strerror(errno));
    return good;
}

static bool report(const struct judgement *j)
{
    struct buf text = {0};
    bool good = true;
    if (options.json) {
        report_json(&the_run, j, &text);
        good = file_write(options.json, &text);
    }
    if (options.html) {
        buf_reset(&text);
        page_write(&the_run, j, &text);
        good = file_write(options.html, &text) && good;
    }
    buf_deinit(&text);
    if (!options.json || strcmp(options.json, "-") != 0)
        report_print(&the_run, j, stdout);
    return good;
}

/* ---- the run ---- */

/* The audit knows one suite, whose gateway is $PUBLIC_URL. */
static bool is_audited(const struct run *r)
{
    const char *ours = getenv("PUBLIC_URL");
    return options.audit && run_asked_to_end < 2 &&
           (options.direct || (ours && strcmp(options.target, ours) == 0)) &&
           wire_is_local(r->shop.wires[0]);
}

static PARKS void run_all(void)
{
    struct run *r = &the_run;
    size_t shoppers = (size_t)(options.open_loop ? options.shoppers : options.users);
    r->chance.state = (uint64_t)options.seed;
    if (shop_open(&r->shop, &options, shoppers) != 0)
        return;
    if (wire_is_local(r->shop.wires[0]) && !options.no_watch)
        r->watch = watch_new(r->loop, options.state, getenv("RABBITMQ_MANAGEMENT_URL"));
    (void)fiber_spawn(r->loop, "fresh", shop_keep_fresh, r, NULL);
    if (!options.quiet)
        (void)fiber_spawn(r->loop, "live", live_show, r, NULL);
    run_drive(r);
    live_clear();
    bool kept = keep_write(&r->shop);
    if (is_audited(r))
        audit_run(&r->audit, options.audit);
    struct judgement j = run_judge(r);
    exit_code = !report(&j) || !kept || j.failed ? LOAD_FAILED : LOAD_PASSED;
}

static void run(void *arg)
{
    run_all();
    the_run.over = true;
    loop_stop(the_run.loop);
}

/* Each buyer of a flash sale has a connection, and a fiber. */
static void raise_limits(struct loop *l)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    loop_set_fiber_limit(l, FIBER_LIMIT_MAX);
    loop_set_slow_turn_us(l, 3600 * USEC_PER_SEC); /* nobody is served here */
}

int main(int argc, char **argv)
{
    options_read(&options, argc, argv);
    log_init("souk-load", LOG_ERROR);
    if (crypto_init() != 0)
        return LOAD_UNPREPARED;
    if (options.log && !(the_run.log = fopen(options.log, "w"))) {
        perror(options.log);
        return LOAD_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    the_run.loop = loop_new();
    raise_limits(the_run.loop);
    int r = connect_all();
    if (r != 0)
        return r;
    if (fiber_spawn(the_run.loop, "run", run, NULL, NULL) != 0)
        return LOAD_UNPREPARED;
    loop_run(the_run.loop, false);
    /* Fibers that still wait for answers after a second signal go with the process. */
    if (the_run.log)
        fclose(the_run.log);
    return exit_code;
}
