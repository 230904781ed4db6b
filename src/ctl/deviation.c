/* Comparing two topologies: every object of both becomes a fact (its kind, the words that name it,
 * its fields as text), both lists are put in order and read side by side. */

#include "ctl/deviation.h"

#include <stdlib.h>

#include "common/base/buf.h"

#define FACT_FIELDS 5

struct fact {
    enum object_kind kind;
    const char *name;
    struct {
        const char *name, *text;
    } fields[FACT_FIELDS];
    size_t fields_count;
    const void *row;
};
struct facts {
    struct arena *arena;
    struct fact *at;
    size_t count;
};

static const char *const object_names[] = {[OBJECT_VHOST] = "vhost",
    [OBJECT_EXCHANGE] = "exchange",
    [OBJECT_QUEUE] = "queue",
    [OBJECT_BINDING] = "binding",
    [OBJECT_POLICY] = "policy",
    [OBJECT_OPERATOR_POLICY] = "operator policy",
    [OBJECT_USER] = "user",
    [OBJECT_PERMISSION] = "permission",
    [OBJECT_TOPIC_PERMISSION] = "topic permission",
    [OBJECT_SERVICE] = "service"};
static const char *const deviation_names[] = {[DEVIATION_MISSING] = "missing",
    [DEVIATION_EXTRA] = "extra",
    [DEVIATION_DIFFERS] = "differs",
    [DEVIATION_UNFIT] = "unfit",
    [DEVIATION_IDLE] = "idle"};

const char *object_kind_name(enum object_kind kind)
{
    return object_names[kind];
}

const char *deviation_kind_name(enum deviation_kind kind)
{
    return deviation_names[kind];
}

const char *deviation_text(struct arena *a, const struct deviation *d)
{
    return arena_printf(a, "%s: %s %s%s%s", deviation_names[d->kind], object_names[d->object],
        d->name, d->detail ? ": " : "", d->detail ? d->detail : "");
}

void deviations_add(struct arena *a, struct deviations *list, struct deviation d)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        struct deviation *at = arena_array(a, capacity, sizeof(*at));
        if (list->count)
            memcpy(at, list->at, list->count * sizeof(*at));
        list->at = at;
        list->capacity = capacity;
    }
    list->at[list->count++] = d;
}

size_t deviations_wrong(const struct deviations *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        n += list->at[i].kind != DEVIATION_IDLE;
    return n;
}

/* ---- facts ---- */

/* Names of the usual vhost stay short. */
static const char *within(struct arena *a, const char *name, const char *vhost)
{
    return strcmp(vhost, "/") == 0 ? name : arena_printf(a, "%s in %s", name, vhost);
}

static struct fact *add(struct facts *f, enum object_kind kind, const char *name, const void *row)
{
    struct fact *fact = &f->at[f->count++];
    *fact = (struct fact){.kind = kind, .name = name, .row = row};
    return fact;
}

static void put_json(struct facts *f, struct fact *fact, const char *name, struct span json)
{
    fact->fields[fact->fields_count].name = name;
    fact->fields[fact->fields_count++].text = arena_strndup(f->arena, json.ptr, json.len);
}

static void put_text(struct facts *f, struct fact *fact, const char *name, const char *text)
{
    fact->fields[fact->fields_count].name = name;
    fact->fields[fact->fields_count++].text = arena_printf(f->arena, "\"%s\"", text);
}

static void put_bool(struct fact *fact, const char *name, bool value)
{
    fact->fields[fact->fields_count].name = name;
    fact->fields[fact->fields_count++].text = value ? "true" : "false";
}

static void exchange_fact(struct facts *f, const struct topology_exchange *x)
{
    struct fact *fact = add(f, OBJECT_EXCHANGE, within(f->arena, x->name, x->vhost), x);
    put_text(f, fact, "type", x->type);
    put_bool(fact, "durable", x->durable);
    put_bool(fact, "auto_delete", x->auto_delete);
    put_bool(fact, "internal", x->internal);
    put_json(f, fact, "arguments", x->arguments);
}

static void queue_fact(struct facts *f, const struct topology_queue *q)
{
    struct fact *fact = add(f, OBJECT_QUEUE, within(f->arena, q->name, q->vhost), q);
    put_bool(fact, "durable", q->durable);
    put_bool(fact, "auto_delete", q->auto_delete);
    put_json(f, fact, "arguments", q->arguments);
}

/* All of a binding is its name. */
static void binding_fact(struct facts *f, const struct topology_binding *b)
{
    bool plain = span_equal(b->arguments, SPAN("{}"));
    const char *name = arena_printf(f->arena, "%s -> %s%s (%s%s%.*s)", b->source,
        strcmp(b->destination_type, "queue") == 0 ? "" : "exchange ", b->destination,
        b->routing_key, plain ? "" : " ", plain ? 0 : (int)b->arguments.len, b->arguments.ptr);
    add(f, OBJECT_BINDING, within(f->arena, name, b->vhost), b);
}

static void policy_fact(struct facts *f, const struct topology_policy *p)
{
    struct fact *fact = add(f, OBJECT_POLICY, within(f->arena, p->name, p->vhost), p);
    put_text(f, fact, "pattern", p->pattern);
    put_text(f, fact, "apply-to", p->apply_to);
    put_json(f, fact, "priority", span_of(arena_printf(f->arena, "%lld", (long long)p->priority)));
    put_json(f, fact, "definition", p->definition);
}

