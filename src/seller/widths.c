/* How far back a search looks is known once it was made: asked for the same again, it begins there
 * and reads no more than it needs. That is kept in memory, by a hash of what was asked for, in as
 * many places as there are; who comes later takes the place. It is a hint only: what a search finds
 * is the same wherever it begins (products_found() in the migrations). */

#include "seller/seller.h"

#define PLACES      4096
#define FIRST_WIDTH 4096 /* products */

static struct {
    uint64_t key;
    int64_t width;
} places[PLACES];

/* FNV-1a, the end of the text included, so that none runs into the next. */
static uint64_t hash(uint64_t h, const char *text)
{
    for (const char *c = text ? text : "\xff";; c++) {
        h = (h ^ (unsigned char)*c) * 0x100000001b3U;
        if (!*c)
            return h;
    }
}

uint64_t width_key(const struct product_list_params *p, bool all_states)
{
    uint64_t h = hash(0xcbf29ce484222325U, all_states ? "all" : "active");
    return hash(hash(hash(h, p->q), p->category), p->seller_id);
}

int64_t width_of(uint64_t key)
{
    return places[key % PLACES].key == key && key ? places[key % PLACES].width : FIRST_WIDTH;
}

void width_keep(uint64_t key, int64_t width)
{
    places[key % PLACES].key = key;
    places[key % PLACES].width = width;
}
