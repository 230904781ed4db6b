/* The error trace.
 *
 * A failure starts deep in a library wrapper and travels upward through return ERR(r); each step
 * appends its place, so the first entry is the origin and the last one is the door. There are eight
 * entries because that is how deep the house is; beyond that only the number of missing steps is
 * kept, since the origin is worth more than the door.
 *
 * The trace belongs to whoever runs: every thread has one of its own, and the fiber switch puts the
 * fiber's in its place. Nothing here allocates or parks, so it works when memory or time is out. */

#include "common/base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static_assert(ERR_UNAVAILABLE == -EHOSTDOWN, "errno value");
static_assert(ERR_BUSY == -EBUSY, "errno value");
static_assert(ERR_TIMEOUT == -ETIMEDOUT, "errno value");
static_assert(ERR_CANCELED == -ECANCELED, "errno value");
static_assert(ERR_RETRY == -EAGAIN, "errno value");
static_assert(ERR_UNKNOWN == -ECONNRESET, "errno value");
static_assert(ERR_PROTOCOL == -EPROTO, "errno value");
static_assert(ERR_INVALID == -EINVAL, "errno value");

#if defined(__clang__)
struct fiber_context in_fiber; /* never read; the capability of PARKS needs an object to name */
#endif

static _Thread_local struct error_stack own_stack;
static _Thread_local struct error_stack *swapped_in; /* NULL: own_stack counts */

static struct error_stack *stack_now(void)
{
    return swapped_in ? swapped_in : &own_stack;
}

struct error_stack *error_stack_swap(struct error_stack *mine)
{
    struct error_stack *before = swapped_in;
    swapped_in = mine;
    return before;
}

int error_trace(int r, const char *file, int line)
{
    assert(r < 0);
    struct error_stack *s = stack_now();
    if (s->n < ARRAY_SIZE(s->at)) {
        s->at[s->n].file = file;
        s->at[s->n].line = line;
    }
    s->n++;
    return r;
}

void error_note(const char *fmt, ...)
{
    struct error_stack *s = stack_now();
    size_t len = strlen(s->note);
    if (len > 0 && len + 3 < sizeof(s->note)) {
        memcpy(s->note + len, "; ", 3);
        len += 2;
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(s->note + len, sizeof(s->note) - len, fmt, args);
    va_end(args);
}

/* The compiler sees "../src/common/data/pg.c"; a log line wants "common/data/pg.c". */
static const char *short_path(const char *file)
{
    while (strncmp(file, "../", 3) == 0)
        file += 3;
    return strncmp(file, "src/", 4) == 0 ? file + 4 : file;
}

/* Appends like snprintf, but stays inside `size` and so can be called again when it is full. */
static size_t PRINTF(4, 5)
append(char *text, size_t size, size_t len, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text + len, size - len, fmt, args);
    va_end(args);
    if (n < 0)
        return len;
    return (size_t)n < size - len ? len + (size_t)n : size - 1;
}

const char *error_text(void)
{
    static _Thread_local char text[1024];
    const struct error_stack *s = stack_now();
    size_t len = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < s->n && i < ARRAY_SIZE(s->at); i++)
        len = append(text, sizeof(text), len, "%s%s:%d", i ? "<" : "", short_path(s->at[i].file),
            s->at[i].line);
    if (s->n > ARRAY_SIZE(s->at))
        len = append(text, sizeof(text), len, "<+%u", s->n - (unsigned)ARRAY_SIZE(s->at));
    if (s->note[0])
        append(text, sizeof(text), len, "%s%s", len ? ": " : "", s->note);
    return text;
}

const char *error_sentence(void)
{
    const struct error_stack *s = stack_now();
    return s->note[0] ? s->note : error_text();
}

void error_clear(void)
{
    struct error_stack *s = stack_now();
    s->n = 0;
    s->note[0] = '\0';
}

const char *error_name(int r)
{
    if (r == 0)
        return "OK";
    const char *name = r < 0 && r != INT32_MIN ? strerrorname_np(-r) : NULL;
    return name ? name : "EUNKNOWN";
}
