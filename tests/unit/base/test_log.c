#include "common/base/log.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "property.h"

/* Standard output becomes a pipe whose other end the test reads. Returns that end. */
static int capture(void)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(dup2(fds[1], STDOUT_FILENO), STDOUT_FILENO);
    close(fds[1]);
    log_init("cart", LOG_DEBUG);
    return fds[0];
}

/* What one write put into the pipe, as text. */
static char *take(int fd)
{
    static char text[70000];
    ssize_t n = read(fd, text, sizeof(text) - 1);
    cr_assert(n > 0, "nothing was written");
    text[n] = '\0';
    return text;
}

/* One whole line, parsed by somebody else's parser. The caller decrefs. */
static json_t *take_json(int fd)
{
    const char *text = take(fd);
    size_t len = strlen(text);
    cr_assert(text[len - 1] == '\n' && memchr(text, '\n', len) == text + len - 1, "one line");
    json_error_t error;
    json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    cr_assert(object, "%s in %s", error.text, text);
    return object;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    cr_assert(text, "no text %s", name);
    return text;
}

Test(base, log__one_line__has_the_common_fields_first)
{
    int fd = capture();
    log_info("listening");
    const char *line = take(fd);
    char ts[CLOCK_TEXT_SIZE];
    int64_t us;
    cr_assert_eq(strncmp(line, "{\"ts\":\"", 7), 0, "%s", line);
    snprintf(ts, sizeof(ts), "%s", line + 7);
    cr_assert(clock_parse(span_of(ts), &us), "%s", ts);
    cr_assert_str_eq(line + 7 + strlen(ts),
        "\",\"level\":\"info\",\"service\":\"cart\",\"msg\":\"listening\"}\n");
}

Test(base, log__each_kind_of_field__has_its_json_type)
{
    int fd = capture();
    log_warn("kinds", LF_TEXT("text", "value"), LF_TEXT("nothing", NULL),
        LF_I64("least", INT64_MIN), LF_I64("most", INT64_MAX), LF_BOOL("yes", true),
        LF_BOOL("no", false), LF_MS("took", 1234567), LF_MS("short", 5), LF_MS("back", -1500));
    char *line = take(fd);
    cr_assert(
        strstr(line, "\"text\":\"value\",\"nothing\":null,\"least\":-9223372036854775808,"
                     "\"most\":9223372036854775807,\"yes\":true,\"no\":false,\"took\":1234.567,"
                     "\"short\":0.005,\"back\":-1.500}\n"),
        "%s", line);
}

Test(base, log__context__is_in_every_line_until_swapped_back)
{
    int fd = capture();
    struct log_context mine = {.correlation_id = "c-1", .trace_id = "t-1"};
    cr_assert_null(log_context());
    cr_assert_null(log_context_swap(&mine));
    cr_assert_eq(log_context(), &mine);
    log_info("with");
    json_t *with = take_json(fd);
    cr_assert_str_eq(text_of(with, "correlationId"), "c-1");
    cr_assert_str_eq(text_of(with, "traceId"), "t-1");
    cr_assert_null(json_object_get(with, "spanId"));
    json_decref(with);

    cr_assert_eq(log_context_swap(NULL), &mine);
    log_info("without");
    json_t *without = take_json(fd);
    cr_assert_null(json_object_get(without, "correlationId"));
    json_decref(without);
}

Test(base, log_level__below_the_threshold__writes_nothing)
{
    int fd = capture();
    log_set_level(LOG_WARN);
    cr_assert_not(log_enabled(LOG_INFO));
    cr_assert(log_enabled(LOG_WARN) && log_enabled(LOG_ERROR));
    log_debug("no");
    log_info("no");
    log_error("yes");
    json_t *line = take_json(fd);
    cr_assert_str_eq(text_of(line, "msg"), "yes");
    cr_assert_str_eq(text_of(line, "level"), "error");
    json_decref(line);
}

Test(base, log_level_parse__names_in_any_case__and_nothing_else)
{
    enum log_level level = LOG_ERROR;
    cr_assert(log_level_parse("debug", &level) && level == LOG_DEBUG);
    cr_assert(log_level_parse("Info", &level) && level == LOG_INFO);
    cr_assert(log_level_parse("WARN", &level) && level == LOG_WARN);
    cr_assert(log_level_parse("error", &level) && level == LOG_ERROR);
    cr_assert_not(log_level_parse("warning", &level));
    cr_assert_not(log_level_parse("", &level));
    cr_assert_not(log_level_parse(NULL, &level));
    cr_assert_eq(level, LOG_ERROR);
}

