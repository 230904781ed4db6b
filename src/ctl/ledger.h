#pragma once

/* What the services' databases know of events: the outboxes of their publishers, the inboxes of
 * their consumers. It only reads, in pages, so a million events need no more memory than a
 * thousand. */

#include "common/fiber/fiber.h"
#include "common/json/table.h"
#include "ctl/databases.h"
#include "ctl/queues.h"

struct ledger_event {
    int64_t seq;
    const char *event_id, *type, *aggregate_id, *correlation_id;
    int64_t created_us, published_us; /* published 0: not yet */
    int64_t parked_us; /* set aside, as the broker has no place for it; 0: it isn't */
    const char *body;  /* NULL when a time was asked for, not an order */
};

struct ledger_window {
    const char *order_id; /* NULL: all */
    int64_t since_us;     /* wall; 0: everything that is kept */
};

struct ledger;
/* Nothing is connected yet. NULL when nobody told where a database is; `*ret_variable` (in `a`)
 * names what to set. */
struct ledger *ledger_new(struct arena *a, struct loop *l, const char **ret_variable);
void ledger_free(struct ledger *b) PARKS; /* NULL ok */

/* The functions below return 0, or ERR_UNAVAILABLE and the like; rows live in the fiber's arena. */

/* The next page of a service's outbox (a place in ctl_services), by seq, after `after_seq`; of
 * `struct ledger_event`. Empty at the end. */
int ledger_page(struct ledger *b, size_t service, const struct ledger_window *window,
    int64_t after_seq, struct list *ret_events) PARKS;
/* When each was handled by that queue's consumer: handled_us[i], 0 where it was not. */
int ledger_handled(struct ledger *b, const struct queue_row *queue, const char *const *ids,
    size_t count, int64_t *handled_us) PARKS;
/* Sets missing[i] where that queue's consumer has not handled it, leaves the others. */
int ledger_missing(struct ledger *b, const struct queue_row *queue, const char *const *ids,
    size_t count, bool *missing) PARKS;
/* How many events wait for the broker, in all outboxes, not counting those set aside. */
int ledger_pending(struct ledger *b, int64_t *ret_count) PARKS;
