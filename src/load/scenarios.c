/* What shoppers do. A scenario is a function that makes one visit, read top to bottom; each step
 * names the series it is counted in and the answers that are right. What a visit leaves behind must
 * not spoil the next one of the same shopper. */

#include <stdio.h>

#include "common/base/uuid.h"
#include "load/load.h"

#define PATIENCE_US      (60 * USEC_PER_SEC)  /* of a shopper who is told to come again, */
#define SALE_PATIENCE_US (180 * USEC_PER_SEC) /* and of one at a sale, */
#define WAIT_LONGER      8                    /* who waits up to so many times what was asked */

/* ---- steps ---- */

static const char *some_sku(struct visit *v)
{
    return v->run->shop.skus[v->shopper->next_item++ % v->run->shop.items];
}

static const char *fresh_key(void)
{
    char *key = arena_alloc(fiber_arena(), UUID_TEXT_SIZE);
    uuid_make(key);
    return key;
}

static PARKS bool look(struct visit *v, const char *sku)
{
    struct wire_answer a;
    bool fine = visit_ask(v, "browse", "200", SHOP_SELLER,
        &(struct wire_request){.method = HTTP_GET, .path = "/api/v1/products?limit=20"}, &a);
    if (!sku)
        return fine;
    return visit_ask(v, "product", "200", SHOP_SELLER,
               &(struct wire_request){.method = HTTP_GET,
                   .path = arena_printf(fiber_arena(), "/api/v1/products/%s", sku)},
               &a) &&
           fine;
}

static PARKS bool add(struct visit *v, const char *sku)
{
    struct wire_answer a;
    return visit_ask(v, "add", "200", SHOP_CART,
        &(struct wire_request){.method = HTTP_POST,
            .path = "/api/v1/cart/items",
            .token = v->shopper->token,
            .body = arena_printf(fiber_arena(), "{\"sku\":\"%s\",\"quantity\":1}", sku)},
        &a);
}

static struct wire_request checkout_request(struct visit *v, const char *key, const char *card)
{
    return (struct wire_request){.method = HTTP_POST,
        .path = "/api/v1/cart/checkout",
        .token = v->shopper->token,
        .key = key,
        .body = arena_printf(fiber_arena(), "{\"paymentMethodId\":\"%s\"}", card)};
}

static PARKS bool check_out(struct visit *v)
{
    struct wire_answer a;
    struct wire_request q = checkout_request(v, fresh_key(), v->shopper->card);
    return visit_ask(v, "checkout", "201", SHOP_CART, &q, &a);
}

static PARKS void empty_cart(struct visit *v)
{
    struct wire_answer a;
    visit_ask_aside(v, SHOP_CART,
        &(struct wire_request){
            .method = HTTP_DELETE, .path = "/api/v1/cart", .token = v->shopper->token},
        &a);
}

/* ---- the plain ones ---- */

static PARKS bool browse(struct visit *v)
{
    return look(v, some_sku(v));
}

static PARKS bool buy(struct visit *v)
{
    return add(v, some_sku(v)) && check_out(v);
}

static PARKS bool checkout(struct visit *v)
{
    return look(v, NULL) && buy(v);
}

static PARKS bool hot_sku(struct visit *v)
{
    return add(v, v->run->shop.skus[0]) && check_out(v);
}

static PARKS bool decline_then_retry(struct visit *v)
{
    struct wire_answer a;
    struct wire_request declined = checkout_request(v, fresh_key(), v->shopper->declined_card);
    if (!add(v, some_sku(v)))
        return false;
    bool fine = visit_ask(v, "declined", "402:payment_declined", SHOP_CART, &declined, &a);
    if (a.status == 402 || a.status == 201)
        tally_promise(&v->run->tally, "a declined card buys nothing", a.status == 402,
            "answered %d %s", a.status, answer_text(&a, "orderId"));
    struct wire_request retry = checkout_request(v, fresh_key(), v->shopper->card);
    return visit_ask(v, "retry", "201", SHOP_CART, &retry, &a) && fine;
}

/* ---- the same at once ---- */

