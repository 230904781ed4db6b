/* A steady open load of checkouts and of browsing, each request with its line in a file, so that
 * the time before a fault can be compared with the time of it.
 *
 *     build/bench/bench-load --checkouts 20 --browses 20 --seconds 120 --log /tmp/load
 *
 * Requests are due at fixed times, whether or not earlier ones have been answered, and their
 * latency counts from when they were due: what queues is seen. A checkout takes a shopper who has
 * none running, and waits for one when all are busy; the item it buys is put into the cart right
 * before, which counts as well. A line of the file:
 *
 *     checkout 1795264321123 18250 201 01997d1c-...     what, due (ms), latency (us), status, order
 *     browse 1795264321150 2210 200 -
 *
 * SIGTERM ends it early: what is under way is answered first. One JSON line on stdout. */

#include <argp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/fiber/sync.h"
#include "common/json/reader.h"
#include "common/json/writer.h"
#include "shop.h"

#define SAMPLES_LIMIT 2000000
#define PATIENCE_US   (60 * USEC_PER_SEC)

static struct {
    double checkouts, browses;
    int shoppers, seconds;
    const char *log;
} opt = {.checkouts = 20, .shoppers = 64, .seconds = 60};

/* One kind of request: its rate and what became of it. */
struct stream {
    const char *name;
    double per_second;
    int good;
    int (*send)(const char **ret_order) PARKS;
    int64_t *samples;
    size_t count;
    uint64_t failures;
};

static FILE *log_file;
static volatile sig_atomic_t asked_to_end;
static int64_t end_us;
static struct channel idle_shoppers;
static unsigned running;

struct order_field {
    const char *order_id;
};
static const struct field order_field_rows[] = {
    FIELD_TEXT(struct order_field, order_id, "orderId"),
};
static const struct table order_table = TABLE("Order", struct order_field, order_field_rows);

/* ---- requests ---- */

static PARKS int send_checkout(const char **ret_order)
{
    struct order_field order = {0};
    struct json_errors errors;
    struct span answer;
    void *shopper;
    int r = channel_receive(&idle_shoppers, clock_mono_us() + PATIENCE_US, &shopper);
    if (r != 0)
        return r;
    int status = shop_put(shopper);
    if (status == 200)
        status = shop_checkout(shopper, &answer);
    (void)channel_send(&idle_shoppers, shopper, USEC_NEVER);
    if (status == 201 &&
        json_read(fiber_arena(), answer, &order_table, JSON_LENIENT, &order, &errors) == 0)
        *ret_order = order.order_id;
    return status;
}

static PARKS int send_browse(const char **ret_order)
{
    struct span answer;
    return shop_ask(SHOP_SELLER, HTTP_GET, "/api/v1/products?limit=20", NULL, NULL, NULL, &answer);
}

static struct stream streams[] = {
    {.name = "checkout", .good = 201, .send = send_checkout},
    {.name = "browse", .good = 200, .send = send_browse},
};

struct shot {
    struct stream *stream;
    int64_t due_us;
};

static void shoot(void *arg)
{
    struct shot shot = *(struct shot *)arg;
    struct stream *s = shot.stream;
    const char *order = "-";
    mem_free(arg);
    int64_t due_wall_us = clock_wall_us() - (clock_mono_us() - shot.due_us);
    int status = s->send(&order);
    int64_t took_us = clock_mono_us() - shot.due_us;
    if (status != s->good)
        s->failures++;
    else if (s->count < SAMPLES_LIMIT)
        s->samples[s->count++] = took_us;
    if (log_file)
        fprintf(log_file, "%s %lld %lld %d %s\n", s->name, (long long)(due_wall_us / USEC_PER_MS),
            (long long)took_us, status, order);
    running--;
}

/* ---- the clockwork ---- */

static bool over(void)
{
    return asked_to_end || clock_mono_us() >= end_us;
}

