/* What a field allows.
 *
 * Patterns are written by hand: each is a few comparisons over bytes, says exactly what it lets
 * through, and cannot be made slow. They are deliberately narrower than the standards where the
 * rest would only travel on into mail headers, URLs and log lines. */

#include "common/json/check.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/uuid.h"
#include "common/json/reader.h"
#include "common/json/utf8.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_alnum(char c)
{
    return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z');
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

/* Labels of letters, digits and inner hyphens, joined by single dots. */
static bool is_host(struct span host, bool *ret_dotted)
{
    struct span rest = host, label;
    unsigned labels = 0;

    if (host.len == 0 || host.len > 253)
        return false;
    while (span_cut(&rest, '.', &label)) {
        if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' ||
            label.ptr[label.len - 1] == '-')
            return false;
        for (size_t i = 0; i < label.len; i++)
            if (!is_alnum(label.ptr[i]) && label.ptr[i] != '-')
                return false;
        labels++;
    }
    *ret_dotted = labels > 1;
    return labels > 0;
}

/* A dot-atom of at most 64 bytes, "@", a host with a dot or localhost. */
static bool is_email(struct span text)
{
    const char *at = text.len <= 254 ? memchr(text.ptr, '@', text.len) : NULL;
    bool dotted;

    if (!at)
        return false;
    struct span local = {text.ptr, (size_t)(at - text.ptr)};
    struct span host = {at + 1, text.len - local.len - 1};
    if (local.len == 0 || local.len > 64 || local.ptr[0] == '.' || local.ptr[local.len - 1] == '.')
        return false;
    for (size_t i = 0; i < local.len; i++) {
        char c = local.ptr[i];
        if (c == '.' ? local.ptr[i - 1] == '.'
                     : !is_alnum(c) && !is_one_of(c, "!#$%&'*+/=?^_`{|}~-"))
            return false;
    }
    return is_host(host, &dotted) && (dotted || span_equal_nocase(host, SPAN("localhost")));
}

static bool is_sku(struct span text)
{
    if (text.len == 0 || text.len > 64)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_alnum(text.ptr[i]) && !is_one_of(text.ptr[i], "._-"))
            return false;
    return true;
}

/* ISO 3166-1 alpha-2, officially assigned. */
static bool is_country(struct span text)
{
    // clang-format off
    static const char codes[] =
        "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG "
        "BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI "
        "CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH "
        "ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ "
        "GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT "
        "JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS "
        "LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU "
        "MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG "
        "PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG "
        "SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK "
        "TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU "
        "WF WS YE YT ZA ZM ZW ";
    // clang-format on

    if (text.len != 2 || !is_upper(text.ptr[0]) || !is_upper(text.ptr[1]))
        return false;
    for (const char *code = codes; *code; code += 3)
        if (memcmp(code, text.ptr, 2) == 0)
            return true;
    return false;
}

/* E.164: "+", a country code that does not begin with 0, 7 to 15 digits in all. */
static bool is_phone(struct span text)
{
    if (text.len < 8 || text.len > 16 || text.ptr[0] != '+' || text.ptr[1] == '0')
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (!is_digit(text.ptr[i]))
            return false;
    return true;
}

/* U+0080 to U+009F; the ends of lines and paragraphs, U+2028 and U+2029; and what turns the writing
 * around, U+202A to U+202E and U+2066 to U+2069, so that it reads as something else. */
static bool is_wide_control(const char *at, size_t len)
{
    const unsigned char *c = (const unsigned char *)at;
    if (len >= 2 && c[0] == 0xc2)
        return c[1] < 0xa0;
    if (len < 3 || c[0] != 0xe2)
        return false;
    return (c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) ||
           (c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9);
}

/* Something to see, nothing that controls: for labels and mails, where a line must stay one. */
static bool is_line(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7f || is_wide_control(text.ptr + i, text.len - i))
            return false;
    }
    return true;
}

/* A person's or a shop's name. */
static bool is_name(struct span text)
{
    return text.len > 0 && text.len <= 200 && text.ptr[0] != ' ' && text.ptr[text.len - 1] != ' ' &&
           is_line(text);
}

