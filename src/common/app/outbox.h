#pragma once

/* Private to the application room: the relay from the outbox to the exchange. */

#include "common/app/event.h"

#define EVENT_EXCHANGE "order-events"

/* Starts the relay's fiber; it looks at every nudge and at least every 500 ms. */
int outbox_start(void);
/* Publishes what is pending once more; for draining. */
int outbox_flush(int64_t deadline_us) PARKS;

extern const struct pg_statement outbox_statements[];
extern const size_t outbox_statements_count;
