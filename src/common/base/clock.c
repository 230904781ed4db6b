/* Dates are computed here, with no help from libc: its calendar functions read the TZ variable,
 * take locks and touch static state. The day arithmetic is Howard Hinnant's: years begin in March,
 * so that the leap day is the last of its year, and 400 years (one era) have 146,097 days. */

#include "common/base/clock.h"

#include <time.h>

#define USEC_PER_DAY (INT64_C(86400) * USEC_PER_SEC)

/* 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z: what four digits of year can say, without
 * the year 0, which PostgreSQL does not know. */
#define WALL_MIN (INT64_C(-62135596800) * USEC_PER_SEC)
#define WALL_MAX (INT64_C(253402300800) * USEC_PER_SEC - 1)

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

int64_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_mono_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

struct date {
    int year, month, day;
};

static int64_t days_from_date(struct date d)
{
    int year = d.month <= 2 ? d.year - 1 : d.year;
    int era = (year >= 0 ? year : year - 399) / 400;
    int year_of_era = year - era * 400;
    int day_of_year = (153 * (d.month + (d.month > 2 ? -3 : 9)) + 2) / 5 + d.day - 1;
    int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

static struct date date_from_days(int64_t days)
{
    int64_t shifted = days + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int day_of_era = (int)(shifted - era * 146097);
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int march_month = (5 * day_of_year + 2) / 153;
    int month = march_month < 10 ? march_month + 3 : march_month - 9;
    return (struct date){
        .year = (int)(year_of_era + era * 400) + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * march_month + 2) / 5 + 1,
    };
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static void put_digits(char *text, int count, int64_t value)
{
    for (int i = count - 1; i >= 0; i--) {
        text[i] = (char)('0' + value % 10);
        value /= 10;
    }
}

void clock_format(int64_t wall_us, char text[static CLOCK_TEXT_SIZE])
{
    if (wall_us < WALL_MIN)
        wall_us = WALL_MIN;
    if (wall_us > WALL_MAX)
        wall_us = WALL_MAX;

    int64_t days = wall_us / USEC_PER_DAY - (wall_us % USEC_PER_DAY < 0);
    int64_t in_day = wall_us - days * USEC_PER_DAY;
    int64_t seconds = in_day / USEC_PER_SEC;
    struct date d = date_from_days(days);

    memcpy(text, "0000-00-00T00:00:00.000000Z", CLOCK_TEXT_SIZE);
    put_digits(text, 4, d.year);
    put_digits(text + 5, 2, d.month);
    put_digits(text + 8, 2, d.day);
    put_digits(text + 11, 2, seconds / 3600);
    put_digits(text + 14, 2, seconds / 60 % 60);
    put_digits(text + 17, 2, seconds % 60);
    put_digits(text + 20, 6, in_day % USEC_PER_SEC);
}

/* The take_ functions cut something off the front, or answer false. */

static bool take_char(struct span *s, const char *any_of)
{
    if (s->len == 0 || s->ptr[0] == '\0' || !strchr(any_of, s->ptr[0]))
        return false;
    *s = span_make(s->ptr + 1, s->len - 1);
    return true;
}

static bool take_number(struct span *s, size_t digits, int min, int max, int *ret_value)
{
    int value = 0;
    if (s->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return false;
        value = value * 10 + (s->ptr[i] - '0');
    }
    if (value < min || value > max)
        return false;
    *s = span_make(s->ptr + digits, s->len - digits);
    *ret_value = value;
    return true;
}

static bool take_date(struct span *s, int64_t *ret_days)
{
    struct date d;
    if (!take_number(s, 4, 0, 9999, &d.year) || !take_char(s, "-") ||
        !take_number(s, 2, 1, 12, &d.month) || !take_char(s, "-") ||
        !take_number(s, 2, 1, days_in_month(d.year, d.month), &d.day))
        return false;
    *ret_days = days_from_date(d);
    return true;
}

/* No second 60: the machine's clock has none either. */
static bool take_time(struct span *s, int64_t *ret_us)
{
    int hour, minute, second;
    if (!take_number(s, 2, 0, 23, &hour) || !take_char(s, ":") ||
        !take_number(s, 2, 0, 59, &minute) || !take_char(s, ":") ||
        !take_number(s, 2, 0, 59, &second))
        return false;

    int64_t fraction = 0;
    if (take_char(s, ".")) {
        int digit, count = 0;
        for (int64_t scale = USEC_PER_SEC / 10; take_number(s, 1, 0, 9, &digit); scale /= 10) {
            fraction += digit * scale; /* from the seventh digit on the scale is 0 */
            count++;
        }
        if (count < 1 || count > 9)
            return false;
    }
    *ret_us = ((int64_t)hour * 3600 + minute * 60 + second) * USEC_PER_SEC + fraction;
    return true;
}

/* "Z", "+05:30", and PostgreSQL's "+00" */
static bool take_zone(struct span *s, int64_t *ret_offset_us)
{
    int hours, minutes = 0;
    if (take_char(s, "Zz")) {
        *ret_offset_us = 0;
        return true;
    }
    bool west = s->len > 0 && s->ptr[0] == '-';
    if (!take_char(s, "+-") || !take_number(s, 2, 0, 23, &hours))
        return false;
    if (take_char(s, ":") && !take_number(s, 2, 0, 59, &minutes))
        return false;
    int64_t offset = (int64_t)(hours * 60 + minutes) * 60 * USEC_PER_SEC;
    *ret_offset_us = west ? -offset : offset;
    return true;
}

bool clock_parse(struct span text, int64_t *ret_wall_us)
{
    int64_t days, in_day, offset;
    if (!take_date(&text, &days) || !take_char(&text, "Tt ") || !take_time(&text, &in_day) ||
        !take_zone(&text, &offset) || text.len > 0)
        return false;
    int64_t wall = days * USEC_PER_DAY + in_day - offset;
    if (wall < WALL_MIN || wall > WALL_MAX)
        return false;
    *ret_wall_us = wall;
    return true;
}
