/* dlq edit: a dead letter's event is corrected by a person. The text is taken and given back before
 * the editor opens, since nobody knows how long that takes; afterwards the very same letter must
 * still be there. What says which event it is may not change: consumers know it by that. The new
 * letter is published with a confirm before the old one is acked. */

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/uuid.h"
#include "common/json/pretty.h"
#include "ctl/audit.h"
#include "ctl/diff.h"
#include "ctl/dlq.h"
#include "ctl/event_text.h"
#include "ctl/files.h"
#include "ctl/sheet.h"

#define TEXT_LIMIT (1024 * 1024)
#define PUBLISH_US (10 * USEC_PER_SEC)

/* ---- finding ---- */

struct found {
    const char *wanted; /* the event's id */
    const struct queue_row *queue;
    struct span body; /* in the fiber's arena */
    const char *type, *id;
    size_t count;
};

static void find_in(struct dlq *d, void *found)
{
    struct found *f = found;
    struct letters chosen = dlq_select(d, &(struct letter_filter){.ids = f->wanted});
    if (chosen.count == 0)
        return;
    const struct bus_message *m = chosen.at[0]->message;
    f->queue = d->queue;
    f->body = span_make(arena_strndup(fiber_arena(), m->body.ptr, m->body.len), m->body.len);
    f->type = arena_strdup(fiber_arena(), m->type);
    f->id = arena_strdup(fiber_arena(), m->message_id);
    f->count++;
}

static int find(struct ctl *ctl, const char *id, const char *queue, struct found *ret_found)
{
    const struct queue_row *only = queue ? queue_find(queue) : NULL;
    struct found f = {.wanted = id};
    if (queue && !only)
        return ctl_fail(CTL_USAGE, "--queue %s: there is no such queue or service", queue);
    int r = dlq_each(ctl, only, find_in, &f);
    if (r != 0)
        return r;
    if (f.count == 0)
        return ctl_fail(CTL_WRONG, "%s is in no dead letter queue", id);
    if (f.count > 1)
        return ctl_fail(
            CTL_USAGE, "%s is in %zu dead letter queues: say which with --queue", id, f.count);
    *ret_found = f;
    return 0;
}

/* ---- the new text ---- */

/* The operator's own editor, on the operator's own terminal: the keys that interrupt are its, too,
 * as long as it runs. */
