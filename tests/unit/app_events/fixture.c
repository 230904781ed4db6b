#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/app/migrations.h"
#include "common/app/settings.h"
#include "common/base/crypto.h"
#include "common/base/uuid.h"

#define SERVICE "guest" /* the private broker's user: who sends what is checked by that name */

/* ---- the service ---- */

static const struct field happened_fields[] = {
    FIELD_TEXT(struct happened, how, "how", .required = true),
    FIELD_I64(struct happened, number, "number"),
};
static const struct table happened_table = TABLE("Happened", struct happened, happened_fields);
static const struct field confided_fields[] = {
    FIELD_TEXT(struct confided, how, "how", .required = true),
    FIELD_TEXT(struct confided, token, "token", .secret = true),
};
static const struct table confided_table = TABLE("Confided", struct confided, confided_fields);

const struct event_kind happened = {"frame.happened", "1.0", SERVICE, &happened_table};
const struct event_kind confided = {"frame.confided", "1.0", SERVICE, &confided_table};
const struct event_kind foreign = {"frame.foreign", "1.0", "somebody", &happened_table};
const struct event_kind unrouted = {"nowhere.happened", "1.0", SERVICE, &happened_table};

const struct pg_statement frame_statements[] = {
    [SQL_EFFECT] = {"effect",
        "INSERT INTO effects (event_id, aggregate, number) VALUES ($1, $2, $3)"},
    [SQL_SLEEP] = {"sleep", "SELECT pg_sleep($1)"},
};

unsigned handler_runs;
char queue[32], dead_queue[40];

static int behave(struct pg_tx *tx, const struct event *e, const char *how, int64_t number)
{
    TRY(pg_queue(tx, &frame_statements[SQL_EFFECT],
        PG_ARGS(PG_TEXT(e->id), PG_TEXT(e->aggregate_id), PG_I64(number))));
    if (strcmp(how, "refused") == 0)
        return OUTCOME_CONFLICT;
    if (strcmp(how, "slow") == 0) {
        handler_runs++;
        return pg_run(tx, &frame_statements[SQL_SLEEP], PG_ARGS(PG_REAL(5)), NULL);
    }
    bool twice = strcmp(how, "broken twice") == 0;
    if (strcmp(how, "broken") == 0 || twice) {
        if (++handler_runs <= 2 || !twice) {
            error_note("a gear is missing, see %s", "ä€ä€ä€");
            return ERR(ERR_PROTOCOL);
        }
    }
    return 0;
}

static int on_happened(struct pg_tx *tx, const struct event *e)
{
    const struct happened *p = e->payload;
    return behave(tx, e, p->how, p->number);
}

static int on_confided(struct pg_tx *tx, const struct event *e)
{
    const struct confided *p = e->payload;
    return behave(tx, e, p->how, strcmp(p->token, "s3cret") == 0);
}

static const struct consumer_row consumers[] = {{&happened, on_happened, "frame.alias"},
    {&confided, on_confided, NULL}, {&foreign, on_happened, NULL}};
static const struct event_kind *const publishes[] = {&happened, &confided, &unrouted};
static struct service frame_service = {.name = SERVICE,
    .doc = "Talks to itself.",
    .queue = queue,
    .consumers = consumers,
    .consumers_count = ARRAY_SIZE(consumers),
    .publishes = publishes,
    .publishes_count = ARRAY_SIZE(publishes)};

/* ---- its surroundings ---- */

struct rabbit_admin *admin;

struct rabbit_server *the_server(void)
{
    static struct rabbit_server *attached;
    if (!attached)
        attached = rabbit_server_attach();
    cr_assert_not_null(attached);
    return attached;
}

const char *tier_name(int tier)
{
    static char name[64];
    snprintf(name, sizeof(name), "order-events.retry.%s.%d", queue, tier);
    return name;
}

