/* The books after a run: ./souk load names the audit of its suite in $SOUK_AUDIT. It is a program
 * of its own, for one who doubts should not have to believe the one who made the load; here its
 * lines are read and told again. It waits for rest, and shows on the terminal for what. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/json/reader.h"
#include "load/load.h"

#define REST_SECONDS "300" /* a load may leave a backlog */
#define PIECE        4096

static const struct field line_fields[] = {
    FIELD_TEXT(struct audit_line, name, "invariant"),
    FIELD_TEXT(struct audit_line, sentence, "sentence"),
    FIELD_BOOL(struct audit_line, holds, "holds"),
    FIELD_I64(struct audit_line, count, "count"),
    FIELD_I64(struct audit_line, differences, "differences"),
    FIELD_TEXTS(struct audit_line, first, "first", .max = 100),
};
static const struct table line_table = TABLE("AuditLine", struct audit_line, line_fields);

static pid_t audit_start(const char *program, int *ret_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGPIPE, SIG_DFL);
        (void)signal(SIGINT, SIG_DFL);
        (void)signal(SIGTERM, SIG_DFL);
        dup2(ends[1], STDOUT_FILENO);
        execl(program, program, "--json", "--wait", REST_SECONDS, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *ret_fd = ends[0];
    if (child < 0)
        close(ends[0]);
    return child;
}

/* Waits with the whole process: the run is over. */
static void read_all(int fd, struct buf *out)
{
    for (;;) {
        buf_reserve(out, PIECE);
        ssize_t n = read(fd, out->ptr + out->len, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        out->len += (size_t)n;
    }
}

static void lines_read(struct audit *audit, struct span text)
{
    struct span line;
    struct json_errors errors;
    while (audit->count < AUDIT_LINES_LIMIT && span_cut(&text, '\n', &line)) {
        struct audit_line *l = &audit->lines[audit->count];
        if (json_read(fiber_arena(), line, &line_table, JSON_LENIENT, l, &errors) == 0 && l->name &&
            l->sentence)
            audit->count++;
    }
}

void audit_run(struct audit *ret_audit, const char *program)
{
    struct buf out = {0};
    int fd, status = -1;
    struct audit *audit = ret_audit;
    *audit = (struct audit){.asked = true};
    pid_t child = audit_start(program, &fd);
    if (child > 0) {
        read_all(fd, &out);
        close(fd);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
        lines_read(audit, buf_span(&out));
    }
    buf_deinit(&out);
    audit->exit_code = child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool audit_failed(const struct audit *audit)
{
    return audit->asked && (audit->exit_code != 0 || audit->count == 0);
}

const char *audit_verdict(const struct audit *audit)
{
    size_t held = 0;
    for (size_t i = 0; i < audit->count; i++)
        held += audit->lines[i].holds;
    if (audit->exit_code != 0 && audit->exit_code != 1)
        return "the books could not be read";
    return arena_printf(fiber_arena(), "%zu of %zu invariants hold", held, audit->count);
}
