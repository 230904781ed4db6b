/* The life of a service: arguments, configuration, parts in order, traffic, draining.
 *
 * SIGTERM: readyz turns false, the listener closes, running requests end, the consumer stops after
 * its batch, the outbox is flushed once more, exit 0. A second SIGTERM leaves at once: nothing is
 * lost by it, because everything that matters was committed. */

#include "common/app/service.h"

#include <argp.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/app/backlog.h"
#include "common/app/describe.h"
#include "common/app/dispatch.h"
#include "common/app/front.h"
#include "common/app/gauges.h"
#include "common/app/idempotency.h"
#include "common/app/inbox.h"
#include "common/app/migrations.h"
#include "common/app/outbox.h"
#include "common/app/peers.h"
#include "common/app/periodic.h"
#include "common/app/processes.h"
#include "common/app/relay.h"
#include "common/app/revocation.h"
#include "common/app/settings.h"
#include "common/app/signals.h"
#include "common/app/suspect.h"
#include "common/app/token.h"
#include "common/base/crypto.h"
#include "common/base/mem.h"
#include "common/base/pages.h"
#include "common/net/server.h"

#define START_PATIENCE_US (10 * USEC_PER_SEC)

enum mode {
    MODE_SERVE,
    MODE_CHECK,
    MODE_MIGRATE,
    MODE_DESCRIBE,
    MODE_CHECK_SQL,
    MODE_PRINT_CONFIG,
    MODE_COMMAND
};

static struct app the_app;
static struct http_server *server, *own_server;
static int64_t processes = 1;
static unsigned process; /* which of them this is, from 1 on; 0: there are no others */
static enum mode mode;
static const struct service_command *command; /* of MODE_COMMAND */
static const char *command_arg;
static int exit_code;
static enum log_level usual_level = LOG_INFO;
static bool bus_in_use; /* somebody may be publishing or handling a batch */

struct app *app(void)
{
    return &the_app;
}

/* ---- arguments ---- */

#define COMMANDS_LIMIT 4
#define COMMAND_KEY    0x100 /* and its index: no letter */

static struct argp_option options[7 + COMMANDS_LIMIT] = {
    {"check", 'c', NULL, 0, "Check configuration, database, broker and peers, then leave", 0},
    {"migrate", 'm', NULL, 0, "Apply missing migrations, then leave", 0},
    {"describe", 'd', NULL, 0, "Print all tables of this service as JSON, then leave", 0},
    {"check-sql", 's', NULL, 0, "Prepare every SQL statement on the database, then leave", 0},
    {"print-config", 'p', NULL, 0, "Print the configuration with secrets masked, then leave", 0},
    {"processes", 'n', "N", 0, "Serve with N processes on the same port (1)", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'c':
        mode = MODE_CHECK;
        return 0;
    case 'm':
        mode = MODE_MIGRATE;
        return 0;
    case 'd':
        mode = MODE_DESCRIBE;
        return 0;
    case 's':
        mode = MODE_CHECK_SQL;
        return 0;
    case 'p':
        mode = MODE_PRINT_CONFIG;
        return 0;
    case 'n':
        if (!span_to_i64(span_of(arg), &processes) || processes < 1 || processes > PROCESSES_LIMIT)
            argp_error(state, "--processes: must be a number from 1 to %d", PROCESSES_LIMIT);
        return 0;
    default: {
        const struct service *s = the_app.service;
        if (key < COMMAND_KEY || key >= COMMAND_KEY + (int)s->commands_count)
            return ARGP_ERR_UNKNOWN;
        mode = MODE_COMMAND;
        command = &s->commands[key - COMMAND_KEY];
        command_arg = arg;
        return 0;
    }
    }
}

static void add_commands(const struct service *s)
{
    struct argp_option *end = options;
    assert(s->commands_count <= COMMANDS_LIMIT);
    while (end->name)
        end++;
    for (size_t i = 0; i < s->commands_count; i++)
        *end++ = (struct argp_option){s->commands[i].name, COMMAND_KEY + (int)i, s->commands[i].arg,
            s->commands[i].arg_is_optional ? OPTION_ARG_OPTIONAL : 0, s->commands[i].doc, 0};
}

static void parse_arguments(const struct service *s, int argc, char **argv)
{
    static char version[64], doc[512];
    snprintf(version, sizeof(version), "souk-%s " SOUK_VERSION, s->name);
    snprintf(doc, sizeof(doc),
        "%s\vConfigured by environment variables; --print-config shows them.", s->doc);
    argp_program_version = version;
    add_commands(s);
    const struct argp argp = {.options = options, .parser = parse_option, .doc = doc};
    argp_parse(&argp, argc, argv, 0, NULL, NULL);
}

