/* Which statements a connection has prepared: open addressing, by the statement's address. */

#include "common/base/mem.h"
#include "common/data/pg_link.h"

static size_t prepared_slot(const struct pg_link *l, const struct pg_statement *s)
{
    size_t mask = l->prepared_size - 1;
    size_t i = (size_t)(((uintptr_t)s >> 3) * UINT64_C(0x9E3779B97F4A7C15) >> 32) & mask;

    while (l->prepared[i].statement && l->prepared[i].statement != s)
        i = (i + 1) & mask;
    return i;
}

static void prepared_grow(struct pg_link *l)
{
    struct pg_prepared *old = l->prepared;
    size_t old_size = l->prepared_size;

    l->prepared_size = old_size ? 2 * old_size : 64;
    l->prepared = mem_array(l->prepared_size, sizeof(*l->prepared));
    for (size_t i = 0; i < old_size; i++)
        if (old[i].statement)
            l->prepared[prepared_slot(l, old[i].statement)] = old[i];
    mem_free(old);
}

struct pg_prepared *pg_prepared_entry(struct pg_link *l, const struct pg_statement *s)
{
    struct pg_prepared *p;

    if (2 * (l->prepared_count + 1) > l->prepared_size)
        prepared_grow(l);
    p = &l->prepared[prepared_slot(l, s)];
    if (!p->statement) {
        p->statement = s;
        l->prepared_count++;
    }
    return p;
}
