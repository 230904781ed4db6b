#include "load/watch.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/json/reader.h"
#include "common/net/client.h"

/* A part is a process and its children: PostgreSQL is one parent with many, the gateway a master
 * with workers. CPU of children that have ended is in their parent's books. The kernel lists a
 * process's children in /proc/PID/task/PID/children (those that its first thread started; all of
 * these servers do it there). */

#define QUEUES_PATH  "/api/queues/%2f?columns=name,messages"
#define QUEUES_EVERY 5 /* samples: the broker itself counts every five seconds */

struct watch_source {
    struct http_client *client;
    struct http_peer *broker; /* NULL: not known */
};

static const char *const services[] = {
    "auth", "cart", "order", "payment", "seller", "notification", "aibuddy"};
static const char *const servers[] = {"gateway", "postgres", "redis", "rabbitmq", "mail"};

/* ---- processes ---- */

static void part_add(struct watch *w, const char *state, const char *name)
{
    char path[4096];
    long pid;
    snprintf(path, sizeof(path), "%s/run/%s.pid", state, name);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    if (fscanf(f, "%ld", &pid) == 1 && pid > 0 && w->parts_count < WATCH_PARTS_LIMIT) {
        snprintf(w->parts[w->parts_count].name, WATCH_NAME_SIZE, "%s", name);
        w->parts[w->parts_count++].pid = pid;
    }
    fclose(f);
}

/* Adds what the process has used; that of its children that have ended, too, when `whole`. */
static void process_count(long pid, bool whole, double *cpu_s, double *memory_mb)
{
    char path[64], line[1024];
    unsigned long user, system;
    long gone_user, gone_system, pages;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    size_t n = fread(line, 1, sizeof(line) - 1, f);
    fclose(f);
    line[n] = 0;
    const char *rest = strrchr(line, ')'); /* the name may hold anything */
    if (!rest || sscanf(rest + 2,
                     "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %ld %ld "
                     "%*d %*d %*d %*d %*u %*u %ld",
                     &user, &system, &gone_user, &gone_system, &pages) != 5)
        return;
    double ticks = (double)(user + system) + (whole ? (double)(gone_user + gone_system) : 0);
    *cpu_s += ticks / (double)sysconf(_SC_CLK_TCK);
    *memory_mb += (double)pages * (double)sysconf(_SC_PAGESIZE) / 1048576;
}

static void processes_look(const struct watch *w, struct watch_sample *s)
{
    for (size_t i = 0; i < w->parts_count; i++) {
        char path[64];
        long child, pid = w->parts[i].pid;
        process_count(pid, true, &s->cpu_s[i], &s->memory_mb[i]);
        snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", pid, pid);
        FILE *f = fopen(path, "r");
        while (f && fscanf(f, "%ld", &child) == 1)
            process_count(child, false, &s->cpu_s[i], &s->memory_mb[i]);
        if (f)
            fclose(f);
    }
}

/* ---- queues ---- */

struct queue_row {
    const char *name;
    int64_t messages;
};
static const struct field queue_fields[] = {
    FIELD_TEXT(struct queue_row, name, "name"),
    FIELD_I64(struct queue_row, messages, "messages"),
};
static const struct table queue_table = TABLE("Queue", struct queue_row, queue_fields);

static int64_t *queue_place(struct watch *w, struct watch_sample *s, const char *name)
{
    size_t n = strlen(name);
    if (n < 6 || strcmp(name + n - 6, "-queue") != 0)
        return NULL; /* retry tiers, dead letters, the audit stream */
    for (size_t i = 0; i < w->queues_count; i++)
        if (strcmp(w->queues[i], name) == 0)
            return &s->waiting[i];
    if (w->queues_count == WATCH_QUEUES_LIMIT)
        return NULL;
    snprintf(w->queues[w->queues_count], WATCH_NAME_SIZE, "%s", name);
    return &s->waiting[w->queues_count++];
}

static PARKS void queues_look(struct watch *w, struct watch_sample *s)
{
    struct http_answer answer;
    struct list rows;
    struct json_errors errors;
    if (http_call(w->source->broker, &(struct http_call){.method = HTTP_GET, .path = QUEUES_PATH},
            &answer) != 0 ||
        answer.status != 200 ||
        json_read_list(fiber_arena(), answer.body, &queue_table, JSON_LENIENT, &rows, &errors) != 0)
        return;
    w->queues_known = true;
    for (size_t i = 0; i < rows.len; i++) {
        const struct queue_row *q = LIST_AT(rows, const struct queue_row, i);
        int64_t *place = q->name ? queue_place(w, s, q->name) : NULL;
        if (place)
            *place = q->messages;
    }
}

/* ---- life ---- */

struct watch *watch_new(struct loop *l, const char *state, const char *management_url)
{
    struct watch *w = MEM_NEW(struct watch);
    w->source = MEM_NEW(struct watch_source);
    for (size_t i = 0; state && i < ARRAY_SIZE(services); i++)
        part_add(w, state, services[i]);
    for (size_t i = 0; state && i < ARRAY_SIZE(servers); i++)
        part_add(w, state, servers[i]);
    if (management_url && *management_url) {
        w->source->client = http_client_new(l);
        w->source->broker =
            http_peer_new(w->source->client, &(struct http_peer_config){.name = "rabbitmq",
                                                 .base_url = management_url,
                                                 .timeout_us = USEC_PER_SEC,
                                                 .retry_limit = HTTP_RETRIES_NONE});
    }
    if (w->parts_count > 0 || w->source->broker)
        return w;
    watch_free(w);
    return NULL;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    if (w->source->broker)
        http_peer_free(w->source->broker);
    http_client_free(w->source->client);
    mem_free(w->source);
    mem_free(w->samples);
    mem_free(w);
}

void watch_look(struct watch *w)
{
    struct watch_sample s = {.at_us = clock_mono_us()};
    processes_look(w, &s);
    if (w->source->broker && w->samples_count % QUEUES_EVERY == 0)
        queues_look(w, &s);
    else if (w->samples_count > 0)
        memcpy(s.waiting, w->samples[w->samples_count - 1].waiting, sizeof(s.waiting));
    if (w->samples_count == w->samples_room) {
        w->samples_room = w->samples_room ? w->samples_room * 2 : 64;
        w->samples = mem_resize(w->samples, w->samples_room * sizeof(*w->samples));
    }
    w->samples[w->samples_count++] = s;
}

double watch_cpu(const struct watch *w, size_t part, int64_t from_us, int64_t to_us)
{
    const struct watch_sample *first = NULL, *last = NULL;
    for (size_t i = 0; i < w->samples_count; i++) {
        const struct watch_sample *s = &w->samples[i];
        if (s->at_us <= from_us || !first)
            first = s;
        last = s;
        if (s->at_us >= to_us)
            break;
    }
    double used = first ? last->cpu_s[part] - first->cpu_s[part] : 0;
    return used > 0 ? used : 0; /* it was started again meanwhile */
}

bool watch_is_service(const struct watch *w, size_t part)
{
    for (size_t i = 0; i < ARRAY_SIZE(services); i++)
        if (strcmp(w->parts[part].name, services[i]) == 0)
            return true;
    return false;
}
