/* UUIDv7 by RFC 9562, method 1 (a dedicated counter):
 *
 *     48 bits  milliseconds since 1970
 *      4       version 7
 *     12       high part of the counter
 *      2       variant
 *      6       low part of the counter
 *     56       random
 *
 * A new millisecond starts the 18-bit counter at a random value in its lower half; within a
 * millisecond it goes up by one, so at least 131,072 ids fit (ten times what a machine can make)
 * before the time field itself is moved ahead. When the clock steps back, the time field stays and
 * the counter goes on: ids of one thread never sort backward.
 *
 * The state is per thread, so nobody needs a lock; order is only promised within a thread. Random
 * bytes come from getrandom in batches, and a child process throws away what it inherited. */

#include "common/base/uuid.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/crypto.h"

#define COUNTER_LIMIT (UINT32_C(1) << 18)
#define COUNTER_START (UINT32_C(1) << 17)
#define TIME_LENGTH   13 /* of the text: 12 digits and a dash */
#define WHAT_LIMIT    32

struct uuid_state {
    pid_t pid;
    uint64_t ms; /* of the newest id */
    uint32_t counter;
    size_t spent; /* of the pool */
    uint8_t pool[256];
};

static _Thread_local struct uuid_state state;

static void pool_fill(struct uuid_state *s)
{
    ssize_t n;
    do
        n = getrandom(s->pool, sizeof(s->pool), 0); /* up to 256 bytes come whole */
    while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(s->pool))
        abort(); /* no kernel we run on lacks it; going on without randomness is not an option */
    s->spent = 0;
}

static uint64_t pool_take(struct uuid_state *s, size_t bytes)
{
    if (s->spent + bytes > sizeof(s->pool))
        pool_fill(s);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | s->pool[s->spent];
        s->pool[s->spent++] = 0;
    }
    return value;
}

static void counter_start(struct uuid_state *s, uint64_t ms)
{
    s->ms = ms;
    s->counter = (uint32_t)pool_take(s, 4) % COUNTER_START; /* a power of two: no bias */
}

static void counter_next(struct uuid_state *s, uint64_t now_ms)
{
    pid_t pid = getpid();
    if (s->pid != pid) {
        *s = (struct uuid_state){.pid = pid, .spent = sizeof(s->pool)};
        counter_start(s, now_ms);
    } else if (now_ms > s->ms) {
        counter_start(s, now_ms);
    } else if (++s->counter == COUNTER_LIMIT) {
        counter_start(s, s->ms + 1);
    }
}

static void put_uuid(char *text, const uint8_t bytes[16])
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *text++ = '-';
        *text++ = hex[bytes[i] >> 4];
        *text++ = hex[bytes[i] & 15];
    }
    *text = '\0';
}

void uuid_make_at(int64_t wall_us, char text[static UUID_TEXT_SIZE])
{
    struct uuid_state *s = &state;
    counter_next(s, wall_us > 0 ? (uint64_t)(wall_us / USEC_PER_MS) : 0);

    uint64_t high = s->ms << 16 | UINT64_C(0x7000) | s->counter >> 6;
    uint64_t low = UINT64_C(1) << 63 | (uint64_t)(s->counter & 0x3f) << 56 | pool_take(s, 7);
    uint8_t bytes[16];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(high >> (56 - 8 * i));
        bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    put_uuid(text, bytes);
}

void uuid_make(char text[static UUID_TEXT_SIZE])
{
    uuid_make_at(clock_wall_us(), text);
}

void uuid_derive(const char *from, const char *what, char text[static UUID_TEXT_SIZE])
{
    char name[UUID_TEXT_SIZE + WHAT_LIMIT];
    uint8_t digest[SHA256_SIZE];
    int n = snprintf(name, sizeof(name), "%s:%s", from, what);
    assert(n > 0 && (size_t)n < sizeof(name));
    crypto_sha256(span_make(name, (size_t)n), digest);
    digest[6] = 0x70 | (digest[6] & 0x0f);
    digest[8] = 0x80 | (digest[8] & 0x3f);
    put_uuid(text, digest);
    memcpy(text, from, TIME_LENGTH);
}

bool uuid_valid(struct span text)
{
    if (text.len != UUID_TEXT_SIZE - 1)
        return false;
    if (text.ptr[8] != '-' || text.ptr[13] != '-' || text.ptr[18] != '-' || text.ptr[23] != '-')
        return false;
    unsigned good = 0, dashes = 0; /* without a branch: many bytes at once */
    for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        good += (unsigned char)(c - '0') <= 9 || (unsigned char)(c - 'a') <= 5;
        dashes += c == '-';
    }
    return dashes == 4 && good == UUID_TEXT_SIZE - 1 - 4;
}
