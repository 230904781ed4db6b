#pragma once

/* jansson as the reference of what JSON is: our parser must come to the same verdict and the same
 * values. */

#include "common/json/parse.h"

/* False when the two disagree; `*ret_good`: our parser has taken it. */
bool json_reference_agrees(struct arena *a, struct span text, bool *ret_good);