/* ---- parts ---- */

static const char *service_url(const char *name)
{
    char variable[64];
    snprintf(variable, sizeof(variable), "%s_SERVICE_URL", name);
    for (char *c = variable; *c; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    return config_text(variable);
}

static bool make_peer(const char *name)
{
    const char *url = service_url(name);
    if (!*url) {
        fprintf(stderr, "%s_SERVICE_URL: not set (base URL of a service this one calls)\n", name);
        return false;
    }
    if (http_client_check(url) != 0) {
        fprintf(stderr, "%s_SERVICE_URL: %s\n", name, error_text());
        return false;
    }
    peer_add(the_app.client, name, url);
    return true;
}

/* Everybody but auth itself asks auth for its keys and for service tokens. */
static bool make_peers(void)
{
    const struct service *s = the_app.service;
    bool auth_named = strcmp(s->name, "auth") == 0, ok = true;
    for (const char *const *name = s->peers; name && *name; name++) {
        auth_named = auth_named || strcmp(*name, "auth") == 0;
        ok = make_peer(*name) && ok;
    }
    return (auth_named || make_peer("auth")) && ok;
}

static bool uses_bus(const struct service *s)
{
    return s->queue || s->publishes_count;
}

static bool make_parts(void)
{
    const struct service *s = the_app.service;
    const char *migrate_url = config_text("MIGRATE_DATABASE_URL");
    static char prefix[64], connection_name[64];
    snprintf(prefix, sizeof(prefix), "%s:", s->name);
    snprintf(connection_name, sizeof(connection_name), "souk-%s", s->name);
    the_app.loop = loop_new();
    the_app.pg = pg_pool_new(the_app.loop,
        &(struct pg_pool_config){
            .url = mode == MODE_MIGRATE && *migrate_url ? migrate_url : config_text("DATABASE_URL"),
            .size = (unsigned)processes_share(config_i64("DATABASE_POOL"), 2)});
    const char *redis_url = config_text("REDIS_URL");
    the_app.redis = redis_new(the_app.loop, *redis_url ? redis_url : NULL, prefix);
    the_app.client = http_client_new(the_app.loop);
    the_app.offload = offload_new(the_app.loop, (unsigned)config_i64("OFFLOAD_THREADS"), 64);
    if (!make_peers())
        return false;
    if (mode != MODE_SERVE && mode != MODE_CHECK)
        return true;
    if (uses_bus(s)) {
        if (!*config_text("AMQP_URL")) {
            fprintf(stderr, "AMQP_URL: not set (RabbitMQ, as this service's own user)\n");
            return false;
        }
        the_app.bus = bus_new(the_app.loop,
            &(struct bus_config){.url = config_text("AMQP_URL"), .name = connection_name});
        if (!the_app.bus)
            fprintf(stderr, "AMQP_URL: must be amqp://user:password@host:port/vhost\n");
        return the_app.bus != NULL;
    }
    return true;
}

/* ---- migrations and checks ---- */

static struct migration *all_migrations(size_t *ret_count)
{
    const struct service *s = the_app.service;
    struct migration *all =
        mem_array(app_migrations_count + s->migrations_count + 1, sizeof(struct migration));
    memcpy(all, app_migrations, app_migrations_count * sizeof(*all));
    if (s->migrations_count)
        memcpy(all + app_migrations_count, s->migrations, s->migrations_count * sizeof(*all));
    *ret_count = app_migrations_count + s->migrations_count;
    return all;
}

static int wait_for_database(void)
{
    int64_t deadline_us = clock_mono_us() + START_PATIENCE_US;
    for (;;) {
        error_clear();
        int r = pg_pool_check(the_app.pg, clock_mono_us() + 2 * USEC_PER_SEC);
        if (r == 0 || clock_mono_us() > deadline_us)
            return r;
        (void)fiber_sleep(100 * USEC_PER_MS);
    }
}

static int migrate(void)
{
    size_t count, applied;
    TRY(wait_for_database());
    struct migration *all = all_migrations(&count);
    int r = migrate_run(the_app.pg, all, count, &applied);
    mem_free(all);
    TRY(r);
    log_info("migrated", LF_I64("applied", applied), LF_I64("known", count));
    return 0;
}

static int check_migrations(void)
{
    size_t count, pending;
    struct migration *all = all_migrations(&count);
    int r = migrate_pending(the_app.pg, all, count, &pending);
    mem_free(all);
    TRY(r);
    if (pending == 0)
        return 0;
    error_note("%zu migrations are missing: run souk-%s --migrate", pending, the_app.service->name);
    return ERR(ERR_INVALID);
}

static int check_sql(void)
{
    const struct service *s = the_app.service;
    TRY(wait_for_database());
    TRY(pg_check_statements(the_app.pg, outbox_statements, outbox_statements_count));
    TRY(pg_check_statements(the_app.pg, relay_statements, relay_statements_count));
    TRY(pg_check_statements(the_app.pg, inbox_statements, inbox_statements_count));
    TRY(pg_check_statements(the_app.pg, suspect_statements, suspect_statements_count));
    TRY(pg_check_statements(the_app.pg, idempotency_statements, idempotency_statements_count));
    TRY(pg_check_statements(the_app.pg, s->statements, s->statements_count));
    if (s->backlog)
        TRY(pg_check_statements(the_app.pg, s->backlog, 1));
    printf("%zu statements are good\n",
        s->statements_count + outbox_statements_count + relay_statements_count +
            inbox_statements_count + suspect_statements_count + idempotency_statements_count);
    return 0;
}

static int check_broker(void)
{
    if (!the_app.bus)
        return 0;
    for (int64_t deadline_us = clock_mono_us() + START_PATIENCE_US;
         clock_mono_us() < deadline_us;) {
        struct bus_state s = bus_state(the_app.bus);
        if (s.publish_connected)
            return 0;
        (void)fiber_sleep(50 * USEC_PER_MS);
    }
    error_note("RabbitMQ does not answer; ./souk up starts one");
    return ERR(ERR_UNAVAILABLE);
}

static int check_peers(void)
{
    struct http_peer *peers[8];
    size_t n = peers_list(peers, ARRAY_SIZE(peers));
    struct http_answer answer;
    for (size_t i = 0; i < n; i++) {
        TRY(http_call(
            peers[i], &(struct http_call){.method = HTTP_GET, .path = "/livez"}, &answer));
        if (answer.status == 200)
            continue;
        error_note("%s answers /livez with %d", http_peer_name(peers[i]), answer.status);
        return ERR(ERR_UNAVAILABLE);
    }
    return 0;
}

static int check_all(void)
{
    TRY(wait_for_database());
    TRY(check_migrations());
    TRY(check_broker());
    TRY(check_peers());
    printf("configuration, database, migrations, broker and peers are good\n");
    return 0;
}

/* ---- serving and draining ---- */

/* What a process has in memory is others' passwords and tokens: it leaves no core behind, neither
 * as a file nor to a handler, and only root may look into it. */
static void keep_memory_private(void)
{
    const struct rlimit none = {0, 0};
    if (config_i64("CORE_DUMPS"))
        return;
    if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
        log_warn("cores can't be turned off", LF_TEXT("error", error_name(-errno)));
}

#define DESCRIPTORS_KEPT 256 /* for pools, peers, files */

/* Connections never take the descriptors that the work for them needs. */
static unsigned connections_limit(void)
{
    struct rlimit files;
    unsigned wanted = (unsigned)config_i64("CONNECTIONS_LIMIT");
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return wanted;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur >= wanted + DESCRIPTORS_KEPT)
        return wanted;
    unsigned limit = files.rlim_cur > 2 * DESCRIPTORS_KEPT
                         ? (unsigned)files.rlim_cur - DESCRIPTORS_KEPT
                         : (unsigned)files.rlim_cur / 2;
    log_warn("fewer connections than CONNECTIONS_LIMIT: too few descriptors (ulimit -n)",
        LF_I64("limit", limit));
    return limit;
}

