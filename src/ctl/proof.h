#pragma once

/* What became of events: each one in the outboxes against the inboxes of those who must hear it,
 * and where it is missing, against the broker's retry tiers and dead letters. */

#include "ctl/ctl.h"
#include "ctl/ledger.h"
#include "ctl/whereabouts.h"

enum proof_state {
    PROOF_NOT_MEANT, /* no subscriber */
    PROOF_HANDLED,
    PROOF_UNDER_WAY, /* not published yet, in the queue or in a retry tier, or simply too young */
    PROOF_DEAD,      /* in the subscriber's dead letters */
    PROOF_GAP,       /* nowhere */
};

/* What was seen of one event at one subscriber. */
struct sighting {
    bool published, handled, dead, retrying;
    bool queued;    /* its queue was never empty while we looked */
    int64_t age_us; /* since it was published, else since it was made */
};
enum proof_state proof_judge(const struct sighting *s, int64_t grace_us);

struct proof_mark {
    enum proof_state state;
    int64_t at_us;    /* when it was handled or died; 0: unknown */
    const char *note; /* a dead letter's error code */
};

struct proof_event {
    struct ledger_event row;
    const char *publisher;
    bool late; /* not published, though older than the grace, or set aside */
    struct proof_mark marks[QUEUES_COUNT];
};

struct proof_tally {
    int64_t expected, handled, under_way, dead, gaps;
    /* Beyond those that are kept by name: published and missing, not published. */
    int64_t unnamed_missing, unnamed_waiting;
};

/* Events kept by name: what is missing somewhere, or all of one order. Beyond them only numbers are
 * kept, so that memory stays bounded when a consumer has been away for a day. */
#define PROOF_KEPT_LIMIT 10000

struct proof {
    struct arena *arena;
    struct ledger *ledger;
    struct ledger_window window;
    int64_t grace_us, now_us;
    int64_t events, unpublished;
    int64_t set_aside; /* of the unpublished: those that wait for somebody, not for the broker */
    int64_t late;      /* beyond those that are kept by name */
    int64_t oldest_us; /* the oldest event that was read; 0: none */
    struct proof_tally tally[QUEUES_COUNT];
    struct proof_event *kept;
    size_t kept_count, kept_capacity;
    bool partial; /* there are more dead or retried letters than could be looked at */
};

/* Of a subscription table: who must handle events of a type. A bit for each place in queue_rows. */
typedef unsigned (*proof_meant_fn)(void *ctx, const char *type);
struct proof_config {
    struct ledger *ledger;
    struct ledger_window window;
    int64_t grace_us;
    proof_meant_fn meant;
    void *meant_ctx;
    void (*progress)(int64_t events, const char *service); /* NULL ok */
};
/* Reads outboxes and inboxes; what is missing is kept for proof_settle(). Uses the fiber's arena as
 * it likes. `*ret_proof` is to be given to proof_deinit. 0 or ERR_UNAVAILABLE and the like, with
 * `*ret_service` the one whose database failed. */
int proof_read(const struct proof_config *config, struct proof *ret_proof, const char **ret_service)
    PARKS;
/* The missing once more against the inboxes, and against what the broker holds; counts all up. */
int proof_settle(
    struct proof *p, const struct whereabouts held[QUEUES_COUNT], const char **ret_service) PARKS;
unsigned proof_missing(const struct proof *p); /* queues that something is missing at */
int64_t proof_gaps(const struct proof *p);     /* late ones, too */
bool proof_at_rest(const struct proof *p);     /* nothing is under way */
void proof_deinit(struct proof *p);
