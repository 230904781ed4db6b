#pragma once

/* Private to the application room: what the running fiber works on, for correlation and traces. */

#include "common/app/request.h"

#define TRACE_PARENT_SIZE 56

struct work {
    const char *correlation_id;
    const char *trace_parent;
    bool event; /* a delivery, handled inside a batch's transaction */
    struct log_context log;
};

/* Makes `w` the fiber's work: correlation, trace and log context follow. `w` lives as long as the
 * work. */
void work_begin(struct work *w);
void work_end(void);
const struct work *work_current(void);

/* A W3C traceparent for our own span: the trace of `incoming` when it is valid, else a new one. */
void trace_parent_make(struct span incoming, char text[static TRACE_PARENT_SIZE]);
bool correlation_valid(struct span text);
