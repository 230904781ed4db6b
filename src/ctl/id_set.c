/* Open addressing in a table of powers of two, never more than half full. */

#include "ctl/id_set.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define SIZE_FIRST 1024 /* a power of two, as all sizes are */

static uint64_t half_of(const char *id)
{
    char digits[17];
    memcpy(digits, id + 19, 4);
    memcpy(digits + 4, id + 24, 12);
    digits[16] = '\0';
    uint64_t half = strtoull(digits, NULL, 16);
    return half ? half : 1;
}

/* Where it is, or would be. */
static uint64_t *slot_of(const struct id_set *s, uint64_t half)
{
    size_t at = (half * UINT64_C(0x9e3779b97f4a7c15)) >> 32 & (s->size - 1);
    while (s->slots[at] && s->slots[at] != half)
        at = (at + 1) & (s->size - 1);
    return &s->slots[at];
}

static void grow(struct id_set *s)
{
    struct id_set larger = {.size = s->size ? 2 * s->size : SIZE_FIRST, .used = s->used};
    larger.slots = mem_alloc(larger.size * sizeof(*larger.slots));
    for (size_t i = 0; i < s->size; i++)
        if (s->slots[i])
            *slot_of(&larger, s->slots[i]) = s->slots[i];
    mem_free(s->slots);
    *s = larger;
}

bool id_set_add(struct id_set *s, const char *id)
{
    uint64_t half = half_of(id), *slot;
    if (2 * s->used >= s->size)
        grow(s);
    slot = slot_of(s, half);
    if (*slot == half)
        return false;
    *slot = half;
    s->used++;
    return true;
}

void id_set_deinit(struct id_set *s)
{
    mem_free(s->slots);
    *s = (struct id_set){0};
}
