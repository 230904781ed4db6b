/* The shop that the benches buy in: see shop.h. */

#include "shop.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const peer_names[SHOP_PEERS] = {"auth", "cart", "payment", "seller"};
static const char *const peer_variables[SHOP_PEERS] = {
    "AUTH_SERVICE_URL", "CART_SERVICE_URL", "PAYMENT_SERVICE_URL", "SELLER_SERVICE_URL"};
static struct http_peer *peers[SHOP_PEERS];

/* ---- calls ---- */

int shop_connect(struct loop *l)
{
    struct http_client *client = http_client_new(l);
    for (int i = 0; i < SHOP_PEERS; i++) {
        const char *url = getenv(peer_variables[i]);
        if (!url) {
            fprintf(stderr, "%s is not set\n", peer_variables[i]);
            return -1;
        }
        peers[i] = http_peer_new(client, &(struct http_peer_config){.name = peer_names[i],
                                             .base_url = url,
                                             .timeout_us = 10 * USEC_PER_SEC,
                                             .retry_limit = HTTP_RETRIES_NONE});
    }
    return 0;
}

int shop_ask(enum shop_peer peer, enum http_method method, const char *path, const char *token,
    const char *key, const char *body, struct span *ret_answer)
{
    struct http_header headers[2];
    size_t n = 0;
    if (token)
        headers[n++] = (struct http_header){
            SPAN("Authorization"), span_of(arena_printf(fiber_arena(), "Bearer %s", token))};
    if (key)
        headers[n++] = (struct http_header){SPAN("Idempotency-Key"), span_of(key)};
    struct http_answer answer = {0};
    int r = http_call(peers[peer],
        &(struct http_call){.method = method,
            .path = path,
            .headers = headers,
            .headers_count = n,
            .body = span_of(body),
            .idempotent = key != NULL},
        &answer);
    *ret_answer = answer.body;
    return r < 0 ? r : answer.status;
}

/* ---- figures ---- */

static int compare_samples(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

double shop_percentile_ms(int64_t *samples_us, size_t count, double part)
{
    if (count == 0)
        return 0;
    qsort(samples_us, count, sizeof(*samples_us), compare_samples);
    return (double)samples_us[(size_t)(part * (double)(count - 1))] / USEC_PER_MS;
}
