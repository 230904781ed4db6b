#pragma once

/* The heap's only door. Out of memory ends the process at once (the supervisor restarts it, and
 * nothing is lost that was not committed), so callers never check. */

#include "common/base/macros.h"

void *mem_alloc(size_t size);               /* zeroed */
void *mem_array(size_t count, size_t size); /* zeroed, overflow-checked */
void *mem_resize(void *ptr, size_t size);   /* as realloc; new bytes are not zeroed */
char *mem_strdup(const char *text);         /* NULL in, NULL out */
char *mem_strndup(const char *text, size_t len);
void mem_free(void *ptr);  /* NULL ok */
void mem_few_arenas(void); /* before there are threads: the others share one, most of them sleep */
void mem_trim(void);       /* gives free pages back to the system; after a peak, some 100 us */

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))
