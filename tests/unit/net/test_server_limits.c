#include "server_rig.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* ---- time ------------------------------------------------------------------------------------ */

static void client_slow_head(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);
    int64_t begun_us = clock_mono_us();

    /* A byte now and then: the deadline is absolute, so it does not help. */
    send_text(fd, "GET /");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 10) == 0)
        send_text(fd, "a");
    CHECK(read_answer(fd, false, &a) && a.status == 408, "%d", a.status);
    CHECK(clock_mono_us() - begun_us < 20 * SHORT_US);
    close(fd);

    fd = dial(rig);
    send_text(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    send_text(fd, "G");
    CHECK(read_answer(fd, false, &a) && a.status == 408, "%d", a.status);
    free(a.body);
    close(fd);
}

Test(server, head_timeout__bytes_that_trickle__end_in_408)
{
    struct rig rig = {.config = {.head_timeout_us = SHORT_US}};

    rig_run(&rig, client_slow_head);
    cr_assert_eq(rig.handled, 1);
}

static void client_slow_body(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 10) == 0)
        send_text(fd, "a");
    CHECK(read_answer(fd, false, &a) && a.status == 408, "%d", a.status);
    free(a.body);
    close(fd);
}

Test(server, body_timeout__bytes_that_trickle__end_in_408)
{
    struct rig rig = {.config = {.body_timeout_us = SHORT_US}};

    rig_run(&rig, client_slow_body);
    cr_assert_eq(rig.handled, 0);
}

static void client_idle(struct rig *rig)
{
    struct answer a = {0};
    int fresh = dial(rig), fd = dial(rig);

    CHECK(at_end(fresh));
    close(fresh);
    close(fd);
    fd = dial(rig);
    send_text(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    CHECK(at_end(fd));
    free(a.body);
    close(fd);
}

Test(server, idle_timeout__nothing_comes__closes_in_silence)
{
    struct rig rig = {.config = {.idle_timeout_us = SHORT_US}};

    rig_run(&rig, client_idle);
    cr_assert_eq(rig.refused, 0);
}

static void client_never_reads(struct rig *rig)
{
    int fd = dial(rig);

    for (int i = 0; i < 3; i++)
        send_text(fd, "GET /big HTTP/1.1\r\n" HOST "\r\n");
    rig_sync(rig);
    int64_t until_us = clock_mono_us() + 5 * USEC_PER_SEC;
    while (http_server_connections(rig->server) > 0 && clock_mono_us() < until_us) {
        poll(NULL, 0, 5);
        rig_sync(rig);
    }
    CHECK(http_server_connections(rig->server) == 0);
    close(fd);
}

Test(server, write_timeout__client_that_never_reads__is_cut_off)
{
    struct rig rig = {.config = {.write_timeout_us = SHORT_US}};

    rig_run(&rig, client_never_reads);
    cr_assert_eq(rig.handled, 1); /* no second reply is made for one who reads none */
}

static void client_deadlines(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);
    static const struct {
        const char *header;
        int64_t at_most_us, at_least_us;
    } cases[] = {
        {"", 2000 * USEC_PER_MS, 1000 * USEC_PER_MS},
        {"X-Deadline-Ms: 500\r\n", 500 * USEC_PER_MS, 1},
        {"X-Deadline-Ms: 99999999999\r\n", 2000 * USEC_PER_MS, 1000 * USEC_PER_MS},
        {"X-Deadline-Ms: soon\r\n", 2000 * USEC_PER_MS, 1000 * USEC_PER_MS},
        {"X-Deadline-Ms: -1\r\n", 2000 * USEC_PER_MS, 1000 * USEC_PER_MS},
        {"X-Deadline-Ms: 0\r\n", 0, -1000 * USEC_PER_MS},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[128];
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST "%s\r\n", cases[i].header);
        send_text(fd, text);
        CHECK(read_answer(fd, false, &a) && a.status == 200, "%s", text);
        CHECK(rig->deadline_left_us <= cases[i].at_most_us, "%s", text);
        CHECK(rig->deadline_left_us >= cases[i].at_least_us, "%s", text);
    }
    free(a.body);
    close(fd);
}

