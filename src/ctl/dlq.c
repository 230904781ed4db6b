/* dlq list, show and drop, and the reading that all of dlq's commands do. Looking takes the letters
 * unacknowledged on one connection per queue; closing it puts them back where they were, and so
 * does our death. Dead letter queues have no delivery limit, so looking never uses a letter up. */

#include "ctl/dlq.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/uuid.h"
#include "common/json/pretty.h"
#include "common/json/writer.h"
#include "ctl/audit.h"
#include "ctl/sheet.h"

#define LETTERS_LIMIT 10000
#define BYTES_LIMIT   (128 * 1024 * 1024)
/* The depth counts letters that somebody else may be taking at this moment. */
#define MISSING_US    (500 * USEC_PER_MS)
#define SETTLE_ROUNDS 20

/* ---- shared ---- */

int dlq_filter(const struct args *args, struct letter_filter *ret_filter, bool *ret_any)
{
    struct letter_filter f = {.ids = args_text(args, "id"),
        .code = args_text(args, "code"),
        .type = args_text(args, "type"),
        .group = args_text(args, "group"),
        .older_us = args_number(args, "older-than", 0),
        .newer_us = args_number(args, "newer-than", 0),
        .now_us = clock_wall_us()};
    const char *queue = args_text(args, "queue");
    if (queue && !(f.queue = queue_find(queue)))
        return ctl_fail(CTL_USAGE, "--queue %s: there is no such queue or service", queue);
    if ((args_given(args, "older-than") && !f.older_us) ||
        (args_given(args, "newer-than") && !f.newer_us))
        return ctl_fail(CTL_USAGE, "--older-than and --newer-than must be more than nothing");
    *ret_any = !f.queue && !f.ids && !f.code && !f.type && !f.group && !f.older_us && !f.newer_us;
    *ret_filter = f;
    return 0;
}

void letters_add(struct arena *a, struct letters *list, struct letter *l)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct letter **at = arena_array(a, capacity, sizeof(*at));
        if (list->count)
            memcpy(at, list->at, list->count * sizeof(*at));
        list->at = at;
        list->capacity = capacity;
    }
    list->at[list->count++] = l;
}

static int take(struct dlq *d, int64_t timeout_us, struct letter **ret_letter)
{
    struct bus_message *m;
    int r = browse_next(d->browse, d->arena, timeout_us, &m);
    if (r == BROWSE_NOTHING)
        return *ret_letter = NULL, 0;
    if (r != 0)
        return broker_unreachable("the connection was lost");
    struct letter *l = ARENA_NEW(d->arena, struct letter);
    letter_read(d->arena, d->queue, m, l);
    d->bytes += m->body.len;
    letters_add(d->arena, &d->letters, l);
    *ret_letter = l;
    return 0;
}

static int take_all(struct dlq *d)
{
    while (d->letters.count < browse_depth(d->browse)) {
        struct letter *l;
        if (d->letters.count == LETTERS_LIMIT || d->bytes > BYTES_LIMIT) {
            d->partial = true;
            break;
        }
        int r = take(d, MISSING_US, &l);
        if (r != 0 || !l)
            return r;
    }
    return 0;
}

int dlq_open(struct ctl *ctl, const struct queue_row *queue, struct dlq *ret_dlq)
{
    char why[BROWSE_WHY_SIZE];
    struct dlq d = {.queue = queue, .opened_us = clock_mono_us()};
    if (!*ctl->amqp_url)
        return ctl_fail(CTL_USAGE, "OPS_AMQP_URL is not set; ./souk ctl sets it");
    int r = browse_open(ctl->amqp_url, queue->dead_letters, LETTERS_LIMIT + 1, &d.browse, why);
    if (r == BROWSE_NO_QUEUE)
        return ctl_fail(CTL_WRONG, "the broker has no queue %s: import rabbitmq/definitions.json",
            queue->dead_letters);
    if (r == ERR_INVALID)
        return ctl_fail(CTL_USAGE, "%s", why);
    if (r != 0)
        return broker_unreachable(why);
    d.arena = arena_new();
    r = take_all(&d);
    if (r != 0) {
        (void)dlq_close(&d);
        return r;
    }
    *ret_dlq = d;
    return 0;
}

int dlq_arrival(struct dlq *d, int64_t timeout_us, struct letter **ret_letter)
{
    return take(d, timeout_us, ret_letter);
}

