/* The log: one line, one write.
 *
 * A line is built on the stack and is at most PIPE_BUF long, because up to that length a pipe takes
 * it whole: lines of several threads, or of several processes on one pipe, never mix. So values are
 * cut (the mark is an ellipsis), and when a line has no room left its last fields are dropped and
 * "truncated":true says so. Nothing here allocates.
 *
 * Whatever comes from outside is escaped the same way for both forms: quotes, backslashes, control
 * characters (C1 too, which terminals obey) become escapes, broken UTF-8 becomes U+FFFD. A user's
 * text can neither end a line nor begin a field nor move the cursor.
 *
 * When the reader of a non-blocking stdout is too slow, lines are lost rather than waited for; the
 * next line that gets through carries their number as "dropped". If a line was written in part, the
 * next one first ends it. */

#include "common/base/log.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/clock.h"

enum {
    LINE_LIMIT = PIPE_BUF,
    TAIL_ROOM = 24,     /* ,"truncated":true}\n */
    VALUE_LIMIT = 1024, /* bytes of escaped text in one value */
    FIELD_ROOM = 16,    /* the least that a value is worth beginning for */
};

#define CUT_MARK "\xe2\x80\xa6" /* U+2026 */

static struct {
    char service[32];
    bool text;
    _Atomic int level;
    _Atomic unsigned dropped;
    _Atomic bool torn;
} logger = {.service = "souk", .level = LOG_INFO};

static _Thread_local const struct log_context *context_now;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(const char *service, enum log_level level)
{
    snprintf(logger.service, sizeof(logger.service), "%s", service);
    logger.text = isatty(STDOUT_FILENO);
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&logger.level, (int)level, memory_order_relaxed);
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
    for (size_t i = 0; text && i < ARRAY_SIZE(level_names); i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&logger.level, memory_order_relaxed);
}

const struct log_context *log_context_swap(const struct log_context *mine)
{
    const struct log_context *before = context_now;
    context_now = mine;
    return before;
}

const struct log_context *log_context(void)
{
    return context_now;
}

/* A line under construction. Puts beyond the limit set `full` and change nothing. */
struct line {
    size_t len;
    bool full;
    char text[LINE_LIMIT];
};

static size_t line_room(const struct line *l)
{
    return LINE_LIMIT - TAIL_ROOM - l->len;
}

static void line_put(struct line *l, const char *bytes, size_t len)
{
    if (l->full || len > line_room(l)) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->len, bytes, len);
    l->len += len;
}

static void line_put_text(struct line *l, const char *text)
{
    line_put(l, text, strlen(text));
}

static void PRINTF(2, 3)
line_printf(struct line *l, const char *fmt, ...)
{
    char text[64];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    assert(n >= 0 && (size_t)n < sizeof(text));
    line_put(l, text, (size_t)n);
}

/* The length of the well-formed UTF-8 sequence at `s`, 0 when there is none: no overlong forms, no
 * surrogates, nothing over U+10FFFF (Unicode's table 3-7). The NUL at the end stops it by itself.
 */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char first, last, low, high; /* lead bytes; range of the second byte */
        size_t len;
    } rows[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3},
        {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (s[0] < 0x80)
        return 1;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (s[0] < rows[i].first || s[0] > rows[i].last)
            continue;
        if (s[1] < rows[i].low || s[1] > rows[i].high)
            return 0;
        for (size_t k = 2; k < rows[i].len; k++)
            if (s[k] < 0x80 || s[k] > 0xbf)
                return 0;
        return rows[i].len;
    }
    return 0;
}

/* Writes the escaped form of the character at `*s` (6 bytes at most), moves on, returns its size.
 */
static size_t escape_next(const unsigned char **s, char out[static 8])
{
    const unsigned char *at = *s;
    size_t len = utf8_length(at);
    *s += len ? len : 1;
    if (len == 0) {
        memcpy(out, "\xef\xbf\xbd", 3);
        return 3;
    }
    if (len == 1 && (at[0] == '"' || at[0] == '\\')) {
        out[0] = '\\';
        out[1] = (char)at[0];
        return 2;
    }
    static const char controls[] = "\b\f\n\r\t", letters[] = "bfnrt";
    const char *control = len == 1 ? strchr(controls, at[0]) : NULL;
    if (control) {
        out[0] = '\\';
        out[1] = letters[control - controls];
        return 2;
    }
    bool c0 = len == 1 && (at[0] < 0x20 || at[0] == 0x7f);
    bool c1 = len == 2 && at[0] == 0xc2 && at[1] < 0xa0;
    if (c0 || c1)
        return (size_t)snprintf(out, 8, "\\u00%02x", c0 ? at[0] : at[1]);
    memcpy(out, at, len);
    return len;
}

