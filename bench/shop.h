#pragma once

/* A shop's services as peers, for the bench of logins. The base URLs come from AUTH_SERVICE_URL,
 * CART_SERVICE_URL, PAYMENT_SERVICE_URL and SELLER_SERVICE_URL. What buys and browses at a rate is
 * souk-load. */

#include "common/base/uuid.h"
#include "common/net/client.h"

enum shop_peer { SHOP_AUTH, SHOP_CART, SHOP_PAYMENT, SHOP_SELLER, SHOP_PEERS };

/* 0, or -1 with a word on stderr when a base URL is missing. */
int shop_connect(struct loop *l);

/* One call; returns the status or a negative code, and the answer in the fiber's arena. */
int shop_ask(enum shop_peer peer, enum http_method method, const char *path, const char *token,
    const char *key, const char *body, struct span *ret_answer) PARKS;

/* `part` (0 to 1) of the samples lies at or below it, in ms. Sorts them. */
double shop_percentile_ms(int64_t *samples_us, size_t count, double part);
