#pragma once

/* Ids that were met before, for more of them than one would keep as text: 8 to 16 bytes each. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct id_set {
    uint64_t *slots; /* 0: free */
    size_t size, used;
};

/* Whether it is a new one. By the second half of the id, random bits in one of ours: of two that
 * share it the second would not be new. `id` is a valid UUID's text. */
bool id_set_add(struct id_set *s, const char *id);
void id_set_deinit(struct id_set *s);