/* rabbitmq/definitions.json for one service. */
static void declare_topology(void)
{
    char returning[40];
    static const char *const exchanges[] = {
        "order-events", "order-events.retry", "order-events.return", "order-events.dlx"};
    for (size_t i = 0; i < ARRAY_SIZE(exchanges); i++)
        rabbit_admin_exchange(admin, exchanges[i], "topic", false);
    snprintf(queue, sizeof(queue), "frame-%d", getpid());
    snprintf(dead_queue, sizeof(dead_queue), "%s.dlq", queue);
    snprintf(returning, sizeof(returning), "%s.*", queue);
    rabbit_admin_queue(admin, queue);
    rabbit_admin_queue(admin, dead_queue);
    rabbit_admin_bind(admin, queue, "order-events", "frame.*");
    rabbit_admin_bind(admin, queue, "order-events", "user.*");
    rabbit_admin_bind(admin, queue, "order-events.return", returning);
    rabbit_admin_bind(admin, dead_queue, "order-events.dlx", dead_queue);
    for (int tier = 1; tier <= 5; tier++) {
        char key[48];
        snprintf(key, sizeof(key), "%s.%d", queue, tier);
        rabbit_admin_queue(admin, tier_name(tier));
        rabbit_admin_bind(admin, tier_name(tier), "order-events.retry", key);
    }
}

void frame_clear(void)
{
    struct rabbit_admin *a = rabbit_admin_new(the_server());
    rabbit_admin_delete_queue(a, queue);
    rabbit_admin_delete_queue(a, dead_queue);
    for (int tier = 1; tier <= 5; tier++)
        rabbit_admin_delete_queue(a, tier_name(tier));
    rabbit_admin_free(a);
}

void frame_prepare(void)
{
    unsetenv("SOUK_FAULT");
    cr_assert_eq(crypto_init(), 0);
    pg_server_exec("CREATE TABLE effects (id bigserial, event_id uuid UNIQUE, aggregate text, "
                   "number bigint)");
    admin = rabbit_admin_new(the_server());
    declare_topology();
}

static void run_body(void *arg)
{
    void (**body)(void) = arg;
    size_t applied;
    cr_assert_eq(migrate_run(app()->pg, app_migrations, app_migrations_count, &applied), 0, "%s",
        error_text());
    (*body)();
    app()->draining = true;
    cr_assert_eq(inbox_stop(in_ms(10000)), 0);
    cr_assert_eq(outbox_stop(in_ms(10000)), 0);
    loop_stop(app()->loop);
}

void frame_run(void (*body)(void), const char *pg_url)
{
    setenv("DATABASE_URL", pg_url ? pg_url : pg_server_url(), 1);
    setenv("AUTH_SERVICE_API_KEY", "key", 1);
    cr_assert_eq(config_load(settings, settings_count, NULL, 0), 0);
    *app() = (struct app){.service = &frame_service, .loop = loop_new()};
    app()->pg =
        pg_pool_new(app()->loop, &(struct pg_pool_config){.url = pg_url ? pg_url : pg_server_url(),
                                     .size = 4,
                                     .statement_timeout_us = 300 * USEC_PER_MS});
    app()->bus = bus_new(
        app()->loop, &(struct bus_config){.url = rabbit_server_url(the_server()), .name = "frame"});
    cr_assert_not_null(app()->bus);
    cr_assert_eq(fiber_spawn(app()->loop, "test", run_body, &body, NULL), 0);
    loop_run(app()->loop, false);
    bus_free(app()->bus);
}

/* ---- publishing ---- */

void publish_event(const struct event_kind *kind, const char *aggregate, const void *payload)
{
    struct pg_tx *tx CLEANUP(pg_tx_end) = NULL;
    cr_assert_eq(pg_begin(app()->pg, &tx), 0);
    cr_assert_eq(outbox_add(tx, kind, aggregate, payload), 0);
    cr_assert_eq(pg_commit(tx), 0, "%s", error_text());
}

void publish_happened(const char *how, int64_t number)
{
    publish_event(&happened, "one", &(struct happened){how, number});
}