int dlq_close(struct dlq *d)
{
    int r = browse_close(d->browse);
    arena_free(d->arena);
    *d = (struct dlq){0};
    return r == 0 ? 0
                  : broker_unreachable("it did not say goodbye; the last letters may come again");
}

int dlq_each(struct ctl *ctl, const struct queue_row *only, void (*look)(struct dlq *d, void *ctx),
    void *ctx)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < queue_rows_count; i++) {
        struct dlq d;
        if (only && only != &queue_rows[i])
            continue;
        if ((r = dlq_open(ctl, &queue_rows[i], &d)) != 0)
            return r;
        look(&d, ctx);
        r = dlq_close(&d);
    }
    return r;
}

/* An event that fails again is another letter: it has another time. */
static const char *settled_key(struct arena *a, const struct letter *l)
{
    return arena_printf(a, "%s %lld", l->id, (long long)l->failed_us);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void settled_add(struct settled *s, const struct letter *l)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 64;
        const char **keys = arena_array(s->arena, capacity, sizeof(*keys));
        if (s->count)
            memcpy(keys, s->keys, s->count * sizeof(*keys));
        s->keys = keys;
        s->capacity = capacity;
    }
    s->keys[s->count++] = settled_key(s->arena, l);
    s->sorted = false;
}

bool settled_has(struct settled *s, const struct letter *l)
{
    if (s->count == 0)
        return false;
    if (!s->sorted)
        qsort(s->keys, s->count, sizeof(*s->keys), compare_keys);
    s->sorted = true;
    struct arena *a = arena_new();
    const char *key = settled_key(a, l);
    bool found = bsearch(&key, s->keys, s->count, sizeof(*s->keys), compare_keys) != NULL;
    arena_free(a);
    return found;
}

static int settle_round(struct dlq *d, struct settled *s, size_t *ret_left)
{
    size_t left = 0;
    for (size_t i = 0; i < d->letters.count; i++) {
        if (!settled_has(s, d->letters.at[i]))
            continue;
        left++;
        if (browse_ack(d->browse, d->letters.at[i]->message->tag) != 0)
            return broker_unreachable("the connection was lost; look again what is left");
    }
    *ret_left = left;
    return 0;
}

int dlq_settle_rest(struct ctl *ctl, const struct queue_row *queue, struct settled *s)
{
    size_t left = s->count;
    for (int i = 0; left > 0 && i < SETTLE_ROUNDS; i++) {
        struct dlq d;
        int r = dlq_open(ctl, queue, &d);
        if (r != 0)
            return r;
        r = settle_round(&d, s, &left);
        int closed = dlq_close(&d);
        if (r != 0 || closed != 0)
            return r ? r : closed;
    }
    return left == 0 ? 0
                     : ctl_fail(CTL_WRONG, "%zu letters are done with but still in %s: do it again",
                           left, queue->dead_letters);
}

struct letters dlq_select(struct dlq *d, const struct letter_filter *f)
{
    struct letters chosen = {0};
    for (size_t i = 0; i < d->letters.count; i++)
        if (letter_matches(f, d->letters.at[i]))
            letters_add(d->arena, &chosen, d->letters.at[i]);
    return chosen;
}

const char *age_text(struct arena *a, int64_t age_us)
{
    int64_t s = age_us > 0 ? age_us / USEC_PER_SEC : 0;
    if (s < 100)
        return arena_printf(a, "%llds", (long long)s);
    if (s < 6000)
        return arena_printf(a, "%lldm", (long long)s / 60);
    return s < 172800 ? arena_printf(a, "%lldh", (long long)s / 3600)
                      : arena_printf(a, "%lldd", (long long)s / 86400);
}

static const char *age_since(struct arena *a, int64_t wall_us)
{
    return wall_us ? age_text(a, clock_wall_us() - wall_us) : "?";
}

void dlq_print(struct ctl *ctl, const struct letters *letters)
{
    static const char *const titles[] = {"EVENT", "QUEUE", "CODE", "TYPE", "AGE", "ERROR"};
    struct arena *a = fiber_arena();
    struct sheet *s = sheet_new(a, titles, ARRAY_SIZE(titles));
    for (size_t i = 0; i < letters->count; i++) {
        const struct letter *l = letters->at[i];
        sheet_add(s, (const char *const[]){l->id, l->queue->queue, l->code, l->type,
                         age_since(a, l->failed_us), arena_printf(a, "%.100s", l->error)});
    }
    if (letters->count)
        sheet_print(s, ctl->out);
}

