#include "common/base/money.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/error.h"

static const struct currency {
    char code[4];
    int exponent;
} currencies[] = {
#define CURRENCY(code, exponent) {#code, exponent},
#include "common/base/currencies.def"
#undef CURRENCY
};

static int compare_code(const void *key, const void *row)
{
    const struct span *code = key;
    const struct currency *c = row;
    return memcmp(code->ptr, c->code, 3);
}

static const struct currency *currency_find(struct span code)
{
    if (code.len != 3)
        return NULL;
    return bsearch(&code, currencies, ARRAY_SIZE(currencies), sizeof(currencies[0]), compare_code);
}

bool money_currency_known(struct span code)
{
    return currency_find(code) != NULL;
}

int money_exponent(const char *currency)
{
    const struct currency *c = currency_find(span_of(currency));
    return c ? c->exponent : -1;
}

bool money_same_currency(const struct money *a, const struct money *b)
{
    return strncmp(a->currency, b->currency, sizeof(a->currency)) == 0;
}

int money_add(const struct money *a, const struct money *b, struct money *ret_sum)
{
    struct money sum = *a;
    if (!money_same_currency(a, b))
        return ERR(-EINVAL);
    if (__builtin_add_overflow(a->amount, b->amount, &sum.amount))
        return ERR(-ERANGE);
    *ret_sum = sum;
    return 0;
}

int money_multiply(const struct money *unit, int64_t count, struct money *ret_total)
{
    struct money total = *unit;
    if (__builtin_mul_overflow(unit->amount, count, &total.amount))
        return ERR(-ERANGE);
    *ret_total = total;
    return 0;
}

void money_format(const struct money *m, char *text, size_t size)
{
    static const uint64_t scales[] = {1, 10, 100, 1000, 10000};
    char code[4] = {0};
    memcpy(code, m->currency, 3);

    int exponent = money_exponent(code);
    uint64_t scale = scales[exponent > 0 ? exponent : 0]; /* unknown: the minor units as they are */
    uint64_t amount = m->amount < 0 ? -(uint64_t)m->amount : (uint64_t)m->amount;
    const char *sign = m->amount < 0 ? "-" : "";
    assert(size >= 32);
    if (scale == 1)
        snprintf(text, size, "%s%" PRIu64 " %s", sign, amount, code);
    else
        snprintf(text, size, "%s%" PRIu64 ".%0*" PRIu64 " %s", sign, amount / scale, exponent,
            amount % scale, code);
}
