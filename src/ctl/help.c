#include "ctl/ctl.h"

static const struct command *const commands[] = {&dlq_list_command, &dlq_show_command,
    &dlq_redrive_command, &dlq_edit_command, &dlq_drop_command, &events_proof_command,
    &events_tail_command, &topology_check_command, &topology_apply_command, &outbox_status_command,
    &replay_command, NULL};

const struct command *const *ctl_commands(void)
{
    return commands;
}

const struct command *command_find(const char *group, const char *name)
{
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->group, group) == 0 &&
            (!commands[i]->name || (name && strcmp(commands[i]->name, name) == 0)))
            return commands[i];
    return NULL;
}

/* "dlq show ID" */
static const char *command_text(const struct command *c, char *text, size_t size)
{
    snprintf(text, size, "%s%s%s%s%s", c->group, COMMAND_NAME(c), c->positions ? " " : "",
        c->positions ? c->positions : "");
    return text;
}

static void print_option(FILE *to, const struct option_row *o)
{
    char head[64];
    snprintf(
        head, sizeof(head), "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    fprintf(to, "  %-22s %s\n", head, o->doc);
}

static const struct option_row common_options[] = {
    {"json", NULL, OPTION_FLAG, "one JSON document instead of tables"},
    {"help", NULL, OPTION_FLAG, "this text"},
};

void command_help(const struct command *c, FILE *to)
{
    char text[64];
    fprintf(to, "Usage: soukctl %s [options]\n\n%s\n\nOptions\n",
        command_text(c, text, sizeof(text)), c->doc);
    for (size_t i = 0; i < c->options_count; i++)
        print_option(to, &c->options[i]);
    for (size_t i = 0; i < ARRAY_SIZE(common_options); i++)
        print_option(to, &common_options[i]);
    fputs("\nExamples\n", to);
    for (const char *line = c->examples; *line;) {
        size_t n = strcspn(line, "\n");
        fprintf(to, "  %.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

void ctl_help(FILE *to)
{
    fputs("Usage: soukctl GROUP COMMAND [options]\n\nLooks after the event backbone.\n\n", to);
    for (size_t i = 0; commands[i]; i++) {
        const struct command *c = commands[i];
        char head[64];
        fprintf(to, "  %-18s %.*s\n", command_text(c, head, sizeof(head)),
            (int)strcspn(c->doc, "\n"), c->doc);
    }
    fputs("\nEach command explains itself with --help, with examples. --json is for machines.\n\n"
          "Exit status\n"
          "  0  done\n"
          "  1  something was found wrong, failed again, or could not be done\n"
          "  2  the command line or the environment is wrong\n"
          "  3  a server can't be reached\n\n"
          "Environment (./souk ctl fills it in from the running suite)\n"
          "  OPS_AMQP_URL                  the broker, as its operator (--amqp-url URL before the "
          "group)\n"
          "  RABBITMQ_MANAGEMENT_URL       its management API, user and password in it\n"
          "  SOUK_DEFINITIONS              rabbitmq/definitions.json\n"
          "  SOUK_SERVICES                 the folder of the services' programs (soukctl's own)\n"
          "  <SERVICE>_AMQP_URL            the password of a user that topology apply makes\n"
          "  <SERVICE>_AUDIT_DATABASE_URL  or <SERVICE>_DATABASE_URL: for outbox status, events\n"
          "                                proof, and to see what became of a redrive\n"
          "  AIBUDDY_DATABASE_URL          as the service itself: replay keeps there how far it "
          "came\n"
          "  SOUK_CTL_AUDIT                the audit log (.souk/log/soukctl-audit.log)\n"
          "  EDITOR                        for dlq edit\n",
        to);
}

static void complete_options(const struct command *c, FILE *to)
{
    for (size_t i = 0; i < c->options_count; i++)
        fprintf(to, "--%s\n", c->options[i].name);
    fputs("--json\n--help\n", to);
}

void ctl_complete(int argc, char **argv, FILE *to)
{
    const struct command *c = argc >= 1 ? command_find(argv[0], argc >= 2 ? argv[1] : NULL) : NULL;
    if (c) {
        complete_options(c, to);
        return;
    }
    for (size_t i = 0; commands[i]; i++) {
        bool first_of_group = i == 0 || strcmp(commands[i]->group, commands[i - 1]->group) != 0;
        if (argc == 0 && first_of_group)
            fprintf(to, "%s\n", commands[i]->group);
        else if (argc == 1 && strcmp(argv[0], commands[i]->group) == 0)
            fprintf(to, "%s\n", commands[i]->name);
    }
}
