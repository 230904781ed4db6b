#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/data/redis.h"

#define MS USEC_PER_MS

/* --- a redis-server of our own for each test, on loopback --- */

enum { PORT_FIRST = 29000, PORT_COUNT = 51 };
#define PASSWORD "p@ss:w/rd"
#define URL_AUTH "redis://default:p%%40ss:w%%2Frd@" /* in a format */

static struct {
    pid_t pid;
    int port;
    char url[128];
} server;

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)port)};
    if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
        return fd;
    close(fd);
    return -1;
}

static void server_start(void)
{
    char port[16];
    snprintf(port, sizeof(port), "%d", server.port);
    server.pid = fork();
    cr_assert_geq(server.pid, 0);
    if (server.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--requirepass", PASSWORD, "--logfile", "/dev/null", NULL);
        _exit(127);
    }
    int fd = -1;
    for (int i = 0; i < 3000 && fd < 0; i++) {
        cr_assert_eq(waitpid(server.pid, NULL, WNOHANG), 0, "redis-server does not start");
        usleep(1000);
        fd = dial(server.port);
    }
    cr_assert_geq(fd, 0);
    close(fd);
}

static void server_kill(void)
{
    if (server.pid <= 0)
        return;
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
    server.pid = 0;
}

static void server_choose_port(void)
{
    for (int i = 0; i < PORT_COUNT; i++) {
        server.port = PORT_FIRST + (getpid() + i) % PORT_COUNT;
        int fd = dial(server.port);
        if (fd < 0)
            break;
        close(fd);
    }
    snprintf(server.url, sizeof(server.url), URL_AUTH "127.0.0.1:%d", server.port);
}

static void setup(void)
{
    server_choose_port();
    server_start();
}

/* A command from somebody else, blocking. */
static void server_tell(const char *command)
{
    char text[256], reply[256] = "\r\n";
    size_t len = 2;
    int fd = dial(server.port),
        n = snprintf(text, sizeof(text),
            "*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$%zu\r\n" PASSWORD "\r\n%s\r\nQUIT\r\n",
            strlen(PASSWORD), command);
    cr_assert_eq(write(fd, text, (size_t)n), n);
    for (ssize_t got; (got = read(fd, reply + len, sizeof(reply) - len - 1)) > 0;)
        len += (size_t)got;
    reply[len] = '\0';
    cr_assert_null(strstr(reply, "\r\n-"), "%s", reply);
    close(fd);
}

static void server_freeze(void)
{
    int status;
    kill(server.pid, SIGSTOP);
    cr_assert_eq(waitpid(server.pid, &status, WUNTRACED), server.pid);
}

/* --- the test's body runs on a fiber --- */

struct world {
    struct loop *loop;
    struct redis *redis;
    void (*body)(struct world *w);
};

static void world_fiber(void *arg)
{
    struct world *w = arg;
    w->body(w);
}

static void play_with(const char *url, const char *prefix, void (*body)(struct world *w))
{
    struct world w = {.loop = loop_new(), .body = body};
    w.redis = redis_new(w.loop, url, prefix);
    cr_assert_eq(fiber_spawn(w.loop, "test", world_fiber, &w, NULL), 0);
    loop_run(w.loop, true);
    redis_free(w.redis);
    loop_free(w.loop);
}

static void play(void (*body)(struct world *w))
{
    play_with(server.url, "t:", body);
}

static void wait_connected(struct world *w, bool connected)
{
    for (int i = 0; redis_connected(w->redis) != connected; i++) {
        cr_assert_lt(i, 3000, "never happened");
        fiber_sleep(MS);
    }
}

static bool get_is(struct world *w, const char *key, struct span value)
{
    struct span v = SPAN("untouched");
    return redis_get(w->redis, key, &v) == 0 && v.ptr && span_equal(v, value);
}

TestSuite(redis, .init = setup, .fini = server_kill);

/* --- values --- */

