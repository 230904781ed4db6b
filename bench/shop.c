/* The shop that the benches buy in: see shop.h. */

#include "shop.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/json/reader.h"

#define ITEMS 200

static const char *const peer_names[SHOP_PEERS] = {"auth", "cart", "payment", "seller"};
static const char *const peer_variables[SHOP_PEERS] = {
    "AUTH_SERVICE_URL", "CART_SERVICE_URL", "PAYMENT_SERVICE_URL", "SELLER_SERVICE_URL"};
static struct http_peer *peers[SHOP_PEERS];
static char skus[ITEMS][40];

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

/* A call that makes something, or ends the program with the answer. */
static struct span make(enum shop_peer peer, const char *path, const char *token, const char *body)
{
    struct span answer;
    int status = shop_ask(peer, HTTP_POST, path, token, NULL, body, &answer);
    if (status != 201) {
        fprintf(stderr, "%s %s: %d (%s) %.*s\n", peer_names[peer], path, status,
            status < 0 ? error_text() : "", SPAN_ARG(answer));
        exit(1);
    }
    return answer;
}

struct answer_fields {
    const char *access_token, *payment_method_id;
};
static const struct field answer_field_rows[] = {
    FIELD_TEXT(struct answer_fields, access_token, "accessToken", .max = 4096),
    FIELD_TEXT(struct answer_fields, payment_method_id, "paymentMethodId"),
};
static const struct table answer_table = TABLE("Answer", struct answer_fields, answer_field_rows);

static struct answer_fields fields_of(struct span body)
{
    struct answer_fields fields = {0};
    struct json_errors errors;
    (void)json_read(fiber_arena(), body, &answer_table, JSON_LENIENT, &fields, &errors);
    return fields;
}

/* ---- preparation ---- */

static const char *sign_up(const char *kind, int number, const char *role)
{
    char id[UUID_TEXT_SIZE];
    uuid_make(id);
    const char *body = arena_printf(fiber_arena(),
        "{\"email\":\"%s-%d-%s@bench.example\",\"password\":\"correct horse %s\",\"name\":\"%s "
        "%d\","
        "\"role\":\"%s\"}",
        kind, number, id, id, kind, number, role);
    return fields_of(make(SHOP_AUTH, "/api/v1/auth/register", NULL, body)).access_token;
}

static void make_items(void)
{
    const char *token = sign_up("seller", 0, "seller");
    char run[UUID_TEXT_SIZE];
    uuid_make(run);
    make(SHOP_SELLER, "/api/v1/sellers", token, "{\"name\":\"Bench\"}");
    for (int i = 0; i < ITEMS; i++) {
        snprintf(skus[i], sizeof(skus[i]), "B%.8s-%03d", run + 28, i);
        make(SHOP_SELLER, "/api/v1/products", token,
            arena_printf(fiber_arena(),
                "{\"sku\":\"%s\",\"name\":\"Bench item %d\",\"category\":\"bench\","
                "\"price\":{\"amount\":%d,\"currency\":\"USD\"}}",
                skus[i], i, 500 + 37 * i));
        make(SHOP_SELLER, arena_printf(fiber_arena(), "/api/v1/inventory/%s/adjustments", skus[i]),
            token, "{\"delta\":1000000,\"reason\":\"received\"}");
    }
}

static void make_shopper(struct shopper *s, int i)
{
    const char *token = sign_up("shopper", i, "user");
    snprintf(s->token, sizeof(s->token), "%s", token);
    struct span body =
        make(SHOP_PAYMENT, "/api/v1/payment-methods", token, "{\"token\":\"tok_visa\"}");
    snprintf(s->card, sizeof(s->card), "%s", fields_of(body).payment_method_id);
    s->next_item = (unsigned)i * 7;
}

struct shopper *shop_open(int count)
{
    struct shopper *shoppers = mem_array((size_t)count, sizeof(*shoppers));
    make_items();
    for (int i = 0; i < count; i++) {
        make_shopper(&shoppers[i], i);
        arena_reset(fiber_arena());
    }
    return shoppers;
}

/* ---- buying ---- */

int shop_put(struct shopper *s)
{
    struct span answer;
    const char *sku = skus[s->next_item++ % ITEMS];
    return shop_ask(SHOP_CART, HTTP_POST, "/api/v1/cart/items", s->token, NULL,
        arena_printf(fiber_arena(), "{\"sku\":\"%s\",\"quantity\":1}", sku), &answer);
}

int shop_checkout(struct shopper *s, struct span *ret_answer)
{
    char key[UUID_TEXT_SIZE];
    uuid_make(key);
    return shop_ask(SHOP_CART, HTTP_POST, "/api/v1/cart/checkout", s->token, key,
        arena_printf(fiber_arena(), "{\"paymentMethodId\":\"%s\"}", s->card), ret_answer);
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