void publish_straight(struct straight s)
{
    int result = -1;
    struct bus_message m = {.exchange = EVENT_EXCHANGE,
        .routing_key = s.routing_key ? s.routing_key : happened.type,
        .type = s.type,
        .message_id = "1",
        .body = span_of(s.body)};
    if (s.header.name)
        m.headers[m.headers_count++] = s.header;
    cr_assert_eq(bus_publish(app()->bus, &m, 1, &result, in_ms(10000)), 0);
    cr_assert_eq(result, 0);
}

const char *envelope(const char *event_id, const char *type, const char *version,
    const char *correlation_id, const char *payload)
{
    return arena_printf(fiber_arena(),
        "{\"eventId\":\"%s\",\"eventType\":\"%s\",\"type\":\"%s\",\"eventVersion\":\"%s\","
        "\"timestamp\":\"2026-01-31T12:00:00Z\",\"source\":\"x\",\"aggregateId\":\"one\","
        "\"correlationId\":\"%s\",\"payload\":%s,\"future\":1}",
        event_id, type, type, version, correlation_id, payload);
}

/* ---- dead letters ---- */

struct collection {
    struct arena *arena;
    struct bus_consumer *consumer;
    struct dead_letter *letters;
    size_t count, capacity;
};

static const char *header_text(struct arena *a, const struct bus_message *m, const char *name)
{
    const struct bus_header *h = bus_header_get(m, name);
    return h ? arena_strdup(a, h->text) : NULL;
}

static void collect(void *ctx, struct bus_message *const *deliveries, size_t count)
{
    struct collection *c = ctx;
    struct arena *a = c->arena;
    for (size_t i = 0; i < count && c->count < c->capacity; i++) {
        const struct bus_message *m = deliveries[i];
        const struct bus_header *attempts = bus_header_get(m, "souk-attempts");
        c->letters[c->count++] = (struct dead_letter){
            .body = arena_strndup(a, m->body.ptr, m->body.len),
            .code = header_text(a, m, "souk-error-code"),
            .text = header_text(a, m, "souk-error"),
            .origin_user = header_text(a, m, "souk-origin-user"),
            .origin_key = header_text(a, m, "souk-origin-key"),
            .origin_queue = header_text(a, m, "souk-origin-queue"),
            .consumer = header_text(a, m, "souk-consumer"),
            .first_failed_at = header_text(a, m, "souk-first-failed-at"),
            .trace_parent = header_text(a, m, "traceparent"),
            .type = arena_strdup(a, m->type),
            .message_id = arena_strdup(a, m->message_id),
            .attempts = attempts ? attempts->value : -1,
        };
    }
    bus_ack(c->consumer, deliveries[count - 1]->tag, true);
}

size_t dead_letters(struct dead_letter *letters, size_t capacity)
{
    size_t expected = (size_t)rabbit_admin_depth(admin, dead_queue);
    struct collection c = {.arena = fiber_arena(), .letters = letters, .capacity = capacity};
    struct bus *bus = bus_new(app()->loop,
        &(struct bus_config){.url = rabbit_server_url(the_server()), .name = "dead letters"});
    c.consumer = bus_consume(
        bus, &(struct bus_consumer_config){.queue = dead_queue, .on_batch = collect, .ctx = &c});
    cr_assert(EVENTUALLY(c.count >= expected, 10000));
    cr_assert_eq(bus_consumer_stop(c.consumer, in_ms(5000)), 0);
    bus_free(bus);
    return c.count;
}

/* ---- looking ---- */

int64_t in_ms(int64_t ms)
{
    return clock_mono_us() + ms * USEC_PER_MS;
}

void sleep_ms(int64_t ms)
{
    (void)fiber_sleep(ms * USEC_PER_MS);
}

long count_of(const char *from_where)
{
    return atol(pg_server_exec(arena_printf(fiber_arena(), "SELECT count(*) FROM %s", from_where)));
}