/* host[:port]; an IPv4 address is a host, an IPv6 one in brackets is not wanted. No user info. */
static bool is_authority(struct span text)
{
    const char *colon = memchr(text.ptr, ':', text.len);
    size_t host_len = colon ? (size_t)(colon - text.ptr) : text.len;
    int64_t port;
    bool dotted;

    if (colon && (!span_to_i64(span_make(colon + 1, text.len - host_len - 1), &port) || port < 1 ||
                     port > 65535))
        return false;
    return is_host(span_make(text.ptr, host_len), &dotted);
}

static bool is_url_of(struct span text, struct span scheme)
{
    size_t i = scheme.len;

    if (text.len > 2048 || !span_starts(text, scheme))
        return false;
    while (i < text.len && !is_one_of(text.ptr[i], "/?#"))
        i++;
    if (!is_authority(span_make(text.ptr + scheme.len, i - scheme.len)))
        return false;
    for (; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || is_one_of(text.ptr[i], "\"<>\\^`{|}"))
            return false;
    return true;
}

static bool is_https_url(struct span text)
{
    return is_url_of(text, SPAN("https://"));
}

static bool is_url(struct span text)
{
    return is_https_url(text) || is_url_of(text, SPAN("http://"));
}

static const struct pattern {
    const char *name;
    bool (*fits)(struct span text);
    const char *sentence;
    const char *regex, *format; /* for the schema */
} patterns[] = {
    {"email", is_email, "must be an e-mail address", NULL, "email"},
    {"sku", is_sku, "must be 1 to 64 letters, digits, dots, underscores or hyphens",
        "^[A-Za-z0-9._-]{1,64}$", NULL},
    {"currency", money_currency_known, "must be a known ISO 4217 currency code", "^[A-Z]{3}$",
        NULL},
    {"country", is_country, "must be an ISO 3166-1 alpha-2 country code in capitals", "^[A-Z]{2}$",
        NULL},
    {"phone", is_phone, "must be a phone number such as +4915112345678", "^\\+[1-9][0-9]{6,14}$",
        NULL},
    {"name", is_name, "must be 1 to 200 bytes without control characters or spaces at its ends",
        NULL, NULL},
    {"line", is_line, "must be one line without control characters", NULL, NULL},
    {"url", is_url, "must be an http or https URL without user information", NULL, "uri"},
    {"https-url", is_https_url, "must be an https URL without user information", "^https://",
        "uri"},
};

static const struct pattern *pattern_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(patterns); i++)
        if (strcmp(patterns[i].name, name) == 0)
            return &patterns[i];
    assert(!"a table names a pattern that does not exist");
    return NULL;
}

const char *pattern_regex(const char *pattern, const char **ret_format)
{
    const struct pattern *p = pattern_find(pattern);
    *ret_format = p->format;
    return p->regex;
}

/* -- bounds -- */

struct bounds {
    bool has_min, has_max;
    int64_t min, max;
};

static struct bounds bounds_of(const struct field *f)
{
    bool any = f->min != 0 || f->max != 0;
    return (struct bounds){any, any && f->max >= f->min, f->min, f->max};
}

/* "must be 1 to 64 bytes long" and its two halves. */
static const char *bounds_sentence(
    struct arena *a, struct bounds b, const char *before, const char *after)
{
    if (!b.has_max)
        return arena_printf(a, "%s %" PRId64 " or more%s", before, b.min, after);
    if (!b.has_min || (b.min == 0 && *after))
        return arena_printf(a, "%s at most %" PRId64 "%s", before, b.max, after);
    return arena_printf(a, "%s %" PRId64 " to %" PRId64 "%s", before, b.min, b.max, after);
}

static bool bounds_hold(struct bounds b, int64_t value)
{
    return (!b.has_min || value >= b.min) && (!b.has_max || value <= b.max);
}

static const char *choices_sentence(struct arena *a, const char *const *choices)
{
    const char *text = "must be one of";
    for (size_t i = 0; choices[i]; i++)
        text = arena_printf(a, "%s%s \"%s\"", text, i > 0 ? "," : "", choices[i]);
    return text;
}

static const char *check_content(struct arena *a, const struct field *f, struct span text)
{
    if (f->choices) {
        size_t i = 0;
        while (f->choices[i] && !span_equal(text, span_of(f->choices[i])))
            i++;
        if (!f->choices[i])
            return choices_sentence(a, f->choices);
    }
    if (f->pattern) {
        const struct pattern *p = pattern_find(f->pattern);
        if (!p->fits(text))
            return p->sentence;
    }
    return NULL;
}

