#include "common/base/uuid.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

static int64_t uuid_ms(const char *text)
{
    char hex[13];
    memcpy(hex, text, 8);
    memcpy(hex + 8, text + 9, 4);
    hex[12] = '\0';
    return (int64_t)strtoull(hex, NULL, 16);
}

Test(base, uuid_make__is_a_canonical_version_7_of_now)
{
    char text[UUID_TEXT_SIZE];
    int64_t before = clock_wall_us() / USEC_PER_MS;
    uuid_make(text);
    int64_t after = clock_wall_us() / USEC_PER_MS;
    cr_assert_eq(strlen(text), UUID_TEXT_SIZE - 1);
    cr_assert(uuid_valid(span_of(text)));
    cr_assert_eq(text[14], '7');
    cr_assert(strchr("89ab", text[19]), "variant in %s", text);
    cr_assert(uuid_ms(text) >= before && uuid_ms(text) <= after);
}

Test(base, uuid_derive__same_two__is_the_same_version_7_of_that_time)
{
    static const char order[] = "01900000-abcd-7123-8456-0123456789ab";
    char payment[UUID_TEXT_SIZE], again[UUID_TEXT_SIZE];
    uuid_derive(order, "payment", payment);
    uuid_derive(order, "payment", again);
    cr_assert(uuid_valid(span_of(payment)));
    cr_assert_str_eq(payment, again);
    cr_assert_eq(uuid_ms(payment), uuid_ms(order));
    cr_assert_eq(payment[14], '7');
    cr_assert(strchr("89ab", payment[19]), "variant in %s", payment);
}

/* Rows are known by it: should it ever change, payments under way would be asked for twice. */
Test(base, uuid_derive__is_what_it_always_was)
{
    char payment[UUID_TEXT_SIZE];
    uuid_derive("01900000-abcd-7123-8456-0123456789ab", "payment", payment);
    cr_assert_str_eq(payment, "01900000-abcd-753c-aaf8-d43ce7da0e48");
}

Test(base, uuid_derive__other_id_or_other_purpose__is_another)
{
    char payment[UUID_TEXT_SIZE], refund[UUID_TEXT_SIZE], of_other[UUID_TEXT_SIZE];
    uuid_derive("01900000-abcd-7123-8456-0123456789ab", "payment", payment);
    uuid_derive("01900000-abcd-7123-8456-0123456789ab", "refund", refund);
    uuid_derive("01900000-abcd-7123-8456-0123456789ac", "payment", of_other);
    cr_assert_str_neq(payment, refund);
    cr_assert_str_neq(payment, of_other);
}

Test(base, uuid_make__many_in_a_row__strictly_rise)
{
    char last[UUID_TEXT_SIZE], next[UUID_TEXT_SIZE];
    uuid_make(last);
    for (int i = 0; i < 100000; i++) {
        uuid_make(next);
        cr_assert(strcmp(last, next) < 0, "%s then %s", last, next);
        memcpy(last, next, sizeof(last));
    }
}

Test(base, uuid_make_at__clock_steps_back__still_rises)
{
    static const int64_t steps_ms[] = {5000, 4999, 0, 4000, 5000, 5001, 5000, 1, 9000, 8999};
    char last[UUID_TEXT_SIZE] = "", next[UUID_TEXT_SIZE];
    int64_t newest = 0;
    for (size_t i = 0; i < ARRAY_SIZE(steps_ms); i++) {
        newest = steps_ms[i] > newest ? steps_ms[i] : newest;
        uuid_make_at(steps_ms[i] * USEC_PER_MS, next);
        cr_assert(strcmp(last, next) < 0, "step %zu: %s then %s", i, last, next);
        cr_assert_eq(uuid_ms(next), newest, "step %zu", i);
        memcpy(last, next, sizeof(last));
    }
}

Test(base, uuid_make_at__counter_runs_over__moves_the_time_ahead)
{
    enum { COUNTERS = 1 << 18 };
    const int64_t now = INT64_C(1795255953123);
    char last[UUID_TEXT_SIZE] = "", next[UUID_TEXT_SIZE];
    for (int i = 0; i <= COUNTERS; i++) {
        uuid_make_at(now * USEC_PER_MS, next);
        cr_assert(strcmp(last, next) < 0, "%s then %s", last, next);
        memcpy(last, next, sizeof(last));
    }
    cr_assert(uuid_ms(last) > now && uuid_ms(last) <= now + 3);
    cr_assert_eq(last[14], '7');
}

