#pragma once

/* The few members of an event's payload that tell people what it is about, in one line. No names,
 * no addresses, no secrets. */

#include "common/base/arena.h"

/* "status=paid reason=… amount=12.00 USD items=2"; "" when there are none or it can't be read. */
const char *facts_of_payload(struct arena *a, struct span payload);
const char *facts_of_body(struct arena *a, const char *body); /* of a whole event; NULL ok */