static void pace(void *arg)
{
    struct stream *s = arg;
    int64_t begun_us = clock_mono_us();
    for (uint64_t n = 0; !over(); n++) {
        int64_t due_us = begun_us + (int64_t)((double)n / s->per_second * USEC_PER_SEC);
        int64_t wait_us = due_us - clock_mono_us();
        if (wait_us > 0)
            (void)fiber_sleep(wait_us);
        struct shot *shot = MEM_NEW(struct shot);
        *shot = (struct shot){s, due_us};
        if (fiber_spawn(loop_current(), s->name, shoot, shot, NULL) == 0) {
            running++;
        } else {
            mem_free(shot);
            s->failures++;
        }
    }
    running--;
}

static void report(double seconds)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_object_begin(&w);
    json_key(&w, "seconds");
    json_double(&w, seconds);
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
        struct stream *s = &streams[i];
        json_key(&w, s->name);
        json_object_begin(&w);
        json_put_i64(&w, "answered", (int64_t)s->count);
        json_put_i64(&w, "failures", (int64_t)s->failures);
        json_key(&w, "p50Ms");
        json_double(&w, shop_percentile_ms(s->samples, s->count, 0.5));
        json_key(&w, "p99Ms");
        json_double(&w, shop_percentile_ms(s->samples, s->count, 0.99));
        json_object_end(&w);
    }
    json_object_end(&w);
    printf("%.*s\n", SPAN_ARG(buf_span(&out)));
    buf_deinit(&out);
}

static void run(void *arg)
{
    struct shopper *shoppers = shop_open(opt.shoppers);
    channel_init(&idle_shoppers, (size_t)opt.shoppers);
    for (int i = 0; i < opt.shoppers; i++)
        (void)channel_send(&idle_shoppers, &shoppers[i], USEC_NEVER);
    int64_t begun_us = clock_mono_us();
    end_us = begun_us + opt.seconds * USEC_PER_SEC;
    streams[0].per_second = opt.checkouts;
    streams[1].per_second = opt.browses;
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
        struct stream *s = &streams[i];
        s->samples = mem_array(SAMPLES_LIMIT, sizeof(*s->samples));
        if (s->per_second <= 0)
            continue;
        running++;
        if (fiber_spawn(loop_current(), "pace", pace, s, NULL) != 0)
            exit(1);
    }
    while (running > 0)
        (void)fiber_sleep(10 * USEC_PER_MS);
    if (log_file)
        fclose(log_file);
    report((double)(clock_mono_us() - begun_us) / USEC_PER_SEC);
    loop_stop(loop_current());
}

static void on_term(int signo)
{
    asked_to_end = 1;
}

/* ---- arguments ---- */

static const struct argp_option options[] = {
    {"checkouts", 'c', "RATE", 0, "Checkouts per second (20)", 0},
    {"browses", 'b', "RATE", 0, "Product lists per second (0)", 0},
    {"shoppers", 's', "N", 0, "Shoppers to take turns (64)", 0},
    {"seconds", 'd', "N", 0, "How long (60)", 0},
    {"log", 'l', "FILE", 0, "A line there for each request", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'c':
        return opt.checkouts = strtod(arg, NULL), 0;
    case 'b':
        return opt.browses = strtod(arg, NULL), 0;
    case 's':
        return opt.shoppers = (int)strtol(arg, NULL, 10), 0;
    case 'd':
        return opt.seconds = (int)strtol(arg, NULL, 10), 0;
    case 'l':
        return opt.log = arg, 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    const struct argp argp = {.options = options,
        .parser = parse_option,
        .doc = "A steady open load on a running suite."};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    log_init("bench", LOG_ERROR);
    if (crypto_init() != 0)
        return 1;
    if (opt.log && !(log_file = fopen(opt.log, "w"))) {
        perror(opt.log);
        return 1;
    }
    struct loop *l = loop_new();
    signal(SIGTERM, on_term);
    if (shop_connect(l) != 0 || fiber_spawn(l, "run", run, NULL, NULL) != 0)
        return 1;
    loop_run(l, false);
    return 0;
}
