#include "common/base/money.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "common/base/error.h"
#include "property.h"

static const char *const all_codes[] = {
#define CURRENCY(code, exponent) #code,
#include "common/base/currencies.def"
#undef CURRENCY
};

Test(base, currencies__list__is_sorted_and_every_code_is_found)
{
    for (size_t i = 0; i < ARRAY_SIZE(all_codes); i++) {
        if (i > 0)
            cr_assert(strcmp(all_codes[i - 1], all_codes[i]) < 0, "%s", all_codes[i]);
        cr_assert(money_currency_known(span_of(all_codes[i])), "%s", all_codes[i]);
        int exponent = money_exponent(all_codes[i]);
        cr_assert(exponent == 0 || (exponent >= 2 && exponent <= 4), "%s", all_codes[i]);
    }
}

Test(base, money_exponent__samples__match_iso_4217)
{
    static const struct {
        const char *code;
        int exponent;
    } rows[] = {
        {"USD", 2},
        {"EUR", 2},
        {"GBP", 2},
        {"CHF", 2},
        {"HUF", 2},
        {"JPY", 0},
        {"KRW", 0},
        {"VND", 0},
        {"ISK", 0},
        {"CLP", 0},
        {"KWD", 3},
        {"BHD", 3},
        {"TND", 3},
        {"CLF", 4},
        {"UYW", 4},
        {"XXX", -1},
        {"XAU", -1},
        {"usd", -1},
        {"US", -1},
        {"USDX", -1},
        {"", -1},
        {NULL, -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_assert_eq(money_exponent(rows[i].code), rows[i].exponent, "row %zu", i);
}

Test(base, money_currency_known__only_three_known_capitals)
{
    cr_assert(money_currency_known(SPAN("USD")));
    cr_assert_not(money_currency_known(SPAN("Usd")));
    cr_assert_not(money_currency_known(SPAN("ABC")));
    cr_assert_not(money_currency_known(SPAN("US\0")));
    cr_assert_not(money_currency_known(span_make(NULL, 0)));
}

Test(base, money_add__other_currency__is_invalid_and_untouched)
{
    struct money a = {5, "USD"}, b = {6, "EUR"}, sum = {77, "JPY"};
    cr_assert_eq(money_add(&a, &b, &sum), -EINVAL);
    cr_assert_eq(sum.amount, 77);
    cr_assert_str_eq(sum.currency, "JPY");
    cr_assert_not(money_same_currency(&a, &b));
}

Test(base, money_add__at_the_limits__is_exact_or_refused)
{
    static const struct {
        int64_t a, b;
        int r;
        int64_t sum;
    } rows[] = {
        {1, 2, 0, 3},
        {-5, 2, 0, -3},
        {INT64_MAX, 0, 0, INT64_MAX},
        {INT64_MAX, INT64_MIN, 0, -1},
        {INT64_MAX, 1, -ERANGE, 0},
        {INT64_MIN, -1, -ERANGE, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct money a = {rows[i].a, "USD"}, b = {rows[i].b, "USD"}, sum = {77, "JPY"};
        cr_assert_eq(money_add(&a, &b, &sum), rows[i].r, "row %zu", i);
        cr_assert_eq(sum.amount, rows[i].r ? 77 : rows[i].sum, "row %zu", i);
        cr_assert_str_eq(sum.currency, rows[i].r ? "JPY" : "USD", "row %zu", i);
    }
}

Test(base, money_add__into_one_of_the_addends__works)
{
    struct money total = {100, "USD"}, line = {23, "USD"};
    cr_assert_eq(money_add(&total, &line, &total), 0);
    cr_assert_eq(total.amount, 123);
}

Test(base, money_multiply__at_the_limits__is_exact_or_refused)
{
    static const struct {
        int64_t unit, count;
        int r;
        int64_t total;
    } rows[] = {
        {1999, 3, 0, 5997},
        {1999, 0, 0, 0},
        {1999, -1, 0, -1999},
        {INT64_MAX, 1, 0, INT64_MAX},
        {INT64_MAX, 2, -ERANGE, 0},
        {INT64_MIN, -1, -ERANGE, 0},
        {INT64_C(1) << 32, INT64_C(1) << 31, -ERANGE, 0},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct money unit = {rows[i].unit, "EUR"}, total = {77, "JPY"};
        cr_assert_eq(money_multiply(&unit, rows[i].count, &total), rows[i].r, "row %zu", i);
        cr_assert_eq(total.amount, rows[i].r ? 77 : rows[i].total, "row %zu", i);
    }
}

Test(base, money__sums_and_products__agree_with_wide_arithmetic)
{
    struct property p = property_begin("money");
    for (int i = 0; i < 50000; i++) {
        struct money a = {(int64_t)property_next(&p) >> property_below(&p, 64), "USD"};
        struct money b = {(int64_t)property_next(&p) >> property_below(&p, 64), "USD"};
        struct money out = {0, ""};
        __int128 sum = (__int128)a.amount + b.amount, product = (__int128)a.amount * b.amount;
        bool sum_fits = sum >= INT64_MIN && sum <= INT64_MAX;
        bool product_fits = product >= INT64_MIN && product <= INT64_MAX;
        cr_assert_eq(money_add(&a, &b, &out), sum_fits ? 0 : -ERANGE);
        cr_assert(!sum_fits || out.amount == sum);
        cr_assert_eq(money_multiply(&a, b.amount, &out), product_fits ? 0 : -ERANGE);
        cr_assert(!product_fits || out.amount == product);
        error_clear();
    }
}

Test(base, money_format__reads_as_people_write_it)
{
    static const struct {
        struct money m;
        const char *text;
    } rows[] = {
        {{1234, "USD"}, "12.34 USD"},
        {{5, "USD"}, "0.05 USD"},
        {{-5, "USD"}, "-0.05 USD"},
        {{0, "EUR"}, "0.00 EUR"},
        {{1234, "JPY"}, "1234 JPY"},
        {{-1, "JPY"}, "-1 JPY"},
        {{1234, "KWD"}, "1.234 KWD"},
        {{7, "KWD"}, "0.007 KWD"},
        {{12345, "CLF"}, "1.2345 CLF"},
        {{1234, "ABC"}, "1234 ABC"},
        {{INT64_MAX, "USD"}, "92233720368547758.07 USD"},
        {{INT64_MIN, "KWD"}, "-9223372036854775.808 KWD"},
        {{INT64_MIN, "JPY"}, "-9223372036854775808 JPY"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[32];
        money_format(&rows[i].m, text, sizeof(text));
        cr_assert_str_eq(text, rows[i].text);
    }
}
