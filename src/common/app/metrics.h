#pragma once

/* Prometheus metrics, text format 0.0.4. Declared once as file-level statics, registered at first
 * use. Labels are at most four and of low cardinality: 500 series a metric, then "other". Loop
 * thread only. */

#include "common/base/buf.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
struct metric_series;
struct metric {
    const char *name; /* "souk_outbox_pending" ; counters end in _total, times in _seconds */
    const char *help;
    enum metric_kind kind;
    const char *labels;           /* "route,method,status" or NULL */
    struct metric_series *series; /* private */
    bool registered;
    struct metric *next;
};

/* Label values in the order of `labels`; pass none when there are none. */
void metric_add(
    struct metric *m, double value, ...); /* counters: value >= 0; values are const char* */
void metric_set(struct metric *m, double value, ...); /* gauges, and counters that others count */
void metric_observe_us(
    struct metric *m, int64_t us, ...); /* histograms in seconds, fixed buckets 0.5 ms … 10 s */
/* Runs before each scrape, to set gauges from pools and queues. */
void metrics_on_scrape(void (*fn)(void *ctx), void *ctx);
void metrics_write(struct buf *out);
