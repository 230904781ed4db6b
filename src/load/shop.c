/* Everything a run needs, made through the public API before the clock starts: a seller with items
 * and plenty of stock, shoppers with a card each. Several fibers share the work; a shop that says
 * it has too much to do is asked again later. The first call that fails for good ends it all, with
 * the answer. */

#include <stdio.h>
#include <sys/stat.h>

#include "common/base/mem.h"
#include "common/base/uuid.h"
#include "load/load.h"

#define HANDS        12
#define BUSY_US      (10 * USEC_PER_SEC) /* so long a shop may have no time, */
#define LIMITED_US   (90 * USEC_PER_SEC) /* and so long it may limit us */
#define PLENTY       1000000
#define SKUS_LIMIT   100000
#define TOKEN_AGE_US (7 * 60 * USEC_PER_SEC) /* they live ten minutes */

struct preparation {
    struct shop *shop;
    const struct options *o;
    const char *seller_token;
    char name[UUID_TEXT_SIZE];                     /* what this run's accounts have in common */
    bool (*make)(struct preparation *p, size_t n); /* parks */
    size_t next, count, hands, done;
    bool failed;
};

/* ---- calls ---- */

static PARKS bool ask(struct preparation *p, enum shop_peer peer, const struct wire_request *q,
    const char *expected, struct wire_answer *a)
{
    int64_t begun_us = clock_mono_us();
    while (!p->failed && !run_asked_to_end) {
        wire_call(p->shop->wires[peer], q, a);
        if (answer_is(a, expected))
            return true;
        bool busy = a->result == WIRE_ANSWERED && (a->status == 429 || a->status == 503);
        bool again = a->result == WIRE_RESET || a->result == WIRE_TIMEOUT;
        /* Passwords wait in a queue of their own, which is short on purpose. */
        bool limited = busy && (a->status == 429 || peer == SHOP_AUTH);
        int64_t patience_us = limited ? LIMITED_US : BUSY_US;
        if ((!busy && !again) || clock_mono_us() - begun_us > patience_us)
            break;
        p->shop->trouble++;
        int64_t pause_us =
            a->retry_after_s > 0 ? a->retry_after_s * USEC_PER_SEC : USEC_PER_SEC / 4;
        if (fiber_sleep(pause_us < 10 * USEC_PER_SEC ? pause_us : 10 * USEC_PER_SEC) != 0)
            break;
    }
    if (!p->failed && !run_asked_to_end)
        fprintf(stderr, "souk-load: %s %s: %s %.*s\n", http_method_name(q->method), q->path,
            a->result == WIRE_ANSWERED ? arena_printf(fiber_arena(), "answered %d", a->status)
                                       : wire_result_name(a->result),
            SPAN_ARG(a->body));
    p->failed = true;
    return false;
}

static PARKS bool post(struct preparation *p, enum shop_peer peer, const char *path,
    const char *token, const char *body, struct wire_answer *a)
{
    return ask(p, peer,
        &(struct wire_request){
            .method = HTTP_POST, .path = path, .token = token, .body = body, .key = NULL},
        "200 201", a);
}

/* ---- accounts ---- */

static void shopper_take(struct shopper *s, const struct wire_answer *a)
{
    mem_free(s->previous_token);
    s->previous_token = s->token;
    s->token = mem_strdup(answer_text(a, "accessToken"));
    snprintf(s->refresh_token, sizeof(s->refresh_token), "%s", answer_text(a, "refreshToken"));
    s->token_at_us = clock_mono_us();
}

static PARKS bool log_in(
    struct preparation *p, const struct shopper *s, const char *expected, struct wire_answer *a)
{
    return ask(p, SHOP_AUTH,
        &(struct wire_request){.method = HTTP_POST,
            .path = "/api/v1/auth/login",
            .body = arena_printf(
                fiber_arena(), "{\"email\":\"%s\",\"password\":\"%s\"}", s->email, s->password)},
        expected, a);
}

/* A registration whose answer was lost has taken the address: it is this one's all the same. */
static PARKS bool sign_up(struct preparation *p, const struct shopper *s, const char *name,
    const char *role, struct wire_answer *a)
{
    const char *body = arena_printf(fiber_arena(),
        "{\"email\":\"%s\",\"password\":\"%s\",\"name\":\"%s\",\"role\":\"%s\"}", s->email,
        s->password, name, role);
    struct wire_request q = {.method = HTTP_POST, .path = "/api/v1/auth/register", .body = body};
    if (!ask(p, SHOP_AUTH, &q, "201 409:email_taken", a))
        return false;
    return a->status == 201 || log_in(p, s, "200", a);
}

static PARKS bool card_make(
    struct preparation *p, const struct shopper *s, const char *token, char card[static 40])
{
    struct wire_answer a;
    if (!post(p, SHOP_PAYMENT, "/api/v1/payment-methods", s->token,
            arena_printf(fiber_arena(), "{\"token\":\"%s\"}", token), &a))
        return false;
    snprintf(card, 40, "%s", answer_text(&a, "paymentMethodId"));
    return true;
}

