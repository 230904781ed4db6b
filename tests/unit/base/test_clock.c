#include "common/base/clock.h"

#include <criterion/criterion.h>
#include <time.h>

#include "property.h"

#define SEC USEC_PER_SEC

Test(base, clock_wall__is_the_time_of_day)
{
    int64_t before = (int64_t)time(NULL);
    int64_t now = clock_wall_us();
    int64_t after = (int64_t)time(NULL);
    cr_assert(now >= (before - 1) * SEC && now <= (after + 2) * SEC);
}

Test(base, clock_mono__never_goes_back)
{
    int64_t last = clock_mono_us();
    for (int i = 0; i < 100000; i++) {
        int64_t now = clock_mono_us();
        cr_assert(now >= last);
        last = now;
    }
}

static const struct {
    int64_t us;
    const char *text;
} known[] = {
    {0, "1970-01-01T00:00:00.000000Z"},
    {1, "1970-01-01T00:00:00.000001Z"},
    {-1, "1969-12-31T23:59:59.999999Z"},
    {INT64_C(951782400) * SEC, "2000-02-29T00:00:00.000000Z"},
    {INT64_C(951868799) * SEC + 500000, "2000-02-29T23:59:59.500000Z"},
    {INT64_C(951868800) * SEC, "2000-03-01T00:00:00.000000Z"},
    {INT64_C(4107542400) * SEC, "2100-03-01T00:00:00.000000Z"},
    {INT64_C(2147483648) * SEC, "2038-01-19T03:14:08.000000Z"},
    {INT64_C(1795255953) * SEC + 123456, "2026-11-21T10:12:33.123456Z"},
    {INT64_C(-62135596800) * SEC, "0001-01-01T00:00:00.000000Z"},
    {INT64_C(253402300800) * SEC - 1, "9999-12-31T23:59:59.999999Z"},
};

Test(base, clock_format__known_instants__match)
{
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        char text[CLOCK_TEXT_SIZE];
        clock_format(known[i].us, text);
        cr_assert_str_eq(text, known[i].text);
    }
}

Test(base, clock_format__beyond_four_digit_years__is_clamped)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(INT64_MAX, text);
    cr_assert_str_eq(text, "9999-12-31T23:59:59.999999Z");
    clock_format(INT64_MIN, text);
    cr_assert_str_eq(text, "0001-01-01T00:00:00.000000Z");
}

Test(base, clock_parse__known_instants__come_back)
{
    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        int64_t us = 99;
        cr_assert(clock_parse(span_of(known[i].text), &us), "%s", known[i].text);
        cr_assert_eq(us, known[i].us, "%s", known[i].text);
    }
}

