/* Carts as this process has last written them (ADR 20), so that the cart of somebody who puts
 * something in and checks out a moment later need not be read anew each time.
 *
 * Nothing is believed because of it. Each write names the version and the moment of what it was
 * made from (store_cart_write, store_checkout_insert), and finds no such row when another process,
 * or a crash that took the last moments, has made it another cart: then it is forgotten and read.
 * The moment is part of it because versions only count, and would come again after such a crash.
 *
 * A ring of the latest, small carts only. */

#include <uthash.h>

#include "cart/cart.h"
#include "common/base/mem.h"

#define CARTS_LIMIT 1000
#define LINES_LIMIT 8

struct remembered {
    const char *user_id;
    struct arena *arena;
    struct cart cart;
    UT_hash_handle hh;
};
static struct remembered *carts; /* the oldest first */

static void remembered_free(struct remembered *m)
{
    HASH_DEL(carts, m);
    arena_free(m->arena);
    mem_free(m);
}

void cart_forget(const char *user_id)
{
    struct remembered *m = NULL;
    HASH_FIND_STR(carts, user_id, m);
    if (m)
        remembered_free(m);
}

void cart_remember(const struct cart *cart)
{
    if (!cart->user_id) /* a guest's */
        return;
    cart_forget(cart->user_id);
    if (cart->items.len > LINES_LIMIT)
        return;
    if (HASH_COUNT(carts) >= CARTS_LIMIT)
        remembered_free(carts);
    struct remembered *m = MEM_NEW(struct remembered);
    m->arena = arena_new_small();
    struct_copy(m->arena, &cart_row_table, cart, &m->cart);
    m->user_id = m->cart.user_id;
    HASH_ADD_KEYPTR(hh, carts, m->user_id, strlen(m->user_id), m);
}

struct cart *cart_recall(struct arena *a, const char *user_id)
{
    struct remembered *m = NULL;
    if (user_id)
        HASH_FIND_STR(carts, user_id, m);
    if (!m)
        return NULL;
    struct cart *cart = arena_alloc(a, sizeof(*cart));
    struct_copy(a, &cart_row_table, &m->cart, cart);
    return cart;
}
