#include "support.h"

#include <stdarg.h>
#include <stdio.h>

static char journal_text[8192];
static size_t journal_len;

struct fiber *start(const char *name, fiber_fn fn, void *arg)
{
    struct fiber *f = NULL;

    cr_assert_eq(fiber_spawn(loop_current(), name, fn, arg, &f), 0);
    cr_assert_not_null(f);
    return f;
}

void open_loop(void)
{
    cr_assert_not_null(loop_new());
}

void close_loop(void)
{
    struct loop *l = loop_current();

    loop_run(l, true);
    cr_assert_eq(fiber_live(l), 0);
    loop_free(l);
    cr_assert_null(loop_current());
}

void run(fiber_fn fn, void *arg)
{
    open_loop();
    start("main", fn, arg);
    close_loop();
}

void note(const char *fmt, ...)
{
    va_list args;

    if (journal_len > 0)
        journal_text[journal_len++] = ' ';
    va_start(args, fmt);
    journal_len +=
        (size_t)vsnprintf(journal_text + journal_len, sizeof journal_text - journal_len, fmt, args);
    va_end(args);
    cr_assert_lt(journal_len + 1, sizeof journal_text);
}

const char *journal(void)
{
    return journal_text;
}

const char *outcome(int r)
{
    return r == 0 ? "0" : error_name(r);
}

int64_t in_ms(int64_t ms)
{
    return clock_mono_us() + ms * MS;
}

void run_one_round(void)
{
    fiber_yield();
}

void noting_its_name(void *arg)
{
    note("%s", fiber_name(fiber_current()));
}

struct latch gate;

void waiting_at_the_gate(void *arg)
{
    cr_assert_eq(latch_wait(&gate, "gate", USEC_NEVER, NULL), 0);
}
