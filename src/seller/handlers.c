#include "seller/seller.h"

/* Sellers act on what is theirs, admins on everything. */
const char *owner_of(const struct request *req)
{
    return caller_is(req, ROLE_ADMIN) ? NULL : req->caller.user_id;
}

/* ---- sellers ---- */

int post_seller(struct request *req)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct seller *s;
    bool inserted;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_seller_insert(tx, req->caller.user_id, req->body, &inserted));
    TRY(store_seller_get(tx, req->caller.user_id, false, &s));
    if (!s) /* closed since its token was looked at */
        return refuse(req, OUTCOME_UNAUTHENTICATED, "This login has ended");
    if (!inserted)
        return refuse(req, SELLER_SELLER_EXISTS, "Change it with PATCH");
    reply_header(req, "Location", arena_printf(req->arena, "/api/v1/sellers/%s", s->id));
    reply_etag(req, s->version);
    TRY(reply_stored(req, tx, 201, &seller_table, s));
    TRY(pg_commit(tx));
    return 0;
}

static int refuse_no_seller(struct request *req, const char *id)
{
    return refuse(req, OUTCOME_NOT_FOUND, "There is no seller %s", id);
}

int get_seller(struct request *req)
{
    const struct seller_params *p = req->params;
    struct seller *s;
    TRY(store_seller_find(p->seller_id, &s));
    if (!s)
        return refuse_no_seller(req, p->seller_id);
    reply_etag(req, s->version);
    reply_cache(req, "public, max-age=60");
    return reply(req, 200, &seller_table, s);
}

int patch_seller(struct request *req)
{
    const struct seller_params *p = req->params;
    const struct seller_body *b = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct seller *s;
    const char *owner = owner_of(req);
    if (owner && strcmp(owner, p->seller_id) != 0)
        return refuse_no_seller(req, p->seller_id);
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_seller_get(tx, p->seller_id, true, &s));
    if (!s)
        return refuse_no_seller(req, p->seller_id);
    TRY(request_if_match(req, s->version));
    s->name = b->name ? b->name : s->name;
    s->description = b->description ? b->description : s->description;
    s->updated_at = clock_wall_us();
    s->version++;
    TRY(store_seller_save(tx, s));
    TRY(pg_commit(tx));
    reply_etag(req, s->version);
    return reply(req, 200, &seller_table, s);
}

/* ---- reading products ---- */

/* Everybody sees what is on the shelves; sellers see all of their own. */
static bool sees_all_states(const struct request *req, const char *seller_id)
{
    return caller_is(req, ROLE_ADMIN) ||
           (seller_id && req->caller.user_id && strcmp(seller_id, req->caller.user_id) == 0);
}

static const char *next_products(
    struct request *req, struct list *products, int64_t limit, bool search)
{
    if ((int64_t)products->len <= limit)
        return NULL;
    products->len = (size_t)limit;
    const struct product *last = LIST_AT(*products, struct product, products->len - 1);
    return place_cursor(req->arena, search ? last->rank : last->created_at, last->sku);
}

int get_products(struct request *req)
{
    const struct product_list_params *p = req->params;
    bool all = sees_all_states(req, p->seller_id);
    struct place after;
    struct list products;
    TRY(place_read(req, p->cursor, false, &after));
    if (p->q)
        TRY(store_products_search(p, all, after.number, after.id, &products));
    else
        TRY(store_products(p, all, after.number, after.id, &products));
    const char *next = next_products(req, &products, p->limit, p->q != NULL);
    if (!all)
        reply_cache(req, "public, max-age=5");
    return reply_page(req, &product_table, products, next);
}

static int refuse_no_product(struct request *req, const char *sku)
{
    return refuse(req, OUTCOME_NOT_FOUND, "There is no product %s", sku);
}

int get_product(struct request *req)
{
    const struct product_params *params = req->params;
    struct product *p;
    TRY(store_product_find(params->sku, &p));
    bool on_shelf = p && strcmp(p->status, "active") == 0;
    if (!p || (!on_shelf && !sees_all_states(req, p->seller_id)))
        return refuse_no_product(req, params->sku);
    reply_etag(req, p->version);
    if (on_shelf)
        reply_cache(req, "public, max-age=5");
    return reply(req, 200, &product_table, p);
}

/* ---- changing products ---- */

static int insert_product(struct request *req, struct pg_tx *tx, const struct product_body *b)
{
    int r = store_product_insert(tx, req->caller.user_id, b);
    if (r == PG_UNIQUE)
        return refuse(req, SELLER_SKU_TAKEN, "%s is another product", b->sku);
    if (r == PG_FOREIGN)
        return refuse(req, SELLER_NO_PROFILE, "Products belong to a seller");
    TRY(r);
    return b->initial_stock ? store_movement_add(tx, b->sku, "initial", b->initial_stock, NULL,
                                  NULL, req->caller.user_id)
                            : 0;
}

/* As a part of a path these mean another path (RFC 3986, 5.2.4): nobody could ask for it again. */
static int check_reachable(struct request *req, const char *sku)
{
    if (strcmp(sku, ".") == 0 || strcmp(sku, "..") == 0)
        return refuse_field(req, "/sku", "must not be . or ..");
    return 0;
}

int post_product(struct request *req)
{
    const struct product_body *b = req->body;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct product *p;
    TRY(check_reachable(req, b->sku));
    TRY(pg_begin(app()->pg, &tx));
    TRY(insert_product(req, tx, b));
    TRY(store_product_lock(tx, b->sku, NULL, &p));
    TRY(publish_product(tx, p));
    reply_header(req, "Location", arena_printf(req->arena, "/api/v1/products/%s", p->sku));
    reply_etag(req, p->version);
    TRY(reply_stored(req, tx, 201, &product_table, p));
    TRY(pg_commit(tx));
    return 0;
}

/* Locks the caller's product, changes it, tells it when anything is different. */
static int change(struct request *req, const struct product_body *b, struct product **ret_product)
{
    const struct product_params *params = req->params;
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    struct product *p;
    TRY(pg_begin(app()->pg, &tx));
    TRY(store_product_lock(tx, params->sku, owner_of(req), &p));
    if (!p)
        return refuse_no_product(req, params->sku);
    TRY(request_if_match(req, p->version));
    if (product_change(p, b)) {
        p->updated_at = clock_wall_us();
        TRY(store_product_save(tx, p));
        TRY(publish_product(tx, p));
        p->version++;
    }
    TRY(pg_commit(tx));
    *ret_product = p;
    return 0;
}

int change_product(struct request *req)
{
    struct product_body b = *(const struct product_body *)req->body;
    struct product *p;
    if (req->http->method == HTTP_PUT && !b.description)
        b.description = "";
    TRY(change(req, &b, &p));
    reply_etag(req, p->version);
    return reply(req, 200, &product_table, p);
}

/* What was sold keeps its name: a product is taken off the shelves, never removed. */
int delete_product(struct request *req)
{
    struct product *p;
    TRY(change(req, &(struct product_body){.status = "inactive"}, &p));
    return reply_empty(req, 204);
}
