#pragma once

/* The broker's topology as a definitions document tells it: rabbitmq/definitions.json, or what a
 * live broker exports. */

#include "common/base/arena.h"
#include "common/json/table.h"
#include "ctl/queues.h"

#define EVENTS_EXCHANGE "order-events"

/* JSON values (arguments, definition, tags) are kept in their canonical form. */
struct topology_exchange {
    const char *vhost, *name, *type;
    bool durable, auto_delete, internal;
    struct span arguments;
};
struct topology_queue {
    const char *vhost, *name;
    bool durable, auto_delete;
    struct span arguments;
};
struct topology_binding {
    const char *vhost, *source, *destination, *destination_type, *routing_key;
    struct span arguments;
};
struct topology_policy {
    const char *vhost, *name, *pattern, *apply_to;
    int64_t priority;
    struct span definition;
};
struct topology_user {
    const char *name, *password_hash, *hashing_algorithm;
    struct span tags;
};
struct topology_permission {
    const char *user, *vhost, *configure, *write, *read;
};
struct topology_topic_permission {
    const char *user, *vhost, *exchange, *write, *read;
};
struct topology_vhost {
    const char *name;
};
struct topology_parameter {
    const char *vhost, *component, *name;
};

struct topology {
    struct list vhosts, exchanges, queues, bindings, policies, users, permissions,
        topic_permissions, parameters; /* of the structs above */
    struct span text;                  /* the document itself */
};

/* NULL, or a sentence about what is wrong with the document. Everything lives in `a`. */
const char *topology_read(struct arena *a, struct span text, struct topology *ret_topology);
/* From the file that SOUK_DEFINITIONS names (rabbitmq/definitions.json below the current folder
 * when it is not set). 0, or an exit code after a sentence on stderr. */
int topology_load(struct arena *a, struct topology *ret_topology);
const char *topology_path(void);

/* RabbitMQ's rule: words between dots, "*" stands for one word, "#" for any number of them. */
bool topic_matches(const char *pattern, const char *key);
/* Whether what is published to `exchange` with this key gets into `queue`, by way of other
 * exchanges too; alternate exchanges are not followed. */
bool topology_reaches(
    const struct topology *t, const char *exchange, const char *key, const char *queue);
/* The consumers' queues that get an event published with this key (its type), each once,
 * NULL-terminated. The audit stream is not among them. */
const struct queue_row *const *topology_queues_for(
    struct arena *a, const struct topology *t, const char *key);
