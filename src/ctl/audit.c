#include "ctl/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/json/pretty.h"
#include "common/json/writer.h"

/* The folders above the file, as far as they are missing. */
static void make_folders(const char *path)
{
    char *copy = mem_strdup(path);
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0755); /* what is wrong with it, open() will say */
        *slash = '/';
    }
    mem_free(copy);
}

static bool append(const char *path, struct span line)
{
    make_folders(path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
    bool done = fd >= 0 && write(fd, line.ptr, line.len) == (ssize_t)line.len && fsync(fd) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (!done)
        (void)ctl_fail(CTL_WRONG, "the audit log %s can't be written: %s (SOUK_CTL_AUDIT)", path,
            strerror(error));
    return done;
}

/* Of what is dropped the log keeps all that is left. */
static void put_body(struct json_writer *w, struct span body)
{
    json_key(w, "body");
    if (text_is_object(body)) {
        struct buf compact = {0};
        json_compact(body, true, &compact);
        json_raw(w, buf_span(&compact));
        buf_deinit(&compact);
    } else {
        json_span(w, body);
    }
}

static void put_letter(struct json_writer *w, const struct letter *l, bool body)
{
    json_object_begin(w);
    json_put_text(w, "id", l->id);
    json_put_text(w, "queue", l->queue->queue);
    json_put_text(w, "code", l->code);
    json_put_text(w, "type", l->type);
    if (body)
        put_body(w, l->message->body);
    json_object_end(w);
}

static void line_begin(
    struct json_writer *w, const struct audit *audit, const char *phase, const char *result)
{
    json_object_begin(w);
    json_put_time(w, "at", clock_wall_us());
    json_put_text(w, "who", ctl_operator());
    json_put_text(w, "action", audit->action);
    json_put_text(w, "phase", phase);
    json_put_text(w, "run", audit->run);
    if (audit->reason)
        json_put_text(w, "reason", audit->reason);
    if (result)
        json_put_text(w, "result", result);
}

static bool line_end(struct json_writer *w, const struct audit *audit)
{
    json_object_end(w);
    buf_put_char(w->out, '\n');
    bool done = append(audit->path, buf_span(w->out));
    buf_deinit(w->out);
    return done;
}

static bool put_line(const struct audit *audit, const char *phase, const char *result,
    const struct letter *const *letters, size_t count)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    bool body = strcmp(audit->action, "drop") == 0 && strcmp(phase, "intent") == 0;
    line_begin(&w, audit, phase, result);
    json_key(&w, "letters");
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++)
        put_letter(&w, letters[i], body);
    json_array_end(&w);
    return line_end(&w, audit);
}

bool audit_changes(
    const struct audit *audit, const char *result, const char *const *changes, size_t count)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    line_begin(&w, audit, result ? "outcome" : "intent", result);
    json_key(&w, "changes");
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++)
        json_text(&w, changes[i]);
    json_array_end(&w);
    return line_end(&w, audit);
}

bool audit_intent(const struct audit *audit, const struct letter *const *letters, size_t count)
{
    return put_line(audit, "intent", NULL, letters, count);
}

bool audit_outcome(const struct audit *audit, const struct letter *const *letters, size_t count,
    const char *result)
{
    return put_line(audit, "outcome", result, letters, count);
}
