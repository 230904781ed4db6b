#pragma once

/* Money: int64 minor units and an ISO 4217 code. Never a floating number. */

#include "common/base/span.h"

struct money {
    int64_t amount;   /* minor units: cents, yen, fils */
    char currency[4]; /* "USD" */
};

bool money_currency_known(struct span code);
int money_exponent(const char *currency); /* 2 for USD, 0 for JPY, 3 for KWD; -1 unknown */
bool money_same_currency(const struct money *a, const struct money *b);
/* a + b; -EINVAL when currencies differ, -ERANGE on overflow. */
int money_add(const struct money *a, const struct money *b, struct money *ret_sum);
int money_multiply(const struct money *unit, int64_t count, struct money *ret_total); /* -ERANGE */
/* "12.34 USD" for people. `text` of at least 32 bytes. */
void money_format(const struct money *m, char *text, size_t size);
