/* On a machine that is full, requests win over consumers: a shopper waits for each sale's answer,
 * and nobody for its events. Sales then begin faster than they are finished, and their events queue
 * up for as long as the crowd lasts. So services tell with their answers how late the events are
 * that they handle, and whoever begins sales lets fewer of them be under way at once while that is
 * more than TARGET_US: the others wait a little for their turn, nobody is refused. What waits is in
 * flight to the front (front.c), which refuses when it is too long.
 *
 * What they tell is the mean of a tenth of a second. The latest event of each would be late on any
 * crowded machine, however few sales are under way: then all but two would wait for nothing.
 *
 * How far the lag is off the target counts twice: by its fourth root at once, and a little each
 * tenth of a second for what the limit comes back to, its middle; up only if somebody has to wait.
 * By factors, for steps would be too slow from one sale to hundreds. The first is what keeps it
 * from swinging. A lag is itself a sum, of what began and was not finished, and shows when its time
 * has passed: a limit that only summed up in its turn would go on falling long after there is room.
 *
 * Events that are older than OLD_US are the backlog of an outage. Sales must not wait for that:
 * it is the consumers who put it off (inbox.c). */

#include "common/app/pace.h"

#include <math.h>

#include "common/app/metrics.h"
#include "common/base/clock.h"
#include "common/fiber/sync.h"

#define TARGET_US (200 * USEC_PER_MS)
#define OLD_US    (10 * USEC_PER_SEC)
#define JUDGE_US  (100 * USEC_PER_MS)
#define WAIT_US   (500 * USEC_PER_MS)
#define TELL_US   (100 * USEC_PER_MS)
#define KEEP_US   (400 * USEC_PER_MS) /* what was told last, until there are others */
#define BEST_US   (TARGET_US / 4)     /* less is as good */
#define AT_ONCE   0.25
#define IN_TIME   0.03
#define START     32
#define LEAST     2
#define MOST      1024

/* ---- the rule ---- */

void pace_init(struct pace *p, int64_t now_us)
{
    *p = (struct pace){.limit = START, .middle = START, .judge_us = now_us + JUDGE_US};
}

static double within(double limit)
{
    return limit < LEAST ? LEAST : limit > MOST ? MOST : limit;
}

static void judge(struct pace *p)
{
    double off = (double)TARGET_US / (double)(p->worst_us > BEST_US ? p->worst_us : BEST_US);
    if (off < 1 || p->full)
        p->middle = within(p->middle * pow(off, IN_TIME));
    p->limit = within(p->middle * pow(off, AT_ONCE));
    p->worst_us = 0;
    p->full = false;
}

void pace_heard(struct pace *p, int64_t lag_us, int64_t now_us)
{
    if (lag_us > p->worst_us && lag_us < OLD_US)
        p->worst_us = lag_us;
    if (now_us < p->judge_us)
        return;
    judge(p);
    p->judge_us = now_us + JUDGE_US;
}

/* ---- sales ---- */

static struct pace pace = {.limit = START, .middle = START};
static unsigned waiting;
static struct fiber_signal turn;

static struct metric limit_gauge = {.name = "souk_sales_limit",
    .help = "Sales that may be under way at once, so that their events keep up.",
    .kind = METRIC_GAUGE};
static struct metric waiting_gauge = {
    .name = "souk_sales_waiting", .help = "Sales that wait for their turn.", .kind = METRIC_GAUGE};

static void set_gauges(void *ctx)
{
    metric_set(&limit_gauge, (double)(unsigned)pace.limit);
    metric_set(&waiting_gauge, waiting);
}

void pace_start(void)
{
    metrics_on_scrape(set_gauges, NULL);
}

static bool has_room(void)
{
    return pace.under_way < (unsigned)pace.limit;
}

int pace_enter(void)
{
    int64_t until_us = clock_mono_us() + WAIT_US;
    int r = 0;
    if (waiting > 0 || !has_room()) {
        pace.full = true;
        waiting++;
        do
            r = fiber_signal_wait(&turn, "a sale's turn", until_us);
        while (r == 0 && !has_room());
        waiting--;
    }
    if (r != 0 && r != ERR_TIMEOUT)
        return ERR(r);
    TRY(fiber_may_wait());
    pace.under_way++;
    return 0;
}

void pace_leave(void)
{
    pace.under_way--;
    for (unsigned i = pace.under_way; i < (unsigned)pace.limit && waiting > 0; i++)
        fiber_signal_one(&turn);
}

/* ---- what services tell each other ---- */

int64_t pace_lag_mean(struct pace_lag *l, int64_t now_us)
{
    if (now_us < l->until_us)
        return l->mean_us;
    if (l->count) {
        l->mean_us = l->sum_us / l->count;
        l->made_us = l->until_us;
    }
    if (now_us >= l->made_us + KEEP_US)
        l->mean_us = 0;
    l->sum_us = l->count = 0;
    l->until_us = now_us + TELL_US;
    return l->mean_us;
}

void pace_lag_add(struct pace_lag *l, int64_t lag_us, int64_t now_us)
{
    (void)pace_lag_mean(l, now_us);
    if (lag_us < OLD_US) {
        l->sum_us += lag_us;
        l->count++;
    }
}

static struct pace_lag consumed;

void pace_consumed(int64_t lag_us)
{
    int64_t now = clock_mono_us();
    pace_lag_add(&consumed, lag_us, now);
    pace_heard(&pace, pace_lag_mean(&consumed, now), now);
}

const char *pace_tells(void)
{
    int64_t mean_us = pace_lag_mean(&consumed, clock_mono_us());
    return arena_printf(fiber_arena(), "%lld", (long long)(mean_us / USEC_PER_MS));
}

void pace_told(struct span value)
{
    int64_t ms;
    if (value.ptr && span_to_i64(value, &ms) && ms >= 0)
        pace_heard(&pace, ms * USEC_PER_MS, clock_mono_us());
}
