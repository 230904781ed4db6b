#pragma once

/* A settled proof for people and for machines. */

#include "ctl/proof.h"

struct proof_report {
    const struct proof *proof;
    struct arena *arena;
    bool waited;              /* it was to come to rest */
    const char *const *notes; /* NULL-terminated sentences */
};
void proof_print(struct ctl *ctl, const struct proof_report *r);
/* All events of one order, in their order, with what became of each. */
void proof_print_order(struct ctl *ctl, const struct proof_report *r);
void proof_print_json(struct ctl *ctl, const struct proof_report *r);