/* Requests that go out together, each on its own fiber. */
struct volley {
    struct visit *visit;
    const char *series, *expected;
    enum shop_peer peer;
    const struct wire_request *request;
    bool until_answered; /* go on while the first one is still being worked on */
    unsigned left;
    struct latch done;
};

struct shot {
    struct volley *volley;
    char value[64]; /* what the answer says: the order, or the next refresh token */
    int status;
};

#define IN_USE "409:idempotency_key_in_use"

static void shoot(void *arg)
{
    struct shot *shot = arg;
    struct volley *y = shot->volley;
    struct wire_answer a;
    int64_t give_up_us = clock_mono_us() + PATIENCE_US;
    do {
        (void)visit_ask(y->visit, y->series, y->expected, y->peer, y->request, &a);
    } while (y->until_answered && answer_is(&a, IN_USE) && clock_mono_us() < give_up_us &&
             fiber_sleep(20 * USEC_PER_MS) == 0);
    shot->status = a.result == WIRE_ANSWERED ? a.status : 0;
    snprintf(shot->value, sizeof(shot->value), "%s",
        answer_text(&a, y->peer == SHOP_AUTH ? "refreshToken" : "orderId"));
    if (--y->left == 0)
        latch_set(&y->done, 0);
}

static PARKS void volley_fire(struct volley *y, struct shot *shots, unsigned count)
{
    y->left = count;
    for (unsigned i = 0; i < count; i++) {
        shots[i] = (struct shot){.volley = y};
        if (fiber_spawn(loop_current(), "shot", shoot, &shots[i], NULL) != 0 && --y->left == 0)
            latch_set(&y->done, 0);
    }
    (void)latch_wait(&y->done, "a volley", USEC_NEVER, NULL);
}

static PARKS bool double_click(struct visit *v)
{
    struct shot shots[2];
    if (!add(v, some_sku(v)))
        return false;
    struct wire_request q = checkout_request(v, fresh_key(), v->shopper->card);
    struct volley y = {.visit = v,
        .series = "double-click",
        .expected = "201 ~" IN_USE,
        .peer = SHOP_CART,
        .request = &q,
        .until_answered = true};
    volley_fire(&y, shots, 2);
    if (shots[0].status != 201 || shots[1].status != 201)
        return false; /* counted where it was answered */
    bool one = shots[0].value[0] && strcmp(shots[0].value, shots[1].value) == 0;
    tally_promise(&v->run->tally, "one key, sent twice at once, makes one order", one,
        "orders %s and %s", shots[0].value, shots[1].value);
    return one;
}

#define TABS_LIMIT 64

/* All tabs of a browser wake up at once and renew the same login. */
static PARKS bool refresh_storm(struct visit *v)
{
    struct shot shots[TABS_LIMIT];
    struct shopper *s = v->shopper;
    struct wire_request q = {.method = HTTP_POST,
        .path = "/api/v1/auth/refresh",
        .body = arena_printf(fiber_arena(), "{\"refreshToken\":\"%s\"}", s->refresh_token)};
    struct volley y = {
        .visit = v, .series = "refresh", .expected = "200", .peer = SHOP_AUTH, .request = &q};
    unsigned tabs = (unsigned)v->run->o->tabs;
    const char *next = NULL;
    bool same = true;
    while (s->renewing) /* the run's own keeper of tokens is at it */
        (void)fiber_sleep(5 * USEC_PER_MS);
    s->renewing = true;
    volley_fire(&y, shots, tabs);
    s->renewing = false;
    for (unsigned i = 0; i < tabs; i++) {
        if (shots[i].status != 200)
            continue;
        same = same && (!next || strcmp(next, shots[i].value) == 0);
        next = shots[i].value;
    }
    tally_promise(&v->run->tally, "tabs that renew one login at once all get the same next token",
        same, "different refresh tokens");
    if (next && *next)
        snprintf(s->refresh_token, REFRESH_TOKEN_SIZE, "%s", next);
    return same && !v->failed;
}

/* ---- the flash sale: everybody at once, once ---- */