static int listen_on(int64_t port, bool shared, struct http_server **ret_server)
{
    return http_server_new(the_app.loop,
        &(struct http_server_config){.address = config_text("LISTEN_ADDRESS"),
            .port = (uint16_t)port,
            .handler = dispatch,
            .route = front_route,
            .admit = front_admit,
            .leave = front_leave,
            .connections_limit = connections_limit(),
            .request_timeout_us = config_i64("REQUEST_TIMEOUT_MS") * USEC_PER_MS,
            .reuse_port = shared,
            .on_refused = gauges_refused},
        ret_server);
}

#define SETTLE_US USEC_PER_SEC

/* What the start alone has used, once what follows it is over too. */
static void settle(void *arg)
{
    if (fiber_sleep(SETTLE_US) != 0)
        return;
    pages_rest();
}

static int start_serving(void)
{
    const struct service *s = the_app.service;
    bus_in_use = true;
    TRY(wait_for_database());
    TRY(check_migrations());
    if (s->publishes_count)
        TRY(outbox_start());
    TRY(app_every("idempotency purge", 3600 * USEC_PER_SEC, idempotency_purge));
    if (s->backlog)
        TRY(backlog_start(s->backlog));
    if (strcmp(s->name, "auth") != 0)
        TRY(revocations_start());
    if (s->start)
        TRY(s->start());
    front_init();
    TRY(listen_on(config_i64("PORT"), process > 0, &server));
    if (process > 0 && config_i64("PROCESS_PORT"))
        TRY(listen_on(config_i64("PROCESS_PORT") + process - 1, false, &own_server));
    if (s->queue)
        TRY(inbox_start());
    gauges_start();
    (void)fiber_spawn(the_app.loop, "settle", settle, NULL, NULL); /* at most it is left undone */
    log_info("ready", LF_TEXT("address", config_text("LISTEN_ADDRESS")),
        LF_I64("port", http_server_port(server)), LF_I64("process", process ? process : 1));
    return 0;
}

