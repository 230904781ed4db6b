#pragma once

/* Private to json/: looks at JSON text without building anything. Not recursive, allocates nothing.
 */

#include "common/base/span.h"

/* True when brackets outside strings never nest deeper than `limit`. Any bytes. */
bool scan_depth_within(struct span text, unsigned limit);

/* The value's own text inside an object's or array's text, without the space around it. The text
 * must be valid JSON; `name` is ASCII. `ptr` NULL when there is no such member. */
struct span scan_member(struct span object, const char *name);

/* As above for the next element of an array: `*cursor` begins as NULL and is kept between calls. */
struct span scan_element(struct span array, const char **cursor);