/* ---- list ---- */

struct group {
    struct group *next;
    struct letter first; /* its texts are copies */
    int64_t count, oldest_us, newest_us;
};

struct listing {
    struct letter_filter filter;
    struct arena *arena;
    struct group *groups, **last;
    int64_t total;
    bool partial;
};

static struct group *group_of(struct listing *all, const struct letter *l)
{
    for (struct group *g = all->groups; g; g = g->next)
        if (memcmp(g->first.group, l->group, GROUP_SIZE) == 0)
            return g;
    struct group *g = ARENA_NEW(all->arena, struct group);
    g->first = *l;
    g->first.message = NULL;
    g->first.id = arena_strdup(all->arena, l->id);
    g->first.code = arena_strdup(all->arena, l->code);
    g->first.error = arena_strdup(all->arena, l->error);
    g->first.type = arena_strdup(all->arena, l->type);
    g->oldest_us = g->newest_us = l->failed_us;
    *all->last = g;
    all->last = &g->next;
    return g;
}

static void list_queue(struct dlq *d, void *listing)
{
    struct listing *all = listing;
    struct letters chosen = dlq_select(d, &all->filter);
    for (size_t i = 0; i < chosen.count; i++) {
        const struct letter *l = chosen.at[i];
        struct group *g = group_of(all, l);
        g->count++;
        if (l->failed_us < g->oldest_us)
            g->oldest_us = l->failed_us;
        if (l->failed_us > g->newest_us)
            g->newest_us = l->failed_us;
    }
    all->total += (int64_t)chosen.count;
    all->partial = all->partial || d->partial;
}

static void list_json(struct ctl *ctl, const struct listing *all)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_object_begin(&w);
    json_put_i64(&w, "total", all->total);
    json_put_bool(&w, "partial", all->partial);
    json_key(&w, "groups");
    json_array_begin(&w);
    for (const struct group *g = all->groups; g; g = g->next) {
        json_object_begin(&w);
        json_put_text(&w, "group", g->first.group);
        json_put_text(&w, "queue", g->first.queue->queue);
        json_put_text(&w, "code", g->first.code);
        json_put_text(&w, "type", g->first.type);
        json_put_i64(&w, "count", g->count);
        json_put_time(&w, "oldestAt", g->oldest_us);
        json_put_time(&w, "newestAt", g->newest_us);
        json_put_text(&w, "sampleId", g->first.id);
        json_put_text(&w, "sampleError", g->first.error);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    fprintf(ctl->out, "%s\n", out.ptr);
    buf_deinit(&out);
}

static void list_table(struct ctl *ctl, const struct listing *all)
{
    static const char *const titles[] = {
        "GROUP", "QUEUE", "CODE", "TYPE", "COUNT", "OLDEST", "NEWEST", "FOR EXAMPLE"};
    struct arena *a = all->arena;
    struct sheet *s = sheet_new(a, titles, ARRAY_SIZE(titles));
    for (const struct group *g = all->groups; g; g = g->next)
        sheet_add(s, (const char *const[]){g->first.group, g->first.queue->queue, g->first.code,
                         g->first.type, arena_printf(a, "%lld", (long long)g->count),
                         age_since(a, g->oldest_us), age_since(a, g->newest_us),
                         arena_printf(a, "%.80s", g->first.error)});
    if (all->groups)
        sheet_print(s, ctl->out);
    fprintf(ctl->out, all->total == 1 ? "%lld dead letter%s\n" : "%lld dead letters%s\n",
        (long long)all->total, all->partial ? ", and more than could be looked at" : "");
}

static int list_run(struct ctl *ctl, const struct args *args)
{
    bool any;
    struct listing all = {.arena = fiber_arena()};
    all.last = &all.groups;
    int r = dlq_filter(args, &all.filter, &any);
    if (r == 0)
        r = dlq_each(ctl, all.filter.queue, list_queue, &all);
    if (r != 0)
        return r;
    (ctl->json ? list_json : list_table)(ctl, &all);
    return CTL_DONE;
}

static const struct option_row list_options[] = {DLQ_FILTER_OPTIONS};
const struct command dlq_list_command = {"dlq", "list", NULL,
    "Shows the dead letters, grouped by queue, error code and event type.",
    "soukctl dlq list\n"
    "soukctl dlq list --queue order --newer-than 2h\n"
    "soukctl dlq list --json | jq '.groups[] | select(.count > 10)'",
    list_options, ARRAY_SIZE(list_options), list_run};

