/* What a flood of logins does to everybody else: browsing at a steady rate, in turns without and
 * with so many clients that log in one after the other, each with an account of its own.
 *
 *     build/bench/bench-logins --clients 200 --rounds 6
 *
 * Browsing is an open load: requests are due at fixed times and their latency counts from then, so
 * what queues is seen. Windows with and without logins alternate, and a part of each at its start
 * is left out, so that whatever else the machine does falls on both. A client that is told 503
 * waits as long as Retry-After says, one second. Base URLs as for the other benches. One JSON line
 * on stdout. */

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/fiber/sync.h"
#include "common/json/writer.h"
#include "shop.h"

#define SAMPLES_LIMIT 200000
#define PASSWORD      "a bench that logs in"
#define SETTLE_US     (USEC_PER_SEC / 2) /* of a window, left out */

static struct {
    int clients, rounds;
    double rate, window_s;
} opt = {.clients = 200, .rounds = 6, .rate = 40, .window_s = 4};

enum { IDLE, BUSY, STATES };

struct stream {
    const char *name;
    enum shop_peer peer;
    char path[80];
    const char *token;
    int64_t *samples[STATES];
    size_t count[STATES], failures;
};
static struct stream streams[] = {{.name = "profile", .peer = SHOP_AUTH},
    {.name = "products", .peer = SHOP_SELLER, .path = "/api/v1/products?limit=20"}};

static char (*emails)[64];
static bool over;
static int state = -1; /* IDLE, BUSY, or -1 between them */
static unsigned running, clients_running;
static uint64_t accepted, refused, failed;

/* ---- people ---- */

/* The text of a member of a flat part of the answer, which is our own service's. */
static const char *member_of(struct span answer, const char *name)
{
    const char *key = arena_printf(fiber_arena(), "\"%s\":\"", name);
    const char *text = arena_strndup(fiber_arena(), answer.ptr, answer.len),
               *at = strstr(text, key);
    if (!at) {
        fprintf(stderr, "no %s in %s\n", name, text);
        exit(1);
    }
    at += strlen(key);
    return arena_strndup(fiber_arena(), at, strcspn(at, "\""));
}

static struct span sign_up(int i)
{
    char run[UUID_TEXT_SIZE];
    struct span answer;
    uuid_make(run);
    snprintf(emails[i], sizeof(emails[i]), "login-%d-%s@bench.example", i, run + 24);
    int status = shop_ask(SHOP_AUTH, HTTP_POST, "/api/v1/auth/register", NULL, NULL,
        arena_printf(fiber_arena(),
            "{\"email\":\"%s\",\"password\":\"" PASSWORD "\",\"name\":\"Bench\"}", emails[i]),
        &answer);
    if (status != 201) {
        fprintf(stderr, "no account: %d %.*s\n", status, SPAN_ARG(answer));
        exit(1);
    }
    return answer;
}

static void make_people(void)
{
    emails = mem_array((size_t)opt.clients, sizeof(*emails));
    for (int i = 1; i < opt.clients; i++) {
        (void)sign_up(i);
        arena_reset(fiber_arena());
    }
    struct span answer = sign_up(0);
    streams[0].token = mem_strdup(member_of(answer, "accessToken"));
    snprintf(
        streams[0].path, sizeof(streams[0].path), "/api/v1/users/%s", member_of(answer, "userId"));
}

/* ---- logging in ---- */

/* Each client has a peer, so that no breaker and no limit of ours stands between it and auth. */
struct client {
    struct http_peer *peer;
    const char *body;
};
static struct client *clients;

static void make_clients(void)
{
    struct http_client *http = http_client_new(loop_current());
    clients = mem_array((size_t)opt.clients, sizeof(*clients));
    for (int i = 0; i < opt.clients; i++) {
        clients[i].peer = http_peer_new(http, &(struct http_peer_config){.name = "login",
                                                  .base_url = getenv("AUTH_SERVICE_URL"),
                                                  .timeout_us = 10 * USEC_PER_SEC,
                                                  .retry_limit = HTTP_RETRIES_NONE,
                                                  .breaker_calls = 64});
        clients[i].body = mem_strdup(arena_printf(
            fiber_arena(), "{\"email\":\"%s\",\"password\":\"" PASSWORD "\"}", emails[i]));
    }
}

static void log_in_again_and_again(void *arg)
{
    struct client *c = arg;
    while (state == BUSY) {
        struct http_answer answer = {0};
        int r = http_call(c->peer,
            &(struct http_call){
                .method = HTTP_POST, .path = "/api/v1/auth/login", .body = span_of(c->body)},
            &answer);
        int status = r < 0 ? r : answer.status;
        accepted += status == 200;
        refused += status == 503;
        failed += status != 200 && status != 503;
        if (status != 200)
            (void)fiber_sleep(USEC_PER_SEC);
        arena_reset(fiber_arena());
    }
    clients_running--;
}

/* ---- browsing ---- */

struct shot {
    struct stream *stream;
    int64_t due_us;
    int state; /* when it was due */
};

