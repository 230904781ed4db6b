#pragma once

/* What the benches that buy share: the services as peers, a seller with 200 items and plenty of
 * stock, shoppers with a card each. All of it is made through the public API. The base URLs come
 * from AUTH_SERVICE_URL, CART_SERVICE_URL, PAYMENT_SERVICE_URL and SELLER_SERVICE_URL. What goes
 * wrong while it is made ends the program. */

#include "common/base/uuid.h"
#include "common/net/client.h"

enum shop_peer { SHOP_AUTH, SHOP_CART, SHOP_PAYMENT, SHOP_SELLER, SHOP_PEERS };

struct shopper {
    char token[4096], card[UUID_TEXT_SIZE];
    unsigned next_item;
};

/* 0, or -1 with a word on stderr when a base URL is missing. */
int shop_connect(struct loop *l);
struct shopper *shop_open(int shoppers) PARKS; /* items and shoppers */

/* One call; returns the status or a negative code, and the answer in the fiber's arena. */
int shop_ask(enum shop_peer peer, enum http_method method, const char *path, const char *token,
    const char *key, const char *body, struct span *ret_answer) PARKS;

/* Puts the next item into the shopper's cart; the status. */
int shop_put(struct shopper *s) PARKS;
/* Checks out under a fresh key; the status. */
int shop_checkout(struct shopper *s, struct span *ret_answer) PARKS;

/* `part` (0 to 1) of the samples lies at or below it, in ms. Sorts them. */
double shop_percentile_ms(int64_t *samples_us, size_t count, double part);
