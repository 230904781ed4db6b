#include "common/base/bucket.h"

#define MICRO 1000000

int64_t bucket_whole(const struct bucket *b)
{
    return b->micro_tokens / MICRO;
}

int64_t bucket_take(struct bucket *b, int64_t capacity, int64_t per_minute, int64_t now_us)
{
    int64_t full = capacity * MICRO, elapsed = now_us - b->at_us;
    if (b->at_us == 0 || elapsed < 0 || elapsed >= full / per_minute * 60)
        b->micro_tokens = full;
    else
        b->micro_tokens += elapsed * per_minute / 60;
    if (b->micro_tokens > full)
        b->micro_tokens = full;
    b->at_us = now_us;
    if (b->micro_tokens >= MICRO) {
        b->micro_tokens -= MICRO;
        return 0;
    }
    return (MICRO - b->micro_tokens) * 60 / per_minute / 1000 + 1;
}
