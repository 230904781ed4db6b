#pragma once

/* Private to bus/: a message that came in, as one block of ours. */

#include "common/bus/core.h"

struct amqp_basic_properties_t_; /* the library's */

/* What the method frame said. */
struct parcel_place {
    const char *exchange, *routing_key;
    uint64_t tag;
    bool redelivered;
};
/* With room for a body of `body_len` bytes, still to be filled. Freed with mem_free. */
struct bus_parcel *parcel_new(
    const struct parcel_place *place, const struct amqp_basic_properties_t_ *p, size_t body_len);
