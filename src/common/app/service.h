#pragma once

/* What makes a service. main.c fills one descriptor and calls service_main(); everything else
 * (arguments, configuration, logs, health, metrics, routes, tokens, idempotency, outbox relay,
 * inbox consumer, migrations, draining) is the same for all seven. */

#include "common/app/config.h"
#include "common/app/event.h"
#include "common/app/migrate.h"
#include "common/app/outcome.h"
#include "common/app/peer.h"
#include "common/app/route.h"
#include "common/data/redis.h"
#include "common/fiber/offload.h"

/* Something else that the binary does when it is asked: `souk-<service> --<name>[=arg]`, with
 * configuration and log, without loop and pools. `run` gives the exit status. */
struct service_command {
    const char *name;
    const char *arg; /* its word in --help; NULL: takes none */
    bool arg_is_optional;
    const char *doc;
    int (*run)(const char *arg);
};

struct service {
    const char *name; /* "order" */
    const char *doc;  /* one sentence for --help and OpenAPI */
    const struct route *routes;
    size_t routes_count;
    const char *queue; /* NULL: consumes nothing */
    int64_t gather_us; /* its events may wait so long for each other; 0: as short as is cheap */
    const struct consumer_row *consumers;
    size_t consumers_count;
    /* Runs in a batch's transaction before its handlers, with the events that are new: to lock what
     * they will touch in one order, or to read it all at once instead of one by one. As a handler
     * otherwise. NULL ok. */
    int (*before_batch)(struct pg_tx *tx, const struct event *const *events, size_t count);
    /* Runs in it after them: writes what they gathered. What before_batch and the handlers left in
     * memory for it belongs to one transaction: the next before_batch forgets it. NULL ok. */
    int (*after_batch)(struct pg_tx *tx);
    /* That transaction is committed: what it left in memory for others may go to them. Must not
     * park. Does not run when the answer to COMMIT is lost. NULL ok. */
    void (*batch_committed)(void);
    const struct event_kind *const *publishes;
    size_t publishes_count;
    const struct pg_statement *statements;
    size_t statements_count;
    const struct config_row *config;
    size_t config_count;
    const struct outcome_row *outcomes;
    size_t outcomes_count;
    const struct migration *migrations; /* generated; the common ones come first by themselves */
    size_t migrations_count;
    /* Counts this service's unfinished work for the alarms: rows of work, how many, age of the
     * oldest in seconds (backlog_table). Runs every 5 s, so an index has to bear it. NULL ok. */
    const struct pg_statement *backlog;
    /* What people should know before they trust the answers, for /readyz?verbose; NULL: nothing. It
     * does not make the service unready. Parks. NULL ok. */
    const char *(*notice)(void);
    const char *const
        *peers; /* NULL-terminated names of the services it calls beside auth; NULL: none */
    const struct service_command *commands;
    size_t commands_count;
    /* After pools and peers exist, before listening; spawns the service's own fibers. NULL ok. */
    int (*start)(void);
};

/* Fills a table and its count from the pair `symbol`, `symbol_count`. */
#define SERVICE_TABLE(member, symbol) .member = (symbol), .member##_count = symbol##_count

/* The rows of a service's `backlog`. */
extern const struct table backlog_table;

/* The running process's parts. */
struct app {
    const struct service *service;
    struct loop *loop;
    struct pg_pool *pg;
    struct redis *redis; /* may be disconnected; never NULL */
    struct http_client *client;
    struct offload *offload;
    struct bus *bus; /* NULL when the service neither publishes nor consumes */
    bool draining;
};
struct app *app(void);

int service_main(const struct service *service, int argc, char **argv);

/* A periodic background fiber: runs `tick` every `period_us` (jittered by a tenth) until draining;
 * its failures are logged and counted. `app_nudge(name)` makes it run now; from an event's handler,
 * once its batch has been committed. */
int app_every(const char *name, int64_t period_us, int (*tick)(void));
void app_nudge(const char *name);

/* Named crash points (faults.def, only with -Dfaults=true): `SOUK_FAULT=name[:n]` in the
 * environment makes the n-th hit _exit(137). Those of one thing (an event) take its name instead,
 * `SOUK_FAULT=name:thing`, and strike each time. */
#ifdef SOUK_FAULTS
void fault_point(const char *name);
void fault_point_of(const char *name, const char *thing);
bool fault_known(const char *armed); /* what SOUK_FAULT says names a point; NULL: nothing */
#define FAULT(name)           fault_point(name)
#define FAULT_OF(name, thing) fault_point_of(name, thing)
#else
#define FAULT(name)           ((void)0)
#define FAULT_OF(name, thing) ((void)0)
#define fault_known(armed)    true
#endif
