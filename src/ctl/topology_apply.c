/* topology apply: one import of the document, then what it does not know is removed if that is
 * wanted, then everything is compared again, for an import may be partial without a word.
 *
 * The broker keeps what is there: an import adds and changes, never removes, and leaves the type
 * and the arguments of a queue or an exchange alone. So twice is as good as once, and an apply that
 * was killed half-way is finished by the next one. Queues, exchanges, users and vhosts are never
 * removed here: there may be messages in them, or people behind them.
 *
 * The document has no passwords. A user who is there keeps the one he has; one who is missing gets
 * the one that the environment knows. */

#include <stdlib.h>

#include "common/base/uuid.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/json/writer.h"
#include "ctl/audit.h"
#include "ctl/sheet.h"
#include "ctl/topology_live.h"

struct applying {
    struct ctl *ctl;
    struct arena *a;
    struct management *management;
    struct topology want, live;
    struct deviations before, after;
    bool topology_only, prune;
};

/* ---- what will become of a deviation ---- */

static bool prunable(const struct deviation *d)
{
    return d->kind == DEVIATION_EXTRA &&
           (d->object == OBJECT_BINDING || d->object == OBJECT_POLICY ||
               d->object == OBJECT_OPERATOR_POLICY || d->object == OBJECT_PERMISSION ||
               d->object == OBJECT_TOPIC_PERMISSION);
}

static const char *verdict(const struct applying *x, const struct deviation *d)
{
    bool fixed = d->object == OBJECT_QUEUE || d->object == OBJECT_EXCHANGE;
    if (d->kind == DEVIATION_MISSING)
        return "add";
    if (d->kind == DEVIATION_DIFFERS)
        return fixed ? "by hand (empty and delete it, then apply again)" : "change";
    if (!prunable(d))
        return "by hand (apply never removes it)";
    return x->prune ? "remove" : "stays (--prune removes it)";
}

/* What will be done, as sentences; what stays is not among them. */
static const char **changes_of(const struct applying *x, size_t *ret_count)
{
    const char **lines = arena_array(x->a, x->before.count + 1, sizeof(*lines));
    size_t n = 0;
    for (size_t i = 0; i < x->before.count; i++) {
        const char *what = verdict(x, &x->before.at[i]);
        if (strcmp(what, "add") == 0 || strcmp(what, "change") == 0 || strcmp(what, "remove") == 0)
            lines[n++] = arena_printf(x->a, "%s %s", what, deviation_text(x->a, &x->before.at[i]));
    }
    *ret_count = n;
    return lines;
}

/* ---- the import ---- */

/* The parts of the document that are sent as they are. */
struct parts {
    struct span vhosts, exchanges, queues, bindings, policies, permissions, topic_permissions;
};
static const struct field parts_fields[] = {
    FIELD_RAW(struct parts, vhosts, "vhosts"),
    FIELD_RAW(struct parts, exchanges, "exchanges"),
    FIELD_RAW(struct parts, queues, "queues"),
    FIELD_RAW(struct parts, bindings, "bindings"),
    FIELD_RAW(struct parts, policies, "policies"),
    FIELD_RAW(struct parts, permissions, "permissions", .omit_empty = true),
    FIELD_RAW(struct parts, topic_permissions, "topic_permissions", .omit_empty = true),
};
static const struct table parts_table = TABLE("DefinitionsParts", struct parts, parts_fields);

static const struct topology_user *user_find(const struct topology *t, const char *name)
{
    for (size_t i = 0; i < t->users.len; i++)
        if (strcmp(LIST_AT(t->users, struct topology_user, i)->name, name) == 0)
            return LIST_AT(t->users, struct topology_user, i);
    return NULL;
}

