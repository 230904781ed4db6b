#pragma once

/* Events: what is published through the outbox and consumed through the inbox. Kinds and payload
 * tables are data in common/contract. */

#include "common/bus/bus.h"
#include "common/contract/event_kind.h"
#include "common/data/pg.h"
#include "common/json/table.h"

struct event {
    const char *id, *type, *version, *source;
    const char *aggregate_id, *correlation_id;
    int64_t timestamp_us;
    const void *payload; /* struct of the consumer row's kind */
    bool redelivered;
};

/* Adds an event to the outbox in `tx` (queued, no round trip of its own). It is published after the
 * commit, at least once, in the order of one aggregate. Correlation and trace come from the running
 * work. Not in a transaction that commits without waiting for the disk: it goes out at once. */
int outbox_add(
    struct pg_tx *tx, const struct event_kind *kind, const char *aggregate_id, const void *payload);
/* An event that was published is kept in the outbox for so long. */
#define OUTBOX_KEPT_DAYS 7
#define OUTBOX_KEPT_TEXT "7 days"

/* A row of a service's consumer table (events.c). The handler runs in the batch's transaction,
 * exactly once per event id; it must not make remote calls (pg holds are asserted): what takes a
 * remote call is recorded and done by a worker fiber. 0 done; positive = permanent: this event goes
 * to the dead letters at once with the outcome's code as reason; negative = transient: retry tiers.
 */
struct consumer_row {
    const struct event_kind *kind;
    int (*handle)(struct pg_tx *tx, const struct event *e);
    const char *alias; /* another type name accepted for the same handler, e.g. "user.created" */
};
/* Events that reach the queue by a wildcard but have no row are acked and counted (unknown types
 * that no kind in the contract has are dead-lettered). */
