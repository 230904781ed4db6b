#include "common/base/error.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

static int origin(void)
{
    return ERR(-EIO);
}

static int middle(void)
{
    TRY(origin());
    return 0;
}

static int outcome(void)
{
    TRY(3);
    return 0;
}

static int fine(void)
{
    TRY(0);
    return 0;
}

Test(base, error_text__nothing_happened__is_empty)
{
    cr_assert_str_eq(error_text(), "");
}

Test(base, error_trace__each_step__is_listed_from_the_origin_up)
{
    cr_assert_eq(error_trace(-EIO, "../src/common/data/pg.c", 12), -EIO);
    cr_assert_eq(error_trace(-EIO, "../../src/cart/store.c", 34), -EIO);
    error_trace(-EIO, "other/place.c", 56);
    cr_assert_str_eq(error_text(), "common/data/pg.c:12<cart/store.c:34<other/place.c:56");
}

Test(base, error_trace__more_steps_than_entries__keeps_the_origin_and_counts)
{
    for (int i = 1; i <= 11; i++)
        error_trace(-EIO, "a.c", i);
    cr_assert_str_eq(error_text(), "a.c:1<a.c:2<a.c:3<a.c:4<a.c:5<a.c:6<a.c:7<a.c:8<+3");
}

Test(base, error_trace__code_that_promises_something_else__aborts, .signal = SIGABRT)
{
    error_trace(1, "a.c", 1);
}

Test(base, error_note__stands_behind_the_places)
{
    error_trace(-ETIMEDOUT, "a.c", 1);
    error_note("connecting to %s", "seller");
    error_note("attempt %d", 2);
    cr_assert_str_eq(error_text(), "a.c:1: connecting to seller; attempt 2");
}

Test(base, error_note__without_a_place__stands_alone)
{
    error_note("only words");
    cr_assert_str_eq(error_text(), "only words");
}

Test(base, error_note__too_long__is_cut)
{
    char longer[400];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    error_note("%s", longer);
    cr_assert_eq(strlen(error_text()), 159);
    error_note("no room left");
    cr_assert_eq(strlen(error_text()), 159);
}

Test(base, error_text__paths_too_long__is_cut_not_overrun)
{
    char path[600];
    memset(path, 'p', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    for (int i = 0; i < 9; i++)
        error_trace(-EIO, path, 1);
    error_note("a note");
    cr_assert_eq(strlen(error_text()), 1023);
}

Test(base, error_clear__forgets_places_and_notes)
{
    error_trace(-EIO, "a.c", 1);
    error_note("words");
    error_clear();
    cr_assert_str_eq(error_text(), "");
}

Test(base, error_stack_swap__traces_of_two_fibers__do_not_mix)
{
    struct error_stack a = {0}, b = {0};
    error_trace(-EIO, "thread.c", 1);
    cr_assert_null(error_stack_swap(&a));
    error_trace(-EIO, "a.c", 2);
    cr_assert_eq(error_stack_swap(&b), &a);
    cr_assert_str_eq(error_text(), "");
    error_trace(-EIO, "b.c", 3);
    cr_assert_eq(error_stack_swap(&a), &b);
    cr_assert_str_eq(error_text(), "a.c:2");
    cr_assert_eq(error_stack_swap(NULL), &a);
    cr_assert_str_eq(error_text(), "thread.c:1");
}

static void *trace_elsewhere(void *unused)
{
    error_trace(-EIO, "elsewhere.c", 1);
    return unused;
}

Test(base, error_trace__another_thread__has_its_own)
{
    pthread_t t;
    error_trace(-EIO, "here.c", 1);
    cr_assert_eq(pthread_create(&t, NULL, trace_elsewhere, NULL), 0);
    pthread_join(t, NULL);
    cr_assert_str_eq(error_text(), "here.c:1");
}

Test(base, try__negative__returns_and_traces_both_places)
{
    cr_assert_eq(middle(), -EIO);
    const char *text = error_text();
    const char *first = strstr(text, "test_error.c:"), *second = strstr(text, "<");
    cr_assert(first && second && strstr(second, "test_error.c:"), "%s", text);
}

Test(base, try__positive_or_zero__traces_nothing)
{
    cr_assert_eq(outcome(), 3);
    cr_assert_eq(fine(), 0);
    cr_assert_str_eq(error_text(), "");
}

Test(base, error_name__codes__have_stable_names)
{
    static const struct {
        int r;
        const char *name;
    } rows[] = {
        {0, "OK"},
        {ERR_UNAVAILABLE, "EHOSTDOWN"},
        {ERR_BUSY, "EBUSY"},
        {ERR_TIMEOUT, "ETIMEDOUT"},
        {ERR_CANCELED, "ECANCELED"},
        {ERR_RETRY, "EAGAIN"},
        {ERR_UNKNOWN, "ECONNRESET"},
        {ERR_PROTOCOL, "EPROTO"},
        {ERR_INVALID, "EINVAL"},
        {-ENOMEM, "ENOMEM"},
        {-99999, "EUNKNOWN"},
        {INT32_MIN, "EUNKNOWN"},
        {5, "EUNKNOWN"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_assert_str_eq(error_name(rows[i].r), rows[i].name);
}
