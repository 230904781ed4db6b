/* The consumer tables live in the services' own events.c, and a service prints them when asked with
 * --describe. So they are asked: what is told is what the installed programs do, and nothing is
 * written down twice. A program that hangs is ended. */

#include "ctl/services.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/json/reader.h"
#include "ctl/ctl.h"
#include "ctl/databases.h"

#define DESCRIBE_LIMIT (1024 * 1024)
#define DESCRIBE_US    (10 * USEC_PER_SEC)
#define PIECE          65536

static const struct field published_fields[] = {
    FIELD_TEXT(struct service_published, type, "type", .required = true)};
static const struct table published_table =
    TABLE("Published", struct service_published, published_fields);

static const struct field service_fields[] = {
    FIELD_TEXT(struct service_tables, name, "service", .required = true),
    FIELD_TEXT(struct service_tables, queue, "queue"),
    FIELD_TEXTS(struct service_tables, consumes, "consumes"),
    FIELD_LIST(struct service_tables, publishes, "publishes", published_table),
};
static const struct table service_table =
    TABLE("ServiceTables", struct service_tables, service_fields);

const char *service_read(struct arena *a, struct span text, struct service_tables *ret_service)
{
    struct json_errors errors;
    struct service_tables s;
    if (json_read(a, text, &service_table, JSON_LENIENT, &s, &errors) != 0)
        return arena_printf(a, "%s: %s", errors.count ? errors.at[0].pointer : "",
            errors.count ? errors.at[0].detail : "is no JSON");
    *ret_service = s;
    return NULL;
}

/* ---- asking ---- */

static const char *folder(struct arena *a)
{
    static const char link[] = "/proc/self/exe";
    const char *named = getenv("SOUK_SERVICES");
    if (named && *named)
        return named;
    char path[4096];
    ssize_t n = readlink(link, path, sizeof(path));
    while (n > 0 && path[n - 1] != '/')
        n--;
    return n > 0 ? arena_strndup(a, path, (size_t)n) : ".";
}

static bool read_all(int fd, struct buf *out, int64_t deadline_us)
{
    for (;;) {
        int64_t left_us = deadline_us - clock_mono_us();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, left_us > 0 ? (int)(left_us / USEC_PER_MS) + 1 : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0 || out->len > DESCRIBE_LIMIT)
            return false;
        buf_reserve(out, PIECE);
        ssize_t n = read(fd, out->ptr + out->len, PIECE);
        if (n <= 0)
            return n == 0;
        out->len += (size_t)n;
    }
}

/* Runs `program --describe`; true when it ended well and its output is whole. */
static bool run_describe(const char *program, struct buf *out)
{
    int ends[2], status = -1;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGPIPE, SIG_DFL);
        dup2(ends[1], STDOUT_FILENO);
        execl(program, program, "--describe", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    bool whole = child > 0 && read_all(ends[0], out, clock_mono_us() + DESCRIBE_US);
    close(ends[0]);
    if (child > 0 && !whole)
        (void)kill(child, SIGKILL);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return whole && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int ask(struct arena *a, const char *program, struct service_tables *ret_service)
{
    struct buf out = {0};
    const char *wrong = "does not describe itself; soukctl looks for the services beside itself, "
                        "or in the folder SOUK_SERVICES";
    if (run_describe(program, &out))
        wrong = service_read(a, buf_span(&out), ret_service);
    buf_deinit(&out);
    return wrong ? ctl_fail(CTL_USAGE, "%s: %s", program, wrong) : 0;
}

int services_load(struct arena *a, struct services *ret_services)
{
    struct services s = {.at = arena_array(a, SERVICES_COUNT, sizeof(*s.at))};
    const char *where = folder(a);
    for (; s.count < SERVICES_COUNT; s.count++) {
        int r = ask(a, arena_printf(a, "%s/souk-%s", where, ctl_services[s.count]), &s.at[s.count]);
        if (r != 0)
            return r;
    }
    *ret_services = s;
    return 0;
}

/* ---- looking ---- */

const struct service_tables *services_find(const struct services *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->at[i].name, name) == 0)
            return &s->at[i];
    return NULL;
}

bool service_handles(const struct services *s, const char *name, const char *type)
{
    const struct service_tables *service = services_find(s, name);
    for (size_t i = 0; service && i < service->consumes.len; i++)
        if (strcmp(*LIST_AT(service->consumes, const char *, i), type) == 0)
            return true;
    return false;
}

const struct topology_consumer *topology_consumers(
    struct arena *a, const struct topology *t, const struct services *s, const char *type)
{
    const struct queue_row *const *queues = topology_queues_for(a, t, type);
    struct topology_consumer *found = arena_array(a, queue_rows_count + 1, sizeof(*found));
    for (size_t i = 0; queues[i]; i++)
        found[i] = (struct topology_consumer){
            .queue = queues[i], .handles = service_handles(s, queues[i]->service, type)};
    return found;
}
