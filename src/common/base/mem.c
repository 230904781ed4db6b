#include "common/base/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says so without allocating, and leaves a core for whoever wonders where the memory went. */
static _Noreturn void mem_exhausted(void)
{
    static const char text[] = "out of memory\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);
    (void)n;
    abort();
}

void *mem_alloc(size_t size)
{
    return mem_array(1, size);
}

void *mem_array(size_t count, size_t size)
{
    /* calloc(0) may answer NULL; one byte keeps "never NULL" true. calloc checks the product. */
    void *ptr = count && size ? calloc(count, size) : calloc(1, 1);
    if (!ptr)
        mem_exhausted();
    return ptr;
}

void *mem_resize(void *ptr, size_t size)
{
    void *moved = realloc(ptr, size ? size : 1);
    if (!moved)
        mem_exhausted();
    return moved;
}

char *mem_strdup(const char *text)
{
    return text ? mem_strndup(text, strlen(text)) : NULL;
}

char *mem_strndup(const char *text, size_t len)
{
    if (!text)
        return NULL;
    len = strnlen(text, len);
    if (len == SIZE_MAX)
        mem_exhausted();
    char *copy = mem_resize(NULL, len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

void mem_free(void *ptr)
{
    free(ptr);
}

void mem_few_arenas(void)
{
    mallopt(M_ARENA_MAX, 2);
}

void mem_trim(void)
{
    malloc_trim(0);
}
