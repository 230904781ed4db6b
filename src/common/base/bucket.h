#pragma once

/* A token bucket: a limit of `per_minute` in the long run that bears a burst of `capacity`. Zeroed
 * memory is a full one. */

#include <stdint.h>

struct bucket {
    int64_t micro_tokens, at_us; /* at_us 0: never used, full */
};

int64_t bucket_whole(const struct bucket *b); /* how many tokens are left */
/* Takes one token: 0, or how many milliseconds until there is one (> 0). */
int64_t bucket_take(struct bucket *b, int64_t capacity, int64_t per_minute, int64_t now_us);
