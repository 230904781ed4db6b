/* A definitions document, read by tables like every other JSON. What the broker keeps as free JSON
 * (arguments, a policy's definition) becomes canonical text: comparing is comparing texts. */

#include "ctl/topology.h"

#include <stdlib.h>

#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "ctl/ctl.h"
#include "ctl/files.h"

#define DOCUMENT_LIMIT  (4 * 1024 * 1024)
#define EXCHANGES_DEPTH 8 /* of exchanges bound to exchanges; bindings may go in circles */

static const struct field vhost_fields[] = {
    FIELD_TEXT(struct topology_vhost, name, "name", .required = true)};
static const struct table vhost_table = TABLE("Vhost", struct topology_vhost, vhost_fields);

static const struct field exchange_fields[] = {
    FIELD_TEXT(struct topology_exchange, vhost, "vhost", .required = true),
    FIELD_TEXT(struct topology_exchange, name, "name", .required = true),
    FIELD_TEXT(struct topology_exchange, type, "type", .required = true),
    FIELD_BOOL(struct topology_exchange, durable, "durable"),
    FIELD_BOOL(struct topology_exchange, auto_delete, "auto_delete"),
    FIELD_BOOL(struct topology_exchange, internal, "internal"),
    FIELD_RAW(struct topology_exchange, arguments, "arguments"),
};
static const struct table exchange_table =
    TABLE("Exchange", struct topology_exchange, exchange_fields);

static const struct field queue_fields[] = {
    FIELD_TEXT(struct topology_queue, vhost, "vhost", .required = true),
    FIELD_TEXT(struct topology_queue, name, "name", .required = true),
    FIELD_BOOL(struct topology_queue, durable, "durable"),
    FIELD_BOOL(struct topology_queue, auto_delete, "auto_delete"),
    FIELD_RAW(struct topology_queue, arguments, "arguments"),
};
static const struct table queue_table = TABLE("Queue", struct topology_queue, queue_fields);

static const struct field binding_fields[] = {
    FIELD_TEXT(struct topology_binding, vhost, "vhost", .required = true),
    FIELD_TEXT(struct topology_binding, source, "source", .required = true),
    FIELD_TEXT(struct topology_binding, destination, "destination", .required = true),
    FIELD_TEXT(struct topology_binding, destination_type, "destination_type", .required = true),
    FIELD_TEXT(struct topology_binding, routing_key, "routing_key", .required = true),
    FIELD_RAW(struct topology_binding, arguments, "arguments"),
};
static const struct table binding_table = TABLE("Binding", struct topology_binding, binding_fields);

static const struct field policy_fields[] = {
    FIELD_TEXT(struct topology_policy, vhost, "vhost", .required = true),
    FIELD_TEXT(struct topology_policy, name, "name", .required = true),
    FIELD_TEXT(struct topology_policy, pattern, "pattern", .required = true),
    FIELD_TEXT(struct topology_policy, apply_to, "apply-to", .required = true),
    FIELD_I64(struct topology_policy, priority, "priority"),
    FIELD_RAW(struct topology_policy, definition, "definition", .required = true),
};
static const struct table policy_table = TABLE("Policy", struct topology_policy, policy_fields);

static const struct field user_fields[] = {
    FIELD_TEXT(struct topology_user, name, "name", .required = true),
    FIELD_TEXT(struct topology_user, password_hash, "password_hash", .secret = true),
    FIELD_TEXT(struct topology_user, hashing_algorithm, "hashing_algorithm"),
    FIELD_RAW(struct topology_user, tags, "tags"),
};
static const struct table user_table = TABLE("User", struct topology_user, user_fields);

static const struct field permission_fields[] = {
    FIELD_TEXT(struct topology_permission, user, "user", .required = true),
    FIELD_TEXT(struct topology_permission, vhost, "vhost", .required = true),
    FIELD_TEXT(struct topology_permission, configure, "configure", .required = true),
    FIELD_TEXT(struct topology_permission, write, "write", .required = true),
    FIELD_TEXT(struct topology_permission, read, "read", .required = true),
};
static const struct table permission_table =
    TABLE("Permission", struct topology_permission, permission_fields);

static const struct field topic_permission_fields[] = {
    FIELD_TEXT(struct topology_topic_permission, user, "user", .required = true),
    FIELD_TEXT(struct topology_topic_permission, vhost, "vhost", .required = true),
    FIELD_TEXT(struct topology_topic_permission, exchange, "exchange", .required = true),
    FIELD_TEXT(struct topology_topic_permission, write, "write", .required = true),
    FIELD_TEXT(struct topology_topic_permission, read, "read", .required = true),
};
static const struct table topic_permission_table =
    TABLE("TopicPermission", struct topology_topic_permission, topic_permission_fields);

static const struct field parameter_fields[] = {
    FIELD_TEXT(struct topology_parameter, vhost, "vhost", .required = true),
    FIELD_TEXT(struct topology_parameter, component, "component", .required = true),
    FIELD_TEXT(struct topology_parameter, name, "name", .required = true),
};
static const struct table parameter_table =
    TABLE("Parameter", struct topology_parameter, parameter_fields);

static const struct field topology_fields[] = {
    FIELD_LIST(struct topology, vhosts, "vhosts", vhost_table),
    FIELD_LIST(struct topology, exchanges, "exchanges", exchange_table),
    FIELD_LIST(struct topology, queues, "queues", queue_table),
    FIELD_LIST(struct topology, bindings, "bindings", binding_table),
    FIELD_LIST(struct topology, policies, "policies", policy_table),
    FIELD_LIST(struct topology, users, "users", user_table),
    FIELD_LIST(struct topology, permissions, "permissions", permission_table),
    FIELD_LIST(struct topology, topic_permissions, "topic_permissions", topic_permission_table),
    FIELD_LIST(struct topology, parameters, "parameters", parameter_table),
};
static const struct table topology_table = TABLE("Definitions", struct topology, topology_fields);