Test(base, uuid_make_at__at_least_half_the_counter__fits_in_one_millisecond)
{
    const int64_t now = INT64_C(1795255953123);
    char text[UUID_TEXT_SIZE];
    for (int i = 0; i < 1 << 17; i++)
        uuid_make_at(now * USEC_PER_MS, text);
    cr_assert_eq(uuid_ms(text), now);
}

Test(base, uuid_make_at__time_before_1970__is_taken_as_1970)
{
    char text[UUID_TEXT_SIZE];
    uuid_make_at(-1, text);
    cr_assert_eq(uuid_ms(text), 0);
}

Test(base, uuid_make__after_a_fork__parent_and_child_differ)
{
    enum { EACH = 100 };
    static char mine[EACH][UUID_TEXT_SIZE], theirs[EACH][UUID_TEXT_SIZE];
    char warm[UUID_TEXT_SIZE];
    int64_t now = INT64_C(1795255953123) * USEC_PER_MS; /* the same millisecond on both sides */
    uuid_make_at(now, warm);

    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < EACH; i++)
            uuid_make_at(now, theirs[i]);
        _exit(write(fds[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
    }
    for (int i = 0; i < EACH; i++)
        uuid_make_at(now, mine[i]);
    cr_assert_eq(read(fds[0], theirs, sizeof(theirs)), sizeof(theirs));
    cr_assert_eq(waitpid(child, NULL, 0), child);

    for (int i = 0; i < EACH; i++)
        for (int k = 0; k < EACH; k++)
            cr_assert_str_neq(mine[i] + 22, theirs[k] + 22, "the same random tail");
}

static void *make_many(void *out)
{
    char(*texts)[UUID_TEXT_SIZE] = out;
    for (int i = 0; i < 1000; i++)
        uuid_make_at(USEC_PER_SEC, texts[i]);
    return NULL;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(a, b);
}

Test(base, uuid_make__several_threads__never_the_same)
{
    enum { THREADS = 4, EACH = 1000 };
    char(*texts)[UUID_TEXT_SIZE] = mem_array(THREADS * EACH, UUID_TEXT_SIZE);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, make_many, texts + i * EACH), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    qsort(texts, THREADS * EACH, UUID_TEXT_SIZE, compare_texts);
    for (int i = 1; i < THREADS * EACH; i++)
        cr_assert_str_neq(texts[i - 1], texts[i]);
    mem_free(texts);
}

Test(base, uuid_make__random_digits__are_evenly_spread)
{
    enum { IDS = 16000 };
    unsigned counts[16] = {0};
    char text[UUID_TEXT_SIZE];
    for (int i = 0; i < IDS; i++) {
        uuid_make(text);
        counts[strtoul(text + 35, NULL, 16)]++;
    }
    for (int i = 0; i < 16; i++) /* 1000 expected, deviation 31: ten of them is no accident */
        cr_assert(counts[i] > 700 && counts[i] < 1300, "digit %x came %u times", i, counts[i]);
}

Test(base, uuid_valid__only_the_canonical_form)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"018f3b1c-7d2e-7abc-8def-0123456789ab", true},
        {"00000000-0000-0000-0000-000000000000", true},
        {"f47ac10b-58cc-4372-a567-0e02b2c3d479", true},
        {"F47AC10B-58CC-4372-A567-0E02B2C3D479", false},
        {"f47ac10b-58cc-4372-a567-0e02b2c3d47", false},
        {"f47ac10b-58cc-4372-a567-0e02b2c3d4790", false},
        {"f47ac10b58cc4372a5670e02b2c3d479", false},
        {"{47ac10b-58cc-4372-a567-0e02b2c3d47}", false},
        {"f47ac10b-58cc-4372-a5670-e02b2c3d479", false},
        {"f47ac10b-58cc-4372-a567-0e02b2c3d47g", false},
        {"f47ac10b-58cc-4372-a567-0e02b2c3d47-", false},
        {"f47ac10b-58cc-4372-a567-0e02b2c3d47\xb9", false},
        {"/47ac10b-58cc-4372-a567-0e02b2c3d479", false},
        {":47ac10b-58cc-4372-a567-0e02b2c3d479", false},
        {"`47ac10b-58cc-4372-a567-0e02b2c3d479", false},
        {"f47ac10b-58cc-4372-a567-0e02b2c3d4 9", false},
        {"f47ac10b_58cc_4372_a567_0e02b2c3d479", false},
        {"f47ac10--58cc-4372-a567-0e02b2c3d479", false},
        {"", false},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_assert_eq(uuid_valid(span_of(rows[i].text)), rows[i].valid, "'%s'", rows[i].text);
}
