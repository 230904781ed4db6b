#pragma once

/* Private to the application room: the consumer of a service's queue. */

#include "common/app/event.h"

int inbox_start(void);
int inbox_stop(int64_t deadline_us) PARKS;

/* Stops taking events until inbox_resume: they stay in the queue, and cost no attempt. Again with
 * another reason: that one is told. Nothing without a consumer, or while draining. */
void inbox_pause(const char *reason); /* a literal */
void inbox_resume(void);
const char *inbox_paused(void); /* the reason; NULL: it isn't */

/* How long the consumer rests after a batch of `count` events, the newest of them `age_us` old,
 * that it has worked on for `worked_us`, so that it works for `share` (1 to 100) percent of the
 * time; 0 unless they are a backlog. */
int64_t inbox_rest_us(size_t count, int64_t age_us, int64_t worked_us, int64_t share);

extern const struct pg_statement inbox_statements[];
extern const size_t inbox_statements_count;
