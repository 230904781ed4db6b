#pragma once

/* Private to the application room; the public half (app_every, app_nudge) is in service.h. */

void periodics_wake(void);
/* A batch of events has ended: what its handlers nudged runs now. */
void periodics_nudge_late(void);
