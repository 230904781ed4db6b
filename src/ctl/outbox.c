/* outbox status: what each service has still to tell the broker, and what it set aside because the
 * broker had no place for it. The publishing services are those of the event list. Both the pending
 * and the parked have an index of their own; what was published lately lies at the end of the
 * table, so it is counted from there, up to a limit. */

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/contract/events.h"
#include "common/data/pg.h"
#include "common/json/writer.h"
#include "ctl/ctl.h"
#include "ctl/databases.h"
#include "ctl/dlq.h"
#include "ctl/sheet.h"

#define PUBLISHED_LIMIT "60000"

struct outbox_state {
    const char *service;
    int64_t pending, parked, parks, published;
    double pending_s, parked_s; /* age of the oldest */
    const char *reasons;
};
static const struct field state_fields[] = {
    FIELD_TEXT(struct outbox_state, service, "service"),
    FIELD_I64(struct outbox_state, pending, "pending"),
    FIELD_REAL(struct outbox_state, pending_s, "oldestPendingSeconds"),
    FIELD_I64(struct outbox_state, parked, "parked"),
    FIELD_REAL(struct outbox_state, parked_s, "oldestParkedSeconds"),
    FIELD_I64(struct outbox_state, parks, "attemptsOfParked"),
    FIELD_TEXT(struct outbox_state, reasons, "parkedReasons"),
    FIELD_I64(struct outbox_state, published, "publishedLastMinute"),
};
static const struct table state_table = TABLE("OutboxState", struct outbox_state, state_fields);

static const struct pg_statement state_statement = {"ctl_outbox_state",
    "SELECT $1::text, w.*, p.*, l.* FROM "
    "(SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 "
    "FROM outbox WHERE published_at IS NULL AND parked_at IS NULL) AS w, "
    "(SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8, "
    "coalesce(sum(parks), 0)::bigint, string_agg(DISTINCT parked_reason, ', ') "
    "FROM outbox WHERE parked_at IS NOT NULL) AS p, "
    "(SELECT count(*) FROM (SELECT published_at FROM outbox WHERE published_at IS NOT NULL "
    "ORDER BY seq DESC LIMIT " PUBLISHED_LIMIT ") AS late "
    "WHERE published_at > now() - interval '1 minute') AS l",
    &state_table};

/* Whether it publishes events. */
static bool publishes(const char *service)
{
    for (size_t i = 0; event_kinds[i]; i++)
        if (strcmp(event_kinds[i]->publisher, service) == 0)
            return true;
    return false;
}

static int look(struct ctl *ctl, const char *service, struct outbox_state *ret_state)
{
    const char *variable;
    const char *url = database_url(fiber_arena(), service, &variable);
    if (!url)
        return ctl_fail(CTL_USAGE, "%s is not set; ./souk ctl sets it", variable);
    struct pg_pool *pool = pg_pool_new(
        ctl->loop, &(struct pg_pool_config){.url = url, .application_name = "soukctl", .size = 1});
    struct pg_result found;
    int r = pg_query(pool, &state_statement, PG_ARGS(PG_TEXT(service)), &found);
    if (r == 0)
        *ret_state = *PG_ROW(found, struct outbox_state, 0);
    pg_pool_free(pool);
    return r == 0 ? 0 : database_failed(service, r);
}

static const char *age(double seconds, int64_t count)
{
    return count ? age_text(fiber_arena(), (int64_t)(seconds * (double)USEC_PER_SEC)) : "-";
}

static void add_row(struct sheet *sheet, const struct outbox_state *s)
{
    struct arena *a = fiber_arena();
    sheet_add(
        sheet, (const char *const[]){s->service, arena_printf(a, "%lld", (long long)s->pending),
                   age(s->pending_s, s->pending), arena_printf(a, "%lld", (long long)s->published),
                   arena_printf(a, "%lld", (long long)s->parked), age(s->parked_s, s->parked),
                   s->parked ? arena_printf(a, "%lld", (long long)s->parks) : "-",
                   s->reasons ? s->reasons : ""});
}

static int status_run(struct ctl *ctl, const struct args *args)
{
    static const char *const titles[] = {
        "SERVICE", "PENDING", "OLDEST", "PUBLISHED/MIN", "PARKED", "OLDEST", "ATTEMPTS", "REASONS"};
    double limit_s = (double)args_number(args, "fail-older-than", INT64_MAX) / (double)USEC_PER_SEC;
    struct sheet *sheet = sheet_new(fiber_arena(), titles, ARRAY_SIZE(titles));
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    bool late = false;
    int r = 0;
    json_array_begin(&w);
    for (size_t i = 0; i < SERVICES_COUNT && r == 0; i++) {
        struct outbox_state s;
        if (!publishes(ctl_services[i]) || (r = look(ctl, ctl_services[i], &s)) != 0)
            continue;
        late = late || (s.pending && s.pending_s > limit_s) || (s.parked && s.parked_s > limit_s);
        add_row(sheet, &s);
        json_struct(&w, &state_table, &s);
    }
    json_array_end(&w);
    if (r == 0 && ctl->json)
        fprintf(ctl->out, "%s\n", out.ptr);
    else if (r == 0)
        sheet_print(sheet, ctl->out);
    buf_deinit(&out);
    return r ? r : late ? CTL_WRONG : CTL_DONE;
}

static const struct option_row status_options[] = {
    {"fail-older-than", "AGE", OPTION_DURATION,
        "exit 1 when an event waits or is parked longer (90s, 15m)"},
};
const struct command outbox_status_command = {"outbox", "status", NULL,
    "What each service has not yet told the broker, and what it set aside (parked).",
    "soukctl outbox status\n"
    "soukctl outbox status --fail-older-than 30s\n"
    "soukctl outbox status --json | jq '.[] | select(.parked > 0)'\n"
    "watch soukctl outbox status",
    status_options, ARRAY_SIZE(status_options), status_run};
