#pragma once

/* Private to the application room: the consumer of a service's queue. */

#include "common/app/event.h"

int inbox_start(void);
int inbox_stop(int64_t deadline_us) PARKS;

extern const struct pg_statement inbox_statements[];
extern const size_t inbox_statements_count;