Test(base, log__outside_text__is_escaped_and_broken_utf8_replaced)
{
    static const struct {
        const char *in, *out; /* out: as it stands between the quotes */
    } rows[] = {
        {"plain", "plain"},
        {"", ""},
        {"a\"b\\c", "a\\\"b\\\\c"},
        {"\b\f\n\r\t", "\\b\\f\\n\\r\\t"},
        {"\x01\x1b[31m\x1f\x7f", "\\u0001\\u001b[31m\\u001f\\u007f"},
        {"x\"}\n{\"level\":\"forged", "x\\\"}\\n{\\\"level\\\":\\\"forged"},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "\\u0080\\u009b\\u009f\xc2\xa0"},
        {"\xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf",
            "\xed\x9f\xbf \xee\x80\x80 \xf4\x8f\xbf\xbf"},
        {"\x80", "\xef\xbf\xbd"},
        {"\xff"
         "a",
            "\xef\xbf\xbd"
            "a"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xc3(", "\xef\xbf\xbd("},
        {"\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    int fd = capture();
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char expected[200];
        snprintf(expected, sizeof(expected), ",\"value\":\"%s\"}\n", rows[i].out);
        log_info("m", LF_TEXT("value", rows[i].in));
        char *line = take(fd);
        char *found = strstr(line, ",\"value\"");
        cr_assert(found);
        cr_assert_str_eq(found, expected);
    }
}

Test(base, log__any_bytes__make_one_line_of_valid_json)
{
    struct property p = property_begin("log");
    int fd = capture();
    for (int i = 0; i < 3000; i++) {
        static char text[3][3000];
        for (int k = 0; k < 3; k++) {
            size_t len = property_below(&p, property_below(&p, 4) ? 40 : sizeof(text[0]));
            for (size_t at = 0; at < len; at++)
                text[k][at] = (char)(1 + property_below(&p, 255));
            text[k][len] = '\0';
        }
        log_info(text[0], LF_TEXT("a", text[1]), LF_I64("n", i), LF_TEXT("b", text[2]));
        json_decref(take_json(fd));
    }
}

Test(base, log__long_value__is_cut_with_a_mark_and_the_rest_follows)
{
    int fd = capture();
    char longer[5000];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    log_info("m", LF_TEXT("value", longer), LF_I64("after", 7));
    json_t *line = take_json(fd);
    const char *value = text_of(line, "value");
    size_t len = strlen(value);
    cr_assert_eq(len, 1024 - 2, "with its quotes exactly the limit");
    cr_assert_str_eq(value + len - 3, "\xe2\x80\xa6");
    cr_assert_eq(json_integer_value(json_object_get(line, "after")), 7);
    cr_assert_null(json_object_get(line, "truncated"));
    json_decref(line);
}

Test(base, log__cut_in_the_middle_of_a_character__never_splits_it)
{
    int fd = capture();
    for (size_t shift = 0; shift < 4; shift++) {
        char longer[4096] = "";
        memset(longer, 'x', shift);
        for (size_t at = shift; at + 4 < sizeof(longer); at += 4)
            memcpy(longer + at, "\xf0\x9f\x98\x80", 4);
        log_info("m", LF_TEXT("value", longer));
        json_decref(take_json(fd)); /* the parser refuses broken UTF-8 */
    }
}

Test(base, log__more_fields_than_fit__drops_the_last_and_says_so)
{
    int fd = capture();
    char value[1100];
    memset(value, '\x01', sizeof(value) - 1); /* six bytes each when escaped */
    value[sizeof(value) - 1] = '\0';
    log_info(value, LF_TEXT("a", value), LF_TEXT("b", value), LF_TEXT("c", value),
        LF_TEXT("d", value), LF_I64("e", 1));
    char *text = take(fd);
    cr_assert(strlen(text) <= 4096, "%zu", strlen(text));
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    cr_assert(line, "%s", text);
    cr_assert(json_is_true(json_object_get(line, "truncated")));
    cr_assert(json_object_get(line, "a") && json_object_get(line, "b"));
    cr_assert_null(json_object_get(line, "e"));
    json_decref(line);
}

Test(base, log__errno__survives)
{
    capture();
    errno = EXDEV;
    log_info("m");
    cr_assert_eq(errno, EXDEV);
}

Test(base, log__before_init__still_writes)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    dup2(fds[1], STDOUT_FILENO);
    log_info("early");
    json_t *line = take_json(fds[0]);
    cr_assert_str_eq(text_of(line, "service"), "souk");
    json_decref(line);
}

Test(base, log__full_pipe__drops_lines_and_counts_them)
{
    int fd = capture();
    fcntl(STDOUT_FILENO, F_SETPIPE_SZ, 4096);
    fcntl(STDOUT_FILENO, F_SETFL, O_WRONLY | O_NONBLOCK);
    char filler[4096];
    memset(filler, ' ', sizeof(filler));
    while (write(STDOUT_FILENO, filler, sizeof(filler)) > 0)
        continue;
    cr_assert_eq(errno, EAGAIN);

    for (int i = 0; i < 5; i++)
        log_info("lost");
    size_t drained = 0;
    while (drained < 4096)
        drained += strlen(take(fd));
    log_info("through");
    json_t *line = take_json(fd);
    cr_assert_str_eq(text_of(line, "msg"), "through");
    cr_assert_eq(json_integer_value(json_object_get(line, "dropped")), 5);
    json_decref(line);

    log_info("again");
    json_t *next = take_json(fd);
    cr_assert_null(json_object_get(next, "dropped"));
    json_decref(next);
}

Test(base, log__closed_reader__costs_the_line_and_nothing_else)
{
    int fd = capture();
    signal(SIGPIPE, SIG_IGN);
    close(fd);
    log_info("to nobody");
    cr_assert(log_enabled(LOG_INFO));
}

Test(base, log__line_written_in_part__is_ended_before_the_next)
{
    char path[] = "/tmp/test-log-XXXXXX", text[2000] = "";
    int file = mkstemp(path);
    cr_assert(file >= 0);
    unlink(path);
    dup2(file, STDOUT_FILENO);
    log_init("cart", LOG_DEBUG);

    struct rlimit limit, small;
    getrlimit(RLIMIT_FSIZE, &limit);
    small = limit;
    small.rlim_cur = 50; /* a disk with room for 50 bytes */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    log_info("torn");
    log_info("lost");
    setrlimit(RLIMIT_FSIZE, &limit);
    log_info("whole");

    cr_assert(pread(file, text, sizeof(text) - 1, 0) > 0);
    char *second = strchr(text, '\n');
    cr_assert(second && second - text == 50, "%s", text);
    json_t *line = json_loads(second + 1, 0, NULL);
    cr_assert(line, "%s", second);
    cr_assert_str_eq(text_of(line, "msg"), "whole");
    cr_assert_eq(json_integer_value(json_object_get(line, "dropped")), 2);
    json_decref(line);
    close(file);
}

Test(base, log__terminal__gets_readable_text_without_escapes_of_others)
{
    int master, slave;
    cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    dup2(slave, STDOUT_FILENO);
    log_init("cart", LOG_DEBUG);
    struct log_context mine = {.correlation_id = "c-1"};
    log_context_swap(&mine);
    log_error("oh \x1b[2Jno", LF_I64("port", 80), LF_TEXT("peer", "a b"), LF_TEXT("none", NULL));
    char *line = take(master);
    cr_assert(strlen(line) > 12 && line[2] == ':' && line[8] == '.', "%s", line);
    cr_assert_str_eq(line + 12, " error cart: \"oh \\u001b[2Jno\" correlationId=\"c-1\" port=80 "
                                "peer=\"a b\" none=null\r\n");
}

enum { THREADS = 4, LINES = 300 };

static void *log_many(void *name)
{
    char filler[900];
    memset(filler, *(char *)name, sizeof(filler) - 1);
    filler[sizeof(filler) - 1] = '\0';
    for (int i = 0; i < LINES; i++)
        log_info(name, LF_TEXT("filler", filler));
    return NULL;
}

Test(base, log__several_threads__lines_never_mix)
{
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    int fd = capture();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, log_many, names[i]), 0);

    FILE *in = fdopen(fd, "r");
    char *line = NULL;
    size_t cap = 0;
    for (int i = 0; i < THREADS * LINES; i++) {
        cr_assert(getline(&line, &cap, in) > 0);
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        cr_assert(object, "%s", line);
        cr_assert_eq(text_of(object, "filler")[898], text_of(object, "msg")[0]);
        json_decref(object);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    free(line);
    fclose(in);
}
