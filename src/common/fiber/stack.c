#include "common/fiber/stack.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#if STACK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id)      ((void)(id))
#endif

static size_t guard_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int stack_init(struct stack *s)
{
    size_t guard = guard_size();
    char *map = mmap(NULL, guard + STACK_SIZE, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);

    if (map == MAP_FAILED)
        return -ENOMEM;
    if (mprotect(map, guard, PROT_NONE) != 0) { /* the limit of mappings */
        munmap(map, guard + STACK_SIZE);
        return -ENOMEM;
    }
    s->low = map + guard;
    s->size = STACK_SIZE;
    s->valgrind_id = VALGRIND_STACK_REGISTER(s->low, (char *)s->low + s->size);
    return 0;
}

void stack_deinit(struct stack *s)
{
    if (!s->low)
        return;
    stack_renew(s); /* the addresses may be mapped again for something else */
    VALGRIND_STACK_DEREGISTER(s->valgrind_id);
    int r = munmap((char *)s->low - guard_size(), guard_size() + s->size);
    assert(r == 0);
    (void)r;
    *s = (struct stack){0};
}

#if STACK_ASAN

/* The frames of the last fiber were left, not returned from: their red zones are still there. */
void stack_renew(struct stack *s)
{
    ASAN_UNPOISON_MEMORY_REGION(s->low, s->size);
}

void stack_switch_begin(void **saved, const void *new_low, size_t new_size)
{
    __sanitizer_start_switch_fiber(saved, new_low, new_size);
}

void stack_switch_end(void *saved, const void **ret_old_low, size_t *ret_old_size)
{
    __sanitizer_finish_switch_fiber(saved, ret_old_low, ret_old_size);
}

#else

void stack_renew(struct stack *s) {}

#endif
