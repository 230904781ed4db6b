#include "cart/cart.h"
#include "common/base/crypto.h"

/* ---- whose cart ---- */

static const char *token_hash(struct arena *a, struct span token)
{
    char *hash = arena_alloc(a, SHA256_HEX_SIZE);
    crypto_sha256_hex(token, hash);
    return hash;
}

/* A user's own cart, or a guest's by its token. Without either, `owner` stays empty. */
static int read_owner(struct request *req, struct cart_owner *ret_owner)
{
    *ret_owner = (struct cart_owner){.user_id = req->caller.user_id};
    if (req->caller.user_id)
        return 0;
    if (request_header(req, "Authorization").ptr) /* a spent login is no guest */
        return refuse(req, OUTCOME_UNAUTHENTICATED, "The access token is not valid");
    struct span token = request_header(req, CART_TOKEN_HEADER);
    if (!token.ptr)
        return 0;
    if (token.len != CRYPTO_TOKEN_SIZE - 1)
        return refuse(
            req, OUTCOME_MALFORMED, CART_TOKEN_HEADER " must be the token that GET /cart gave");
    ret_owner->token_hash = token_hash(req->arena, token);
    return 0;
}

/* As read_owner, but a guest who has no token gets one. */
static int read_or_make_owner(
    struct request *req, struct cart_owner *ret_owner, const char **ret_token)
{
    *ret_token = NULL;
    TRY(read_owner(req, ret_owner));
    if (ret_owner->user_id || ret_owner->token_hash)
        return 0;
    char *token = arena_alloc(req->arena, CRYPTO_TOKEN_SIZE);
    crypto_token(token);
    ret_owner->token_hash = token_hash(req->arena, span_of(token));
    *ret_token = token;
    return 0;
}

static int require_owner(struct request *req, struct cart_owner *ret_owner)
{
    TRY(read_owner(req, ret_owner));
    if (!ret_owner->user_id && !ret_owner->token_hash)
        return refuse(req, OUTCOME_UNAUTHENTICATED,
            "Send an access token, or " CART_TOKEN_HEADER " for a guest cart");
    return 0;
}

/* In a transaction the answer is kept with the effect, under the request's Idempotency-Key. */
static int reply_cart(
    struct request *req, struct pg_tx *tx, struct cart *cart, const char *new_token)
{
    TRY(cart_compute(cart));
    cart->cart_token = new_token;
    if (new_token)
        reply_header(req, CART_TOKEN_HEADER, new_token);
    reply_etag(req, cart->version);
    return tx ? reply_stored(req, tx, 200, &cart_table, cart) : reply(req, 200, &cart_table, cart);
}

/* ---- reading ---- */

int get_cart(struct request *req)
{
    struct cart_owner owner;
    const char *new_token;
    struct cart *cart;
    TRY(read_or_make_owner(req, &owner, &new_token));
    TRY(store_cart_open(NULL, owner, &cart));
    return reply_cart(req, NULL, cart, new_token);
}

/* ---- changing ---- */

/* What is to become of a cart's lines, in memory; an outcome refuses. */
struct change {
    int (*make)(struct request *req, struct cart *cart, const struct change *change);
    const struct price *price;
    const char *sku; /* of the line to take out */
    int64_t quantity;
    bool add;    /* to what is there */
    bool silent; /* 204 instead of the cart */
    const char *new_token;
};

static int reply_changed(
    struct request *req, struct pg_tx *tx, struct cart *cart, const struct change *change)
{
    return change->silent ? reply_empty(req, 204) : reply_cart(req, tx, cart, change->new_token);
}

static int change_read(struct request *req, struct pg_tx *tx, struct cart *cart,
    const struct change *change, bool *ret_written) PARKS
{
    TRY(request_if_match(req, cart->version));
    TRY(change->make(req, cart, change));
    return store_cart_write(tx, cart, ret_written);
}

static int change_once(struct request *req, struct pg_tx *tx, struct cart_owner owner,
    const struct change *change, struct cart **ret_cart, bool *ret_written) PARKS
{
    TRY(store_cart_open(tx, owner, ret_cart));
    return change_read(req, tx, *ret_cart, change, ret_written);
}

/* The cart as it is remembered: NULL when it isn't, or isn't so any more. A refusal may be due to
 * that, and is not told. */
static int change_remembered(struct request *req, struct cart_owner owner,
    const struct change *change, struct cart **ret_cart) PARKS
{
    struct cart *cart = req->key_claim ? NULL : cart_recall(req->arena, owner.user_id);
    bool written = false;
    *ret_cart = NULL;
    if (!cart)
        return 0;
    int r = change_read(req, NULL, cart, change, &written);
    if (r < 0)
        return ERR(r);
    if (written)
        *ret_cart = cart;
    else
        cart_forget(owner.user_id);
    refuse_undo(req);
    return 0;
}

/* Locked while it is changed, and the answer kept with the effect. */
static int change_locked(struct request *req, struct cart_owner owner, const struct change *change,
    struct cart **ret_cart) PARKS
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    bool written;
    TRY(pg_begin(app()->pg, &tx));
    TRY(change_once(req, tx, owner, change, ret_cart, &written));
    if (!written)
        return ERR(ERR_RETRY);
    TRY(reply_changed(req, tx, *ret_cart, change));
    return pg_commit(tx);
}

static int reply_written(struct request *req, struct cart *cart, const struct change *change)
{
    cart_remember(cart);
    return reply_changed(req, NULL, cart, change);
}

