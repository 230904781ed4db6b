#include "client_world.h"

#include <stdio.h>

#include "common/base/mem.h"

/* --- what the server does, by path --- */

void answer(struct fake_conn *c, int status, const char *headers, const char *body)
{
    fake_write(c, "HTTP/1.1 %d Text\r\nContent-Length: %zu\r\n%s\r\n%s", status, strlen(body),
        headers, body);
}

static void answer_large(struct fake_conn *c, size_t len, bool with_length)
{
    char *body = mem_alloc(len);
    memset(body, 'x', len);
    if (with_length)
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", len);
    else
        fake_write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", len);
    fake_write_bytes(c, body, len);
    if (!with_length)
        fake_write(c, "\r\n0\r\n\r\n");
    mem_free(body);
}

static void answer_with_headers(struct fake_conn *c, unsigned count)
{
    fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
    for (unsigned i = 1; i < count; i++)
        fake_write(c, "X-%u: y\r\n", i);
    fake_write(c, "\r\n");
}

/* Each path of this form fails at first sight and works at the second. */
static char seen[512];
static void answer_second_time(struct fake_conn *c, const char *headers)
{
    bool is_second = strcmp(seen, c->path) == 0;
    snprintf(seen, sizeof(seen), "%s", is_second ? "" : c->path);
    if (is_second)
        answer(c, 200, "", "ok");
    else
        answer(c, 503, headers, "");
}

/* False when the connection is over. */
static bool answer_by_path(struct fake_conn *c)
{
    const char *path = c->path;
    int status;
    if (strcmp(path, "/ok") == 0)
        answer(c, 200, "", "ok");
    else if (sscanf(path, "/status/%d", &status) == 1)
        answer(c, status, "", "");
    else if (strcmp(path, "/echo") == 0)
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s%s",
            strlen(c->head) + strlen(c->body), c->head, c->body);
    else if (strncmp(path, "/flaky", 6) == 0)
        answer_second_time(c, "");
    else if (strcmp(path, "/later/0") == 0)
        answer_second_time(c, "Retry-After: 0\r\n");
    else if (strcmp(path, "/later/1") == 0)
        answer_second_time(c, "Retry-After: 1\r\n");
    else if (strcmp(path, "/later/99") == 0)
        answer_second_time(c, "Retry-After: 99\r\n");
    else if (strcmp(path, "/redirect") == 0)
        answer(c, 302, "Location: /ok\r\n", "");
    else if (strcmp(path, "/interim") == 0)
        fake_write(c, "HTTP/1.1 103 Early Hints\r\nLink: early\r\n\r\n"
                      "HTTP/1.1 100 Continue\r\n\r\n"
                      "HTTP/1.1 200 OK\r\nX-Late: yes\r\nContent-Length: 2\r\n\r\nok");
    else if (strcmp(path, "/chunked") == 0)
        fake_write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "3;ext=1\r\nhel\r\n2\r\nlo\r\n0\r\nX-Trailer: t\r\n\r\n");
    else if (strcmp(path, "/largest") == 0)
        answer_large(c, 1024 * 1024, true);
    else if (strcmp(path, "/large") == 0)
        answer_large(c, 1024 * 1024 + 1, true);
    else if (strcmp(path, "/large-chunked") == 0)
        answer_large(c, 1024 * 1024 + 1, false);
    else if (strcmp(path, "/headers/64") == 0)
        answer_with_headers(c, 64);
    else if (strcmp(path, "/headers/65") == 0)
        answer_with_headers(c, 65);
    else
        return false;
    return true;
}

void by_path(struct fake_conn *c)
{
    while (fake_read_request(c)) {
        unsigned running = atomic_fetch_add(&c->server->running, 1) + 1, max;
        while (running > (max = atomic_load(&c->server->running_max)))
            atomic_compare_exchange_weak(&c->server->running_max, &max, running);
        bool go_on = answer_by_path(c);
        atomic_fetch_sub(&c->server->running, 1);
        if (!go_on)
            break;
    }
    if (strcmp(c->path, "/slow") == 0) {
        fake_wait_closed(c);
    } else if (strcmp(c->path, "/reset") == 0) {
        fake_reset(c);
    } else if (strcmp(c->path, "/reset-in-body") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
        fake_reset(c);
    } else if (strcmp(c->path, "/short") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789");
    } else if (strcmp(c->path, "/short-chunked") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    } else if (strcmp(c->path, "/short-head") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\nContent-Le");
    } else if (strcmp(c->path, "/garbage") == 0) {
        fake_write(c, "SSH-2.0-OpenSSH_9.2\r\n");
    } else if (strcmp(c->path, "/until-close") == 0) {
        fake_write(c, "HTTP/1.1 200 OK\r\n\r\nall of it");
    }
}

/* --- a client, a peer and a server; the test's body runs on a fiber --- */

static void world_fiber(void *arg)
{
    struct world *w = arg;
    w->body(w);
}

void world_play_at(const char *host, fake_script script, struct http_peer_config config,
    void (*body)(struct world *w))
{
    struct world w = {.server = fake_server_new(script, NULL), .body = body};
    char url[64];
    seen[0] = '\0';
    w.loop = loop_new();
    w.client = http_client_new(w.loop);
    config.name = "fake";
    snprintf(url, sizeof(url), "http://%s:%d", host ? host : "", w.server->port);
    if (host)
        config.base_url = url;
    if (!config.timeout_us)
        config.timeout_us = 300 * MS;
    (void)http_client_check(config.base_url); /* as services do: no call's time goes by with it */
    w.peer = http_peer_new(w.client, &config);
    cr_assert_eq(fiber_spawn(w.loop, "test", world_fiber, &w, NULL), 0);
    loop_run(w.loop, true);
    cr_assert_eq(http_peer_stats(w.peer).in_flight, 0);
    http_peer_free(w.peer);
    http_client_free(w.client);
    loop_free(w.loop);
    fake_server_free(w.server);
}

void world_play(fake_script script, struct http_peer_config config, void (*body)(struct world *w))
{
    if (config.base_url) {
        world_play_at(NULL, script, config, body);
        return;
    }
    world_play_at("127.0.0.1", script, config, body);
    world_play_at("localhost", script, config, body);
}

int get(struct world *w, const char *path, struct http_answer *ret_answer)
{
    struct http_call call = {.method = HTTP_GET, .path = path};
    return http_call(w->peer, &call, ret_answer);
}

int post(struct world *w, const char *path, bool idempotent, struct http_answer *ret_answer)
{
    struct http_call call = {
        .method = HTTP_POST, .path = path, .body = SPAN("{}"), .idempotent = idempotent};
    return http_call(w->peer, &call, ret_answer);
}

bool body_is(const struct http_answer *a, const char *text)
{
    return span_equal(a->body, span_of(text));
}

bool text_has(struct span s, const char *part)
{
    return memmem(s.ptr, s.len, part, strlen(part)) != NULL;
}

void wait_until(atomic_uint *counter, unsigned value)
{
    for (int i = 0; atomic_load(counter) < value; i++) {
        cr_assert_lt(i, 2000, "never came");
        cr_assert_eq(fiber_sleep(MS), 0);
    }
}
