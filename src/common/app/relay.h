#pragma once

/* Private to the application room: the relay from the outbox to the exchange. */

#include "common/app/outbox.h"

/* Starts the relay's fiber and the one that tries parked events again. */
int relay_start(void);
/* Something was committed, and fresh.h knows what. */
void relay_nudge(void);
/* As outbox_stop. */
int relay_stop(int64_t deadline_us) PARKS;
/* Lets the relay try parked events again, the oldest 200 now and, as long as some of them go, the
 * rest. By itself it happens every minute. */
int relay_retry_parked(void) PARKS;

extern const struct pg_statement relay_statements[];
extern const size_t relay_statements_count;
