#pragma once

/* What the services say of themselves: which event types each consumes from which queue, and which
 * it publishes. */

#include "common/base/arena.h"
#include "common/json/table.h"
#include "ctl/topology.h"

struct service_published {
    const char *type;
};
struct service_tables {
    const char *name, *queue; /* queue NULL: it consumes nothing */
    struct list consumes;     /* const char * */
    struct list publishes;    /* struct service_published */
};
struct services {
    struct service_tables *at;
    size_t count;
};

/* Of `souk-<service> --describe`. NULL, or a sentence. */
const char *service_read(struct arena *a, struct span text, struct service_tables *ret_service);
/* Asks the seven programs `souk-<service>` beside this one, or in the folder that SOUK_SERVICES
 * names. 0, or an exit code after a sentence on stderr. */
int services_load(struct arena *a, struct services *ret_services);

const struct service_tables *services_find(const struct services *s, const char *name);
/* Whether the service has a handler for this type. Where not, an event that reaches its queue by a
 * wildcard is acknowledged and counted as "ignored": it leaves no inbox row and no dead letter
 * (incoming_read() in common/app/inbox.c; an unknown type or an unreadable body is dead-lettered
 * before that question). */
bool service_handles(const struct services *s, const char *name, const char *type);

/* A queue that gets an event, and whether its service will leave an inbox row for it. */
struct topology_consumer {
    const struct queue_row *queue; /* NULL: the end of the list */
    bool handles;
};
const struct topology_consumer *topology_consumers(
    struct arena *a, const struct topology *t, const struct services *s, const char *type);