/* Hardly ever do two change one cart at once: so it is remembered or read, and written if it is
 * still the same. Who loses that race twice, or has an answer to keep, locks it. */
static int change_cart(struct request *req, struct cart_owner owner, const struct change *change)
    PARKS
{
    struct cart *cart;
    bool written = false;
    TRY(change_remembered(req, owner, change, &cart));
    if (cart)
        return reply_written(req, cart, change);
    for (int i = 0; i < 2 && !req->key_claim; i++) {
        TRY(change_once(req, NULL, owner, change, &cart, &written));
        if (written)
            return reply_written(req, cart, change);
    }
    return change_locked(req, owner, change, &cart);
}

static int check_line(
    struct request *req, const struct cart *cart, const struct price *price, int64_t quantity)
{
    if (quantity > CART_QUANTITY_LIMIT)
        return refuse_field(req, "/quantity", "the cart would hold %lld, at most %d are possible",
            (long long)quantity, CART_QUANTITY_LIMIT);
    if (cart->items.len >= CART_LINES_LIMIT && !cart_line(cart, price->sku))
        return refuse(req, CART_CART_FULL, "Take something out first");
    const struct cart_item *first =
        cart->items.len ? LIST_AT(cart->items, struct cart_item, 0) : NULL;
    if (first && !money_same_currency(&first->unit_price, &price->price))
        return refuse(req, CART_CURRENCY_MISMATCH, "The cart is in %s, %s costs %s",
            first->unit_price.currency, price->sku, price->price.currency);
    return 0;
}

static int put_line(
    struct request *req, struct cart *cart, const struct price *price, int64_t quantity)
{
    TRY(check_line(req, cart, price, quantity));
    cart_put(req->arena, cart,
        &(struct cart_item){.sku = price->sku,
            .name = price->name,
            .seller_id = price->seller_id,
            .quantity = quantity,
            .unit_price = price->price});
    return 0;
}

static int make_put(struct request *req, struct cart *cart, const struct change *change)
{
    const struct cart_item *line = cart_line(cart, change->price->sku);
    int64_t there = change->add && line ? line->quantity : 0;
    return put_line(req, cart, change->price, there + change->quantity);
}

static int make_removal(struct request *req, struct cart *cart, const struct change *change)
{
    cart_remove(cart, change->sku);
    return 0;
}

static int make_empty(struct request *req, struct cart *cart, const struct change *change)
{
    cart->items.len = 0;
    return 0;
}

int post_item(struct request *req)
{
    const struct item_body *body = req->body;
    struct cart_owner owner;
    struct price price;
    struct change change = {
        .make = make_put, .price = &price, .quantity = body->quantity, .add = true};
    TRY(read_or_make_owner(req, &owner, &change.new_token));
    TRY(price_get(req, body->sku, &price));
    return change_cart(req, owner, &change);
}

static int remove_line(struct request *req, struct cart_owner owner, const char *sku) PARKS
{
    return change_cart(req, owner, &(struct change){.make = make_removal, .sku = sku});
}

int put_item(struct request *req)
{
    const struct sku_params *params = req->params;
    const struct quantity_body *body = req->body;
    struct cart_owner owner;
    struct price price;
    TRY(require_owner(req, &owner));
    if (body->quantity == 0)
        return remove_line(req, owner, params->sku);
    TRY(price_get(req, params->sku, &price));
    return change_cart(req, owner,
        &(struct change){.make = make_put, .price = &price, .quantity = body->quantity});
}

int delete_item(struct request *req)
{
    const struct sku_params *params = req->params;
    struct cart_owner owner;
    TRY(require_owner(req, &owner));
    return remove_line(req, owner, params->sku);
}

int delete_cart(struct request *req)
{
    struct cart_owner owner;
    TRY(require_owner(req, &owner));
    return change_cart(req, owner, &(struct change){.make = make_empty, .silent = true});
}

/* ---- merging a guest's cart into the own ---- */

static struct price price_of(const struct cart_item *item)
{
    return (struct price){.sku = item->sku,
        .name = item->name,
        .seller_id = item->seller_id,
        .price = item->unit_price};
}

static int merge_lines(
    struct request *req, struct cart *into, const struct cart *from, const char *policy)
{
    for (size_t i = 0; i < from->items.len; i++) {
        const struct cart_item *guest = LIST_AT(from->items, struct cart_item, i);
        const struct cart_item *mine = cart_line(into, guest->sku);
        struct price price = price_of(mine ? mine : guest);
        TRY(put_line(req, into, &price,
            mine ? cart_merged_quantity(policy, mine->quantity, guest->quantity)
                 : guest->quantity));
    }
    return 0;
}

int post_merge(struct request *req)
{
    const struct merge_body *body = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct cart_owner mine = {.user_id = req->caller.user_id};
    struct cart_owner guest = {.token_hash = token_hash(req->arena, span_of(body->cart_token))};
    struct cart *into, *from;
    bool written;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_cart_open(tx, mine, &into));
    TRY(store_cart_lock(tx, guest, &from));
    if (!from)
        return refuse_field(req, "/cartToken", "belongs to no cart");
    TRY(merge_lines(req, into, from, body->policy));
    if (body->dry_run) /* shown only */
        return reply_cart(req, NULL, into, NULL);
    TRY(store_cart_delete(tx, from->id));
    TRY(store_cart_write(tx, into, &written));
    if (!written)
        return ERR(ERR_RETRY);
    TRY(reply_cart(req, tx, into, NULL));
    return pg_commit(tx);
}
