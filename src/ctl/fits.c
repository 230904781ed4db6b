/* The document against the services' own tables: who consumes something must get it, may read it,
 * and must be able to put it into its retry tiers and dead letters; who publishes something may do
 * so, and it goes somewhere. The broker's permissions are regular expressions that match anywhere;
 * those we write mean the same as extended POSIX ones. */

#include <regex.h>

#include "ctl/deviation.h"

#define RETRY_EXCHANGE  "order-events.retry"
#define RETURN_EXCHANGE "order-events.return"
#define DEAD_EXCHANGE   "order-events.dlx"

struct fitting {
    struct arena *a;
    const struct topology *t;
    const struct services *services;
    struct deviations *list;
};

static void unfit(struct fitting *f, const char *service, const char *detail)
{
    deviations_add(f->a, f->list,
        (struct deviation){
            .kind = DEVIATION_UNFIT, .object = OBJECT_SERVICE, .name = service, .detail = detail});
}

/* ---- rights ---- */

static bool regex_matches(const char *pattern, const char *text)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool matches = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

static const struct topology_permission *permission_of(const struct topology *t, const char *user)
{
    for (size_t i = 0; i < t->permissions.len; i++) {
        const struct topology_permission *p =
            LIST_AT(t->permissions, struct topology_permission, i);
        if (strcmp(p->user, user) == 0)
            return p;
    }
    return NULL;
}

static const struct topology_topic_permission *topic_permission_of(
    const struct topology *t, const char *user, const char *exchange)
{
    for (size_t i = 0; i < t->topic_permissions.len; i++) {
        const struct topology_topic_permission *p =
            LIST_AT(t->topic_permissions, struct topology_topic_permission, i);
        if (strcmp(p->user, user) == 0 && strcmp(p->exchange, exchange) == 0)
            return p;
    }
    return NULL;
}

/* Without a topic permission on the exchange the broker lets every key pass. */
static void check_publish(
    struct fitting *f, const char *user, const char *exchange, const char *key)
{
    const struct topology_permission *p = permission_of(f->t, user);
    const struct topology_topic_permission *topic = topic_permission_of(f->t, user, exchange);
    if (!p || !regex_matches(p->write, exchange))
        unfit(f, user, arena_printf(f->a, "may not publish to %s", exchange));
    else if (!topic)
        unfit(f, user, arena_printf(f->a, "may publish anything to %s", exchange));
    else if (!regex_matches(topic->write, key))
        unfit(f, user, arena_printf(f->a, "may not publish %s to %s", key, exchange));
}

/* ---- consuming ---- */

static bool queue_exists(const struct topology *t, const char *name)
{
    for (size_t i = 0; i < t->queues.len; i++)
        if (strcmp(LIST_AT(t->queues, struct topology_queue, i)->name, name) == 0)
            return true;
    return false;
}

/* The way back from a retry tier, and the way to the dead letters. */
static void check_failure_ways(struct fitting *f, const struct service_tables *s)
{
    const char *tier = arena_printf(f->a, "%s.1", s->queue);
    const char *dead = arena_printf(f->a, "%s.dlq", s->queue);
    check_publish(f, s->name, RETRY_EXCHANGE, tier);
    check_publish(f, s->name, DEAD_EXCHANGE, dead);
    if (!topology_reaches(f->t, RETURN_EXCHANGE, tier, s->queue))
        unfit(f, s->name,
            arena_printf(f->a, "nothing comes back from the retry tiers into %s", s->queue));
    if (!topology_reaches(f->t, DEAD_EXCHANGE, dead, dead))
        unfit(f, s->name, arena_printf(f->a, "its dead letters do not get into %s", dead));
}

static void check_consumer(struct fitting *f, const struct service_tables *s)
{
    if (s->consumes.len == 0)
        return;
    if (!s->queue) {
        unfit(f, s->name, "consumes events without a queue");
        return;
    }
    if (!queue_exists(f->t, s->queue)) {
        unfit(f, s->name, arena_printf(f->a, "its queue %s is not there", s->queue));
        return;
    }
    const struct topology_permission *p = permission_of(f->t, s->name);
    if (!p || !regex_matches(p->read, s->queue))
        unfit(f, s->name, arena_printf(f->a, "may not read %s", s->queue));
    for (size_t i = 0; i < s->consumes.len; i++) {
        const char *type = *LIST_AT(s->consumes, const char *, i);
        if (!topology_reaches(f->t, EVENTS_EXCHANGE, type, s->queue))
            unfit(f, s->name,
                arena_printf(f->a, "consumes %s, but %s is not bound to it", type, s->queue));
    }
    check_failure_ways(f, s);
}