/* ---- show ---- */

static void show_body(struct ctl *ctl, const struct letter *l)
{
    struct buf out = {0};
    if (text_is_object(l->message->body))
        json_pretty(l->message->body, true, &out);
    else
        buf_printf(&out, "%s\n", text_harmless(fiber_arena(), l->message->body));
    fwrite(out.ptr, 1, out.len, ctl->out);
    buf_deinit(&out);
}

static void show_text(struct ctl *ctl, const struct letter *l)
{
    static const char *const titles[] = {"HEADER", "VALUE"};
    struct arena *a = fiber_arena();
    const struct bus_message *m = l->message;
    struct sheet *s = sheet_new(a, titles, 2);
    const char *const properties[][2] = {{"queue", l->queue->dead_letters},
        {"message_id", m->message_id}, {"type", m->type}, {"correlation_id", m->correlation_id},
        {"user_id", m->user_id}, {"app_id", m->app_id}, {"group", l->group}};
    for (size_t i = 0; i < ARRAY_SIZE(properties); i++)
        if (properties[i][1])
            sheet_add(s, properties[i]);
    for (size_t i = 0; i < m->headers_count; i++) {
        const struct bus_header *h = &m->headers[i];
        sheet_add(s, (const char *const[]){h->name,
                         h->text ? h->text : arena_printf(a, "%lld", (long long)h->value)});
    }
    sheet_print(s, ctl->out);
    fputc('\n', ctl->out);
    show_body(ctl, l);
}

static void show_json(struct json_writer *w, const struct letter *l)
{
    const struct bus_message *m = l->message;
    struct buf body = {0};
    json_object_begin(w);
    json_put_text(w, "id", l->id);
    json_put_text(w, "queue", l->queue->queue);
    json_put_text(w, "group", l->group);
    json_put_text(w, "code", l->code);
    json_put_text(w, "type", l->type);
    json_put_time(w, "failedAt", l->failed_us);
    json_put_text(w, "correlationId", m->correlation_id);
    json_put_text(w, "userId", m->user_id);
    json_key(w, "headers");
    json_object_begin(w);
    for (size_t i = 0; i < m->headers_count; i++) {
        if (m->headers[i].text)
            json_put_text(w, m->headers[i].name, m->headers[i].text);
        else
            json_put_i64(w, m->headers[i].name, m->headers[i].value);
    }
    json_object_end(w);
    json_key(w, "body");
    if (text_is_object(m->body)) {
        json_compact(m->body, true, &body);
        json_raw(w, buf_span(&body));
    } else {
        json_span(w, m->body);
    }
    json_object_end(w);
    buf_deinit(&body);
}

struct showing {
    struct ctl *ctl;
    struct letter_filter filter;
    struct buf out;
    struct json_writer json;
    size_t found;
    bool body_only;
};

static void show_queue(struct dlq *d, void *showing)
{
    struct showing *s = showing;
    struct ctl *ctl = s->ctl;
    struct letters chosen = dlq_select(d, &s->filter);
    for (size_t i = 0; i < chosen.count; i++) {
        if (ctl->json)
            show_json(&s->json, chosen.at[i]);
        else if (s->body_only)
            show_body(ctl, chosen.at[i]);
        else
            show_text(ctl, chosen.at[i]);
        s->found++;
    }
}

static int show_run(struct ctl *ctl, const struct args *args)
{
    struct showing s = {.ctl = ctl,
        .filter = {.ids = args->positions[0], .now_us = clock_wall_us()},
        .body_only = args_given(args, "body")};
    const char *queue = args_text(args, "queue");
    if (queue && !(s.filter.queue = queue_find(queue)))
        return ctl_fail(CTL_USAGE, "--queue %s: there is no such queue or service", queue);
    s.json = json_writer_on(&s.out);
    json_array_begin(&s.json);
    int r = dlq_each(ctl, s.filter.queue, show_queue, &s);
    json_array_end(&s.json);
    if (r == 0 && ctl->json)
        fprintf(ctl->out, "%s\n", s.out.ptr);
    buf_deinit(&s.out);
    if (r == 0 && s.found == 0)
        r = ctl_fail(CTL_WRONG, "%s is in no dead letter queue", args->positions[0]);
    return r;
}

