#pragma once

/* Unicode normalisation: the only user of utf8proc. */

#include "common/base/arena.h"

/* NFKC: what looks and means the same is the same bytes, however it was typed. NULL when `utf8` is
 * not valid UTF-8. Does not park. */
const char *unicode_nfkc(struct arena *a, const char *utf8);