/* "text" with its quotes, cut where the value or the line is full. */
static void line_put_quoted(struct line *l, const char *text)
{
    size_t room = line_room(l);
    size_t limit = room < VALUE_LIMIT ? room : VALUE_LIMIT;
    if (limit < FIELD_ROOM) {
        l->full = true;
        return;
    }
    limit = l->len + limit - strlen(CUT_MARK) - 1;

    line_put(l, "\"", 1);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        char escaped[8];
        size_t n = escape_next(&s, escaped);
        if (l->len + n > limit) {
            line_put_text(l, CUT_MARK);
            break;
        }
        line_put(l, escaped, n);
    }
    line_put(l, "\"", 1);
}

static void line_put_value(struct line *l, const struct log_field *f)
{
    uint64_t us = f->value < 0 ? -(uint64_t)f->value : (uint64_t)f->value;
    switch (f->kind) {
    case LOG_FIELD_TEXT:
        if (f->text)
            line_put_quoted(l, f->text);
        else
            line_put_text(l, "null");
        break;
    case LOG_FIELD_I64:
        line_printf(l, "%" PRId64, f->value);
        break;
    case LOG_FIELD_BOOL:
        line_put_text(l, f->value ? "true" : "false");
        break;
    case LOG_FIELD_MS:
        line_printf(l, "%s%" PRIu64 ".%03" PRIu64, f->value < 0 ? "-" : "", us / 1000, us % 1000);
        break;
    }
}

/* All or nothing: a field that does not fit leaves the line as it was. */
static void line_put_field(struct line *l, const struct log_field *f)
{
    size_t before = l->len;
    if (logger.text) {
        line_put_text(l, " ");
        line_put_text(l, f->name);
        line_put_text(l, "=");
    } else {
        line_put_text(l, ",\"");
        line_put_text(l, f->name);
        line_put_text(l, "\":");
    }
    line_put_value(l, f);
    if (l->full)
        l->len = before;
}

static void line_put_context(struct line *l)
{
    const struct log_context *c = context_now;
    if (!c)
        return;
    const struct log_field fields[] = {
        LF_TEXT("correlationId", c->correlation_id),
        LF_TEXT("traceId", c->trace_id),
        LF_TEXT("spanId", c->span_id),
    };
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
        if (fields[i].text)
            line_put_field(l, &fields[i]);
}

static void line_begin(struct line *l, enum log_level level, const char *msg)
{
    char ts[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_us(), ts);
    l->len = 0;
    l->full = false;
    if (logger.text) {
        line_printf(l, "%.12s %-5s %s: ", ts + 11, level_names[level], logger.service);
        line_put_quoted(l, msg);
        return;
    }
    line_printf(l, "{\"ts\":\"%s\",\"level\":\"%s\"", ts, level_names[level]);
    line_put_field(l, &LF_TEXT("service", logger.service));
    line_put_field(l, &LF_TEXT("msg", msg));
}

static void line_end(struct line *l)
{
    const char *cut = logger.text ? " truncated=true" : ",\"truncated\":true";
    const char *end = logger.text ? "\n" : "}\n";
    if (l->full)
        l->len += (size_t)sprintf(l->text + l->len, "%s", cut);
    l->len += (size_t)sprintf(l->text + l->len, "%s", end);
}

static ssize_t write_once(const char *bytes, size_t len)
{
    for (int tries = 0; tries < 3; tries++) {
        ssize_t n = write(STDOUT_FILENO, bytes, len);
        if (n >= 0 || errno != EINTR)
            return n;
    }
    return -1;
}

/* True when the line is out whole. A file or terminal may take a part: one more try for the rest.
 */
static bool line_write(const struct line *l)
{
    if (atomic_load_explicit(&logger.torn, memory_order_relaxed)) {
        if (write_once("\n", 1) != 1)
            return false;
        atomic_store_explicit(&logger.torn, false, memory_order_relaxed);
    }
    ssize_t n = write_once(l->text, l->len);
    if (n > 0 && (size_t)n < l->len) {
        size_t rest = l->len - (size_t)n;
        if (write_once(l->text + n, rest) != (ssize_t)rest)
            atomic_store_explicit(&logger.torn, true, memory_order_relaxed);
        return !atomic_load_explicit(&logger.torn, memory_order_relaxed);
    }
    return n == (ssize_t)l->len;
}

void log_write(enum log_level level, const char *msg, const struct log_field *fields)
{
    int saved_errno = errno;
    struct line l;
    line_begin(&l, level, msg ? msg : "");
    line_put_context(&l);

    unsigned dropped = atomic_exchange_explicit(&logger.dropped, 0, memory_order_relaxed);
    if (dropped > 0)
        line_put_field(&l, &LF_I64("dropped", dropped));
    for (const struct log_field *f = fields; f && f->name && !l.full; f++)
        line_put_field(&l, f);
    line_end(&l);

    if (!line_write(&l))
        atomic_fetch_add_explicit(&logger.dropped, dropped + 1, memory_order_relaxed);
    errno = saved_errno;
}
