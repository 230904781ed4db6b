#pragma once

/* The few members of an event's payload that tell people what it is about, in one line. No names,
 * no addresses, no secrets. */

#include "common/base/arena.h"

/* "order=0190… status=paid amount=12.00 USD items=2"; "" when there are none or it can't be read.
 * `known` is an id that need not be said again; NULL ok. */
const char *facts_of_payload(struct arena *a, struct span payload, const char *known);
/* The same of a whole event. */
const char *facts_of_body(struct arena *a, struct span body, const char *known);
/* The order that a payload names; NULL: none. */
const char *facts_order(struct arena *a, struct span payload);
