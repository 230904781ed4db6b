#pragma once

/* Private to the application room: a window of events on its way to the broker. */

#include "common/app/fresh.h"
#include "common/fiber/fiber.h"

#define WINDOW_LIMIT 200

struct window {
    const struct outbox_row **rows;
    size_t count;
    size_t *prior; /* the row before it of the same aggregate, if any */
    int *results;  /* 0: confirmed */
};

/* Of `count` rows, at most WINDOW_LIMIT, for the caller to put in; lives in the fiber's arena. */
void window_begin(struct window *w, size_t count);
/* Publishes with confirms, within four seconds; `results` says what became of each. */
void window_publish(struct window *w) PARKS;
/* Why trying the row again at once is useless; NULL: it isn't, or it is out. */
const char *window_parking_reason(const struct window *w, size_t i);
/* Counts, logs the first failure, and tells whether something has to be sent again soon. `gone`:
 * out, or to be parked. */
bool window_tell(const struct window *w, size_t *ret_gone);
void window_tell_confirmed(const struct outbox_row *row); /* counts */
