#pragma once

/* Positive return codes of handlers and what they mean on the wire. Common ones count from 1000, a
 * service's own (its outcomes.def) from 2000. Only request.c knows status numbers. */

enum outcome {
    OUTCOME_COMMON_BASE_ = 1000,
#define OUTCOME(name, status, code, title) OUTCOME_##name,
#include "common/app/outcomes.def"
#undef OUTCOME
};
#define OUTCOME_SERVICE_BASE 2000

struct outcome_row {
    int outcome;
    int status;
    const char *code;
    const char *title;
};
const struct outcome_row *outcome_find(int outcome); /* NULL: in no table */
/* In a service's header:
 *     enum order_outcome { ORDER_OUTCOME_BASE_ = OUTCOME_SERVICE_BASE,
 *     #define OUTCOME(name, status, code, title) ORDER_##name,
 *     #include "order/outcomes.def"
 *     #undef OUTCOME
 *     };
 * and in its tables.c an array of rows expanded from the same list. */
