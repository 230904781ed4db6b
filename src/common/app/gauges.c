/* What the parts of a process count by themselves (pool, fibers, breakers, bus), as metrics: asked
 * for at each scrape, not told at each step. */

#include "common/app/gauges.h"

#include <stdio.h>

#include "common/app/metrics.h"
#include "common/app/peers.h"
#include "common/app/service.h"

static struct metric pool_gauge = {.name = "souk_database_connections",
    .help = "Connections of the pool by state.",
    .kind = METRIC_GAUGE,
    .labels = "state"};
static struct metric pool_size_gauge = {.name = "souk_database_pool_size",
    .help = "Connections that the pool may open.",
    .kind = METRIC_GAUGE};
static struct metric transactions_total = {
    .name = "souk_database_transactions_total", .help = "Transactions begun."};
static struct metric busy_seconds = {.name = "souk_database_busy_seconds_total",
    .help = "Time that connections of the pool were taken."};
static struct metric fibers_gauge = {
    .name = "souk_fibers", .help = "Live fibers.", .kind = METRIC_GAUGE};
static struct metric breaker_gauge = {.name = "souk_peer_breaker",
    .help = "0 closed, 1 half open, 2 open.",
    .kind = METRIC_GAUGE,
    .labels = "peer"};
static struct metric bus_gauge = {.name = "souk_broker_connected",
    .help = "1 while the connection stands.",
    .kind = METRIC_GAUGE,
    .labels = "connection"};
static struct metric blocked_gauge = {.name = "souk_broker_blocked",
    .help = "1 while the broker blocks publishers.",
    .kind = METRIC_GAUGE};
static struct metric messages_total = {.name = "souk_broker_messages_total",
    .help = "Messages between this process and the broker.",
    .labels = "what"};
static struct metric reconnects_total = {
    .name = "souk_broker_reconnects_total", .help = "Connections to the broker that were lost."};
static struct metric refused_total = {.name = "souk_http_refused_total",
    .help = "Requests that the door refused.",
    .labels = "status"};

static void set_bus_gauges(void)
{
    struct bus_state s = bus_state(app()->bus);
    metric_set(&bus_gauge, s.publish_connected, "publish");
    if (app()->service->queue)
        metric_set(&bus_gauge, s.consume_connected, "consume");
    metric_set(&blocked_gauge, s.blocked);
    metric_set(&messages_total, (double)s.published, "published");
    metric_set(&messages_total, (double)s.confirmed, "confirmed");
    metric_set(&messages_total, (double)s.returned, "returned");
    metric_set(&messages_total, (double)s.nacked, "nacked");
    metric_set(&messages_total, (double)s.delivered, "delivered");
    metric_set(&reconnects_total, (double)s.reconnects);
}

/* Counters that others count are set, too. */
static void set_gauges(void *ctx)
{
    struct pg_pool_stats pool = pg_pool_stats(app()->pg);
    struct http_peer *peers[8];
    size_t n = peers_list(peers, ARRAY_SIZE(peers));
    metric_set(&pool_gauge, pool.in_use, "in_use");
    metric_set(&pool_gauge, pool.open, "open");
    metric_set(&pool_gauge, pool.waiting, "waiting");
    metric_set(&pool_size_gauge, pool.size);
    metric_set(&transactions_total, (double)pool.transactions);
    metric_set(&busy_seconds, (double)pool.busy_us / USEC_PER_SEC);
    metric_set(&fibers_gauge, fiber_live(app()->loop));
    for (size_t i = 0; i < n; i++)
        metric_set(&breaker_gauge, http_peer_breaker(peers[i]), http_peer_name(peers[i]));
    if (app()->bus)
        set_bus_gauges();
}

void gauges_refused(void *ctx, int status)
{
    char text[16];
    snprintf(text, sizeof(text), "%d", status);
    metric_add(&refused_total, 1, text);
}

void gauges_start(void)
{
    metrics_on_scrape(set_gauges, NULL);
}