struct sale {
    struct run *run;
    struct latch doors;
    unsigned ready, inside;
    uint64_t orders, sold_out, unanswered;
};

struct buyer {
    struct sale *sale;
    struct shopper *shopper;
};

/* Each time one is refused one waits longer: those who come again are many, and each costs. */
static int64_t come_again_us(const struct wire_answer *a, struct chance *jitter, int64_t *times)
{
    int64_t pause_us = a->retry_after_s > 0 ? a->retry_after_s * USEC_PER_SEC : USEC_PER_SEC / 4;
    pause_us *= *times;
    *times = *times * 2 < WAIT_LONGER ? *times * 2 : WAIT_LONGER;
    return pause_us + (int64_t)(chance_part(jitter) * (double)pause_us);
}

/* Who is told to come again does, with the same key, so that it stays one purchase. */
static PARKS void buy_at_sale(struct visit *v, struct sale *sale)
{
    struct wire_answer a;
    struct wire_request q = checkout_request(v, fresh_key(), v->shopper->card);
    int64_t give_up_us = clock_mono_us() + SALE_PATIENCE_US, times = 1;
    struct chance jitter = {v->shopper->next_item + 1};
    do {
        (void)visit_ask(v, "checkout", "201 409:out_of_stock ~" IN_USE, SHOP_CART, &q, &a);
        if (answer_is(&a, "201 409:out_of_stock"))
            break;
        if (fiber_sleep(come_again_us(&a, &jitter, &times)) != 0)
            break;
    } while (clock_mono_us() < give_up_us && run_asked_to_end < 2);
    bool ordered = answer_is(&a, "201"), sold_out = answer_is(&a, "409:out_of_stock");
    *(ordered ? &sale->orders : sold_out ? &sale->sold_out : &sale->unanswered) += 1;
    struct tally *t = &v->run->tally;
    tally_answer(t, tally_series(t, "visit.flash-sale"),
        ordered || sold_out ? ANSWER_GOOD : ANSWER_LOST,
        ordered    ? "an order"
        : sold_out ? "sold out"
                   : "no answer",
        SPAN(""), clock_mono_us() - v->due_us);
}

static void go_to_sale(void *arg)
{
    struct buyer *b = arg;
    struct sale *sale = b->sale;
    struct visit v = {.run = sale->run, .shopper = b->shopper};
    b->shopper->next_item = (unsigned)(b->shopper - sale->run->shop.shoppers);
    (void)latch_wait(&sale->doors, "the doors", USEC_NEVER, NULL);
    v.due_us = clock_mono_us();
    buy_at_sale(&v, sale);
    sale->inside--;
}

/* Fills the carts, sixteen at a time. */
static void fill_carts(void *arg)
{
    struct sale *sale = arg;
    struct shop *shop = &sale->run->shop;
    struct wire_answer a;
    while (sale->ready < shop->shoppers_count && !run_asked_to_end) {
        struct visit v = {.run = sale->run, .shopper = &shop->shoppers[sale->ready++]};
        int tries = 20;
        do {
            visit_ask_aside(&v, SHOP_CART,
                &(struct wire_request){.method = HTTP_POST,
                    .path = "/api/v1/cart/items",
                    .token = v.shopper->token,
                    .body = arena_printf(
                        fiber_arena(), "{\"sku\":\"%s\",\"quantity\":1}", shop->sale_sku)},
                &a);
        } while (!answer_is(&a, "200") && --tries > 0 && fiber_sleep(100 * USEC_PER_MS) == 0);
        arena_reset(fiber_arena());
    }
    sale->inside--;
}

static void empty_carts(void *arg)
{
    struct sale *sale = arg;
    struct shop *shop = &sale->run->shop;
    while (sale->ready < shop->shoppers_count) {
        struct visit v = {.run = sale->run, .shopper = &shop->shoppers[sale->ready++]};
        empty_cart(&v);
        arena_reset(fiber_arena());
    }
    sale->inside--;
}

