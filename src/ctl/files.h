#pragma once

/* Files whole. */

#include "common/base/arena.h"

/* The text of a file ("-": the standard input) of at most `limit` bytes; `ptr` NULL after a
 * sentence on stderr. */
struct span file_text(struct arena *a, const char *path, size_t limit);