Test(base, clock_parse__accepted_forms__give_the_same_instant)
{
    static const struct {
        const char *text;
        int64_t us; /* after 2026-11-21T10:12:33Z */
    } rows[] = {
        {"2026-11-21T10:12:33Z", 0},
        {"2026-11-21t10:12:33z", 0},
        {"2026-11-21T10:12:33.1Z", 100000},
        {"2026-11-21T10:12:33.12Z", 120000},
        {"2026-11-21T10:12:33.123456Z", 123456},
        {"2026-11-21T10:12:33.1234567Z", 123456},
        {"2026-11-21T10:12:33.123456999Z", 123456},
        {"2026-11-21T10:12:33.000000000Z", 0},
        {"2026-11-21T10:12:33+00:00", 0},
        {"2026-11-21T10:12:33-00:00", 0},
        {"2026-11-21T15:42:33+05:30", 0},
        {"2026-11-21T00:12:33-10:00", 0},
        {"2026-11-22T00:12:33+14:00", 0},
        {"2026-11-21 10:12:33+00", 0},
        {"2026-11-21 10:12:33.12+00", 120000},
        {"2026-11-21 11:12:33.5+01", 500000},
        {"2026-11-21 15:42:33+05:30", 0},
        {"2026-11-20 22:12:33-12", 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t us = 0;
        cr_assert(clock_parse(span_of(rows[i].text), &us), "%s", rows[i].text);
        cr_assert_eq(us, INT64_C(1795255953) * SEC + rows[i].us, "%s", rows[i].text);
    }
}

Test(base, clock_parse__anything_else__is_refused)
{
    static const char *const rows[] = {
        "",
        "2026-11-21",
        "2026-11-21T10:12Z",
        "2026-11-21T10:12:33",
        "2026-11-21 10:12:33",
        "2026-11-21T10:12:33.Z",
        "2026-11-21T10:12:33.1234567890Z",
        "2026-11-21T10:12:33,5Z",
        "2026-11-21T10:12:33Z ",
        " 2026-11-21T10:12:33Z",
        "2026-11-21T10:12:33ZZ",
        "2026-11-21T10:12:33+0",
        "2026-11-21T10:12:33+0530",
        "2026-11-21T10:12:33+05:3",
        "2026-11-21T10:12:33+05:",
        "2026-11-21T10:12:33+24:00",
        "2026-11-21T10:12:33+05:60",
        "2026-11-21T10:12:33+05:30:15",
        "2026-11-21_10:12:33Z",
        "2026/11/21T10:12:33Z",
        "2026-00-21T10:12:33Z",
        "2026-13-21T10:12:33Z",
        "2026-11-00T10:12:33Z",
        "2026-11-31T10:12:33Z",
        "2026-02-29T10:12:33Z",
        "2100-02-29T10:12:33Z",
        "1900-02-29T10:12:33Z",
        "2024-02-30T10:12:33Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:60:33Z",
        "2026-11-21T10:12:60Z",
        "26-11-21T10:12:33Z",
        "12026-11-21T10:12:33Z",
        "-026-11-21T10:12:33Z",
        "2026-1-21T10:12:33Z",
        "2026-11-2 1T10:12:33Z",
        "0000-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "infinity",
        "-infinity",
        "2026-11-21 10:12:33+00 BC",
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t us = 77;
        cr_assert_not(clock_parse(span_of(rows[i]), &us), "'%s'", rows[i]);
        cr_assert_eq(us, 77, "'%s'", rows[i]);
    }
}

Test(base, clock_parse__embedded_nul__is_refused)
{
    int64_t us;
    cr_assert_not(clock_parse(SPAN("2026-11-21\00010:12:33Z"), &us));
    cr_assert_not(clock_parse(SPAN("2026-11-21T10:12:33\0"), &us));
    cr_assert_not(clock_parse(SPAN("2026-11-21T10:12:33Z\0"), &us));
}

Test(base, clock_parse__every_shorter_prefix__is_refused)
{
    static const char text[] = "2026-11-21T10:12:33.5+05:30";
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        char *exact = malloc(len + 1); /* the sanitizer sees a read beyond the span */
        memcpy(exact, text, len);
        int64_t us;
        bool whole = len == strlen("2026-11-21T10:12:33.5+05");
        cr_assert_eq(clock_parse(span_make(exact, len), &us), whole, "%zu", len);
        free(exact);
    }
}

Test(base, clock_parse__leap_days__exist_in_leap_years_only)
{
    for (int year = 1; year <= 9999; year++) {
        char text[32];
        int64_t us;
        bool leap = year % 400 == 0 || (year % 4 == 0 && year % 100 != 0);
        snprintf(text, sizeof(text), "%04d-02-29T00:00:00Z", year);
        cr_assert_eq(clock_parse(span_of(text), &us), leap, "%s", text);
    }
}

Test(base, clock__any_instant__agrees_with_libc_and_comes_back)
{
    struct property p = property_begin("clock");
    for (int i = 0; i < 50000; i++) {
        int64_t span_us = (INT64_C(253402300800) + INT64_C(62135596800)) * SEC;
        int64_t us = (int64_t)property_below(&p, (uint64_t)span_us) - INT64_C(62135596800) * SEC;
        char text[CLOCK_TEXT_SIZE], expected[80], date[40];
        clock_format(us, text);

        int64_t fraction = ((us % SEC) + SEC) % SEC;
        time_t seconds = (time_t)((us - fraction) / SEC);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        strftime(date, sizeof(date), "%m-%dT%H:%M:%S", &tm);
        snprintf(expected, sizeof(expected), "%04d-%s.%06" PRId64 "Z", tm.tm_year + 1900, date,
            fraction);
        cr_assert_str_eq(text, expected);

        int64_t back;
        cr_assert(clock_parse(span_of(text), &back));
        cr_assert_eq(back, us);
    }
}

Test(base, clock__time_zone_of_the_process__changes_nothing)
{
    setenv("TZ", "America/New_York", 1);
    tzset();
    char text[CLOCK_TEXT_SIZE];
    int64_t us;
    clock_format(0, text);
    cr_assert_str_eq(text, "1970-01-01T00:00:00.000000Z");
    cr_assert(clock_parse(SPAN("1970-07-01T00:00:00Z"), &us));
    cr_assert_eq(us, INT64_C(15638400) * SEC);
}
