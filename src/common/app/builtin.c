/* The routes that every service has. /livez looks at nothing but the loop; /readyz names what is
 * broken. */

#include <stdio.h>

#include "common/app/describe.h"
#include "common/app/dispatch.h"
#include "common/app/inbox.h"
#include "common/app/metrics.h"
#include "common/app/outbox.h"
#include "common/app/peers.h"

#define READY_TIME_US (500 * USEC_PER_MS)
#define OUTBOX_LATE_S 30
#define CHECKS        6

struct verbose_params {
    const char *verbose;
};
static const struct field verbose_fields[] = {
    FIELD_TEXT(struct verbose_params, verbose, "verbose"),
};
static const struct table verbose_table =
    TABLE("VerboseParams", struct verbose_params, verbose_fields);

struct check {
    const char *name;
    bool ok, required;
    const char *detail;
};

static struct check check_database(void)
{
    struct check c = {.name = "database", .required = true, .detail = ""};
    c.ok = pg_pool_check(app()->pg, clock_mono_us() + READY_TIME_US) == 0;
    if (!c.ok)
        c.detail = arena_strdup(fiber_arena(), error_text());
    return c;
}

/* The outbox holds what the broker can't take, so a lost broker is told but does not stop traffic.
 */
static struct check check_broker(void)
{
    struct check c = {.name = "broker", .ok = true, .detail = ""};
    if (!app()->bus)
        return c;
    struct bus_state s = bus_state(app()->bus);
    c.ok = s.publish_connected && (s.consume_connected || !app()->service->queue) && !s.blocked;
    if (s.blocked)
        c.detail = arena_printf(fiber_arena(), "the broker blocks publishers (%s)",
            *s.blocked_reason ? s.blocked_reason : "memory or disk alarm");
    else if (!c.ok)
        c.detail = "not connected: is RabbitMQ running? ./souk up starts it";
    return c;
}

static struct check check_redis(void)
{
    struct check c = {.name = "redis", .ok = redis_connected(app()->redis), .detail = ""};
    if (!c.ok)
        c.detail = "not connected: caches and shared rate limits are off; ./souk up starts it";
    return c;
}

/* Late is told; beyond the limit no more traffic is taken, for what would be promised now (a
 * capture, the commit of a hold that expires) would not be done in time. What is parked is told. */
static struct check check_outbox(void)
{
    double age_s = outbox_age_s(), limit_s = (double)config_i64("READY_OUTBOX_AGE_S");
    bool beyond = limit_s > 0 && age_s > limit_s, late = age_s > OUTBOX_LATE_S || beyond;
    struct check c = {.name = "outbox", .required = beyond, .detail = ""};
    c.ok = !late && outbox_parked() == 0;
    if (late)
        c.detail =
            arena_printf(fiber_arena(), "the oldest event has waited %.0f s for the broker", age_s);
    else if (!c.ok)
        c.detail = arena_printf(fiber_arena(), "%lld events are parked: no queue wants them",
            (long long)outbox_parked());
    else if (app()->service->publishes_count)
        c.detail = arena_printf(fiber_arena(), "lag %.1f s", age_s);
    return c;
}

static struct check check_data(void)
{
    const struct service *s = app()->service;
    const char *notice = s->notice ? s->notice() : NULL;
    return (struct check){.name = "data", .ok = !notice, .detail = notice ? notice : ""};
}

static struct check check_consumer(void)
{
    struct check c = {.name = "consumer", .ok = !inbox_paused(), .detail = ""};
    if (!c.ok)
        c.detail = arena_printf(fiber_arena(), "paused: %s", inbox_paused());
    return c;
}

static int get_livez(struct request *req)
{
    return reply_text(req, 200, "text/plain", SPAN("ok\n"));
}

static bool check_parts(struct check checks[static CHECKS])
{
    bool ready = !app()->draining;
    checks[0] = check_database();
    checks[1] = check_broker();
    checks[2] = check_outbox();
    checks[3] = check_redis();
    checks[4] = check_data();
    checks[5] = check_consumer();
    for (size_t i = 0; i < CHECKS; i++)
        ready = ready && (checks[i].ok || !checks[i].required);
    return ready;
}