const char *field_check_text(struct arena *a, const struct field *f, struct span text)
{
    struct bounds b = bounds_of(f);

    if (!b.has_max) {
        b.has_max = true;
        b.max = f->min > CHECK_TEXT_LIMIT ? f->min : CHECK_TEXT_LIMIT;
    }
    if (!bounds_hold(b, (int64_t)text.len))
        return bounds_sentence(a, b, "must be", " bytes long");
    return check_content(a, f, text);
}

const char *field_check_element(struct arena *a, const struct field *f, struct span text)
{
    struct bounds b = {.has_max = true, .max = CHECK_TEXT_LIMIT};

    if (!bounds_hold(b, (int64_t)text.len))
        return bounds_sentence(a, b, "must be", " bytes long");
    return check_content(a, f, text);
}

const char *field_check_uuid(struct span text)
{
    return uuid_valid(text) ? NULL : "must be a UUID in lower case";
}

const char *field_check_time(const struct field *f, struct span text, int64_t *ret_wall_us)
{
    static const char sentence[] = "must be an RFC 3339 time such as 2026-11-21T10:12:33Z";
    int64_t wall_us;

    /* The clock also reads the database's own form, which is not for the wire. */
    bool zoned =
        text.len >= 20 && (text.ptr[10] == 'T' || text.ptr[10] == 't') &&
        (is_one_of(text.ptr[text.len - 1], "Zz") || is_one_of(text.ptr[text.len - 6], "+-"));
    if (!zoned || !clock_parse(text, &wall_us))
        return sentence;
    if (!bounds_hold(bounds_of(f), wall_us))
        return "is outside the time allowed";
    *ret_wall_us = wall_us;
    return NULL;
}

const char *field_check_i64(struct arena *a, const struct field *f, int64_t value)
{
    struct bounds b = bounds_of(f);
    return bounds_hold(b, value) ? NULL : bounds_sentence(a, b, "must be", "");
}

const char *field_check_real(struct arena *a, const struct field *f, double value)
{
    struct bounds b = bounds_of(f);
    bool fits = (!b.has_min || value >= (double)b.min) && (!b.has_max || value <= (double)b.max);
    return fits ? NULL : bounds_sentence(a, b, "must be", "");
}

const char *field_check_count(struct arena *a, const struct field *f, size_t count)
{
    struct bounds b = bounds_of(f);
    return bounds_hold(b, (int64_t)count) ? NULL : bounds_sentence(a, b, "must have", " elements");
}

/* -- one text by itself -- */

static const char *check_real_text(struct arena *a, const struct field *f, struct span text)
{
    char *end, *copy = arena_strndup(a, text.ptr, text.len);
    double value = strtod(copy, &end);
    bool plain = text.len > 0 && text.len == strspn(copy, "0123456789.eE+-");

    if (!plain || *end != '\0' || !isfinite(value))
        return "must be a number";
    return field_check_real(a, f, value);
}

const char *json_check_text(struct arena *a, const struct field *f, struct span text)
{
    int64_t number;

    if (!utf8_valid(text))
        return "must be UTF-8 without NUL";
    switch (f->kind) {
    case FIELD_KIND_TEXT:
        return field_check_text(a, f, text);
    case FIELD_KIND_UUID:
        return field_check_uuid(text);
    case FIELD_KIND_I64:
        return span_to_i64(text, &number) ? field_check_i64(a, f, number) : "must be an integer";
    case FIELD_KIND_BOOL:
        return span_equal(text, SPAN("true")) || span_equal(text, SPAN("false"))
                   ? NULL
                   : "must be true or false";
    case FIELD_KIND_TIME:
        return field_check_time(f, text, &number);
    case FIELD_KIND_REAL:
        return check_real_text(a, f, text);
    case FIELD_KIND_TEXTS:
        return field_check_element(a, f, text);
    case FIELD_KIND_MONEY:
    case FIELD_KIND_OBJECT:
    case FIELD_KIND_LIST:
    case FIELD_KIND_RAW:
        break;
    }
    return "cannot be given as a text";
}
