/* From a url to libpq's parameters. libpq resolves names by a call that blocks, so it is only ever
 * given addresses: `localhost` is 127.0.0.1, numbers are themselves, other names are resolved by an
 * offload thread before each attempt. A list of hosts goes through as it is and should
 * be made of addresses. */

#include <arpa/inet.h>
#include <netdb.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/data/pg_link.h"

#define pg_result libpq_result /* libpq's tag would be our struct pg_result */
#include <libpq-fe.h>
#undef pg_result

#define ADDRESSES_LIMIT 4

static void target_put(struct pg_target *t, const char *key, const char *value)
{
    t->keys[t->count] = mem_strdup(key);
    t->values[t->count++] = mem_strdup(value);
}

static bool is_address(const char *host)
{
    struct in6_addr bytes;

    return inet_pton(AF_INET, host, &bytes) == 1 || inet_pton(AF_INET6, host, &bytes) == 1;
}

static void target_put_host(struct pg_target *t, struct loop *l, const char *host)
{
    const char *address = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;

    t->host_at = t->count;
    target_put(t, "host", host);
    if (host[0] == '/' || strchr(host, ','))
        return;
    if (!is_address(address)) {
        t->name = mem_strdup(host);
        t->resolver = offload_new(l, 1, 64);
        address = "";
    }
    target_put(t, "hostaddr", address);
}

/* Settings of the session. The url's own come last and win. */
static void target_put_options(
    struct pg_target *t, const struct pg_pool_config *config, const char *more)
{
    struct buf b = {0};

    /* a little sooner than our own deadline, so that usually the connection survives */
    int64_t timeout_ms = config->statement_timeout_us / USEC_PER_MS * 9 / 10;

    buf_printf(&b, "-c timezone=UTC -c datestyle=ISO -c client_min_messages=warning");
    if (timeout_ms > 0)
        buf_printf(&b, " -c statement_timeout=%lld", (long long)timeout_ms);
    if (config->async_commit)
        buf_put_text(&b, " -c synchronous_commit=off");
    if (config->reuse_plans)
        buf_put_text(&b, " -c plan_cache_mode=force_generic_plan");
    if (more)
        buf_printf(&b, " %s", more);
    target_put(t, "options", b.ptr);
    buf_deinit(&b);
}

static void target_read(struct pg_target *t, struct loop *l, const struct pg_pool_config *config,
    const PQconninfoOption *given)
{
    const char *host = NULL, *address = NULL, *port = "5432", *database = "", *options = NULL;
    struct buf label = {0};

    for (const PQconninfoOption *o = given; o->keyword; o++) {
        if (!o->val)
            continue;
        if (strcmp(o->keyword, "options") == 0)
            options = o->val;
        else if (strcmp(o->keyword, "host") == 0)
            host = o->val;
        else
            target_put(t, o->keyword, o->val);
        if (strcmp(o->keyword, "hostaddr") == 0)
            address = o->val;
        if (strcmp(o->keyword, "port") == 0)
            port = o->val;
        if (strcmp(o->keyword, "dbname") == 0)
            database = o->val;
    }
    target_put_options(t, config, options);
    if (host && address)
        target_put(t, "host", host);
    else if (host)
        target_put_host(t, l, host);
    buf_printf(&label, "%s:%s/%s", host ? host : address ? address : "(local)", port, database);
    t->label = label.ptr;
}

void pg_target_init(struct pg_target *t, struct loop *l, const struct pg_pool_config *config)
{
    char *problem = NULL;
    PQconninfoOption *given = PQconninfoParse(config->url ? config->url : "", &problem);
    size_t options = 0;

    *t = (struct pg_target){0};
    if (!given || !config->url) {
        const char *why = problem ? problem : "there is none";
        struct buf b = {0};

        buf_printf(&b, "the database's url cannot be used: %.*s", (int)strcspn(why, "\n"), why);
        t->problem = b.ptr;
        t->label = mem_strdup("(bad url)");
        PQfreemem(problem);
        PQconninfoFree(given);
        return;
    }
    while (given[options].keyword)
        options++;
    t->keys = mem_array(options + 12, sizeof(*t->keys));
    t->values = mem_array(options + 12, sizeof(*t->values));
    /* a later value of the same key wins */
    target_put(t, "client_encoding", "UTF8");
    target_put(t, "gssencmode", "disable"); /* looks for tickets in files, blocking */
    target_put(t, "keepalives_idle", "30");
    target_put(t, "keepalives_interval", "10");
    target_put(t, "keepalives_count", "3");
    target_put(t, "fallback_application_name",
        config->application_name ? config->application_name : "souk");
    target_read(t, l, config, given);
    PQconninfoFree(given);
}

void pg_target_deinit(struct pg_target *t)
{
    for (size_t i = 0; i < t->count; i++) {
        mem_free(t->keys[i]);
        mem_free(t->values[i]);
    }
    mem_free(t->keys);
    mem_free(t->values);
    mem_free(t->problem);
    mem_free(t->label);
    mem_free(t->name);
    offload_free(t->resolver);
}

/* All addresses of the name, at most a few: libpq tries one after the other, and wants as many
 * names as addresses. Filled in by the offload thread, which shares nothing else with us. */
struct lookup {
    const char *name;
    struct buf hosts, addresses;
    unsigned count;
};

static void resolve(void *arg)
{
    struct lookup *lookup = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char text[NI_MAXHOST];

    if (getaddrinfo(lookup->name, NULL, &hints, &found) != 0)
        return;
    for (const struct addrinfo *at = found; at && lookup->count < ADDRESSES_LIMIT;
         at = at->ai_next) {
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) !=
            0)
            continue;
        buf_printf(&lookup->hosts, "%s%s", lookup->count ? "," : "", lookup->name);
        buf_printf(&lookup->addresses, "%s%s", lookup->count ? "," : "", text);
        lookup->count++;
    }
    freeaddrinfo(found);
}

static void target_set(struct pg_target *t, size_t at, const char *value)
{
    mem_free(t->values[at]);
    t->values[at] = mem_strdup(value);
}

int pg_target_resolve(struct pg_target *t)
{
    struct lookup lookup = {.name = t->name};
    int r;

    if (!t->name)
        return 0;
    r = offload_run(t->resolver, "resolve", resolve, &lookup);
    if (r == 0 && lookup.count > 0) {
        target_set(t, t->host_at, lookup.hosts.ptr);
        target_set(t, t->host_at + 1, lookup.addresses.ptr);
    }
    buf_deinit(&lookup.hosts);
    buf_deinit(&lookup.addresses);
    if (r < 0)
        return ERR(r);
    /* a name server that is away for a moment does not take back what it said before */
    if (t->values[t->host_at + 1][0] == '\0') {
        error_note("no PostgreSQL at %s: the name is not known", t->label);
        return ERR(ERR_UNAVAILABLE);
    }
    return 0;
}