static const struct option_row show_options[] = {
    {"queue", "QUEUE", OPTION_TEXT, "only of this queue or service"},
    {"body", NULL, OPTION_FLAG, "only the event, without what is known about its failure"},
};
const struct command dlq_show_command = {"dlq", "show", "ID",
    "Shows one event's dead letters whole: why, when, where, and the event (secrets masked).",
    "soukctl dlq show 0190c5b4-8d0e-7c3e-a0f2-5b9d6a1c7e42\n"
    "soukctl dlq show 0190c5b4-8d0e-7c3e-a0f2-5b9d6a1c7e42 --body >event.json",
    show_options, ARRAY_SIZE(show_options), show_run};

/* ---- drop ---- */

static int drop_letters(
    struct dlq *d, const struct audit *audit, const struct letters *chosen, struct settled *dropped)
{
    const struct letter *const *letters = (const struct letter *const *)chosen->at;
    if (!audit_intent(audit, letters, chosen->count))
        return CTL_WRONG;
    int r = 0;
    for (size_t i = 0; i < chosen->count && r == 0; i++) {
        r = browse_ack(d->browse, chosen->at[i]->message->tag);
        settled_add(dropped, chosen->at[i]);
    }
    return r == 0 ? 0 : broker_unreachable("the connection was lost; look again what is left");
}

static int drop_queue(struct ctl *ctl, const struct queue_row *queue, const struct letter_filter *f,
    const struct audit *audit, bool dry, size_t *count)
{
    struct dlq d;
    struct settled dropped = {.arena = fiber_arena()};
    int r = dlq_open(ctl, queue, &d);
    if (r != 0)
        return r;
    struct letters chosen = dlq_select(&d, f);
    *count += chosen.count;
    if (!ctl->json)
        dlq_print(ctl, &chosen);
    if (dry || chosen.count == 0)
        return dlq_close(&d);
    r = drop_letters(&d, audit, &chosen, &dropped);
    /* The letters' memory goes with the queue, so the outcome names the run alone. */
    int closed = dlq_close(&d);
    if (r == 0)
        r = closed ? closed : dlq_settle_rest(ctl, queue, &dropped);
    return audit_outcome(audit, NULL, 0, r == 0 ? "dropped" : "unknown") ? r : CTL_WRONG;
}

static int drop_run(struct ctl *ctl, const struct args *args)
{
    struct letter_filter f;
    bool any, dry = args_given(args, "dry-run");
    size_t count = 0;
    char run[UUID_TEXT_SIZE];
    uuid_make(run);
    const char *reason = args_text(args, "reason");
    struct audit audit = {.path = ctl->audit_path, .action = "drop", .run = run, .reason = reason};
    int r = dlq_filter(args, &f, &any);
    if (r != 0)
        return r;
    if (!reason || span_trim(span_of(reason)).len == 0)
        return ctl_fail(CTL_USAGE, "dlq drop needs a --reason: it is the only trace that remains");
    if (any && !args_given(args, "all"))
        return ctl_fail(CTL_USAGE, "say which letters (--group, --id, ...), or --all");
    for (size_t i = 0; r == 0 && i < queue_rows_count; i++)
        if (!f.queue || f.queue == &queue_rows[i])
            r = drop_queue(ctl, &queue_rows[i], &f, &audit, dry, &count);
    if (r == 0 && ctl->json)
        fprintf(ctl->out, "{\"run\":\"%s\",\"dryRun\":%s,\"dropped\":%zu}\n", run,
            dry ? "true" : "false", dry ? 0 : count);
    else if (r == 0)
        fprintf(ctl->out, "%zu %s\n", count, dry ? "would be dropped" : "dropped");
    return r;
}

static const struct option_row drop_options[] = {DLQ_FILTER_OPTIONS,
    {"all", NULL, OPTION_FLAG, "every dead letter"},
    {"reason", "TEXT", OPTION_TEXT, "why they may go; goes into the audit log with the events"},
    {"dry-run", NULL, OPTION_FLAG, "only show which"}};
const struct command dlq_drop_command = {"dlq", "drop", NULL,
    "Throws dead letters away. The audit log keeps them, secrets masked.",
    "soukctl dlq drop --group 1f3a90bc --reason 'test orders of the load run' --dry-run\n"
    "soukctl dlq drop --queue cart --older-than 30d --reason 'carts are long gone'",
    drop_options, ARRAY_SIZE(drop_options), drop_run};
