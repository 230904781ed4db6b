/* Prices of the seller service, cached for a few seconds in this process: browsing a cart does not
 * ask the seller at each click. A stale price costs nothing: the hold of the checkout tells the
 * present one, and a rise asks for consent. */

#include <stdio.h>
#include <uthash.h>

#include "cart/cart.h"
#include "common/base/mem.h"

#define CACHE_LIMIT 10000

struct cached_price {
    char sku[65];
    struct arena *arena;
    struct price price;
    int64_t until_us;
    UT_hash_handle hh;
};
static struct cached_price *cache;
static uint64_t forgotten; /* how often something was; what was asked before may be old */

struct price_page {
    struct list data;
};
static const struct field price_page_fields[] = {
    FIELD_LIST(struct price_page, data, "data", price_table, .required = true, .max = 100),
};
static const struct table price_page_table =
    TABLE("PricePage", struct price_page, price_page_fields);

static void cached_free(struct cached_price *c)
{
    HASH_DEL(cache, c);
    arena_free(c->arena);
    mem_free(c);
}

static struct cached_price *cache_find(const char *sku)
{
    struct cached_price *c = NULL;
    HASH_FIND_STR(cache, sku, c);
    return c;
}

void price_forget(const char *sku)
{
    struct cached_price *c = cache_find(sku);
    forgotten++;
    if (c)
        cached_free(c);
}

static void cache_put(const struct price *p)
{
    struct cached_price *old = cache_find(p->sku);
    if (old)
        cached_free(old);
    if (HASH_COUNT(cache) >= CACHE_LIMIT)
        cached_free(cache); /* the oldest */
    struct cached_price *c = MEM_NEW(struct cached_price);
    snprintf(c->sku, sizeof(c->sku), "%s", p->sku);
    c->arena = arena_new_small();
    struct_copy(c->arena, &price_table, p, &c->price);
    c->until_us = clock_mono_us() + config_i64("PRICE_CACHE_S") * USEC_PER_SEC;
    HASH_ADD_STR(cache, sku, c);
}

int price_get(struct request *req, const char *sku, struct price *ret_price)
{
    struct cached_price *c = cache_find(sku);
    if (c && c->until_us > clock_mono_us()) {
        struct_copy(req->arena, &price_table, &c->price, ret_price);
        return 0;
    }
    struct price_page page;
    struct peer_answer answer;
    uint64_t before = forgotten;
    TRY(peer_call(&(struct peer_call){.peer = "seller",
                      .method = HTTP_GET,
                      .path = arena_printf(req->arena, "/internal/v1/prices?sku=%s", sku),
                      .answer_table = &price_page_table,
                      .answer = &page,
                      .idempotent = true},
        &answer));
    if (answer.status != 200) {
        error_note("seller answered a price with %d", answer.status);
        return ERR(ERR_UNAVAILABLE);
    }
    const struct price *p = page.data.len ? LIST_AT(page.data, struct price, 0) : NULL;
    if (!p || (p->status && strcmp(p->status, "active") != 0))
        return refuse(req, CART_PRODUCT_UNAVAILABLE, "%s can't be bought", sku);
    if (forgotten == before)
        cache_put(p);
    *ret_price = *p;
    return 0;
}