static void expect_values(struct world *w)
{
    struct span v = SPAN("x");
    wait_connected(w, true);
    cr_assert_eq(redis_ping(w->redis), 0);
    cr_assert_eq(redis_get(w->redis, "a", &v), 0);
    cr_assert_null(v.ptr, "absent");
    cr_assert_eq(redis_set(w->redis, "a", SPAN("1\0\r\n2"), 0), 0);
    cr_assert(get_is(w, "a", SPAN("1\0\r\n2")));
    cr_assert_eq(redis_set(w->redis, "a", SPAN(""), 0), 0);
    cr_assert(get_is(w, "a", SPAN("")), "empty is not absent");
    cr_assert_eq(redis_delete(w->redis, "a"), 0);
    cr_assert_eq(redis_get(w->redis, "a", &v), 0);
    cr_assert_null(v.ptr);
}
Test(redis, values__are_kept_exactly)
{
    play(expect_values);
}

static void expect_ttl(struct world *w)
{
    struct span v = SPAN("x");
    wait_connected(w, true);
    cr_assert_eq(redis_set(w->redis, "a", SPAN("1"), 40), 0);
    cr_assert(get_is(w, "a", SPAN("1")));
    fiber_sleep(60 * MS);
    cr_assert_eq(redis_get(w->redis, "a", &v), 0);
    cr_assert_null(v.ptr);
}
Test(redis, value_with_a_ttl__vanishes)
{
    play(expect_ttl);
}

static void expect_own_room(struct world *w)
{
    wait_connected(w, true);
    server_tell("SET t:a theirs");
    server_tell("SET a bare");
    cr_assert(get_is(w, "a", SPAN("theirs")), "the key got the prefix");
}
Test(redis, keys__get_the_prefix)
{
    play(expect_own_room);
}

static void expect_other_db(struct world *w)
{
    struct span v;
    wait_connected(w, true);
    server_tell("SET t:a theirs");
    cr_assert_eq(redis_get(w->redis, "a", &v), 0);
    cr_assert_null(v.ptr);
}
Test(redis, database_in_the_url__is_selected)
{
    char url[160];
    snprintf(url, sizeof(url), URL_AUTH "localhost:%d/3", server.port);
    play_with(url, "t:", expect_other_db);
}

static void expect_wrong_type(struct world *w)
{
    struct span v = SPAN("untouched");
    wait_connected(w, true);
    server_tell("LPUSH t:a 1");
    cr_assert_eq(redis_get(w->redis, "a", &v), ERR_UNAVAILABLE);
    cr_assert(strstr(error_text(), "WRONGTYPE"), "%s", error_text());
    cr_assert(span_equal(v, SPAN("untouched")));
    cr_assert(redis_connected(w->redis));
    cr_assert_eq(redis_ping(w->redis), 0);
}
Test(redis, error_reply__is_a_failure_of_that_call_only)
{
    play(expect_wrong_type);
}

/* --- never there --- */

static void expect_never(struct world *w)
{
    struct span v = SPAN("untouched");
    int64_t remaining, retry_ms;
    fiber_sleep(100 * MS);
    cr_assert_not(redis_connected(w->redis));
    cr_assert_eq(redis_ping(w->redis), ERR_UNAVAILABLE);
    cr_assert_eq(redis_get(w->redis, "a", &v), ERR_UNAVAILABLE);
    cr_assert_eq(redis_set(w->redis, "a", v, 0), ERR_UNAVAILABLE);
    cr_assert_eq(redis_delete(w->redis, "a"), ERR_UNAVAILABLE);
    cr_assert_eq(redis_take_token(w->redis, "a", 1, 1, &remaining, &retry_ms), ERR_UNAVAILABLE);
}
Test(redis, no_or_a_bad_url__is_always_unavailable)
{
    static const char *const urls[] = {NULL, "", "http://127.0.0.1", "redis://", "redis://h:x",
        "redis://127.0.0.1:0", "redis://127.0.0.1:70000", "redis://127.0.0.1/x", "redis://u@h"};
    for (size_t i = 0; i < ARRAY_SIZE(urls); i++)
        play_with(urls[i], NULL, expect_never);
}

Test(redis, wrong_or_no_password__is_unavailable)
{
    char url[128];
    snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%d", server.port);
    play_with(url, NULL, expect_never);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%d", server.port);
    play_with(url, NULL, expect_never);
}

