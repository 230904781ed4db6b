/* topology check: the live broker against the document, and the document against the services. */

#include <stdlib.h>

#include "ctl/sheet.h"
#include "ctl/topology_live.h"

/* ---- shared with apply ---- */

int topology_live(struct management *m, struct topology *ret_topology)
{
    struct arena *a = fiber_arena();
    struct span text;
    int r = management_get(m, "/api/definitions", &text);
    if (r != 0)
        return r;
    const char *wrong = topology_read(a, text, ret_topology);
    return wrong ? ctl_fail(CTL_WRONG, "%s exports definitions that can't be read: %s",
                       management_name(m), wrong)
                 : 0;
}

void deviations_json(struct json_writer *w, const struct deviations *list)
{
    json_put_i64(w, "wrong", (int64_t)deviations_wrong(list));
    json_key(w, "deviations");
    json_array_begin(w);
    for (size_t i = 0; i < list->count; i++) {
        const struct deviation *d = &list->at[i];
        json_object_begin(w);
        json_put_text(w, "deviation", deviation_kind_name(d->kind));
        json_put_text(w, "object", object_kind_name(d->object));
        json_put_text(w, "name", d->name);
        json_put_text(w, "detail", d->detail);
        json_object_end(w);
    }
    json_array_end(w);
}

void deviations_print(struct ctl *ctl, const struct deviations *list)
{
    struct arena *a = fiber_arena();
    for (size_t i = 0; i < list->count; i++)
        fprintf(ctl->out, "%s\n", text_harmless(a, span_of(deviation_text(a, &list->at[i]))));
}

/* ---- check ---- */

static int compare(struct ctl *ctl, const struct topology *want, bool topology_only,
    struct deviations *list, const char **ret_where)
{
    struct management *m;
    struct topology live;
    int r = management_new(ctl, &m);
    if (r != 0)
        return r;
    r = topology_live(m, &live);
    if (r == 0) {
        topology_diff(fiber_arena(), want, &live, topology_only, list);
        *ret_where = arena_strdup(fiber_arena(), management_name(m));
    }
    management_free(m);
    return r;
}

static void print_json(struct ctl *ctl, const char *where, bool good, const struct deviations *list)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_object_begin(&w);
    json_put_bool(&w, "ok", good);
    json_put_text(&w, "broker", where);
    json_put_text(&w, "definitions", topology_path());
    deviations_json(&w, list);
    json_object_end(&w);
    fprintf(ctl->out, "%s\n", out.ptr);
    buf_deinit(&out);
}

static void print_summary(struct ctl *ctl, const char *where, const struct topology *t,
    const struct deviations *list, size_t wrong)
{
    deviations_print(ctl, list);
    if (wrong)
        fprintf(ctl->out, "%zu wrong%s\n", wrong,
            where ? "; soukctl topology apply mends what a broker can mend" : "");
    else
        fprintf(ctl->out,
            "%s: %zu exchanges, %zu queues, %zu bindings, %zu policies, %zu users as %s says, and "
            "as the services need them%s\n",
            where ? where : "offline", t->exchanges.len, t->queues.len, t->bindings.len,
            t->policies.len, t->users.len, topology_path(),
            list->count ? "; what is idle costs an acknowledgement each" : "");
}

static int check_run(struct ctl *ctl, const struct args *args)
{
    struct topology want;
    struct services services;
    struct deviations list = {0};
    const char *where = NULL;
    bool topology_only = args_given(args, "topology-only");
    int r = topology_load(fiber_arena(), &want);
    if (r == 0)
        r = services_load(fiber_arena(), &services);
    if (r == 0)
        topology_fits(fiber_arena(), &want, &services, &list);
    if (r == 0 && !args_given(args, "offline"))
        r = compare(ctl, &want, topology_only, &list, &where);
    if (r != 0)
        return r;
    size_t wrong = args_given(args, "strict") ? list.count : deviations_wrong(&list);
    if (ctl->json)
        print_json(ctl, where, wrong == 0, &list);
    else
        print_summary(ctl, where, &want, &list, wrong);
    return wrong == 0 ? CTL_DONE : CTL_WRONG;
}

static const struct option_row check_options[] = {
    {"offline", NULL, OPTION_FLAG, "only the document against the services; asks no broker"},
    {"topology-only", NULL, OPTION_FLAG,
        "a broker that serves others too: not its users, nor what only it has"},
    {"strict", NULL, OPTION_FLAG, "idle bindings are wrong, too"},
};
const struct command topology_check_command = {"topology", "check", NULL,
    "Compares the broker with rabbitmq/definitions.json and with what the services consume.",
    "soukctl topology check\n"
    "soukctl topology check --json | jq -r '.deviations[].name'\n"
    "soukctl topology check --offline --strict",
    check_options, ARRAY_SIZE(check_options), check_run};