Test(server, deadline__header__only_shrinks_the_handlers_time)
{
    struct rig rig = {.config = {.request_timeout_us = 2000 * USEC_PER_MS}};

    rig_run(&rig, client_deadlines);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void client_crowd(struct rig *rig)
{
    struct answer a = {0};
    int first = dial(rig), second = dial(rig);

    rig_sync(rig);
    int third = dial(rig);
    CHECK(read_answer(third, false, &a) && a.status == 503, "%d", a.status);
    CHECK(has(&a, "Retry-After: 1\r\n"), "%s", a.head);
    CHECK(at_end(third));
    close(third);
    send_text(first, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(first, false, &a) && a.status == 200, "%d", a.status);
    close(first);
    close(second);
    until_nobody(rig);
    first = dial(rig);
    send_text(first, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(first, false, &a) && a.status == 200, "%d", a.status);
    free(a.body);
    close(first);
}

Test(server, connections_limit__exceeded__gets_503_and_close)
{
    struct rig rig = {.config = {.connections_limit = 2}};

    rig_run(&rig, client_crowd);
}

static PARKS void idle_fiber(void *arg)
{
    struct rig *rig = arg;

    latch_wait(&rig->room, "room", USEC_NEVER, NULL);
}

static void post_fill(void *arg)
{
    struct rig *rig = arg;

    while (fiber_spawn(rig->loop, "filler", idle_fiber, rig, NULL) == 0)
        ;
    sem_post(&rig->reached);
}

static void post_room(void *arg)
{
    latch_set(&((struct rig *)arg)->room, 0);
}

static void client_full(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    loop_post(rig->loop, post_fill, rig);
    wait_reached(rig);
    send_text(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 503, "%d", a.status);
    CHECK(has(&a, "Retry-After: 1\r\n"), "%s", a.head);
    CHECK(strstr(a.body, "\"code\":\"service_unavailable\""), "%s", a.body);
    loop_post(rig->loop, post_room, rig);
    while (fiber_live(rig->loop) > 0)
        rig_sync(rig);
    send_text(fd, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    free(a.body);
    close(fd);
}

Test(server, fiber_limit__reached__gets_503_and_keeps_the_connection)
{
    struct rig rig = {0};

    rig_run(&rig, client_full);
    cr_assert_eq(rig.handled, 1);
    cr_assert_eq(rig.refused_status, 503);
}

/* Descriptors for the client's side of two connections, but not for the server's side of both. */
static void client_starves(struct rig *rig)
{
    struct rlimit all, few;
    struct answer a = {0};
    int first = dial(rig);

    send_text(first, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(first, false, &a) && a.status == 200, "%d", a.status);
    int next = dup(first); /* the lowest free descriptor: the second connection's */
    close(next);
    CHECK(getrlimit(RLIMIT_NOFILE, &all) == 0);
    few = all;
    few.rlim_cur = (rlim_t)next + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    int second = dial(rig);
    CHECK(second == next, "%d", second);
    send_text(second, "GET / HTTP/1.1\r\n" HOST "\r\n");
    rig_sync(rig);
    send_text(first, "GET / HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(first, false, &a) && a.status == 200, "who is in is served");
    CHECK(setrlimit(RLIMIT_NOFILE, &all) == 0);
    CHECK(read_answer(second, false, &a) && a.status == 200, "who waited is served");
    free(a.body);
    close(first);
    close(second);
}

Test(server, descriptors__run_out__only_new_connections_wait)
{
    struct rig rig = {0};

    rig_run(&rig, client_starves);
    cr_assert_eq(rig.handled, 3);
}

/* ---- no room --------------------------------------------------------------------------------- */

static unsigned routed, entered, left, left_with;

static const void *route_any(void *ctx, enum http_method m, struct span path, int64_t *ret_limit)
{
    routed++;
    return span_starts(path, SPAN("/echo/full")) ? "full" : "room";
}

static bool admit_if_room(void *ctx, const struct http_knock *knock, struct http_refusal *ret)
{
    if (strcmp(knock->route, "full") != 0)
        return entered++, true;
    *ret = (struct http_refusal){.status = 503,
        .code = "overloaded",
        .title = "Full",
        .detail = "Come again",
        .retry_after_s = 7,
        .lines = "X-More: yes\r\n"};
    struct span id = http_header_get(knock->headers, "X-Correlation-ID");
    if (id.ptr)
        memcpy(ret->correlation_id, id.ptr, id.len);
    return false;
}

static void note_leaving(void *ctx, const void *route, int64_t took_us, int status)
{
    left++;
    left_with = (unsigned)status;
}

static void client_no_room(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "POST /echo/full HTTP/1.1\r\n" HOST
                  "X-Correlation-ID: mine\r\nContent-Length: 4\r\n\r\nno");
    rig_sync(rig);
    send_text(fd, "ne");
    CHECK(read_answer(fd, false, &a) && a.status == 503, "%d", a.status);
    CHECK(has(&a, "\r\nRetry-After: 7\r\n") && has(&a, "\r\nX-More: yes\r\n"), "%s", a.head);
    CHECK(has(&a, "\r\nX-Correlation-ID: mine\r\n") && !has(&a, "Connection:"), "%s", a.head);
    CHECK(strstr(a.body, "\"code\":\"overloaded\""), "%s", a.body);
    CHECK(strstr(a.body, "\"correlationId\":\"mine\""), "%s", a.body);
    send_text(fd, "HEAD /echo/full HTTP/1.1\r\n" HOST "\r\nGET /echo HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(fd, true, &a) && a.status == 503, "%d", a.status);
    CHECK(read_answer(fd, false, &a) && a.status == 200, "the next one comes in: %d", a.status);
    send_text(fd, "GET /echo/full HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    CHECK(read_answer(fd, false, &a) && a.status == 503, "%d", a.status);
    CHECK(has(&a, "\r\nConnection: close\r\n") && at_end(fd), "%s", a.head);
    free(a.body);
    close(fd);
}

Test(server, no_room__is_told_and_the_connection_lives_on)
{
    struct rig rig = {
        .config = {.route = route_any, .admit = admit_if_room, .leave = note_leaving}};

    rig_run(&rig, client_no_room);
    cr_assert_eq(rig.handled, 1);
    cr_assert_eq(routed, 4);
    cr_assert_eq(entered, 1);
    cr_assert_eq(left, 1);
    cr_assert_eq(left_with, 200);
    cr_assert_eq(rig.refused, 0, "the door itself had nothing against them");
}

#define ROW 700

static void client_row(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    for (int i = 0; i < ROW; i++)
        send_text(fd, "GET /echo/full HTTP/1.1\r\n" HOST "\r\n");
    for (int i = 0; i < ROW; i++)
        CHECK(read_answer(fd, false, &a) && a.status == 503, "%d: %d", i, a.status);
    free(a.body);
    close(fd);
}

Test(server, no_room__for_hundreds_in_a_row__costs_no_stack)
{
    struct rig rig = {.config = {.route = route_any, .admit = admit_if_room}};

    rig_run(&rig, client_row);
    cr_assert_eq(rig.handled, 0);
}

static void client_leaves_inside(struct rig *rig)
{
    int fd = dial(rig);

    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    close(fd);
    while (left == 0)
        rig_sync(rig);
}

Test(server, who_was_admitted_and_went__is_known_to_have_left)
{
    struct rig rig = {
        .config = {.route = route_any, .admit = admit_if_room, .leave = note_leaving}};

    rig_run(&rig, client_leaves_inside);
    cr_assert_eq(entered, 1);
    cr_assert_eq(left, 1);
}
