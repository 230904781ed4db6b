/* How long we try, and what a message is called. Pure. */

#include "notification/notification.h"

#define PAUSE_FLOOR_US   (5 * USEC_PER_SEC)
#define PAUSE_CEILING_US (30 * 60 * USEC_PER_SEC)

enum delivery_fate delivery_fate(int r, int64_t attempts)
{
    if (r == 0)
        return DELIVERY_SENT;
    return r > 0 || attempts >= DELIVERY_ATTEMPTS ? DELIVERY_FAILED : DELIVERY_AGAIN;
}

int64_t delivery_pause_us(int64_t attempts)
{
    int64_t pause_us = PAUSE_FLOOR_US;
    for (int64_t i = 1; i < attempts && pause_us < PAUSE_CEILING_US; i++)
        pause_us *= 2;
    return pause_us < PAUSE_CEILING_US ? pause_us : PAUSE_CEILING_US;
}

const char *delivery_message_id(
    struct arena *a, const char *event_id, const char *template, const char *from)
{
    const char *at = strrchr(from, '@');
    return arena_printf(a, "<%s.%s@%s>", event_id, template, at ? at + 1 : "localhost");
}
