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

extern const struct pg_statement inbox_statements[];
extern const size_t inbox_statements_count;
