#pragma once

#include <string.h>

#include "common/app/metrics.h"
#include "common/base/buf.h"

/* Whether what /metrics tells now has this in it. */
static inline bool metrics_hold(const char *text)
{
    struct buf out = {0};
    metrics_write(&out);
    bool found = out.ptr && strstr(out.ptr, text);
    buf_deinit(&out);
    return found;
}
