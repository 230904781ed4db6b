#pragma once

/* One attempt of one HTTP call over a plain connection of our own. Private to the outgoing client.
 */

#include "common/net/client_wire.h"

struct client_plain; /* one connection to one base URL, kept between attempts */

/* http://, an IPv4 address, a port, nothing else: what needs no name looked up and no TLS. */
bool client_plain_fits(const char *base_url);
struct client_plain *client_plain_new(
    struct loop *l, const char *base_url, int64_t connect_timeout_us);
void client_plain_free(struct client_plain *p); /* NULL ok; not running */
/* As client_wire_run. */
int client_plain_run(struct client_plain *p, const struct http_call *call, int64_t deadline_us,
    struct http_answer *ret_answer, struct client_wire_outcome *ret_outcome) PARKS;