/* ---- reading ---- */

static void canonise(struct arena *a, struct span *value, const char *otherwise)
{
    struct buf out = {0};
    if (value->len > 0 && json_canonical(*value, &out))
        *value = span_make(arena_strndup(a, out.ptr, out.len), out.len);
    else
        *value = span_of(otherwise);
    buf_deinit(&out);
}

const char *topology_read(struct arena *a, struct span text, struct topology *ret_topology)
{
    struct topology t;
    struct json_errors errors;
    if (json_read(a, text, &topology_table, JSON_LENIENT, &t, &errors) != 0)
        return errors.count ? arena_printf(a, "%s: %s", errors.at[0].pointer, errors.at[0].detail)
                            : "is no JSON";
    for (size_t i = 0; i < t.exchanges.len; i++)
        canonise(a, &LIST_AT(t.exchanges, struct topology_exchange, i)->arguments, "{}");
    for (size_t i = 0; i < t.queues.len; i++)
        canonise(a, &LIST_AT(t.queues, struct topology_queue, i)->arguments, "{}");
    for (size_t i = 0; i < t.bindings.len; i++)
        canonise(a, &LIST_AT(t.bindings, struct topology_binding, i)->arguments, "{}");
    for (size_t i = 0; i < t.policies.len; i++)
        canonise(a, &LIST_AT(t.policies, struct topology_policy, i)->definition, "{}");
    for (size_t i = 0; i < t.users.len; i++)
        canonise(a, &LIST_AT(t.users, struct topology_user, i)->tags, "[]");
    t.text = text;
    *ret_topology = t;
    return NULL;
}

const char *topology_path(void)
{
    const char *path = getenv("SOUK_DEFINITIONS");
    return path && *path ? path : "rabbitmq/definitions.json";
}

int topology_load(struct arena *a, struct topology *ret_topology)
{
    struct span text = file_text(a, topology_path(), DOCUMENT_LIMIT);
    if (!text.ptr)
        return ctl_fail(CTL_USAGE, "SOUK_DEFINITIONS tells where rabbitmq/definitions.json is; "
                                   "./souk ctl sets it");
    const char *wrong = topology_read(a, text, ret_topology);
    return wrong ? ctl_fail(CTL_USAGE, "%s: %s", topology_path(), wrong) : 0;
}

/* ---- routing ---- */

/* No word at all when the text is empty. */
static struct span words_of(const char *text)
{
    struct span words = span_of(text);
    return words.len ? words : (struct span){NULL, 0};
}

/* Word by word; what fails goes back to the last "#", which takes one word more. */
bool topic_matches(const char *pattern, const char *key)
{
    struct span p = words_of(pattern), k = words_of(key), want, word;
    struct span after_hash = {NULL, 0}, hash_rest = {NULL, 0};
    for (;;) {
        struct span p_rest = p, k_rest = k;
        bool more = span_cut(&p_rest, '.', &want);
        if (!more && !k.ptr)
            return true;
        if (more && span_equal(want, SPAN("#"))) {
            after_hash = p = p_rest;
            hash_rest = k;
            if (!p.ptr)
                return true;
            continue;
        }
        if (more && span_cut(&k_rest, '.', &word) &&
            (span_equal(want, SPAN("*")) || span_equal(want, word))) {
            p = p_rest;
            k = k_rest;
            continue;
        }
        if (!after_hash.ptr || !span_cut(&hash_rest, '.', &word))
            return false;
        p = after_hash;
        k = hash_rest;
    }
}

static const char *exchange_type(const struct topology *t, const char *name)
{
    for (size_t i = 0; i < t->exchanges.len; i++)
        if (strcmp(LIST_AT(t->exchanges, struct topology_exchange, i)->name, name) == 0)
            return LIST_AT(t->exchanges, struct topology_exchange, i)->type;
    return "";
}

static bool lets_pass(const char *type, const char *pattern, const char *key)
{
    if (strcmp(type, "topic") == 0)
        return topic_matches(pattern, key);
    return strcmp(type, "fanout") == 0 ||
           (strcmp(type, "direct") == 0 && strcmp(pattern, key) == 0);
}

static bool reaches(const struct topology *t, const char *exchange, const char *key,
    const char *queue, unsigned depth)
{
    const char *type = exchange_type(t, exchange);
    for (size_t i = 0; i < t->bindings.len; i++) {
        const struct topology_binding *b = LIST_AT(t->bindings, struct topology_binding, i);
        if (strcmp(b->source, exchange) != 0 || !lets_pass(type, b->routing_key, key))
            continue;
        if (strcmp(b->destination_type, "queue") == 0) {
            if (strcmp(b->destination, queue) == 0)
                return true;
        } else if (depth > 0 && reaches(t, b->destination, key, queue, depth - 1)) {
            return true;
        }
    }
    return false;
}

bool topology_reaches(
    const struct topology *t, const char *exchange, const char *key, const char *queue)
{
    return reaches(t, exchange, key, queue, EXCHANGES_DEPTH);
}

const struct queue_row *const *topology_queues_for(
    struct arena *a, const struct topology *t, const char *key)
{
    const struct queue_row **found = arena_array(a, queue_rows_count + 1, sizeof(*found));
    for (size_t i = 0, n = 0; i < queue_rows_count; i++)
        if (topology_reaches(t, EVENTS_EXCHANGE, key, queue_rows[i].queue))
            found[n++] = &queue_rows[i];
    return found;
}