/* ---- publishing ---- */

static bool goes_somewhere(const struct topology *t, const char *type)
{
    for (size_t i = 0; i < t->queues.len; i++)
        if (topology_reaches(
                t, EVENTS_EXCHANGE, type, LIST_AT(t->queues, struct topology_queue, i)->name))
            return true;
    return false;
}

static void check_publisher(struct fitting *f, const struct service_tables *s)
{
    for (size_t i = 0; i < s->publishes.len; i++) {
        const char *type = LIST_AT(s->publishes, struct service_published, i)->type;
        check_publish(f, s->name, EVENTS_EXCHANGE, type);
        if (!goes_somewhere(f->t, type))
            unfit(f, s->name, arena_printf(f->a, "publishes %s, which gets into no queue", type));
    }
}

/* ---- bindings and queues that nobody asked for ---- */

static const struct service_tables *owner_of(const struct fitting *f, const char *queue)
{
    for (size_t i = 0; i < f->services->count; i++)
        if (f->services->at[i].queue && strcmp(f->services->at[i].queue, queue) == 0)
            return &f->services->at[i];
    return NULL;
}

static bool is_stream(const struct topology *t, const char *queue)
{
    for (size_t i = 0; i < t->queues.len; i++) {
        const struct topology_queue *q = LIST_AT(t->queues, struct topology_queue, i);
        if (strcmp(q->name, queue) == 0)
            return memmem(q->arguments.ptr, q->arguments.len, "\"stream\"", 8) != NULL;
    }
    return false;
}

static bool handles_any(const struct service_tables *s, const char *pattern)
{
    for (size_t i = 0; i < s->consumes.len; i++)
        if (topic_matches(pattern, *LIST_AT(s->consumes, const char *, i)))
            return true;
    return false;
}

static void check_binding(struct fitting *f, const struct topology_binding *b)
{
    const char *name =
        arena_printf(f->a, "%s -> %s (%s)", b->source, b->destination, b->routing_key);
    struct deviation d = {.kind = DEVIATION_UNFIT, .object = OBJECT_BINDING, .name = name};
    if (strcmp(b->source, EVENTS_EXCHANGE) != 0 || strcmp(b->destination_type, "queue") != 0 ||
        is_stream(f->t, b->destination))
        return;
    const struct service_tables *s = owner_of(f, b->destination);
    if (!s) {
        d.detail = "no service consumes this queue: it only grows";
    } else if (!handles_any(s, b->routing_key)) {
        d.kind = DEVIATION_IDLE;
        d.detail = arena_printf(f->a, "%s handles nothing of it", s->name);
    } else {
        return;
    }
    deviations_add(f->a, f->list, d);
}

static bool bound(const struct topology *t, const char *queue)
{
    for (size_t i = 0; i < t->bindings.len; i++) {
        const struct topology_binding *b = LIST_AT(t->bindings, struct topology_binding, i);
        if (strcmp(b->destination_type, "queue") == 0 && strcmp(b->destination, queue) == 0)
            return true;
    }
    return false;
}

void topology_fits(struct arena *a, const struct topology *t, const struct services *services,
    struct deviations *list)
{
    struct fitting f = {.a = a, .t = t, .services = services, .list = list};
    for (size_t i = 0; i < services->count; i++) {
        check_consumer(&f, &services->at[i]);
        check_publisher(&f, &services->at[i]);
    }
    for (size_t i = 0; i < t->bindings.len; i++)
        check_binding(&f, LIST_AT(t->bindings, struct topology_binding, i));
    for (size_t i = 0; i < t->queues.len; i++) {
        const char *name = LIST_AT(t->queues, struct topology_queue, i)->name;
        if (!bound(t, name))
            deviations_add(a, list,
                (struct deviation){.kind = DEVIATION_UNFIT,
                    .object = OBJECT_QUEUE,
                    .name = name,
                    .detail = "nothing is bound to it"});
    }
}
