/* The arena: a bump allocator over chunks.
 *
 * Chunks double from 8 KiB (in a small arena: from 256 bytes) to 64 KiB. Something too big to share
 * a chunk gets one of its own, put behind the current one so that the current one's free space
 * stays in use. A reset keeps the current chunk, which is the largest of the ordinary ones: a
 * request like the one before then costs no malloc at all, and one huge request does not leave its
 * memory behind. A chunk that was much too large for many rounds is given back: fibers that live
 * long have small work for hours after a backlog's.
 *
 * One chunk of the first size is kept by each thread when its arena is freed: many arenas live for
 * one function, need one chunk, and would pay more for its malloc and free than for their work.
 *
 * Adopted objects are a list of nodes that live in the arena itself. A dispose function may still
 * read arena memory, allocate, or even adopt: the list is emptied first, the memory goes after it.
 *
 * Under AddressSanitizer the free space is poisoned and 16 bytes are left between neighbours, so an
 * overrun inside a chunk is caught like one on the heap, and so is a use after reset. */

#include "common/base/arena.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/mem.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_GAP 16
#else
#define ARENA_GAP                         0
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_ALIGN ((size_t)16)
static_assert(_Alignof(max_align_t) <= ARENA_ALIGN, "aligned for any type");

enum { CHUNK_SMALL = 256, CHUNK_FIRST = 8 * 1024, CHUNK_LAST = 64 * 1024 };
enum { ROOMY_ROUNDS = 64 }; /* in a row, each with less than a quarter of the chunk */

struct chunk {
    struct chunk *next;
    size_t size; /* of the data */
    _Alignas(ARENA_ALIGN) char data[];
};

struct adopted {
    struct adopted *next;
    void *object;
    void (*dispose)(void *);
};

struct arena {
    struct chunk *chunk; /* the current one; older and oversized ones behind it */
    size_t at;           /* where its free space begins */
    size_t used;
    size_t first;            /* of the first chunk */
    unsigned roomy;          /* rounds that needed much less than the chunk, in a row */
    struct adopted *adopted; /* newest first */
};

static struct arena *arena_new_from(size_t first)
{
    struct arena *a = MEM_NEW(struct arena);
    a->first = first;
    return a;
}

struct arena *arena_new(void)
{
    return arena_new_from(CHUNK_FIRST);
}

struct arena *arena_new_small(void)
{
    return arena_new_from(CHUNK_SMALL);
}

static _Thread_local struct chunk *spare; /* of CHUNK_FIRST bytes, or NULL */

static struct chunk *chunk_new(size_t size)
{
    struct chunk *c = size == CHUNK_FIRST ? spare : NULL;
    if (c)
        spare = NULL;
    else
        c = mem_resize(NULL, sizeof(struct chunk) + size);
    c->next = NULL;
    c->size = size;
    ASAN_POISON_MEMORY_REGION(c->data, size);
    return c;
}

/* Requests hold passwords and tokens: the first `used` bytes are wiped. */
static void chunk_wipe(struct chunk *c, size_t used)
{
    ASAN_UNPOISON_MEMORY_REGION(c->data, c->size);
    explicit_bzero(c->data, used);
}

static void chunk_free(struct chunk *c, size_t used)
{
    chunk_wipe(c, used);
    if (c->size == CHUNK_FIRST && !spare)
        spare = c;
    else
        mem_free(c);
}

static void arena_dispose_adopted(struct arena *a)
{
    while (a->adopted) {
        struct adopted *node = a->adopted;
        a->adopted = node->next;
        node->dispose(node->object);
    }
}

/* The current chunk, wiped, of which the round that ends took `used` bytes. */
static void drop_if_roomy(struct arena *a, size_t used)
{
    bool roomy = a->chunk->size > a->first && used < a->chunk->size / 4;
    a->roomy = roomy ? a->roomy + 1 : 0;
    if (a->roomy < ROOMY_ROUNDS)
        return;
    chunk_free(a->chunk, 0);
    a->chunk = NULL;
    a->roomy = 0;
}