static void expect_late_start(struct world *w)
{
    fiber_sleep(20 * MS);
    cr_assert_not(redis_connected(w->redis));
    server_start();
    wait_connected(w, true);
    cr_assert_eq(redis_ping(w->redis), 0);
}
Test(redis, server_that_comes_later__is_found)
{
    server_kill();
    play(expect_late_start);
}

/* --- tokens --- */

static void expect_tokens(struct world *w)
{
    int64_t remaining = -1, retry_ms = -1;
    wait_connected(w, true);
    for (int64_t left = 2; left >= 0; left--) {
        cr_assert_eq(redis_take_token(w->redis, "b", 3, 60, &remaining, &retry_ms), 0);
        cr_assert_eq(remaining, left);
        cr_assert_eq(retry_ms, 0);
    }
    cr_assert_eq(redis_take_token(w->redis, "b", 3, 60, &remaining, &retry_ms), REDIS_LIMITED);
    cr_assert_eq(remaining, 0);
    cr_assert(retry_ms > 500 && retry_ms <= 1000, "%lld", (long long)retry_ms);
    cr_assert_eq(redis_take_token(w->redis, "other", 3, 60, &remaining, &retry_ms), 0);
}
Test(redis, bucket__gives_its_capacity_and_says_when_to_come_back)
{
    play(expect_tokens);
}

static void expect_refill(struct world *w)
{
    int64_t remaining, retry_ms;
    wait_connected(w, true);
    cr_assert_eq(redis_take_token(w->redis, "b", 1, 1200, &remaining, &retry_ms), 0);
    cr_assert_eq(redis_take_token(w->redis, "b", 1, 1200, &remaining, &retry_ms), REDIS_LIMITED);
    cr_assert_leq(retry_ms, 50);
    fiber_sleep((retry_ms + 2) * MS);
    cr_assert_eq(redis_take_token(w->redis, "b", 1, 1200, &remaining, &retry_ms), 0);
}
Test(redis, bucket__fills_up_again)
{
    play(expect_refill);
}

static void expect_script_again(struct world *w)
{
    int64_t remaining, retry_ms;
    wait_connected(w, true);
    cr_assert_eq(redis_take_token(w->redis, "b", 3, 60, &remaining, &retry_ms), 0);
    server_tell("SCRIPT FLUSH");
    cr_assert_eq(redis_take_token(w->redis, "b", 3, 60, &remaining, &retry_ms), 0);
    cr_assert_eq(remaining, 1);
}
Test(redis, script_forgotten_by_the_server__is_sent_again)
{
    play(expect_script_again);
}

/* --- many at once --- */

struct helper {
    struct world *w;
    int r;
    struct fiber *fiber;
};

static void taker(void *arg)
{
    struct helper *h = arg;
    int64_t remaining, retry_ms;
    h->r = redis_take_token(h->w->redis, "many", 50, 1, &remaining, &retry_ms);
}

static void getter(void *arg)
{
    struct helper *h = arg;
    struct span v;
    h->r = redis_get(h->w->redis, "many", &v);
}

static void helper_start(struct helper *h, struct world *w, fiber_fn fn)
{
    *h = (struct helper){.w = w, .r = 77};
    cr_assert_eq(fiber_spawn(w->loop, "helper", fn, h, &h->fiber), 0);
}

static void expect_many(struct world *w)
{
    static struct helper helpers[200];
    unsigned taken = 0, limited = 0;
    wait_connected(w, true);
    for (size_t i = 0; i < ARRAY_SIZE(helpers); i++)
        helper_start(&helpers[i], w, taker);
    for (size_t i = 0; i < ARRAY_SIZE(helpers); i++) {
        cr_assert_eq(fiber_join(helpers[i].fiber, USEC_NEVER), 0);
        taken += helpers[i].r == 0;
        limited += helpers[i].r == REDIS_LIMITED;
    }
    cr_assert_eq(taken, 50);
    cr_assert_eq(limited, 150);
}
Test(redis, two_hundred_fibers__share_one_bucket_fairly)
{
    play(expect_many);
}

