#pragma once

/* What changed between two texts, line by line: "-" gone, "+" new, " " as before (three lines
 * around a change). */

#include "common/base/buf.h"

/* False when they are alike; then nothing was put. */
bool diff_lines(struct span before, struct span after, struct buf *out);
