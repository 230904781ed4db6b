#pragma once

/* JSON text in one form, for comparing: members in the order of their names, no blanks. */

#include "common/base/buf.h"

/* Any value. False when `text` is not JSON; then nothing was put. */
bool json_canonical(struct span text, struct buf *out);
