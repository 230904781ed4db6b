#include "cart/cart.h"
#include "common/base/crypto.h"

/* ---- whose cart ---- */

static const char *token_hash(struct arena *a, struct span token)
{
    char *hash = arena_alloc(a, SHA256_HEX_SIZE);
    crypto_sha256_hex(token, hash);
    return hash;
}

/* A user's own cart, or a guest's by X-Cart-Token. Without either, `owner` stays empty. */
static int read_owner(struct request *req, struct cart_owner *ret_owner)
{
    *ret_owner = (struct cart_owner){.user_id = req->caller.user_id};
    if (req->caller.user_id)
        return 0;
    if (request_header(req, "Authorization")
            .ptr) /* a spent login must not turn into a guest cart */
        return refuse(req, OUTCOME_UNAUTHENTICATED, "The access token is not valid");
    struct span token = request_header(req, "X-Cart-Token");
    if (!token.ptr)
        return 0;
    if (token.len != CRYPTO_TOKEN_SIZE - 1)
        return refuse(req, OUTCOME_MALFORMED, "X-Cart-Token must be the token that GET /cart gave");
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
        return refuse(
            req, OUTCOME_UNAUTHENTICATED, "Send an access token, or X-Cart-Token for a guest cart");
    return 0;
}

/* In a transaction the answer is kept with the effect, under the request's Idempotency-Key. */
static int reply_cart(
    struct request *req, struct pg_tx *tx, struct cart *cart, const char *new_token)
{
    TRY(cart_compute(cart));
    cart->cart_token = new_token;
    if (new_token)
        reply_header(req, "X-Cart-Token", new_token);
    reply_etag(req, cart->version);
    return tx ? reply_stored(req, tx, 200, &cart_table, cart) : reply(req, 200, &cart_table, cart);
}

static const struct cart_item *item_find(const struct cart *cart, const char *sku)
{
    for (size_t i = 0; i < cart->items.len; i++)
        if (strcmp(LIST_AT(cart->items, struct cart_item, i)->sku, sku) == 0)
            return LIST_AT(cart->items, struct cart_item, i);
    return NULL;
}

/* ---- reading ---- */

int get_cart(struct request *req)
{
    struct cart_owner owner;
    const char *new_token;
    struct cart *cart;
    TRY(read_or_make_owner(req, &owner, &new_token));
    TRY(store_cart_find(owner, &cart));
    if (!cart)
        TRY(store_cart_make(owner, &cart));
    if (!cart)
        return ERR(ERR_RETRY);
    return reply_cart(req, NULL, cart, new_token);
}

/* ---- changing lines ---- */

static int check_line(
    struct request *req, const struct cart *cart, const struct price *price, int64_t quantity)
{
    if (quantity > CART_QUANTITY_LIMIT)
        return refuse_field(req, "/quantity", "the cart would hold %lld, at most %d are possible",
            (long long)quantity, CART_QUANTITY_LIMIT);
    if (cart->items.len >= CART_LINES_LIMIT && !item_find(cart, price->sku))
        return refuse(req, CART_CART_FULL, "Take something out first");
    const struct cart_item *first =
        cart->items.len ? LIST_AT(cart->items, struct cart_item, 0) : NULL;
    if (first && !money_same_currency(&first->unit_price, &price->price))
        return refuse(req, CART_CURRENCY_MISMATCH, "The cart is in %s, %s costs %s",
            first->unit_price.currency, price->sku, price->price.currency);
    return 0;
}

/* Sets one line to `quantity`, or adds to it, and answers with the cart as it is then. */
static int put_line(struct request *req, struct cart_owner owner, const char *new_token,
    const struct price *price, int64_t quantity, bool add)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct cart *cart;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_cart_open(tx, owner, &cart));
    TRY(request_if_match(req, cart->version, false));
    const struct cart_item *line = item_find(cart, price->sku);
    int64_t wanted = quantity + (add && line ? line->quantity : 0);
    TRY(check_line(req, cart, price, wanted));
    TRY(store_item_put(tx, cart->id, price, wanted));
    TRY(store_cart_touch(tx, cart->id));
    TRY(store_cart_read(tx, owner, &cart));
    TRY(reply_cart(req, tx, cart, new_token));
    return pg_commit(tx);
}

int post_item(struct request *req)
{
    const struct item_body *body = req->body;
    struct cart_owner owner;
    const char *new_token;
    struct price price;
    TRY(read_or_make_owner(req, &owner, &new_token));
    TRY(price_get(req, body->sku, &price));
    return put_line(req, owner, new_token, &price, body->quantity, true);
}

static int remove_line(struct request *req, struct cart_owner owner, const char *sku)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct cart *cart;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_cart_open(tx, owner, &cart));
    TRY(request_if_match(req, cart->version, false));
    TRY(store_item_delete(tx, cart->id, sku));
    TRY(store_cart_touch(tx, cart->id));
    TRY(store_cart_read(tx, owner, &cart));
    TRY(reply_cart(req, tx, cart, NULL));
    return pg_commit(tx);
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
    return put_line(req, owner, NULL, &price, body->quantity, false);
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
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct cart_owner owner;
    struct cart *cart;
    TRY(require_owner(req, &owner));
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_cart_open(tx, owner, &cart));
    TRY(request_if_match(req, cart->version, false));
    TRY(store_items_clear(tx, cart->id));
    TRY(store_cart_touch(tx, cart->id));
    TRY(pg_commit(tx));
    return reply_empty(req, 204);
}

/* ---- merging a guest's cart into the own ---- */

static struct price price_of(const struct cart_item *item)
{
    return (struct price){.sku = item->sku,
        .name = item->name,
        .seller_id = item->seller_id,
        .price = item->unit_price};
}

static int merge_lines(struct request *req, struct pg_tx *tx, const struct cart *into,
    const struct cart *from, const char *policy)
{
    size_t lines = into->items.len;
    for (size_t i = 0; i < from->items.len; i++) {
        const struct cart_item *guest = LIST_AT(from->items, struct cart_item, i);
        const struct cart_item *mine = item_find(into, guest->sku);
        struct price price = price_of(mine ? mine : guest);
        int64_t quantity =
            mine ? cart_merged_quantity(policy, mine->quantity, guest->quantity) : guest->quantity;
        lines += mine ? 0 : 1;
        if (lines > CART_LINES_LIMIT)
            return refuse(req, CART_CART_FULL, "Together the carts hold too many different items");
        TRY(check_line(req, into, &price, quantity));
        TRY(store_item_put(tx, into->id, &price, quantity));
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
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_cart_open(tx, mine, &into));
    TRY(store_cart_lock(tx, guest, &from));
    if (!from)
        return refuse_field(req, "/cartToken", "belongs to no cart");
    TRY(merge_lines(req, tx, into, from, body->policy));
    if (body->dry_run) { /* shown, then rolled back */
        TRY(store_cart_read(tx, mine, &into));
        return reply_cart(req, NULL, into, NULL);
    }
    TRY(store_cart_touch(tx, into->id));
    TRY(store_cart_delete(tx, from->id));
    TRY(store_cart_read(tx, mine, &into));
    TRY(reply_cart(req, tx, into, NULL));
    return pg_commit(tx);
}
