/* What sells now, for everybody alike: the top of a week's counts. It is asked for by everybody who
 * comes, so what was found is kept in memory, as long as a hundred times what it took to find, and
 * a minute at most: it costs a hundredth of a processor, and nobody notices that it is kept. One
 * looks, the others wait; when that fails, the next of them looks. */

#include "aibuddy/aibuddy.h"

#include "common/base/mem.h"
#include "common/fiber/sync.h"

#define KEPT_FACTOR 100
#define KEPT_MIN_US 1000
#define KEPT_MAX_US (60 * USEC_PER_SEC)

static struct arena *arena; /* of what is kept */
static struct list kept;
static int64_t kept_until_us;
static bool looking;
static struct fiber_signal looked;

static struct list copy_of(struct arena *a, struct list rows, size_t limit)
{
    struct list copy = {.len = rows.len < limit ? rows.len : limit};
    copy.items = arena_array(a, copy.len, sizeof(struct recommendation));
    for (size_t i = 0; i < copy.len; i++) {
        const struct recommendation *from = LIST_AT(rows, struct recommendation, i);
        *LIST_AT(copy, struct recommendation, i) =
            (struct recommendation){.sku = arena_strdup(a, from->sku),
                .name = arena_strdup(a, from->name),
                .count = from->count};
    }
    return copy;
}

static void keep(struct list rows, int64_t took_us)
{
    int64_t keep_us = took_us * KEPT_FACTOR + KEPT_MIN_US;
    struct arena *fresh = arena_new();
    kept = copy_of(fresh, rows, TRENDING_MAX);
    arena_free(arena);
    arena = fresh;
    kept_until_us = clock_mono_us() + (keep_us < KEPT_MAX_US ? keep_us : KEPT_MAX_US);
}

static int look(void) PARKS
{
    struct list rows;
    int64_t began_us = clock_mono_us();
    looking = true;
    int r = store_trending(&rows);
    looking = false;
    fiber_signal_all(&looked);
    TRY(r);
    keep(rows, clock_mono_us() - began_us);
    return 0;
}

int trending_get(struct arena *a, int64_t limit, struct list *ret_rows)
{
    while (clock_mono_us() >= kept_until_us)
        if (looking)
            TRY(fiber_signal_wait(&looked, "what sells now", USEC_NEVER));
        else
            TRY(look());
    *ret_rows = copy_of(a, kept, (size_t)limit);
    return 0;
}