static bool needs_declined_card(const struct options *o)
{
    for (size_t i = 0; i < o->mix_count; i++)
        if (o->mix[i].scenario->needs_declined_card)
            return true;
    return false;
}

static PARKS bool come_in_anew(struct preparation *p, size_t n, struct wire_answer *a)
{
    struct shopper *s = &p->shop->shoppers[n];
    const char *name = arena_printf(fiber_arena(), "shopper %zu", n);
    s->card[0] = s->declined_card[0] = '\0';
    mem_free(s->email);
    mem_free(s->password);
    s->email = mem_strdup(arena_printf(fiber_arena(), "shopper-%zu-%s@load.example", n, p->name));
    s->password = mem_strdup(arena_printf(fiber_arena(), "correct horse %s", p->name));
    return sign_up(p, s, name, "user", a);
}

/* One who was kept renews the login, or logs in again where it has ended (or this file is older
 * than the token that was spent last). A shop that does not know the account any more was made
 * anew. */
static PARKS bool come_back(struct preparation *p, size_t n, struct wire_answer *a)
{
    struct shopper *s = &p->shop->shoppers[n];
    struct wire_request q = {.method = HTTP_POST,
        .path = "/api/v1/auth/refresh",
        .body = arena_printf(fiber_arena(), "{\"refreshToken\":\"%s\"}", s->refresh_token)};
    if (s->refresh_token[0] &&
        !ask(p, SHOP_AUTH, &q, "200 401:invalid_refresh_token 401:refresh_token_reused", a))
        return false;
    if (s->refresh_token[0] && a->status == 200)
        return true;
    if (!log_in(p, s, "200 401:invalid_credentials", a))
        return false;
    return a->status == 200 || come_in_anew(p, n, a);
}

static PARKS bool shopper_make(struct preparation *p, size_t n)
{
    struct shopper *s = &p->shop->shoppers[n];
    struct wire_answer a;
    bool in = p->o->accounts ? log_in(p, s, "200", &a)
              : s->email     ? come_back(p, n, &a)
                             : come_in_anew(p, n, &a);
    if (!in)
        return false;
    shopper_take(s, &a);
    s->next_item = (unsigned)n * 7;
    return (s->card[0] || card_make(p, s, "tok_visa", s->card)) &&
           (!needs_declined_card(p->o) || s->declined_card[0] ||
               card_make(p, s, "tok_declined", s->declined_card));
}

/* Making thousands takes longer than the first one's token lives. */
static PARKS bool login_renew(struct preparation *p, size_t n)
{
    struct shopper *s = &p->shop->shoppers[n];
    struct wire_answer a;
    if (clock_mono_us() - s->token_at_us < TOKEN_AGE_US / 2)
        return true;
    if (!come_back(p, n, &a))
        return false;
    shopper_take(s, &a);
    return true;
}

/* ---- items ---- */

static PARKS bool item_list(struct preparation *p, const char *sku, size_t n, int64_t stock)
{
    struct wire_answer a;
    return post(p, SHOP_SELLER, "/api/v1/products", p->seller_token,
               arena_printf(fiber_arena(),
                   "{\"sku\":\"%s\",\"name\":\"Load item %zu\",\"category\":\"load\","
                   "\"price\":{\"amount\":%zu,\"currency\":\"USD\"}}",
                   sku, n, 500 + 37 * n),
               &a) &&
           post(p, SHOP_SELLER,
               arena_printf(fiber_arena(), "/api/v1/inventory/%s/adjustments", sku),
               p->seller_token,
               arena_printf(
                   fiber_arena(), "{\"delta\":%lld,\"reason\":\"received\"}", (long long)stock),
               &a);
}

static PARKS bool item_make(struct preparation *p, size_t n)
{
    snprintf(p->shop->skus[n], SKU_SIZE, "L%.12s-%03zu", p->name + 24, n);
    return item_list(p, p->shop->skus[n], n, PLENTY);
}

static PARKS bool seller_make(struct preparation *p)
{
    struct wire_answer a;
    struct shopper seller = {
        .email = arena_printf(fiber_arena(), "seller-0-%s@load.example", p->name),
        .password = arena_printf(fiber_arena(), "correct horse %s", p->name)};
    if (!sign_up(p, &seller, "seller", "seller", &a))
        return false;
    p->seller_token = answer_text(&a, "accessToken");
    if (!post(p, SHOP_SELLER, "/api/v1/sellers", p->seller_token, "{\"name\":\"Load\"}", &a))
        return false;
    if (!p->o->scenario->drive)
        return true;
    snprintf(p->shop->sale_sku, SKU_SIZE, "L%.12s-sale", p->name + 24);
    return item_list(p, p->shop->sale_sku, 0, p->o->units);
}

/* ---- many hands ---- */

