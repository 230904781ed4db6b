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
#include "common/base/uuid.h"
#include "common/fiber/sync.h"
#include "common/json/reader.h"
#include "common/json/writer.h"
#include "common/net/client.h"

#define ITEMS         200
#define SAMPLES_LIMIT 2000000
#define PIDS_LIMIT    16

static struct {
    int shoppers, seconds, warmup;
    char *pids;
} opt = {.shoppers = 16, .seconds = 10, .warmup = 2};

enum { AUTH, CART, PAYMENT, SELLER, PEERS };
static const char *const peer_names[PEERS] = {"auth", "cart", "payment", "seller"};
static const char *const peer_variables[PEERS] = {
    "AUTH_SERVICE_URL", "CART_SERVICE_URL", "PAYMENT_SERVICE_URL", "SELLER_SERVICE_URL"};
static struct http_peer *peers[PEERS];

struct shopper {
    char token[4096], card[UUID_TEXT_SIZE];
    unsigned next_item;
};
static struct shopper *shoppers;
static char skus[ITEMS][40];

static bool measuring, over;
static int64_t *samples;
static size_t samples_count;
static uint64_t failures;
static unsigned running;
static int exit_code;

/* ---- calls ---- */

/* One call; dies with the answer when the status is another one, unless `ret_status` takes it. */
static struct span call(int peer, enum http_method method, const char *path, const char *token,
    const char *key, const char *body, int want, int *ret_status)
{
    struct http_header headers[3];
    size_t n = 0;
    if (token)
        headers[n++] = (struct http_header){
            SPAN("Authorization"), span_of(arena_printf(fiber_arena(), "Bearer %s", token))};
    if (key)
        headers[n++] = (struct http_header){SPAN("Idempotency-Key"), span_of(key)};
    struct http_answer answer = {0};
    int r = http_call(peers[peer],
        &(struct http_call){.method = method,
            .path = path,
            .headers = headers,
            .headers_count = n,
            .body = span_of(body),
            .idempotent = key != NULL},
        &answer);
    if (ret_status) {
        *ret_status = r < 0 ? r : answer.status;
        return answer.body;
    }
    if (r < 0 || answer.status != want) {
        fprintf(stderr, "%s %s: %d (%s) %.*s\n", peer_names[peer], path, answer.status,
            r < 0 ? error_text() : "", SPAN_ARG(answer.body));
        exit(1);
    }
    return answer.body;
}

struct answer_fields {
    const char *access_token, *payment_method_id;
};
static const struct field answer_field_rows[] = {
    FIELD_TEXT(struct answer_fields, access_token, "accessToken", .max = 4096),
    FIELD_TEXT(struct answer_fields, payment_method_id, "paymentMethodId"),
};
static const struct table answer_table = TABLE("Answer", struct answer_fields, answer_field_rows);

static struct answer_fields fields_of(struct span body)
{
    struct answer_fields fields = {0};
    struct json_errors errors;
    (void)json_read(fiber_arena(), body, &answer_table, JSON_LENIENT, &fields, &errors);
    return fields;
}

/* ---- preparation ---- */

static const char *sign_up(const char *kind, int number, const char *role)
{
    char id[UUID_TEXT_SIZE];
    uuid_make(id);
    const char *body = arena_printf(fiber_arena(),
        "{\"email\":\"%s-%d-%s@bench.example\",\"password\":\"correct horse %s\",\"name\":\"%s "
        "%d\","
        "\"role\":\"%s\"}",
        kind, number, id, id, kind, number, role);
    return fields_of(call(AUTH, HTTP_POST, "/api/v1/auth/register", NULL, NULL, body, 201, NULL))
        .access_token;
}

