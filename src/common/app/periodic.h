#pragma once

#include "common/base/macros.h"

/* Private to the application room; the public half (app_every, app_nudge) is in service.h. */

void periodics_wake(void);
/* A batch of events has ended: what its handlers nudged runs now. */
void periodics_nudge_late(void);

/* Runs a DELETE that touches at most PURGE_LIMIT rows until there is nothing left for it: many
 * small transactions instead of one that outlives its timeout. */
#define PURGE_LIMIT      5000
#define PURGE_LIMIT_TEXT "5000"
struct pg_statement;
int purge(const struct pg_statement *delete_some) PARKS;
