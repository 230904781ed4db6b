#pragma once

/* Memory with the lifetime of the work: each request and each delivery has an arena, and everything
 * in it goes at once. Objects of libraries are adopted with their dispose function, called in
 * reverse order at reset. Allocation never fails (mem.h). Not thread-safe. */

#include <stdarg.h>

#include "common/base/span.h"

struct arena;

struct arena *arena_new(void);
struct arena *arena_new_small(void); /* for the few hundred bytes of something that is kept long */
void arena_free(struct arena *a);    /* NULL ok; disposes the adopted, then the memory */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
void *arena_array(struct arena *a, size_t count, size_t size);
char *arena_strdup(struct arena *a, const char *text); /* NULL in, NULL out */
char *arena_strndup(struct arena *a, const char *text, size_t len);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list args) PRINTF(2, 0);
void arena_adopt(struct arena *a, void *object, void (*dispose)(void *));
size_t arena_used(const struct arena *a); /* bytes handed out since the last reset */

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
