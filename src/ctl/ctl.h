#pragma once

/* soukctl: the operators' tool. A command is a row of a table (name, arguments, options, run);
 * help, usage errors and shell completion come from the same rows. A command runs on a fiber,
 * prints through a sheet or a JSON writer, and answers with one of the exit codes. */

#include <stdio.h>

#include "common/base/arena.h"
#include "common/fiber/fiber.h"
#include "common/fiber/loop.h"

enum ctl_exit {
    CTL_DONE = 0,
    CTL_WRONG = 1,       /* something was found wrong, failed again, or could not be done */
    CTL_USAGE = 2,       /* the command line or the environment */
    CTL_UNREACHABLE = 3, /* a server is not there */
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_COUNT, OPTION_DURATION };

struct option_row {
    const char *name;  /* without the dashes */
    const char *value; /* what help calls it: "QUEUE"; NULL for flags */
    enum option_kind kind;
    const char *doc;
};

#define CTL_OPTIONS_LIMIT   24
#define CTL_POSITIONS_LIMIT 4

struct args;
struct ctl;
typedef int (*command_fn)(struct ctl *ctl, const struct args *args);

struct command {
    const char *group, *name; /* "dlq", "list"; name NULL: the group is the command */
    const char *positions;    /* "ID"; NULL: none. Each is required, parted by a blank. */
    const char *doc;
    const char *examples; /* one a line */
    const struct option_row *options;
    size_t options_count;
    command_fn run;
};

/* What comes after the group, for "%s%s". */
#define COMMAND_NAME(c) (c)->name ? " " : "", (c)->name ? (c)->name : ""

struct args {
    const struct command *command;
    const char *positions[CTL_POSITIONS_LIMIT];
    size_t positions_count;
    const char *texts[CTL_OPTIONS_LIMIT]; /* by the option's place; NULL: not given */
    int64_t numbers[CTL_OPTIONS_LIMIT];   /* counts; durations in µs */
    bool json, help;
};

struct ctl {
    struct loop *loop;
    FILE *out; /* the real standard output: descriptor 1 is the log's */
    bool json, tty;
    const char *amqp_url; /* "" when nobody told */
    const char *audit_path;
};

/* Fills `*ret_args` from the words after the command's name. 0, or CTL_USAGE with a sentence on
 * stderr. */
int args_parse(const struct command *c, int argc, char **argv, struct args *ret_args);
const char *args_text(const struct args *args, const char *option); /* NULL: not given */
bool args_given(const struct args *args, const char *option);
int64_t args_number(const struct args *args, const char *option, int64_t otherwise);
bool duration_parse(const char *text, int64_t *ret_us); /* "90s", "15m", "2h", "3d"; to 36500d */
/* An age or an RFC 3339 time, to wall time. */
bool since_parse(const char *text, int64_t *ret_wall_us);
#define SINCE_USAGE "--since %s: must be an age like 2h, or a time like 2026-01-31T08:00:00Z"

const struct command *const *ctl_commands(void); /* NULL-terminated */
/* NULL: there is none. A command that is a group alone is found whatever comes after it. */
const struct command *command_find(const char *group, const char *name);
void command_help(const struct command *c, FILE *to);
void ctl_help(FILE *to);
void ctl_complete(int argc, char **argv, FILE *to); /* the words that may come next */

/* A sentence on stderr, after "soukctl: ". Returns `code`. */
int ctl_fail(enum ctl_exit code, const char *fmt, ...) PRINTF(2, 3);
/* "SERVER can't be reached: WHY", and how to start it. Returns CTL_UNREACHABLE. */
int ctl_unreachable(const char *server, const char *why);
int broker_unreachable(const char *why);
/* Who runs this: the person behind sudo, else the account. In the process's life. */
const char *ctl_operator(void);

extern const struct command dlq_list_command, dlq_show_command, dlq_redrive_command,
    dlq_edit_command, dlq_drop_command, events_proof_command, events_tail_command,
    topology_check_command, topology_apply_command, outbox_status_command, replay_command;
