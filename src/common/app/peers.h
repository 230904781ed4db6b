#pragma once

/* Private to the application room: making and listing the peers. */

#include "common/net/client.h"

void peer_add(struct http_client *client, const char *name, const char *base_url);
size_t peers_list(struct http_peer **list, size_t capacity);
