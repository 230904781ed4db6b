#pragma once

/* Time is int64 microseconds. Wall time (UTC, since 1970) for what is stored and shown, monotonic
 * time for every duration and deadline. */

#include "common/base/span.h"

#define USEC_PER_MS  INT64_C(1000)
#define USEC_PER_SEC INT64_C(1000000)
#define USEC_NEVER   INT64_MAX

static inline int64_t usec_clamp(int64_t us, int64_t low_us, int64_t high_us)
{
    return us < low_us ? low_us : us > high_us ? high_us : us;
}

int64_t clock_wall_us(void);
int64_t clock_mono_us(void);

#define CLOCK_TEXT_SIZE 28 /* "2026-11-21T10:12:33.123456Z" and NUL */
/* RFC 3339 in UTC with microseconds. */
void clock_format(int64_t wall_us, char text[static CLOCK_TEXT_SIZE]);
/* RFC 3339, and PostgreSQL's ISO output ("2026-11-21 10:12:33.12+00"); false when it is neither. */
bool clock_parse(struct span text, int64_t *ret_wall_us);