static int get_readyz(struct request *req)
{
    const struct verbose_params *params = req->params;
    struct check checks[CHECKS];
    bool ready = check_parts(checks);
    struct buf text = {0};
    for (size_t i = 0; i < CHECKS; i++) {
        if (params->verbose || (!checks[i].ok && checks[i].required))
            buf_printf(&text, "[%s] %s%s%s\n",
                checks[i].ok         ? "+"
                : checks[i].required ? "-"
                                     : "!",
                checks[i].name, *checks[i].detail ? ": " : "", checks[i].detail);
    }
    if (app()->draining)
        buf_put_text(&text, "[-] draining\n");
    buf_put_text(&text, ready ? "ready\n" : "not ready\n");
    if (!ready)
        refuse_retry_after(req, 1);
    reply_text(req, ready ? 200 : 503, "text/plain", buf_span(&text));
    buf_deinit(&text);
    return 0;
}

static struct metric ready_gauge = {.name = "souk_ready",
    .help = "1 while /readyz says that traffic may come.",
    .kind = METRIC_GAUGE};
static struct metric part_gauge = {.name = "souk_part_ok",
    .help = "What /readyz?verbose says of each part: 1 good, 0 not.",
    .kind = METRIC_GAUGE,
    .labels = "part"};

static int get_metrics(struct request *req)
{
    struct check checks[CHECKS];
    struct buf text = {0};
    metric_set(&ready_gauge, check_parts(checks));
    for (size_t i = 0; i < CHECKS; i++)
        metric_set(&part_gauge, checks[i].ok, checks[i].name);
    metrics_write(&text);
    reply_text(req, 200, "text/plain; version=0.0.4", buf_span(&text));
    buf_deinit(&text);
    return 0;
}

static int get_openapi(struct request *req)
{
    struct buf text = {0};
    describe_openapi(app()->service, &text);
    reply_text(req, 200, "application/json", buf_span(&text));
    buf_deinit(&text);
    return 0;
}

static int get_fibers(struct request *req)
{
    struct fiber_info *infos = arena_array(req->arena, FIBER_LIMIT, sizeof(*infos));
    size_t count = fiber_list(app()->loop, infos, FIBER_LIMIT);
    struct buf text = {0};
    struct json_writer w = json_writer_on(&text);
    json_array_begin(&w);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(&w);
        json_put_text(&w, "name", infos[i].name);
        json_put_i64(&w, "id", (int64_t)infos[i].id);
        json_put_text(&w, "waitsFor", infos[i].waits_for);
        json_put_i64(&w, "waitedUs", infos[i].waited_us);
        json_put_i64(&w, "switches", (int64_t)infos[i].switches);
        json_object_end(&w);
    }
    json_array_end(&w);
    reply_text(req, 200, "application/json", buf_span(&text));
    buf_deinit(&text);
    return 0;
}

const struct route builtin_routes[] = {
    {HTTP_GET, "/livez", ROLE_ANYONE, get_livez, .doc = "The loop ticks."},
    {HTTP_GET, "/readyz", ROLE_ANYONE, get_readyz, .params = &verbose_table,
        .doc = "May traffic come? ?verbose names each part."},
    {HTTP_GET, "/healthz", ROLE_ANYONE, get_readyz, .params = &verbose_table,
        .doc = "Alias of /readyz."},
    {HTTP_GET, "/metrics", ROLE_ANYONE, get_metrics, .doc = "Prometheus metrics."},
    {HTTP_GET, "/openapi.json", ROLE_ANYONE, get_openapi, .doc = "This service in OpenAPI 3.1."},
    {HTTP_GET, "/debug/fibers", ROLE_ADMIN | ROLE_SERVICE, get_fibers,
        .doc = "Every live fiber and what it waits for."},
};
const size_t builtin_routes_count = ARRAY_SIZE(builtin_routes);
