/* An outbox is read in the order of its sequence numbers. For each page an inbox is asked for those
 * of its events that it does not have: that is nearly always nothing, so nearly nothing travels.
 * The ids of one page are neighbours in the inbox's index, too, as they are made by the clock. */

#include "ctl/ledger.h"

#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/base/uuid.h"
#include "common/data/pg.h"

#define PAGE_TEXT   "5000"
#define PATIENCE_US (60 * USEC_PER_SEC)
#define EVENT_FIELDS                                                                               \
    "seq, event_id, type, aggregate_id, correlation_id, created_at, published_at, parked_at"

static const struct field event_fields[] = {
    FIELD_I64(struct ledger_event, seq, "seq"),
    FIELD_TEXT(struct ledger_event, event_id, "eventId"),
    FIELD_TEXT(struct ledger_event, type, "type"),
    FIELD_TEXT(struct ledger_event, aggregate_id, "aggregateId"),
    FIELD_TEXT(struct ledger_event, correlation_id, "correlationId"),
    FIELD_TIME(struct ledger_event, created_us, "createdAt"),
    FIELD_TIME(struct ledger_event, published_us, "publishedAt"),
    FIELD_TIME(struct ledger_event, parked_us, "parkedAt"),
    FIELD_TEXT(struct ledger_event, body, "body"),
};
static const struct table event_table = TABLE("LedgerEvent", struct ledger_event, event_fields);

struct place_row {
    int64_t place, handled_us;
};
static const struct field missing_fields[] = {FIELD_I64(struct place_row, place, "place")};
static const struct table missing_table = TABLE("Missing", struct place_row, missing_fields);
static const struct field handled_fields[] = {
    FIELD_I64(struct place_row, place, "place"),
    FIELD_TIME(struct place_row, handled_us, "handledAt"),
};
static const struct table handled_table = TABLE("Handled", struct place_row, handled_fields);
static const struct field count_fields[] = {FIELD_I64(struct place_row, place, "count")};
static const struct table count_table = TABLE("Count", struct place_row, count_fields);

static const struct pg_statement page_statement = {"ctl_ledger_page",
    "SELECT " EVENT_FIELDS ", NULL FROM outbox WHERE seq > $1 AND created_at >= $2 "
    "ORDER BY seq LIMIT " PAGE_TEXT,
    &event_table};
static const struct pg_statement all_statement = {"ctl_ledger_all",
    "SELECT " EVENT_FIELDS ", NULL FROM outbox WHERE seq > $1 ORDER BY seq LIMIT " PAGE_TEXT,
    &event_table};
/* Payments have ids of their own and name their order in the payload. */
static const struct pg_statement order_statement = {"ctl_ledger_order",
    "SELECT " EVENT_FIELDS ", body FROM outbox WHERE seq > $1 "
    "AND (aggregate_id = $2 OR strpos(body, $3) > 0) ORDER BY seq LIMIT " PAGE_TEXT,
    &event_table};
static const struct pg_statement missing_statement = {"ctl_ledger_missing",
    "SELECT place FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place) "
    "WHERE NOT EXISTS (SELECT FROM inbox WHERE event_id = id)",
    &missing_table};
static const struct pg_statement handled_statement = {"ctl_ledger_handled",
    "SELECT place, handled_at FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place) "
    "JOIN inbox ON event_id = id",
    &handled_table};
static const struct pg_statement pending_statement = {"ctl_ledger_pending",
    "SELECT count(*) FROM outbox WHERE published_at IS NULL AND parked_at IS NULL", &count_table};

struct ledger {
    struct pg_pool *pools[SERVICES_COUNT];
};

struct ledger *ledger_new(struct arena *a, struct loop *l, const char **ret_variable)
{
    const char *urls[SERVICES_COUNT];
    for (size_t i = 0; i < SERVICES_COUNT; i++)
        if (!(urls[i] = database_url(a, ctl_services[i], ret_variable)))
            return NULL;
    struct ledger *b = MEM_NEW(struct ledger);
    for (size_t i = 0; i < SERVICES_COUNT; i++)
        b->pools[i] = pg_pool_new(l, &(struct pg_pool_config){.url = urls[i],
                                         .application_name = "soukctl",
                                         .size = 1,
                                         .statement_timeout_us = PATIENCE_US});
    return b;
}

void ledger_free(struct ledger *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < SERVICES_COUNT; i++)
        pg_pool_free(b->pools[i]);
    mem_free(b);
}

static struct pg_pool *pool_of(struct ledger *b, const struct queue_row *queue)
{
    for (size_t i = 0; i < SERVICES_COUNT; i++)
        if (strcmp(ctl_services[i], queue->service) == 0)
            return b->pools[i];
    abort(); /* a queue of no service */
}

int ledger_page(struct ledger *b, size_t service, const struct ledger_window *window,
    int64_t after_seq, struct list *ret_events)
{
    struct pg_pool *pool = b->pools[service];
    struct pg_result page;
    int r;
    if (window->order_id)
        r = pg_query(pool, &order_statement,
            PG_ARGS(PG_I64(after_seq), PG_TEXT(window->order_id),
                PG_TEXT(arena_printf(fiber_arena(), "\"orderId\":\"%s\"", window->order_id))),
            &page);
    else if (window->since_us)
        r = pg_query(
            pool, &page_statement, PG_ARGS(PG_I64(after_seq), PG_TIME(window->since_us)), &page);
    else
        r = pg_query(pool, &all_statement, PG_ARGS(PG_I64(after_seq)), &page);
    TRY(r);
    *ret_events = page.rows;
    return 0;
}

static int ask(struct ledger *b, const struct queue_row *queue, const struct pg_statement *s,
    const char *const *ids, size_t count, struct pg_result *ret_result)
{
    struct buf list = {0};
    buf_reserve(&list, count * UUID_TEXT_SIZE + 2);
    buf_put_char(&list, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_put_char(&list, ',');
        buf_put_text(&list, ids[i]);
    }
    buf_put_char(&list, '}');
    int r = pg_query(pool_of(b, queue), s, PG_ARGS(PG_TEXT(list.ptr)), ret_result);
    buf_deinit(&list);
    TRY(r);
    return 0;
}

int ledger_handled(struct ledger *b, const struct queue_row *queue, const char *const *ids,
    size_t count, int64_t *handled_us)
{
    struct pg_result found;
    TRY(ask(b, queue, &handled_statement, ids, count, &found));
    for (size_t i = 0; i < found.rows.len; i++) {
        const struct place_row *row = PG_ROW(found, struct place_row, i);
        handled_us[row->place - 1] = row->handled_us;
    }
    return 0;
}

int ledger_missing(struct ledger *b, const struct queue_row *queue, const char *const *ids,
    size_t count, bool *missing)
{
    struct pg_result found;
    TRY(ask(b, queue, &missing_statement, ids, count, &found));
    for (size_t i = 0; i < found.rows.len; i++)
        missing[PG_ROW(found, struct place_row, i)->place - 1] = true;
    return 0;
}

int ledger_pending(struct ledger *b, int64_t *ret_count)
{
    int64_t count = 0;
    for (size_t i = 0; i < SERVICES_COUNT; i++) {
        struct pg_result one;
        TRY(pg_query(b->pools[i], &pending_statement, PG_NO_ARGS, &one));
        count += PG_ROW(one, struct place_row, 0)->place;
    }
    *ret_count = count;
    return 0;
}
