#pragma once

/* How a live topology differs from the wanted one, and how the wanted one fits the services. */

#include "ctl/services.h"
#include "ctl/topology.h"

enum object_kind {
    OBJECT_VHOST,
    OBJECT_EXCHANGE,
    OBJECT_QUEUE,
    OBJECT_BINDING,
    OBJECT_POLICY,
    OBJECT_OPERATOR_POLICY, /* wins over policies, and our document has none */
    OBJECT_USER,
    OBJECT_PERMISSION,
    OBJECT_TOPIC_PERMISSION,
    OBJECT_SERVICE, /* a service against the document */
};
const char *object_kind_name(enum object_kind kind); /* "topic permission" */

enum deviation_kind {
    DEVIATION_MISSING, /* the broker lacks it */
    DEVIATION_EXTRA,   /* the document does not know it */
    DEVIATION_DIFFERS,
    DEVIATION_UNFIT, /* the document does not suit the services */
    DEVIATION_IDLE,  /* harmless: what this binding brings is acknowledged, nobody acts on it */
};
const char *deviation_kind_name(enum deviation_kind kind); /* "missing" */

struct deviation {
    enum deviation_kind kind;
    enum object_kind object;
    const char *name;
    const char *detail; /* NULL, or a sentence */
    const void *row;    /* EXTRA: the live row (struct topology_binding and so on) */
};
struct deviations {
    struct deviation *at;
    size_t count, capacity;
};

/* "missing: queue order-queue"; in `a`. */
const char *deviation_text(struct arena *a, const struct deviation *d);
size_t deviations_wrong(const struct deviations *list); /* all but IDLE */

/* Adds what differs, in the order of kinds and names. Passwords are not compared. With
 * `topology_only` neither are users and permissions, nor is what only the broker has: it may serve
 * others too. */
void topology_diff(struct arena *a, const struct topology *want, const struct topology *live,
    bool topology_only, struct deviations *list);
/* Adds what keeps a service from getting, keeping or publishing its events. */
void topology_fits(struct arena *a, const struct topology *t, const struct services *services,
    struct deviations *list);

void deviations_add(struct arena *a, struct deviations *list, struct deviation d);
