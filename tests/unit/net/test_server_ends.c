#include "server_rig.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- clients that leave ---------------------------------------------------------------------- */

static void client_closes(struct rig *rig)
{
    int fd = dial(rig);

    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    close(fd);
    until_nobody(rig);
}

Test(server, client__closes_while_the_handler_is_parked__cancels_it)
{
    struct rig rig = {0};

    rig_run(&rig, client_closes);
    cr_assert_eq(rig.park_result, ERR_CANCELED);
    cr_assert_eq(rig.ended, 1);
}

static void client_resets(struct rig *rig)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    int fd = dial(rig);

    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
    until_nobody(rig);
}

Test(server, client__resets_while_the_handler_is_parked__cancels_it)
{
    struct rig rig = {0};

    rig_run(&rig, client_resets);
    cr_assert_eq(rig.park_result, ERR_CANCELED);
    cr_assert_eq(rig.handled, 1);
}

static void client_half_closes(struct rig *rig)
{
    struct answer a = {0};
    int fd = dial(rig);

    send_text(fd, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
    shutdown(fd, SHUT_WR);
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    CHECK(at_end(fd));
    close(fd);

    fd = dial(rig);
    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    shutdown(fd, SHUT_WR);
    CHECK(read_answer(fd, false, &a) && a.status == 200, "%d", a.status);
    CHECK(strcmp(a.body, "unparked") == 0, "%s", a.body);
    CHECK(at_end(fd));
    close(fd);
    free(a.body);
    until_nobody(rig);
}

Test(server, client__half_closes__gets_what_can_be_had_without_waiting)
{
    struct rig rig = {0};

    rig_run(&rig, client_half_closes);
    cr_assert_eq(rig.park_result, ERR_CANCELED);
}

/* Leaves after each prefix of a request with a body, in both ways. */
static void client_leaves_anywhere(struct rig *rig)
{
    static const char text[] = "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello";
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    for (size_t len = 0; len < sizeof(text); len++) {
        for (int reset = 0; reset < 2; reset++) {
            int fd = dial(rig);
            send_span(fd, span_make(text, len));
            rig_sync(rig);
            if (reset)
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
            close(fd);
        }
    }
    until_nobody(rig);
}

Test(server, client__leaves_after_any_byte__leaves_nothing_behind)
{
    struct rig rig = {0};

    rig_run(&rig, client_leaves_anywhere);
}

static void client_stays_parked(struct rig *rig)
{
    int fd = dial(rig);

    send_text(fd, "GET /park HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
}

Test(server, free__with_a_parked_handler__cancels_it)
{
    struct rig rig = {0};

    rig_run(&rig, client_stays_parked); /* rig_stop frees the server first */
    cr_assert_eq(rig.park_result, ERR_CANCELED);
    cr_assert_eq(rig.ended, 1);
}

/* ---- draining -------------------------------------------------------------------------------- */

struct drain {
    struct rig *rig;
    int64_t deadline_us;
    int result;
};

static PARKS void drain_fiber(void *arg)
{
    struct drain *drain = arg;

    drain->result = http_server_drain(drain->rig->server, drain->deadline_us);
    sem_post(&drain->rig->reached);
}

static struct drain drain_now;

static void post_drain(void *arg)
{
    struct rig *rig = arg;

    drain_now.rig = rig;
    fiber_spawn(rig->loop, "drain", drain_fiber, &drain_now, NULL);
}

static void post_go(void *arg)
{
    fiber_signal_all(&((struct rig *)arg)->go);
}

static void client_drain(struct rig *rig)
{
    struct answer a = {0};
    int busy = dial(rig), idle = dial(rig), half = dial(rig);

    send_text(busy, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    send_text(half, "GET /he");
    rig_sync(rig);
    loop_post(rig->loop, post_drain, rig);
    rig_sync(rig);

    CHECK(at_end(idle), "an idle connection is closed");
    close(idle);
    CHECK(dial(rig) < 0, "nobody listens any more");
    send_text(half, "llo HTTP/1.1\r\n" HOST "\r\n");
    CHECK(read_answer(half, false, &a) && a.status == 200, "%d", a.status);
    CHECK(has(&a, "Connection: close\r\n") && at_end(half), "%s", a.head);
    close(half);
    loop_post(rig->loop, post_go, rig);
    CHECK(read_answer(busy, false, &a) && strcmp(a.body, "gone") == 0, "%s", a.head);
    CHECK(has(&a, "Connection: close\r\n") && at_end(busy), "%s", a.head);
    close(busy);
    wait_reached(rig);
    free(a.body);
}

Test(server, drain__running_requests__finish_and_then_close)
{
    struct rig rig = {0};

    drain_now = (struct drain){.deadline_us = USEC_NEVER, .result = 1};
    rig_run(&rig, client_drain);
    cr_assert_eq(drain_now.result, 0);
    cr_assert_eq(rig.park_result, 0);
}

static void client_drain_late(struct rig *rig)
{
    int fd = dial(rig);

    send_text(fd, "GET /wait HTTP/1.1\r\n" HOST "\r\n");
    wait_reached(rig);
    loop_post(rig->loop, post_drain, rig);
    wait_reached(rig);
    CHECK(http_server_connections(rig->server) == 1);
}

Test(server, drain__past_its_deadline__times_out)
{
    struct rig rig = {0};

    drain_now = (struct drain){.deadline_us = clock_mono_us() + SHORT_US};
    rig_run(&rig, client_drain_late);
    cr_assert_eq(drain_now.result, ERR_TIMEOUT);
}
