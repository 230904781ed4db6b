#pragma once

/* One kind of event: its name is also the routing key. */

#include "common/json/table.h"

#define EVENT_VERSION "1.0"

struct event_kind {
    const char *type;      /* "order.created" */
    const char *version;   /* consumers accept the same major */
    const char *publisher; /* the only service whose broker user may send it */
    const struct table *payload;
};
