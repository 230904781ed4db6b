#include "common/net/client_breaker.h"

#include <assert.h>

void breaker_init(struct breaker *b, unsigned calls, int64_t open_us)
{
    assert(calls > 0 && calls <= BREAKER_CALLS_LIMIT && open_us > 0);
    *b = (struct breaker){.calls = calls, .open_for_us = open_us, .open_first_us = open_us};
}

enum http_breaker breaker_state(const struct breaker *b, int64_t now_us)
{
    if (!b->is_open)
        return HTTP_BREAKER_CLOSED;
    return now_us < b->open_until_us ? HTTP_BREAKER_OPEN : HTTP_BREAKER_HALF_OPEN;
}

bool breaker_is_shut(const struct breaker *b, int64_t now_us)
{
    return b->is_open && (b->is_probing || now_us < b->open_until_us);
}

enum breaker_pass breaker_admit(struct breaker *b, int64_t now_us)
{
    if (!b->is_open)
        return BREAKER_PASS;
    if (breaker_is_shut(b, now_us))
        return BREAKER_SHUT;
    b->is_probing = true;
    return BREAKER_PROBE;
}

static unsigned breaker_failures(const struct breaker *b)
{
    uint64_t window = b->calls == 64 ? UINT64_MAX : (UINT64_C(1) << b->calls) - 1;
    return (unsigned)__builtin_popcountll(b->failed & window);
}

static void breaker_open(struct breaker *b, int64_t now_us)
{
    b->is_open = true;
    b->open_until_us = now_us + b->open_for_us;
    b->open_for_us *= 2;
    if (b->open_for_us > BREAKER_OPEN_MAX_US)
        b->open_for_us = BREAKER_OPEN_MAX_US;
}

static bool breaker_record_probe(struct breaker *b, enum breaker_verdict verdict, int64_t now_us)
{
    assert(b->is_open && b->is_probing);
    b->is_probing = false;
    if (verdict == BREAKER_NONE)
        return false; /* the next caller is the probe */
    if (verdict == BREAKER_BAD) {
        breaker_open(b, now_us);
        return false;
    }
    b->is_open = false;
    b->failed = 0;
    b->open_for_us = b->open_first_us;
    return true;
}

bool breaker_record(
    struct breaker *b, enum breaker_pass pass, enum breaker_verdict verdict, int64_t now_us)
{
    assert(pass != BREAKER_SHUT);
    if (pass == BREAKER_PROBE)
        return breaker_record_probe(b, verdict, now_us);
    /* An attempt that went out before the breaker opened tells nothing new. */
    if (b->is_open || verdict == BREAKER_NONE)
        return false;
    b->failed = b->failed << 1 | (verdict == BREAKER_BAD);
    if (verdict == BREAKER_GOOD || breaker_failures(b) < (b->calls + 1) / 2)
        return false;
    breaker_open(b, now_us);
    return true;
}

void retry_budget_init(struct retry_budget *b, double share)
{
    *b = (struct retry_budget){.share = share, .tokens = RETRY_BURST};
}

void retry_budget_earn(struct retry_budget *b)
{
    b->tokens += b->share;
    if (b->tokens > RETRY_BURST)
        b->tokens = RETRY_BURST;
}

bool retry_budget_spend(struct retry_budget *b)
{
    if (b->tokens < 1.0)
        return false;
    b->tokens -= 1.0;
    return true;
}