static void drain(void *arg)
{
    int64_t deadline_us = clock_mono_us() + config_i64("DRAIN_TIMEOUT_MS") * USEC_PER_MS;
    log_info("draining");
    if (server)
        (void)http_server_drain(server, deadline_us);
    if (own_server)
        (void)http_server_drain(own_server, deadline_us);
    bool quiet = !the_app.service->queue || inbox_stop(deadline_us) == 0;
    periodics_wake();
    if (the_app.service->publishes_count)
        quiet = outbox_stop(deadline_us) == 0 && quiet;
    bus_in_use = !quiet;
    log_info("drained", LF_BOOL("complete", quiet));
    loop_stop(the_app.loop);
}

static void on_signal(int signo)
{
    if (signo == SIGHUP) { /* debug lines on, and off again */
        static bool verbose;
        verbose = !verbose;
        log_set_level(verbose ? LOG_DEBUG : usual_level);
        return;
    }
    if (the_app.draining)
        _exit(1);
    the_app.draining = true;
    if (fiber_spawn(the_app.loop, "drain", drain, NULL, NULL) != 0)
        _exit(1);
}

static void run_mode(void *arg)
{
    int r = mode == MODE_MIGRATE     ? migrate()
            : mode == MODE_CHECK_SQL ? check_sql()
            : mode == MODE_CHECK     ? check_all()
                                     : start_serving();
    if (r != 0) {
        exit_code = 1;
        log_error("can't go on", LF_TEXT("error", error_name(r)), LF_TEXT("trace", error_text()));
    }
    if (r != 0 || mode != MODE_SERVE)
        loop_stop(the_app.loop);
}

static int print_and_leave(const struct service *s)
{
    struct buf out = {0};
    if (mode == MODE_DESCRIBE)
        describe_json(s, &out);
    else
        config_print(&out);
    fwrite(out.ptr, 1, out.len, stdout);
    buf_deinit(&out);
    return 0;
}

int service_main(const struct service *s, int argc, char **argv)
{
    the_app = (struct app){.service = s};
    mem_few_arenas();
    parse_arguments(s, argc, argv);
    if (routes_check(s->routes, s->routes_count) != 0) {
        fprintf(stderr, "souk-%s: %s\n", s->name, error_text());
        return 2;
    }
    if (mode == MODE_DESCRIBE)
        return print_and_leave(s);
    if (config_load(settings, settings_count, s->config, s->config_count) != 0)
        return 2;
    if (!fault_known(getenv("SOUK_FAULT"))) {
        fprintf(stderr, "SOUK_FAULT=%s: there is no such fault point\n", getenv("SOUK_FAULT"));
        return 2;
    }
    if (mode == MODE_PRINT_CONFIG)
        return print_and_leave(s);
    if (!log_level_parse(config_text("LOG_LEVEL"), &usual_level))
        fprintf(stderr, "LOG_LEVEL: must be debug, info, warn or error\n");
    log_init(s->name, usual_level);
    if (crypto_init() != 0)
        return 2;
    token_issuer_set(config_text("PUBLIC_URL"));
    if (mode == MODE_COMMAND)
        return command->run(command_arg);
    if (mode == MODE_SERVE && processes > 1)
        process = processes_start((unsigned)processes);
    keep_memory_private();
    signals_block();
    if (!make_parts())
        return 2;
    signals_start(the_app.loop, on_signal);
    if (fiber_spawn(the_app.loop, "start", run_mode, NULL, NULL) != 0)
        return 1;
    loop_run(the_app.loop, false);
    /* Parked fibers hold nothing but memory now; the process ends and the servers roll back what is
     * open. A bus in use can't be freed: its thread just ends with the process. */
    fflush(stdout);
    if (bus_in_use)
        _exit(exit_code);
    bus_free(the_app.bus);
    return exit_code;
}
