#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "ctl/ctl.h"

int ctl_fail(enum ctl_exit code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("soukctl: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    return (int)code;
}

int ctl_unreachable(const char *server, const char *why)
{
    return ctl_fail(CTL_UNREACHABLE,
        "%s can't be reached: %s\n"
        "  ./souk up starts it, ./souk status tells; ./souk ctl knows its address",
        server, why);
}

int broker_unreachable(const char *why)
{
    return ctl_unreachable("RabbitMQ", why);
}

const char *ctl_operator(void)
{
    const char *sudo = getenv("SUDO_USER");
    if (sudo && *sudo)
        return sudo;
    /* cppcheck-suppress getpwuidCalled ; there is one thread that asks */
    const struct passwd *account = getpwuid(getuid());
    return account ? account->pw_name : "unknown";
}

/* A hundred years: what is added to a clock or taken off it stays a time that databases know. */
#define DURATION_LIMIT_US (INT64_C(36500) * 86400 * USEC_PER_SEC)

bool duration_parse(const char *text, int64_t *ret_us)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t n = strlen(text);
    int64_t number, us;
    if (n < 2 || !span_to_i64(span_make(text, n - 1), &number) || number < 0)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
        if (units[i].letter != text[n - 1])
            continue;
        if (__builtin_mul_overflow(number, units[i].seconds * USEC_PER_SEC, &us) ||
            us > DURATION_LIMIT_US)
            return false;
        return *ret_us = us, true;
    }
    return false;
}

bool since_parse(const char *text, int64_t *ret_wall_us)
{
    int64_t age_us;
    if (!duration_parse(text, &age_us))
        return clock_parse(span_of(text), ret_wall_us);
    return *ret_wall_us = clock_wall_us() - age_us, true;
}

static size_t option_place(const struct command *c, struct span name)
{
    for (size_t i = 0; i < c->options_count; i++)
        if (span_equal(span_of(c->options[i].name), name))
            return i;
    return SIZE_MAX;
}

static int take_value(struct args *args, size_t place, const char *text)
{
    const struct option_row *o = &args->command->options[place];
    args->texts[place] = text;
    if (o->kind == OPTION_COUNT &&
        (!span_to_i64(span_of(text), &args->numbers[place]) || args->numbers[place] < 1))
        return ctl_fail(CTL_USAGE, "--%s %s: must be a whole number from 1", o->name, text);
    if (o->kind == OPTION_DURATION && !duration_parse(text, &args->numbers[place]))
        return ctl_fail(CTL_USAGE, "--%s %s: must be like 90s, 15m, 2h or 3d", o->name, text);
    return 0;
}

/* `word` begins with "--". Moves `*at` past a value that is a word of its own. */
static int take_option(struct args *args, char **argv, int argc, int *at)
{
    const char *word = argv[*at] + 2, *equals = strchr(word, '=');
    struct span name = span_make(word, equals ? (size_t)(equals - word) : strlen(word));
    bool json = span_equal(name, SPAN("json")), help = span_equal(name, SPAN("help"));
    size_t place = option_place(args->command, name);
    if ((json || help) && !equals) {
        *(json ? &args->json : &args->help) = true;
        return 0;
    }
    if (place == SIZE_MAX && !json && !help)
        return ctl_fail(CTL_USAGE, "%s%s%s has no option --%.*s (see --help)", args->command->group,
            COMMAND_NAME(args->command), SPAN_ARG(name));
    if (json || help || args->command->options[place].kind == OPTION_FLAG) {
        if (equals)
            return ctl_fail(CTL_USAGE, "--%.*s takes no value", SPAN_ARG(name));
        args->texts[place] = "";
        return 0;
    }
    if (!equals && *at + 1 >= argc)
        return ctl_fail(CTL_USAGE, "--%.*s needs a value", SPAN_ARG(name));
    return take_value(args, place, equals ? equals + 1 : argv[++*at]);
}

static size_t positions_wanted(const struct command *c)
{
    size_t n = c->positions != NULL;
    for (const char *p = c->positions; p && *p; p++)
        n += *p == ' ';
    return n;
}

int args_parse(const struct command *c, int argc, char **argv, struct args *ret_args)
{
    struct args args = {.command = c};
    bool words_only = false; /* after "--": an id may begin with a dash */
    for (int i = 0; i < argc; i++) {
        int r = 0;
        if (!words_only && strcmp(argv[i], "--") == 0)
            words_only = true;
        else if (!words_only && strncmp(argv[i], "--", 2) == 0)
            r = take_option(&args, argv, argc, &i);
        else if (!words_only && strcmp(argv[i], "-h") == 0)
            args.help = true;
        else if (!words_only && argv[i][0] == '-')
            r = ctl_fail(CTL_USAGE, "%s%s%s has no option %s (see --help)", c->group,
                COMMAND_NAME(c), argv[i]);
        else if (args.positions_count == positions_wanted(c))
            r = ctl_fail(CTL_USAGE, "%s: one word too many (see --help)", argv[i]);
        else
            args.positions[args.positions_count++] = argv[i];
        if (r != 0)
            return r;
    }
    if (!args.help && args.positions_count < positions_wanted(c))
        return ctl_fail(
            CTL_USAGE, "%s%s%s needs %s (see --help)", c->group, COMMAND_NAME(c), c->positions);
    *ret_args = args;
    return 0;
}

static size_t known_place(const struct args *args, const char *option)
{
    size_t place = option_place(args->command, span_of(option));
    if (place == SIZE_MAX)
        abort(); /* a command asks for an option that is not in its table */
    return place;
}

const char *args_text(const struct args *args, const char *option)
{
    return args->texts[known_place(args, option)];
}

bool args_given(const struct args *args, const char *option)
{
    return args_text(args, option) != NULL;
}

int64_t args_number(const struct args *args, const char *option, int64_t otherwise)
{
    size_t place = known_place(args, option);
    return args->texts[place] ? args->numbers[place] : otherwise;
}
