#pragma once

/* What a run that sent letters or events ends with: its id and its counts. */

#include "ctl/ctl.h"

struct summary_row {
    const char *name; /* in JSON */
    const char *text; /* for people, behind the count */
    int64_t count;
    bool always;  /* people see it also when it is nothing */
    bool is_flag; /* true or false in JSON; people know it already */
};
/* JSON, or lines for people, as `ctl` wants it. */
void summary_print(struct ctl *ctl, const char *run_id, bool dry_run,
    const struct summary_row *rows, size_t count);