static void hand(void *arg)
{
    struct preparation *p = arg;
    while (p->next < p->count && !p->failed && !run_asked_to_end) {
        p->failed = !p->make(p, p->next++) || p->failed;
        p->done++;
        arena_reset(fiber_arena());
    }
    p->hands--;
}

static PARKS bool make_all(struct preparation *p, const char *what, size_t count,
    bool (*make)(struct preparation *p, size_t n))
{
    p->make = make;
    p->next = p->done = 0;
    p->count = count;
    for (size_t i = 0; i < HANDS && i < count; i++)
        p->hands += fiber_spawn(loop_current(), "prepare", hand, p, NULL) == 0;
    while (p->hands > 0) {
        (void)fiber_sleep(50 * USEC_PER_MS);
        if (!p->o->quiet)
            live_say("preparing %s: %zu of %zu", what, p->done, count);
    }
    live_clear();
    return !p->failed && !run_asked_to_end;
}

/* ---- accounts that were given ---- */

/* Lines of "email password". NULL on success, else what is wrong. */
static const char *accounts_read(struct shop *s, const char *path, size_t count)
{
    FILE *f = fopen(path, "r");
    char line[600], email[300], password[260];
    size_t n = 0;
    if (!f)
        return "it can't be read";
    while (n < count && fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%299s %259[^\n]", email, password) != 2 || strpbrk(line, "\"\\"))
            continue;
        s->shoppers[n].email = mem_strdup(email);
        s->shoppers[n++].password = mem_strdup(password);
    }
    fclose(f);
    return n < count ? "it has fewer accounts than there are shoppers" : NULL;
}

/* ---- items that were given ---- */

/* Lines of one SKU each. NULL on success, else what is wrong. */
static const char *skus_read(struct shop *s, const char *path)
{
    FILE *f = fopen(path, "r");
    char line[600];
    if (!f)
        return "it can't be read";
    s->skus = mem_array(SKUS_LIMIT, sizeof(*s->skus));
    while (s->items < SKUS_LIMIT && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\r\n")] = 0;
        if (!*line || strlen(line) >= SKU_SIZE || strpbrk(line, "\"\\ "))
            continue;
        snprintf(s->skus[s->items++], SKU_SIZE, "%.*s", SKU_SIZE - 1, line);
    }
    fclose(f);
    return s->items == 0 ? "it has no SKUs" : NULL;
}

/* ---- life ---- */

int shop_open(struct shop *s, const struct options *o, size_t shoppers)
{
    struct preparation p = {.shop = s, .o = o};
    if (o->keep && !keep_read(s, o->keep, shoppers))
        return LOAD_UNPREPARED;
    if (!o->keep)
        s->shoppers = mem_array(shoppers, sizeof(*s->shoppers));
    const char *wrong = o->accounts ? accounts_read(s, o->accounts, shoppers) : NULL;
    if (wrong) {
        fprintf(stderr, "souk-load: %s: %s\n", o->accounts, wrong);
        return LOAD_UNPREPARED;
    }
    uuid_make(p.name);
    if (o->skus && (wrong = skus_read(s, o->skus))) {
        fprintf(stderr, "souk-load: %s: %s\n", o->skus, wrong);
        return LOAD_UNPREPARED;
    }
    if (!o->skus) {
        s->items = o->scenario->drive ? 1 : (size_t)o->items; /* a sale has its own */
        s->skus = mem_array(s->items, sizeof(*s->skus));
    }
    s->shoppers_count = shoppers;
    /* Whoever resets the arena of a hand resets that hand's own: the seller's token is in ours. */
    bool good = seller_make(&p) && (o->skus || make_all(&p, "items", s->items, item_make)) &&
                make_all(&p, "shoppers", shoppers, shopper_make) &&
                make_all(&p, "logins", shoppers, login_renew);
    /* What was made or spent until it went wrong, too. */
    good = keep_write(s) && good;
    return good ? 0 : LOAD_UNPREPARED;
}

static PARKS void renew(struct shop *shop, struct shopper *s)
{
    struct wire_answer a;
    s->renewing = true;
    wire_call(shop->wires[SHOP_AUTH],
        &(struct wire_request){.method = HTTP_POST,
            .path = "/api/v1/auth/refresh",
            .body = arena_printf(fiber_arena(), "{\"refreshToken\":\"%s\"}", s->refresh_token)},
        &a);
    if (answer_is(&a, "200"))
        shopper_take(s, &a);
    s->renewing = false;
    arena_reset(fiber_arena());
}

void shop_keep_fresh(void *run)
{
    struct run *r = run;
    while (!r->over) {
        for (size_t i = 0; i < r->shop.shoppers_count && !r->over; i++) {
            struct shopper *s = &r->shop.shoppers[i];
            if (!s->renewing && clock_mono_us() - s->token_at_us > TOKEN_AGE_US)
                renew(&r->shop, s);
        }
        (void)fiber_sleep(200 * USEC_PER_MS);
    }
}