static void shoot(void *arg)
{
    struct shot shot = *(struct shot *)arg;
    struct stream *s = shot.stream;
    struct span answer;
    mem_free(arg);
    int status = shop_ask(s->peer, HTTP_GET, s->path, s->token, NULL, NULL, &answer);
    int64_t took_us = clock_mono_us() - shot.due_us;
    if (status != 200)
        s->failures++;
    else if (shot.state >= 0 && s->count[shot.state] < SAMPLES_LIMIT)
        s->samples[shot.state][s->count[shot.state]++] = took_us;
    running--;
}

static bool settled;

static void browse(void *arg)
{
    struct stream *s = arg;
    int64_t begun_us = clock_mono_us();
    for (uint64_t n = 0; !over; n++) {
        int64_t due_us = begun_us + (int64_t)((double)n / opt.rate * USEC_PER_SEC);
        if (due_us > clock_mono_us())
            (void)fiber_sleep(due_us - clock_mono_us());
        struct shot *shot = MEM_NEW(struct shot);
        *shot = (struct shot){s, due_us, settled ? state : -1};
        if (fiber_spawn(loop_current(), s->name, shoot, shot, NULL) == 0) {
            running++;
        } else {
            mem_free(shot);
            s->failures++;
        }
    }
    running--;
}

/* ---- windows ---- */

static void spend_window(int of)
{
    state = of;
    for (int i = 0; of == BUSY && i < opt.clients; i++)
        if (fiber_spawn(loop_current(), "login", log_in_again_and_again, &clients[i], NULL) == 0)
            clients_running++;
    (void)fiber_sleep(SETTLE_US);
    settled = true;
    (void)fiber_sleep((int64_t)(opt.window_s * USEC_PER_SEC));
    settled = false;
    state = -1;
    while (clients_running > 0)
        (void)fiber_sleep(10 * USEC_PER_MS);
}

static void report_stream(struct json_writer *w, struct stream *s)
{
    static const char *const names[STATES] = {"without", "with"};
    double p99[STATES];
    json_key(w, s->name);
    json_object_begin(w);
    for (int i = 0; i < STATES; i++) {
        p99[i] = shop_percentile_ms(s->samples[i], s->count[i], 0.99);
        json_key(w, names[i]);
        json_object_begin(w);
        json_put_i64(w, "answered", (int64_t)s->count[i]);
        json_key(w, "p50Ms");
        json_double(w, shop_percentile_ms(s->samples[i], s->count[i], 0.5));
        json_key(w, "p99Ms");
        json_double(w, p99[i]);
        json_object_end(w);
    }
    json_put_i64(w, "failures", (int64_t)s->failures);
    json_key(w, "p99Ratio");
    json_double(w, p99[IDLE] > 0 ? p99[BUSY] / p99[IDLE] : 0);
    json_object_end(w);
}

static void report(double busy_s)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_object_begin(&w);
    json_put_i64(&w, "clients", opt.clients);
    json_key(&w, "loginsPerSecond");
    json_double(&w, (double)accepted / busy_s);
    json_key(&w, "toldToComeBackPerSecond");
    json_double(&w, (double)refused / busy_s);
    json_put_i64(&w, "failures", (int64_t)failed);
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++)
        report_stream(&w, &streams[i]);
    json_object_end(&w);
    printf("%.*s\n", SPAN_ARG(buf_span(&out)));
    buf_deinit(&out);
}

static void run(void *arg)
{
    double busy_s = 0;
    make_people();
    make_clients();
    for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
        for (int k = 0; k < STATES; k++)
            streams[i].samples[k] = mem_array(SAMPLES_LIMIT, sizeof(int64_t));
        running++;
        if (fiber_spawn(loop_current(), "browse", browse, &streams[i], NULL) != 0)
            exit(1);
    }
    (void)fiber_sleep(USEC_PER_SEC);
    for (int i = 0; i < opt.rounds; i++) {
        spend_window(IDLE);
        int64_t begun_us = clock_mono_us();
        spend_window(BUSY);
        busy_s += (double)(clock_mono_us() - begun_us) / USEC_PER_SEC;
    }
    over = true;
    while (running > 0)
        (void)fiber_sleep(10 * USEC_PER_MS);
    report(busy_s);
    loop_stop(loop_current());
}

/* ---- arguments ---- */

static const struct argp_option options[] = {
    {"clients", 'c', "N", 0, "Clients that log in at once (200)", 0},
    {"rounds", 'r', "N", 0, "Windows of each kind (6)", 0},
    {"window", 'w', "SECONDS", 0, "Length of a window (4)", 0},
    {"rate", 'b', "RATE", 0, "Requests per second of each kind of browsing (40)", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *argp)
{
    switch (key) {
    case 'c':
        return opt.clients = (int)strtol(arg, NULL, 10), 0;
    case 'r':
        return opt.rounds = (int)strtol(arg, NULL, 10), 0;
    case 'w':
        return opt.window_s = strtod(arg, NULL), 0;
    case 'b':
        return opt.rate = strtod(arg, NULL), 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    const struct argp argp = {.options = options,
        .parser = parse_option,
        .doc = "What a flood of logins does to browsing."};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
    log_init("bench", LOG_ERROR);
    if (crypto_init() != 0)
        return 1;
    struct loop *l = loop_new();
    if (shop_connect(l) != 0 || fiber_spawn(l, "run", run, NULL, NULL) != 0)
        return 1;
    loop_run(l, false);
    return 0;
}