static void permission_fact(struct facts *f, const struct topology_permission *p)
{
    const char *name = arena_printf(f->arena, "of %s", p->user);
    struct fact *fact = add(f, OBJECT_PERMISSION, within(f->arena, name, p->vhost), p);
    put_text(f, fact, "configure", p->configure);
    put_text(f, fact, "write", p->write);
    put_text(f, fact, "read", p->read);
}

static void topic_permission_fact(struct facts *f, const struct topology_topic_permission *p)
{
    const char *name = arena_printf(f->arena, "of %s on %s", p->user, p->exchange);
    struct fact *fact = add(f, OBJECT_TOPIC_PERMISSION, within(f->arena, name, p->vhost), p);
    put_text(f, fact, "write", p->write);
    put_text(f, fact, "read", p->read);
}

static void user_facts(struct facts *f, const struct topology *t)
{
    for (size_t i = 0; i < t->users.len; i++) {
        const struct topology_user *u = LIST_AT(t->users, struct topology_user, i);
        put_json(f, add(f, OBJECT_USER, u->name, u), "tags", u->tags);
    }
    for (size_t i = 0; i < t->permissions.len; i++)
        permission_fact(f, LIST_AT(t->permissions, struct topology_permission, i));
    for (size_t i = 0; i < t->topic_permissions.len; i++)
        topic_permission_fact(
            f, LIST_AT(t->topic_permissions, struct topology_topic_permission, i));
}

static int by_kind_and_name(const void *left, const void *right)
{
    const struct fact *l = left, *r = right;
    return l->kind != r->kind ? (l->kind < r->kind ? -1 : 1) : strcmp(l->name, r->name);
}

static struct facts facts_of(struct arena *a, const struct topology *t, bool topology_only)
{
    size_t most = t->vhosts.len + t->exchanges.len + t->queues.len + t->bindings.len +
                  t->policies.len + t->parameters.len + t->users.len + t->permissions.len +
                  t->topic_permissions.len;
    struct facts f = {.arena = a, .at = arena_array(a, most + 1, sizeof(*f.at))};
    for (size_t i = 0; i < t->vhosts.len; i++) {
        const struct topology_vhost *v = LIST_AT(t->vhosts, struct topology_vhost, i);
        add(&f, OBJECT_VHOST, v->name, v);
    }
    for (size_t i = 0; i < t->exchanges.len; i++)
        exchange_fact(&f, LIST_AT(t->exchanges, struct topology_exchange, i));
    for (size_t i = 0; i < t->queues.len; i++)
        queue_fact(&f, LIST_AT(t->queues, struct topology_queue, i));
    for (size_t i = 0; i < t->bindings.len; i++)
        binding_fact(&f, LIST_AT(t->bindings, struct topology_binding, i));
    for (size_t i = 0; i < t->policies.len; i++)
        policy_fact(&f, LIST_AT(t->policies, struct topology_policy, i));
    for (size_t i = 0; i < t->parameters.len; i++) {
        const struct topology_parameter *p = LIST_AT(t->parameters, struct topology_parameter, i);
        if (strcmp(p->component, "operator_policy") == 0)
            add(&f, OBJECT_OPERATOR_POLICY, within(a, p->name, p->vhost), p);
    }
    if (!topology_only)
        user_facts(&f, t);
    qsort(f.at, f.count, sizeof(*f.at), by_kind_and_name);
    return f;
}

/* ---- comparing ---- */

/* NULL when they are alike. Facts of one kind have the same fields. */
static const char *difference(struct arena *a, const struct fact *want, const struct fact *live)
{
    struct buf out = {0};
    for (size_t i = 0; i < want->fields_count; i++)
        if (strcmp(want->fields[i].text, live->fields[i].text) != 0)
            buf_printf(&out, "%s%s is %s, should be %s", out.len ? "; " : "", want->fields[i].name,
                live->fields[i].text, want->fields[i].text);
    const char *text = out.len ? arena_strndup(a, out.ptr, out.len) : NULL;
    buf_deinit(&out);
    return text;
}

void topology_diff(struct arena *a, const struct topology *want, const struct topology *live,
    bool topology_only, struct deviations *list)
{
    struct facts wanted = facts_of(a, want, topology_only),
                 there = facts_of(a, live, topology_only);
    for (size_t w = 0, l = 0; w < wanted.count || l < there.count;) {
        const struct fact *fw = &wanted.at[w], *fl = &there.at[l];
        int order = w == wanted.count ? 1 : l == there.count ? -1 : by_kind_and_name(fw, fl);
        struct deviation d = {.object = order > 0 ? fl->kind : fw->kind,
            .name = order > 0 ? fl->name : fw->name,
            .kind = order > 0   ? DEVIATION_EXTRA
                    : order < 0 ? DEVIATION_MISSING
                                : DEVIATION_DIFFERS};
        if (order == 0)
            d.detail = difference(a, fw, fl);
        if (order > 0)
            d.row = fl->row;
        bool shared = order > 0 && topology_only;
        if ((order != 0 || d.detail) && !shared)
            deviations_add(a, list, d);
        w += order <= 0;
        l += order >= 0;
    }
}
