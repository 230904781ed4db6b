#pragma once

/* Private to the application room: the outbox, and the life of its relay. */

#include "common/app/event.h"

#define EVENT_EXCHANGE "order-events"

/* Starts the relay's fiber; it is woken by each commit with an event, and looks every 500 ms. */
int outbox_start(void);
/* For draining, with app()->draining set: ends the relay and publishes what is pending once more.
 * 0, also when the broker or the database is away; ERR_TIMEOUT: the relay is still running. */
int outbox_stop(int64_t deadline_us) PARKS;
/* The relay reads the outbox now: something changed there that no commit of ours tells. */
void outbox_wake(void);

/* Age of the oldest event not yet confirmed when the gauges last looked (every 5 s); 0: none. */
double outbox_age_s(void);
/* Events that were set aside because the broker has no place for them, at the same look. */
int64_t outbox_parked(void);

extern const struct pg_statement outbox_statements[];
extern const size_t outbox_statements_count;