static void make_items(void)
{
    const char *token = sign_up("seller", 0, "seller");
    char run[UUID_TEXT_SIZE];
    uuid_make(run);
    call(SELLER, HTTP_POST, "/api/v1/sellers", token, NULL, "{\"name\":\"Bench\"}", 201, NULL);
    for (int i = 0; i < ITEMS; i++) {
        snprintf(skus[i], sizeof(skus[i]), "B%.8s-%03d", run + 28, i);
        call(SELLER, HTTP_POST, "/api/v1/products", token, NULL,
            arena_printf(fiber_arena(),
                "{\"sku\":\"%s\",\"name\":\"Bench item %d\",\"category\":\"bench\","
                "\"price\":{\"amount\":%d,\"currency\":\"USD\"}}",
                skus[i], i, 500 + 37 * i),
            201, NULL);
        call(SELLER, HTTP_POST,
            arena_printf(fiber_arena(), "/api/v1/inventory/%s/adjustments", skus[i]), token, NULL,
            "{\"delta\":1000000,\"reason\":\"received\"}", 201, NULL);
    }
}

static void make_shopper(int i)
{
    struct shopper *s = &shoppers[i];
    const char *token = sign_up("shopper", i, "user");
    snprintf(s->token, sizeof(s->token), "%s", token);
    struct span body = call(PAYMENT, HTTP_POST, "/api/v1/payment-methods", token, NULL,
        "{\"token\":\"tok_visa\"}", 201, NULL);
    snprintf(s->card, sizeof(s->card), "%s", fields_of(body).payment_method_id);
    s->next_item = (unsigned)i * 7;
}

/* ---- the measured loop ---- */

static void buy(struct shopper *s)
{
    char key[UUID_TEXT_SIZE];
    int status;
    const char *sku = skus[s->next_item++ % ITEMS];
    uuid_make(key);
    call(CART, HTTP_POST, "/api/v1/cart/items", s->token, NULL,
        arena_printf(fiber_arena(), "{\"sku\":\"%s\",\"quantity\":1}", sku), 200, &status);
    if (status != 200) {
        failures += measuring;
        return;
    }
    int64_t begun_us = clock_mono_us();
    struct span body = call(CART, HTTP_POST, "/api/v1/cart/checkout", s->token, key,
        arena_printf(fiber_arena(), "{\"paymentMethodId\":\"%s\"}", s->card), 201, &status);
    if (!measuring)
        return;
    if (status == 201 && samples_count < SAMPLES_LIMIT) {
        samples[samples_count++] = clock_mono_us() - begun_us;
    } else if (failures++ < 3) {
        fprintf(stderr, "checkout answered %d %.*s\n", status, SPAN_ARG(body));
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

static int compare_samples(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(double p)
{
    if (samples_count == 0)
        return 0;
    size_t at = (size_t)(p * (double)(samples_count - 1));
    return (double)samples[at] / USEC_PER_MS;
}

static void report(double seconds)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    qsort(samples, samples_count, sizeof(*samples), compare_samples);
    double per_thousand = samples_count ? 1000.0 / (double)samples_count : 0;
    json_object_begin(&w);
    json_put_i64(&w, "shoppers", opt.shoppers);
    json_put_i64(&w, "checkouts", (int64_t)samples_count);
    json_put_i64(&w, "failures", (int64_t)failures);
    json_key(&w, "perSecond");
    json_double(&w, (double)samples_count / seconds);
    json_key(&w, "p50Ms");
    json_double(&w, percentile_ms(0.5));
    json_key(&w, "p99Ms");
    json_double(&w, percentile_ms(0.99));
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
    make_items();
    for (int i = 0; i < opt.shoppers; i++) {
        make_shopper(i);
        arena_reset(fiber_arena());
    }
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
    struct http_client *client = http_client_new(l);
    for (int i = 0; i < PEERS; i++) {
        const char *url = getenv(peer_variables[i]);
        if (!url) {
            fprintf(stderr, "%s is not set\n", peer_variables[i]);
            return 1;
        }
        peers[i] = http_peer_new(client, &(struct http_peer_config){.name = peer_names[i],
                                             .base_url = url,
                                             .timeout_us = 10 * USEC_PER_SEC,
                                             .retry_limit = HTTP_RETRIES_NONE});
    }
    shoppers = mem_array((size_t)opt.shoppers, sizeof(*shoppers));
    samples = mem_array(SAMPLES_LIMIT, sizeof(*samples));
    if (fiber_spawn(l, "run", run, NULL, NULL) != 0)
        return 1;
    loop_run(l, false);
    return exit_code;
}
