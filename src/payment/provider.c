/* Every call to the bank passes here: it is timed, and it asserts that the fiber holds no database
 * connection while it waits for somebody else's computer. */

#include "payment/provider.h"

#include <assert.h>

#include "common/app/metrics.h"
#include "common/app/service.h"

static const struct provider *const providers[] = {&sandbox_provider};
static const struct provider *chosen;

static struct metric calls = {.name = "souk_provider_seconds",
    .help = "Calls to the payment provider.",
    .kind = METRIC_HISTOGRAM,
    .labels = "operation,result"};

int provider_start(void)
{
    const char *name = config_text("PROVIDER");
    for (size_t i = 0; i < ARRAY_SIZE(providers); i++)
        if (strcmp(providers[i]->name, name) == 0) {
            chosen = providers[i];
            return chosen->start();
        }
    error_note("PROVIDER: there is no payment provider called %.60s", name);
    return ERR(ERR_INVALID);
}

const char *provider_name(void)
{
    return chosen->name;
}

static int64_t begin(void)
{
    assert(fiber_holds() == 0);
    return clock_mono_us();
}

static int end(int64_t begun_us, const char *operation, int r)
{
    metric_observe_us(&calls, clock_mono_us() - begun_us, operation,
        r == 0  ? "done"
        : r > 0 ? "refused"
                : "unknown");
    return r < 0 ? ERR(r) : r;
}

int provider_validate(const char *token, struct provider_charge *ret_answer)
{
    int64_t begun_us = begin();
    return end(begun_us, "validate", chosen->validate(token, ret_answer));
}

int provider_authorize(const char *key, const char *token, const struct money *amount,
    struct provider_charge *ret_charge)
{
    int64_t begun_us = begin();
    return end(begun_us, "authorize", chosen->authorize(key, token, amount, ret_charge));
}

void provider_capture(struct provider_capture *captures, size_t count)
{
    int64_t begun_us = begin();
    chosen->capture(captures, count);
    for (size_t i = 0; i < count; i++)
        captures[i].r = end(begun_us, "capture", captures[i].r);
}

int provider_void(const char *key, const char *charge_key, struct provider_charge *ret_answer)
{
    int64_t begun_us = begin();
    return end(begun_us, "void", chosen->void_charge(key, charge_key, ret_answer));
}

int provider_refund(const char *key, const char *reference, const struct money *amount,
    struct provider_charge *ret_answer)
{
    int64_t begun_us = begin();
    return end(begun_us, "refund", chosen->refund(key, reference, amount, ret_answer));
}

int provider_lookup(const char *charge_key, struct provider_charge *ret_charge)
{
    int64_t begun_us = begin();
    return end(begun_us, "lookup", chosen->lookup(charge_key, ret_charge));
}
