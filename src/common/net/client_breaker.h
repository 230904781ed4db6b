#pragma once

/* The two rules that keep a sick peer from getting more work, as plain state and arithmetic: time
 * comes in as an argument, nothing waits. Private to the outgoing client. */

#include "common/net/client.h"

/* Circuit breaker over the last `calls` attempts (at most 64). Closed: everything goes out; when
 * half of the window failed it opens. Open: nothing goes out until `open_until_us`; then one probe
 * (half-open). The probe's success closes it, its failure opens it for twice as long. */
#define BREAKER_CALLS_LIMIT 64
#define BREAKER_OPEN_MAX_US (30 * USEC_PER_SEC)

struct breaker {
    bool is_open, is_probing;
    unsigned calls;
    uint64_t failed; /* one bit per attempt, the newest in bit 0 */
    int64_t open_until_us, open_for_us, open_first_us;
};

enum breaker_verdict {
    BREAKER_GOOD,
    BREAKER_BAD,
    BREAKER_NONE, /* says nothing about the peer: cancelled, never tried */
};

enum breaker_pass { BREAKER_SHUT, BREAKER_PASS, BREAKER_PROBE };

void breaker_init(struct breaker *b, unsigned calls, int64_t open_us);
enum http_breaker breaker_state(const struct breaker *b, int64_t now_us);
/* Would breaker_admit() let an attempt pass now? */
bool breaker_is_shut(const struct breaker *b, int64_t now_us);
/* Each PASS and PROBE is answered by one breaker_record() with it. */
enum breaker_pass breaker_admit(struct breaker *b, int64_t now_us);
/* True when the state changed (for the log). */
bool breaker_record(
    struct breaker *b, enum breaker_pass pass, enum breaker_verdict verdict, int64_t now_us);

/* Retry budget: each first attempt earns `share` of a retry, each retry spends one whole; at most
 * RETRY_BURST are kept, and so many are there at the start. */
#define RETRY_BURST 10.0

struct retry_budget {
    double share, tokens;
};

void retry_budget_init(struct retry_budget *b, double share);
void retry_budget_earn(struct retry_budget *b);
bool retry_budget_spend(struct retry_budget *b);
