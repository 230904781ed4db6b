#pragma once

/* Private to the application room: the parts of a process as metrics. */

void gauges_start(void);
void gauges_refused(void *ctx, int status); /* the door's on_refused */