static const char *url_variable(struct arena *a, const char *user)
{
    char *name = arena_printf(a, "%s_AMQP_URL", user);
    for (char *p = name; *p; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
    return name;
}

/* "amqp://user:PASSWORD@host". NULL when there is none. */
static const char *password_of(struct arena *a, const char *user)
{
    const char *url = getenv(url_variable(a, user));
    const char *login = url ? strstr(url, "://") : NULL, *at = url ? strrchr(url, '@') : NULL;
    const char *colon = login && at ? memchr(login + 3, ':', (size_t)(at - login) - 3) : NULL;
    struct span password;
    if (!colon ||
        !http_percent_decode(a, span_make(colon + 1, (size_t)(at - colon) - 1), false, &password))
        return NULL;
    return arena_strndup(a, password.ptr, password.len);
}

static int put_user(struct applying *x, struct json_writer *w, const struct topology_user *u)
{
    const struct topology_user *live = user_find(&x->live, u->name);
    const char *password = live ? NULL : password_of(x->a, u->name);
    if (live && span_equal(live->tags, u->tags))
        return 0;
    if (!live && !password)
        return ctl_fail(CTL_USAGE,
            "the user %s is missing and %s tells no password for it; ./souk ctl sets it", u->name,
            url_variable(x->a, u->name));
    json_object_begin(w);
    json_put_text(w, "name", u->name);
    if (live) {
        json_put_text(w, "password_hash", live->password_hash);
        json_put_text(w, "hashing_algorithm", live->hashing_algorithm);
    } else {
        json_put_text(w, "password", password);
    }
    json_key(w, "tags");
    json_raw(w, u->tags);
    json_object_end(w);
    return 0;
}

static int put_users(struct applying *x, struct json_writer *w)
{
    int r = 0;
    json_key(w, "users");
    json_array_begin(w);
    for (size_t i = 0; i < x->want.users.len && r == 0; i++)
        r = put_user(x, w, LIST_AT(x->want.users, struct topology_user, i));
    json_array_end(w);
    return r;
}

static void put_part(struct json_writer *w, const char *name, struct span json)
{
    if (json.len == 0)
        return;
    json_key(w, name);
    json_raw(w, json);
}

static int import_body(struct applying *x, struct buf *out)
{
    struct parts parts;
    struct json_errors errors;
    struct json_writer w = json_writer_on(out);
    int r = json_read(x->a, x->want.text, &parts_table, JSON_LENIENT, &parts, &errors);
    if (r != 0)
        return ctl_fail(CTL_USAGE, "%s can't be read", topology_path());
    json_object_begin(&w);
    put_part(&w, "vhosts", parts.vhosts);
    if (!x->topology_only) {
        r = put_users(x, &w);
        put_part(&w, "permissions", parts.permissions);
        put_part(&w, "topic_permissions", parts.topic_permissions);
    }
    put_part(&w, "exchanges", parts.exchanges);
    put_part(&w, "queues", parts.queues);
    put_part(&w, "bindings", parts.bindings);
    put_part(&w, "policies", parts.policies);
    json_object_end(&w);
    return r;
}

/* ---- pruning ---- */

struct binding_key {
    const char *routing_key, *properties_key;
    struct span arguments;
};
static const struct field binding_key_fields[] = {
    FIELD_TEXT(struct binding_key, routing_key, "routing_key", .required = true),
    FIELD_TEXT(struct binding_key, properties_key, "properties_key", .required = true),
    FIELD_RAW(struct binding_key, arguments, "arguments"),
};
static const struct table binding_key_table =
    TABLE("BindingKey", struct binding_key, binding_key_fields);

static bool same_json(struct span json, struct span canonical)
{
    struct buf out = {0};
    bool same = json_canonical(json, &out) && span_equal(buf_span(&out), canonical);
    buf_deinit(&out);
    return same;
}

/* The API names a binding by a key of its own making, so it is looked up. */
static int remove_binding(struct applying *x, const struct topology_binding *b)
{
    struct json_errors errors;
    struct list keys;
    struct span text;
    bool to_queue = strcmp(b->destination_type, "queue") == 0;
    const char *path = arena_printf(x->a, "/api/bindings/%s/e/%s/%s/%s",
        management_part(x->a, b->vhost), management_part(x->a, b->source), to_queue ? "q" : "e",
        management_part(x->a, b->destination));
    int r = management_get(x->management, path, &text);
    if (r != 0)
        return r;
    if (json_read_list(x->a, text, &binding_key_table, JSON_LENIENT, &keys, &errors) != 0)
        return ctl_fail(CTL_WRONG, "GET %s: the answer can't be read", path);
    for (size_t i = 0; i < keys.len && r == 0; i++) {
        const struct binding_key *k = LIST_AT(keys, struct binding_key, i);
        if (strcmp(k->routing_key, b->routing_key) == 0 && same_json(k->arguments, b->arguments))
            r = management_delete(x->management,
                arena_printf(x->a, "%s/%s", path, management_part(x->a, k->properties_key)));
    }
    return r;
}

static int remove_named(struct applying *x, const char *collection, const char *vhost,
    const char *name, const char *more)
{
    return management_delete(x->management,
        arena_printf(x->a, "/api/%s/%s/%s%s%s", collection, management_part(x->a, vhost),
            management_part(x->a, name), more ? "/" : "", more ? management_part(x->a, more) : ""));
}

static int remove_extra(struct applying *x, const struct deviation *d)
{
    if (d->object == OBJECT_BINDING)
        return remove_binding(x, d->row);
    if (d->object == OBJECT_POLICY) {
        const struct topology_policy *p = d->row;
        return remove_named(x, "policies", p->vhost, p->name, NULL);
    }
    if (d->object == OBJECT_OPERATOR_POLICY) {
        const struct topology_parameter *p = d->row;
        return remove_named(x, "operator-policies", p->vhost, p->name, NULL);
    }
    if (d->object == OBJECT_PERMISSION) {
        const struct topology_permission *p = d->row;
        return remove_named(x, "permissions", p->vhost, p->user, NULL);
    }
    const struct topology_topic_permission *p = d->row;
    return remove_named(x, "topic-permissions", p->vhost, p->user, p->exchange);
}

/* ---- the command ---- */

static int change_broker(struct applying *x)
{
    struct buf body = {0};
    int r = import_body(x, &body);
    if (r == 0)
        r = management_post(x->management, "/api/definitions", buf_span(&body));
    buf_deinit(&body);
    for (size_t i = 0; r == 0 && x->prune && i < x->before.count; i++)
        if (prunable(&x->before.at[i]))
            r = remove_extra(x, &x->before.at[i]);
    return r;
}

static int compare_again(struct applying *x)
{
    struct topology now;
    int r = topology_live(x->management, &now);
    if (r == 0)
        topology_diff(x->a, &x->want, &now, x->topology_only, &x->after);
    return r;
}

/* Nothing is done without a line in the audit log before it. */
static int apply(struct applying *x, const char *const *changes, size_t count)
{
    char run[UUID_TEXT_SIZE];
    uuid_make(run);
    struct audit audit = {.path = x->ctl->audit_path, .action = "topology apply", .run = run};
    if (!audit_changes(&audit, NULL, changes, count))
        return CTL_WRONG;
    int r = change_broker(x);
    int seen = r == CTL_UNREACHABLE ? r : compare_again(x);
    const char *result = seen != 0        ? "unknown"
                         : r != 0         ? "failed"
                         : x->after.count ? "partial"
                                          : "applied";
    if (!audit_changes(&audit, result, changes, count))
        return CTL_WRONG;
    return r ? r : seen;
}

static void print_plan(const struct applying *x)
{
    for (size_t i = 0; i < x->before.count; i++) {
        const struct deviation *d = &x->before.at[i];
        fprintf(x->ctl->out, "%-6s  %s\n", verdict(x, d),
            text_harmless(x->a, span_of(deviation_text(x->a, d))));
    }
}

static void print_result(
    const struct applying *x, bool dry, const char *const *changes, size_t count)
{
    if (x->ctl->json) {
        struct buf out = {0};
        struct json_writer w = json_writer_on(&out);
        json_object_begin(&w);
        json_put_bool(&w, "ok", dry || x->after.count == 0);
        json_put_bool(&w, "dryRun", dry);
        json_key(&w, "changes");
        json_array_begin(&w);
        for (size_t i = 0; i < count; i++)
            json_text(&w, changes[i]);
        json_array_end(&w);
        deviations_json(&w, dry ? &x->before : &x->after);
        json_object_end(&w);
        fprintf(x->ctl->out, "%s\n", out.ptr);
        buf_deinit(&out);
        return;
    }
    print_plan(x);
    fprintf(x->ctl->out, "%zu %s", count, dry ? "would be changed\n" : "changed");
    if (!dry && x->after.count)
        fprintf(x->ctl->out, "; still:\n");
    else if (!dry)
        fprintf(x->ctl->out, "; the broker is as %s says\n", topology_path());
    deviations_print(x->ctl, &x->after);
}

static int run_with(struct applying *x, bool dry)
{
    size_t count;
    int r = topology_live(x->management, &x->live);
    if (r != 0)
        return r;
    topology_diff(x->a, &x->want, &x->live, x->topology_only, &x->before);
    const char **changes = changes_of(x, &count);
    if (dry || count == 0)
        x->after = dry ? x->after : x->before;
    else
        r = apply(x, changes, count);
    if (r != 0)
        return r;
    print_result(x, dry, changes, count);
    return x->after.count == 0 ? CTL_DONE : CTL_WRONG;
}

static int apply_run(struct ctl *ctl, const struct args *args)
{
    struct applying x = {.ctl = ctl,
        .a = fiber_arena(),
        .topology_only = args_given(args, "topology-only"),
        .prune = args_given(args, "prune")};
    int r = topology_load(x.a, &x.want);
    if (r == 0)
        r = management_new(ctl, &x.management);
    if (r == 0)
        r = run_with(&x, args_given(args, "dry-run"));
    management_free(x.management);
    return r;
}

static const struct option_row apply_options[] = {
    {"dry-run", NULL, OPTION_FLAG, "only show what would be done"},
    {"prune", NULL, OPTION_FLAG,
        "remove bindings, policies and permissions that the document does not know"},
    {"topology-only", NULL, OPTION_FLAG,
        "a broker that serves others too: not its users, nor what only it has"},
};
const struct command topology_apply_command = {"topology", "apply", NULL,
    "Makes the broker have what rabbitmq/definitions.json says, and looks whether it has.",
    "soukctl topology apply --dry-run\n"
    "soukctl topology apply\n"
    "soukctl topology apply --prune",
    apply_options, ARRAY_SIZE(apply_options), apply_run};