static PARKS void sixteen(struct sale *sale, void (*fn)(void *))
{
    sale->ready = 0;
    for (int i = 0; i < 16; i++)
        sale->inside += fiber_spawn(loop_current(), "carts", fn, sale, NULL) == 0;
    while (sale->inside > 0)
        (void)fiber_sleep(10 * USEC_PER_MS);
}

static PARKS void flash_sale(struct run *r)
{
    struct sale sale = {.run = r};
    size_t count = r->shop.shoppers_count;
    struct buyer *buyers = arena_array(fiber_arena(), count, sizeof(*buyers));
    sixteen(&sale, fill_carts);
    for (size_t i = 0; i < count; i++) {
        buyers[i] = (struct buyer){&sale, &r->shop.shoppers[i]};
        sale.inside += fiber_spawn(r->loop, "buyer", go_to_sale, &buyers[i], NULL) == 0;
    }
    (void)fiber_sleep(20 * USEC_PER_MS); /* all stand at the doors */
    run_count_begin(r, clock_mono_us());
    r->started = count;
    r->under_way = sale.inside;
    latch_set(&sale.doors, 0);
    while (sale.inside > 0) {
        r->under_way = sale.inside;
        (void)fiber_sleep(5 * USEC_PER_MS);
    }
    r->under_way = 0;
    run_count_end(r);
    uint64_t wanted = (uint64_t)r->o->units < count ? (uint64_t)r->o->units : count;
    tally_promise(&r->tally, "exactly as many orders as there were units", sale.orders == wanted,
        "%llu orders for %llu units (%llu buyers sold out, %llu without an answer)",
        (unsigned long long)sale.orders, (unsigned long long)wanted,
        (unsigned long long)sale.sold_out, (unsigned long long)sale.unanswered);
    sixteen(&sale, empty_carts);
}

/* ---- the table ---- */

const struct scenario scenarios[] = {
    {"checkout", "browse, add an item, check out", checkout, .weight = 15},
    {"buy", "add an item, check out: the two requests by which suites are compared", buy},
    {"browse", "the first page of products, then one of them", browse, .weight = 75},
    {"double-click", "add, then check out twice at once with one key", double_click, .weight = 3},
    {"hot-sku", "everybody buys the same item", hot_sku, .weight = 3},
    {"decline-then-retry", "a declined card (402), then a good one (201)", decline_then_retry,
        .weight = 2, .needs_declined_card = true},
    {"refresh-storm", "the tabs of a browser renew one login at once", refresh_storm, .weight = 2},
    {"flash-sale", "--users buyers at once on --units units", .drive = flash_sale},
    {"mixed", "a mix of them by weight; --mix chooses another"},
};
const size_t scenarios_count = ARRAY_SIZE(scenarios);

const struct scenario *scenario_find(struct span name)
{
    for (size_t i = 0; i < scenarios_count; i++)
        if (span_equal(name, span_of(scenarios[i].name)))
            return &scenarios[i];
    return NULL;
}

const struct scenario *scenario_choose(const struct options *o, struct chance *c)
{
    double sum = 0;
    if (o->mix_count == 1)
        return o->mix[0].scenario;
    for (size_t i = 0; i < o->mix_count; i++)
        sum += o->mix[i].weight;
    double at = chance_part(c) * sum;
    for (size_t i = 0; i + 1 < o->mix_count; i++) {
        at -= o->mix[i].weight;
        if (at < 0)
            return o->mix[i].scenario;
    }
    return o->mix[o->mix_count - 1].scenario;
}

void scenario_visit(const struct scenario *s, struct visit *v)
{
    char name[TALLY_NAME_SIZE];
    snprintf(name, sizeof(name), "visit.%s", s->name);
    bool fine = s->visit(v);
    struct tally *t = &v->run->tally;
    if (v->due_us < v->run->counted_from_us)
        return;
    bool shed = v->shed && !v->wrong;
    tally_answer(t, tally_series(t, name),
        fine   ? ANSWER_GOOD
        : shed ? ANSWER_SHED
               : ANSWER_WRONG,
        fine   ? "done"
        : shed ? "a step was shed"
               : "a step failed",
        SPAN(""), clock_mono_us() - v->due_us);
}