void arena_reset(struct arena *a)
{
    arena_dispose_adopted(a);
    size_t used = a->at; /* with what the disposed have written */
    a->used = 0;
    a->at = 0;
    if (!a->chunk)
        return;

    struct chunk *older = a->chunk->next;
    while (older) {
        struct chunk *next = older->next;
        chunk_free(older, older->size);
        older = next;
    }
    a->chunk->next = NULL;
    chunk_wipe(a->chunk, used);
    ASAN_POISON_MEMORY_REGION(a->chunk->data, a->chunk->size);
    drop_if_roomy(a, used);
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    if (a->chunk)
        chunk_free(a->chunk, 0); /* the reset has wiped it */
    mem_free(a);
}

/* The next chunk of the ordinary kind becomes the current one; it has `room`. */
static void arena_grow(struct arena *a, size_t room)
{
    size_t size = a->first;
    if (a->chunk)
        size = a->chunk->size < CHUNK_LAST ? a->chunk->size * 2 : CHUNK_LAST;
    while (size < room)
        size *= 2;
    struct chunk *c = chunk_new(size);
    c->next = a->chunk;
    a->chunk = c;
    a->at = 0;
    a->roomy = 0;
}

/* `room` bytes that belong to nobody yet. */
static char *arena_take(struct arena *a, size_t room)
{
    bool oversized = room > CHUNK_FIRST / 2;
    if (!a->chunk)
        arena_grow(a, oversized ? 0 : room);
    if (room > a->chunk->size - a->at) {
        if (oversized) {
            struct chunk *c = chunk_new(room);
            c->next = a->chunk->next;
            a->chunk->next = c;
            return c->data;
        }
        arena_grow(a, room);
    }
    char *ptr = a->chunk->data + a->at;
    a->at += room;
    return ptr;
}

/* As arena_alloc, with whatever bytes were there before. */
static void *arena_alloc_raw(struct arena *a, size_t size)
{
    size_t room;
    if (__builtin_add_overflow(size, ARENA_GAP + ARENA_ALIGN - 1 + (size == 0), &room) ||
        room > SIZE_MAX / 2)
        return mem_array(SIZE_MAX, 2); /* nobody has that much: ends as out of memory */
    room &= ~(ARENA_ALIGN - 1);

    char *ptr = arena_take(a, room);
    ASAN_UNPOISON_MEMORY_REGION(ptr, size);
    a->used += size;
    return ptr;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return memset(arena_alloc_raw(a, size), 0, size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        total = SIZE_MAX;
    return arena_alloc(a, total);
}

char *arena_strdup(struct arena *a, const char *text)
{
    return text ? arena_strndup(a, text, strlen(text)) : NULL;
}

char *arena_strndup(struct arena *a, const char *text, size_t len)
{
    if (!text)
        return NULL;
    len = strnlen(text, len);
    char *copy = arena_alloc_raw(a, len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = arena_vprintf(a, fmt, args);
    va_end(args);
    return text;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    if (!a->chunk)
        arena_grow(a, 0);
    /* Most often it fits where it is going to be. What does not is wiped there again: a reset wipes
     * only what was handed out. */
    char *free_space = a->chunk->data + a->at;
    size_t left = a->chunk->size - a->at, room = left > ARENA_GAP ? left - ARENA_GAP : 0;
    ASAN_UNPOISON_MEMORY_REGION(free_space, room);
    int n = vsnprintf(free_space, room, fmt, args);
    assert(n >= 0);
    size_t len = (size_t)n;
    if (len >= room)
        explicit_bzero(free_space, room);
    ASAN_POISON_MEMORY_REGION(free_space, room);
    char *text = arena_alloc_raw(a, len + 1); /* the free space itself, if it fits */
    if (len >= room)
        vsnprintf(text, len + 1, fmt, again);
    va_end(again);
    return text;
}

void arena_adopt(struct arena *a, void *object, void (*dispose)(void *))
{
    assert(dispose);
    struct adopted *node = arena_alloc_raw(a, sizeof(*node));
    a->used -= sizeof(*node); /* ours, not handed out */
    node->object = object;
    node->dispose = dispose;
    node->next = a->adopted;
    a->adopted = node;
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}
