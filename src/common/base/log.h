#pragma once

/* One JSON object a line on stdout (text when stdout is a terminal): ts, level, service, msg, the
 * context's correlationId and traceId, then the call's own fields. Never blocks on a full pipe for
 * longer than one write; values are escaped, so user text cannot forge a line. */

#include "common/base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

struct log_field {
    const char *name;
    enum { LOG_FIELD_TEXT, LOG_FIELD_I64, LOG_FIELD_BOOL, LOG_FIELD_MS } kind;
    const char *text; /* NULL prints null */
    int64_t value;
};

#define LF_TEXT(n, v) ((struct log_field){.name = (n), .kind = LOG_FIELD_TEXT, .text = (v)})
#define LF_I64(n, v)  ((struct log_field){.name = (n), .kind = LOG_FIELD_I64, .value = (int64_t)(v)})
#define LF_BOOL(n, v) ((struct log_field){.name = (n), .kind = LOG_FIELD_BOOL, .value = (v)})
/* microseconds in, printed as milliseconds with three decimals */
#define LF_MS(n, us) ((struct log_field){.name = (n), .kind = LOG_FIELD_MS, .value = (int64_t)(us)})

#define log_debug(msg, ...) LOG_AT(LOG_DEBUG, msg, ##__VA_ARGS__)
#define log_info(msg, ...)  LOG_AT(LOG_INFO, msg, ##__VA_ARGS__)
#define log_warn(msg, ...)  LOG_AT(LOG_WARN, msg, ##__VA_ARGS__)
#define log_error(msg, ...) LOG_AT(LOG_ERROR, msg, ##__VA_ARGS__)
#define LOG_AT(level, msg, ...)                                                                    \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write(level, msg, (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}});      \
    } while (0)

void log_init(const char *service, enum log_level level);
void log_set_level(enum log_level level);
bool log_level_parse(const char *text, enum log_level *ret_level);
bool log_enabled(enum log_level level);
void log_write(
    enum log_level level, const char *msg, const struct log_field *fields); /* ends at name NULL */

/* The context of what is being worked on; the fiber switch swaps it, so a fiber sets its own. */
struct log_context {
    const char *correlation_id;
    const char *trace_id;
    const char *span_id;
};
const struct log_context *log_context_swap(
    const struct log_context *mine);         /* returns the old one */
const struct log_context *log_context(void); /* may be NULL */
