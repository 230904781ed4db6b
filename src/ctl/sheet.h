#pragma once

/* A table for people: columns as wide as what is in them, two blanks between, a heading. Bytes that
 * could command a terminal are replaced. */

#include <stdio.h>

#include "common/base/arena.h"

struct sheet;
struct sheet *sheet_new(struct arena *a, const char *const *titles, size_t columns);
/* `cells`: one per column, NULL is an empty one; copied. */
void sheet_add(struct sheet *s, const char *const *cells);
void sheet_print(const struct sheet *s, FILE *to);

/* The text without control characters (C0, DEL, C1) and without what is not UTF-8. */
const char *text_harmless(struct arena *a, struct span text);
