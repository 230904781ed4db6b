#pragma once

/* A client, a peer and a server that does as its path says; the test's body runs on a fiber. */

#include <criterion/criterion.h>
#include <errno.h>

#include "common/net/client.h"
#include "fake_server.h"

#define MS USEC_PER_MS

struct world {
    struct loop *loop;
    struct fake_server *server;
    struct http_client *client;
    struct http_peer *peer;
    void (*body)(struct world *w);
};

/* What the server does: /ok, /status/N, /flaky, /slow, /reset and so on (client_world.c). */
void by_path(struct fake_conn *c);
/* One whole answer; `headers` are lines with their ends. */
void answer(struct fake_conn *c, int status, const char *headers, const char *body);

/* `config.base_url` NULL: the server's, by its address and by its name, which two clients do;
 * `config.timeout_us` 0: 300 ms. */
void world_play(fake_script script, struct http_peer_config config, void (*body)(struct world *w));
/* By this host; NULL: the config's base_url. */
void world_play_at(const char *host, fake_script script, struct http_peer_config config,
    void (*body)(struct world *w));

int get(struct world *w, const char *path, struct http_answer *ret_answer) PARKS;
int post(struct world *w, const char *path, bool idempotent, struct http_answer *ret_answer) PARKS;
bool body_is(const struct http_answer *a, const char *text);
bool text_has(struct span s, const char *part);
void wait_until(atomic_uint *counter, unsigned value) PARKS;
