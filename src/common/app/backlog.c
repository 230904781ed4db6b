/* Work that a service has promised and not finished: sagas, payments whose result is not known,
 * messages not sent. Each service counts it by one statement of its own, cheap through a partial
 * index; here it becomes two gauges. Every process of a service shows the same, so readers take the
 * maximum.
 *
 * When what has to be done with the work is away (a bank, a mail server: an open breaker), it piles
 * up in its table. Beyond WORK_LIMIT the consumer that makes more of it pauses, and goes on at half
 * of it; the events wait in their queue, and none is sent through the retry tiers for it. */

#include "common/app/backlog.h"

#include "common/app/inbox.h"
#include "common/app/metrics.h"
#include "common/app/service.h"

#define BACKLOG_PERIOD_US (5 * USEC_PER_SEC)

struct backlog {
    const char *work;
    int64_t pending;
    double oldest_s;
};
static const struct field backlog_fields[] = {
    FIELD_TEXT(struct backlog, work, "work"),
    FIELD_I64(struct backlog, pending, "pending"),
    FIELD_REAL(struct backlog, oldest_s, "oldestS"),
};
const struct table backlog_table = TABLE("Backlog", struct backlog, backlog_fields);

static struct metric pending_gauge = {.name = "souk_work_pending",
    .help = "Unfinished work of this service, by kind.",
    .kind = METRIC_GAUGE,
    .labels = "work"};
static struct metric age_gauge = {.name = "souk_work_oldest_seconds",
    .help = "Age of the oldest unfinished work, by kind; 0 when there is none.",
    .kind = METRIC_GAUGE,
    .labels = "work"};

static const struct pg_statement *statement;

static void limit_work(int64_t pending)
{
    int64_t limit = config_i64("WORK_LIMIT");
    if (limit > 0 && pending > limit)
        inbox_pause("too much work is unfinished");
    else if (limit == 0 || pending <= limit / 2)
        inbox_resume();
}

static int backlog_look(void)
{
    struct pg_result result;
    int64_t pending = 0;
    TRY(pg_query(app()->pg, statement, PG_NO_ARGS, &result));
    for (size_t i = 0; i < result.rows.len; i++) {
        const struct backlog *b = PG_ROW(result, struct backlog, i);
        metric_set(&pending_gauge, (double)b->pending, b->work);
        metric_set(&age_gauge, b->oldest_s, b->work);
        pending += b->pending;
    }
    limit_work(pending);
    return 0;
}

int backlog_start(const struct pg_statement *s)
{
    statement = s;
    return app_every("backlog gauges", BACKLOG_PERIOD_US, backlog_look);
}