static bool run_editor(const char *path, int terminal)
{
    int status = -1;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction interrupt, quit;
    (void)sigaction(SIGINT, &ignore, &interrupt);
    (void)sigaction(SIGQUIT, &ignore, &quit);
    pid_t child = fork();
    if (child == 0) {
        (void)sigaction(SIGINT, &interrupt, NULL);
        (void)sigaction(SIGQUIT, &quit, NULL);
        (void)signal(SIGPIPE, SIG_DFL);
        dup2(terminal, STDOUT_FILENO);
        execl("/bin/sh", "sh", "-c", "eval \"exec ${EDITOR:-vi} \\\"\\$1\\\"\"", "sh", path,
            (char *)NULL);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    (void)sigaction(SIGINT, &interrupt, NULL);
    (void)sigaction(SIGQUIT, &quit, NULL);
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static struct span edited_text(struct ctl *ctl, struct arena *a, struct span text)
{
    struct span after = {NULL, 0};
    const char *folder = getenv("TMPDIR");
    char *path = arena_printf(a, "%s/soukctl-XXXXXX.json", folder && *folder ? folder : "/tmp");
    int fd = mkstemps(path, 5);
    bool written = fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len;
    if (fd >= 0)
        close(fd);
    if (!written)
        (void)ctl_fail(CTL_WRONG, "%s can't be written: %s", path, strerror(errno));
    else if (!run_editor(path, fileno(ctl->out)))
        (void)ctl_fail(CTL_WRONG, "the editor did not end well; nothing was changed");
    else
        after = file_text(a, path, TEXT_LIMIT);
    if (fd >= 0)
        (void)unlink(path);
    return after;
}

static struct span laid_out(struct arena *a, struct span text, bool mask)
{
    struct buf out = {0};
    if (!text_is_object(text))
        return text;
    json_pretty(text, mask, &out);
    struct span copy = span_make(arena_strndup(a, out.ptr, out.len), out.len);
    buf_deinit(&out);
    return copy;
}

static struct span compact(struct arena *a, struct span text)
{
    struct buf out = {0};
    json_compact(text, false, &out);
    struct span copy = span_make(arena_strndup(a, out.ptr, out.len), out.len);
    buf_deinit(&out);
    return copy;
}

/* 0 when the new text may take the old one's place. */
static int check(const struct found *f, struct span after)
{
    struct arena *a = fiber_arena();
    struct event_identity old = event_identity(a, f->body), new = event_identity(a, after);
    const char *problem = event_problem(a, after);
    if (problem)
        return ctl_fail(
            CTL_WRONG, "the new text is no event that its consumers could take:\n%s", problem);
    if (!old.event_id)
        old.event_id = f->id;
    if (!old.type)
        old.type = f->type;
    const char *member = identity_changed(&old, &new);
    if (member)
        return ctl_fail(CTL_WRONG, "%s is locked: it says which event this is", member);
    return 0;
}

static void show_diff(struct ctl *ctl, struct span before, struct span after)
{
    struct arena *a = fiber_arena();
    struct buf out = {0};
    struct span rest, line;
    if (!diff_lines(laid_out(a, before, true), laid_out(a, after, true), &out))
        buf_put_text(&out, "  (only masked values differ)");
    rest = buf_span(&out);
    while (!ctl->json && rest.len && span_cut(&rest, '\n', &line))
        fprintf(ctl->out, "%s\n", text_harmless(a, line));
    buf_deinit(&out);
}

/* ---- putting it in place ---- */

struct replacing {
    struct ctl *ctl;
    const struct found *found;
    const char *id;
    struct span after;
    bool redrive;
    struct audit audit;
};

static struct bus_message replacement(
    const struct replacing *x, struct arena *a, const struct letter *l)
{
    char *now = arena_alloc(a, CLOCK_TEXT_SIZE);
    clock_format(clock_wall_us(), now);
    struct bus_message m =
        x->redrive ? letter_replay(a, l, ctl_operator(), now) : letter_again(a, l);
    struct event_identity identity = event_identity(a, x->after);
    letter_mark(&m, "souk-edited-by", ctl_operator());
    letter_mark(&m, "souk-edited-at", now);
    m.message_id = identity.event_id;
    m.type = identity.type;
    m.content_type = "application/json";
    m.body = x->after;
    return m;
}

static int publish(const struct replacing *x, const struct bus_message *m)
{
    int result = ERR_UNKNOWN;
    struct bus *bus =
        bus_new(x->ctl->loop, &(struct bus_config){.url = x->ctl->amqp_url, .name = "soukctl"});
    if (!bus)
        return ctl_fail(CTL_USAGE, "OPS_AMQP_URL is no amqp:// address");
    (void)bus_publish(bus, m, 1, &result, clock_mono_us() + PUBLISH_US);
    bus_free(bus);
    return result == 0
               ? 0
               : ctl_fail(CTL_WRONG,
                     "the broker did not confirm the new text: the old one stays, and the new one "
                     "may be there too");
}

static const struct letter *still_there(const struct replacing *x, struct dlq *d)
{
    struct letters chosen = dlq_select(d, &(struct letter_filter){.ids = x->id});
    for (size_t i = 0; i < chosen.count; i++)
        if (span_equal(chosen.at[i]->message->body, x->found->body))
            return chosen.at[i];
    return NULL;
}

static int replace_letter(const struct replacing *x, struct dlq *d)
{
    const struct letter *l = still_there(x, d);
    if (!l)
        return ctl_fail(CTL_WRONG, "%s is not there any more: somebody else was faster", x->id);
    if (!audit_intent(&x->audit, &l, 1))
        return CTL_WRONG;
    struct bus_message m = replacement(x, d->arena, l);
    int r = publish(x, &m);
    if (r == 0 && browse_ack(d->browse, l->message->tag) != 0)
        r = ctl_fail(CTL_UNREACHABLE, "the broker went away; the old text may still be there too");
    const char *result = r ? "not_changed" : x->redrive ? "edited_and_redriven" : "edited";
    return audit_outcome(&x->audit, &l, 1, result) ? r : CTL_WRONG;
}

static int put_in_place(const struct replacing *x)
{
    struct dlq d;
    int r = dlq_open(x->ctl, x->found->queue, &d);
    if (r != 0)
        return r;
    r = replace_letter(x, &d);
    int closed = dlq_close(&d);
    return r ? r : closed;
}

static int edit_run(struct ctl *ctl, const struct args *args)
{
    struct arena *a = fiber_arena();
    struct found f;
    char run[UUID_TEXT_SIZE];
    const char *id = args->positions[0], *file = args_text(args, "payload");
    int r = find(ctl, id, args_text(args, "queue"), &f);
    if (r != 0)
        return r;
    struct span after =
        file ? file_text(a, file, TEXT_LIMIT) : edited_text(ctl, a, laid_out(a, f.body, false));
    if (!after.ptr)
        return CTL_WRONG;
    if ((r = check(&f, after)) != 0)
        return r;
    if (text_is_object(f.body) && span_equal(compact(a, f.body), compact(a, after)))
        return ctl_fail(CTL_WRONG, "nothing was changed");
    show_diff(ctl, f.body, after);
    if (args_given(args, "dry-run")) {
        if (ctl->json)
            fputs("{\"run\":null,\"dryRun\":true,\"edited\":0}\n", ctl->out);
        return CTL_DONE;
    }
    uuid_make(run);
    r = put_in_place(&(struct replacing){.ctl = ctl,
        .found = &f,
        .id = id,
        .after = compact(a, after),
        .redrive = args_given(args, "redrive"),
        .audit = {.path = ctl->audit_path, .action = "edit", .run = run}});
    if (r == 0 && ctl->json)
        fprintf(ctl->out, "{\"run\":\"%s\",\"dryRun\":false,\"edited\":1}\n", run);
    return r;
}

static const struct option_row edit_options[] = {
    {"payload", "FILE", OPTION_TEXT,
        "the whole new event (- is standard input) instead of $EDITOR"},
    {"queue", "QUEUE", OPTION_TEXT, "where the event lies in several"},
    {"redrive", NULL, OPTION_FLAG, "send it back to its queue at once"},
    {"dry-run", NULL, OPTION_FLAG, "check it and show what would change"},
};
const struct command dlq_edit_command = {"dlq", "edit", "ID",
    "Corrects one dead letter's event and shows what changed. Its identity is locked (eventId,\n"
    "type, aggregateId, correlationId), and the result must be what the contract says.",
    "soukctl dlq edit 0190c5b4-8d0e-7c3e-a0f2-5b9d6a1c7e42\n"
    "soukctl dlq edit 0190c5b4-8d0e-7c3e-a0f2-5b9d6a1c7e42 --payload event.json --redrive",
    edit_options, ARRAY_SIZE(edit_options), edit_run};