/* --- a frozen, a killed server --- */

static void expect_frozen(struct world *w)
{
    wait_connected(w, true);
    cr_assert_eq(redis_set(w->redis, "a", SPAN("1"), 0), 0);
    server_freeze();
    int64_t start = clock_mono_us();
    cr_assert_eq(redis_ping(w->redis), ERR_TIMEOUT);
    int64_t took = clock_mono_us() - start;
    cr_assert(took >= 50 * MS && took < 5000 * MS, "%lld", (long long)took);
    cr_assert_not(redis_connected(w->redis));
    for (int i = 0; i < 100; i++) {
        start = clock_mono_us();
        cr_assert_eq(redis_ping(w->redis), ERR_UNAVAILABLE);
        cr_assert_lt(clock_mono_us() - start, 20 * MS, "fails at once");
        fiber_sleep(2 * MS); /* past the first attempts to come back */
    }
    kill(server.pid, SIGCONT);
    wait_connected(w, true);
    cr_assert(get_is(w, "a", SPAN("1")));
}
Test(redis, frozen_server__times_out_once_then_fails_at_once_until_it_is_back)
{
    play(expect_frozen);
}

static void expect_all_freed(struct world *w)
{
    static struct helper helpers[20];
    wait_connected(w, true);
    server_freeze();
    int64_t start = clock_mono_us();
    for (size_t i = 0; i < ARRAY_SIZE(helpers); i++)
        helper_start(&helpers[i], w, getter);
    for (size_t i = 0; i < ARRAY_SIZE(helpers); i++) {
        cr_assert_eq(fiber_join(helpers[i].fiber, USEC_NEVER), 0);
        cr_assert(helpers[i].r == ERR_TIMEOUT || helpers[i].r == ERR_UNAVAILABLE);
    }
    cr_assert_lt(clock_mono_us() - start, 500 * MS);
}
Test(redis, frozen_server__ends_all_pending_commands)
{
    play(expect_all_freed);
}

static void expect_left_behind(struct world *w)
{
    struct helper h;
    struct span v;
    wait_connected(w, true);
    cr_assert_eq(redis_set(w->redis, "a", SPAN("1"), 0), 0);
    server_freeze();
    int64_t outer = fiber_deadline_push(clock_mono_us() + 5 * MS);
    cr_assert_eq(redis_get(w->redis, "a", &v), ERR_TIMEOUT);
    fiber_deadline_pop(outer);
    helper_start(&h, w, getter);
    fiber_yield();
    fiber_cancel(h.fiber);
    cr_assert_eq(fiber_join(h.fiber, USEC_NEVER), 0);
    cr_assert_eq(h.r, -ECANCELED);
    cr_assert(redis_connected(w->redis), "our hurry is not the server's fault");
    kill(server.pid, SIGCONT);
    cr_assert_eq(redis_set(w->redis, "b", SPAN("2"), 0), 0);
    cr_assert(get_is(w, "b", SPAN("2")), "replies still meet their commands");
}
Test(redis, fiber_that_leaves_early__leaves_the_connection_alone)
{
    play(expect_left_behind);
}

static void leave_behind(struct world *w)
{
    struct span v;
    wait_connected(w, true);
    server_freeze();
    int64_t outer = fiber_deadline_push(clock_mono_us() + 5 * MS);
    cr_assert_eq(redis_get(w->redis, "a", &v), ERR_TIMEOUT);
    fiber_deadline_pop(outer);
}
Test(redis, freed_with_commands_left_behind__frees_them)
{
    play(leave_behind);
}

static void expect_restart(struct world *w)
{
    for (int i = 0; i < 3; i++) {
        wait_connected(w, true);
        int64_t remaining, retry_ms;
        cr_assert_eq(redis_take_token(w->redis, "b", 3, 1, &remaining, &retry_ms), 0);
        cr_assert_eq(remaining, 2, "a fresh server");
        server_kill();
        wait_connected(w, false);
        cr_assert_eq(redis_ping(w->redis), ERR_UNAVAILABLE);
        server_start();
    }
}
Test(redis, killed_and_restarted__is_found_again)
{
    play(expect_restart);
}
