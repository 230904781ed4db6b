#include <criterion/criterion.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "ctl/ctl.h"

/* `line`: words parted by one blank. */
static int parse(const struct command *c, const char *line, struct args *ret_args)
{
    static char words[256];
    char *argv[16];
    int n = 0;
    snprintf(words, sizeof(words), "%s", line);
    for (char *at = words; at && *at; n++) {
        argv[n] = at;
        at = strchr(at, ' ');
        if (at)
            *at++ = '\0';
    }
    return args_parse(c, n, argv, ret_args);
}

Test(args, parse__values_in_both_spellings__are_taken)
{
    struct args a;
    cr_assert_eq(parse(&dlq_redrive_command,
                     "--queue order --canary=3 --older-than 2h --dry-run --json", &a),
        0);
    cr_assert_str_eq(args_text(&a, "queue"), "order");
    cr_assert_eq(args_number(&a, "canary", 0), 3);
    cr_assert_eq(args_number(&a, "older-than", 0), 7200 * USEC_PER_SEC);
    cr_assert(args_given(&a, "dry-run"));
    cr_assert(a.json);
    cr_assert_not(args_given(&a, "all"));
    cr_assert_eq(args_number(&a, "rate", 17), 17);
}

Test(args, parse__what_the_table_does_not_know__is_a_usage_error)
{
    struct args a;
    cr_assert_eq(parse(&dlq_list_command, "--colour", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_list_command, "order", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_show_command, "--body", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_show_command, "a b", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_list_command, "--queue", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_redrive_command, "--dry-run=yes", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_redrive_command, "--rate 0", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_redrive_command, "--rate -1", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_redrive_command, "--older-than 2", &a), CTL_USAGE);
}

Test(args, parse__a_dash__is_an_option_but_after_two_dashes)
{
    struct args a;
    cr_assert_eq(parse(&dlq_show_command, "-x", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_list_command, "--json=yes", &a), CTL_USAGE);
    cr_assert_eq(parse(&dlq_show_command, "--json -- -x", &a), 0);
    cr_assert(a.json);
    cr_assert_str_eq(a.positions[0], "-x");
}

Test(args, parse__help__needs_no_position)
{
    struct args a;
    cr_assert_eq(parse(&dlq_show_command, "--help", &a), 0);
    cr_assert(a.help);
}

Test(args, duration__number_and_unit__is_micros)
{
    int64_t us = 0;
    cr_assert(duration_parse("90s", &us) && us == 90 * USEC_PER_SEC);
    cr_assert(duration_parse("15m", &us) && us == 900 * USEC_PER_SEC);
    cr_assert(duration_parse("3d", &us) && us == 259200 * USEC_PER_SEC);
    cr_assert(duration_parse("36500d", &us));
    us = 5;
    static const char *const bad[] = {
        "", "s", "1", "1w", "-1s", "1.5h", "1 h", "36501d", "106751991d", "9223372036854775807d"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        cr_assert_not(duration_parse(bad[i], &us), "%s", bad[i]);
    cr_assert_eq(us, 5);
}

Test(args, commands__all_of_them__are_found_and_explain_themselves)
{
    for (size_t i = 0; ctl_commands()[i]; i++) {
        const struct command *c = ctl_commands()[i];
        cr_assert_eq(command_find(c->group, c->name), c);
        cr_assert(*c->doc && *c->examples && c->options_count <= CTL_OPTIONS_LIMIT);
    }
    cr_assert_null(command_find("dlq", "burn"));
}

Test(args, since__age_or_time__and_nothing_else)
{
    int64_t us = 0, now_us = clock_wall_us();
    cr_assert(since_parse("2h", &us));
    cr_assert_leq(us, clock_wall_us() - 7200 * USEC_PER_SEC);
    cr_assert_geq(us, now_us - 7200 * USEC_PER_SEC);
    cr_assert(since_parse("1970-01-01T00:00:01Z", &us));
    cr_assert_eq(us, USEC_PER_SEC);
    cr_assert_not(since_parse("yesterday", &us));
    cr_assert_not(since_parse("", &us));
}
