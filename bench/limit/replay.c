/* What PostgreSQL alone can do with a suite's own statements:
 *
 *   bench-replay WARMUP_S SECONDS GROUP URL PLAN [GROUP URL PLAN]...
 *
 * A plan (plans.mjs) is what one service's database was told about a number of visits, as
 * transactions with their statements and arguments. Each GROUP URL PLAN is a client with a
 * connection of its own, a thread, that plays its plan over and over. What was made anew in the
 * visits (every id) is made anew each time; the rest stays. As in the services, statements are
 * prepared by their name, and a transaction is one pipeline with one wait.
 *
 * The clients of a group share a database; the groups are the services. A visit needs all of them,
 * so they keep step: a group that is ahead waits for the slowest one. The result is that one's
 * rate, as a line of JSON.
 *
 * A plan's lines, with the escapes \\ \n \t \r:
 *   # VISITS IDS                 first; so many ids are to be made
 *   s NAME<tab>SQL               a statement; they count from 0
 *   t                            a transaction begins
 *   x STATEMENT                  it executes that one, with the arguments that follow
 *   a TEXT                       an argument; \x01 N \x02 in it stands for the N-th id
 *   n                            an argument: NULL
 *   v BASE STEP                  an argument: a version that each play has made STEP more; BASE at
 * the first one
 *
 * How often a plan was played is kept beside it (PLAN.played), so that its versions go on in the
 * next run. */

#include <ctype.h>
#include <errno.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARGS_LIMIT   32
#define GROUPS_LIMIT 16
#define AHEAD        2 /* plans that a client may be ahead of the slowest group */
#define ID_SIZE      37
#define VERSION_SIZE 24

struct argument {
    enum { ARG_NULL, ARG_TEXT, ARG_VERSION } kind;
    char *text;
    long base, step;
};
struct execution {
    int statement;
    size_t args_count;
    struct argument args[ARGS_LIMIT];
};
struct transaction {
    struct execution *at;
    size_t count;
};
struct statement {
    char *name, *sql;
};
struct plan {
    long visits, ids;
    struct statement *statements;
    struct transaction *transactions;
    size_t statements_count, transactions_count;
};
struct group {
    const char *name;
    unsigned long done, clients;
};
struct client {
    struct group *group;
    const char *url, *path;
    struct plan plan;
    long plays;
    PGconn *conn;
    char (*ids)[ID_SIZE];
    char *text[ARGS_LIMIT]; /* arguments that were put together */
    size_t room[ARGS_LIMIT];
    uint64_t chance;
    pthread_t thread;
};

static struct group groups[GROUPS_LIMIT];
static size_t groups_count;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool over;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-replay: %s: %s\n", what, why);
    exit(1);
}

static void *grown(void *p, size_t size)
{
    p = realloc(p, size);
    if (!p)
        die("memory", strerror(errno));
    return p;
}

static int64_t wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- plans ---- */

static char *unescaped(const char *text)
{
    char *out = grown(NULL, strlen(text) + 1), *to = out;
    for (; *text; text++) {
        char c = *text;
        if (c == '\\' && text[1]) {
            c = *++text;
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        *to++ = c;
    }
    *to = 0;
    return out;
}

static void statement_read(struct plan *p, char *rest)
{
    char *sql = strchr(rest, '\t');
    if (!sql)
        die("plan", "a statement without SQL");
    *sql++ = 0;
    p->statements = grown(p->statements, (p->statements_count + 1) * sizeof(*p->statements));
    p->statements[p->statements_count++] = (struct statement){unescaped(rest), unescaped(sql)};
}

static void transaction_read(struct plan *p)
{
    p->transactions =
        grown(p->transactions, (p->transactions_count + 1) * sizeof(*p->transactions));
    p->transactions[p->transactions_count++] = (struct transaction){0};
}

static void execution_read(struct plan *p, const char *rest)
{
    struct transaction *t =
        p->transactions_count ? &p->transactions[p->transactions_count - 1] : NULL;
    int statement = atoi(rest);
    if (!t || statement < 0 || (size_t)statement >= p->statements_count)
        die("plan", "an execution of nothing");
    t->at = grown(t->at, (t->count + 1) * sizeof(*t->at));
    t->at[t->count++] = (struct execution){.statement = statement};
}

static void argument_read(struct plan *p, int kind, const char *rest)
{
    struct transaction *t =
        p->transactions_count ? &p->transactions[p->transactions_count - 1] : NULL;
    struct execution *x = t && t->count ? &t->at[t->count - 1] : NULL;
    if (!x || x->args_count == ARGS_LIMIT)
        die("plan", "an argument of nothing, or too many");
    struct argument *a = &x->args[x->args_count++];
    a->kind = (unsigned)kind;
    if (kind == ARG_VERSION && sscanf(rest, "%ld %ld", &a->base, &a->step) != 2)
        die("plan", "a version that is none");
    a->text = rest ? unescaped(rest) : NULL;
}

static void plan_read(struct plan *p, const char *path)
{
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    if (!f)
        die(path, strerror(errno));
    while ((n = getline(&line, &room, f)) > 0) {
        if (line[n - 1] == '\n')
            line[n - 1] = 0;
        char *rest = n > 2 ? line + 2 : line + 1;
        switch (line[0]) {
        case '#':
            if (sscanf(rest, "%ld %ld", &p->visits, &p->ids) != 2)
                die(path, "it has no beginning");
            break;
        case 's':
            statement_read(p, rest);
            break;
        case 't':
            transaction_read(p);
            break;
        case 'x':
            execution_read(p, rest);
            break;
        case 'a':
            argument_read(p, ARG_TEXT, n > 2 ? rest : "");
            break;
        case 'n':
            argument_read(p, ARG_NULL, NULL);
            break;
        case 'v':
            argument_read(p, ARG_VERSION, rest);
            break;
        default:
            die(path, "it has a line of an unknown kind");
        }
    }
    free(line);
    fclose(f);
    if (p->visits < 1 || !p->transactions_count)
        die(path, "nothing is in it");
}

static void plays_read(struct client *c)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s.played", c->path);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%ld", &c->plays) != 1)
        die(path, "it has no number");
    if (f)
        fclose(f);
}

static void plays_write(const struct client *c)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s.played", c->path);
    FILE *f = fopen(path, "w");
    if (!f || fprintf(f, "%ld\n", c->plays) < 0 || fclose(f) != 0)
        die(path, strerror(errno));
}

/* ---- ids ---- */

static uint64_t chance_next(struct client *c)
{
    c->chance ^= c->chance << 13;
    c->chance ^= c->chance >> 7;
    c->chance ^= c->chance << 17;
    return c->chance;
}

/* Version 7, as the services make them: they come in the order of time. */
static void ids_make(struct client *c)
{
    for (long i = 0; i < c->plan.ids; i++) {
        uint64_t ms = (uint64_t)wall_us() / 1000, a = chance_next(c), b = chance_next(c);
        snprintf(c->ids[i], ID_SIZE, "%08x-%04x-7%03x-%04x-%04x%08x", (unsigned)(ms >> 16),
            (unsigned)(ms & 0xffff), (unsigned)(a & 0xfff),
            (unsigned)(0x8000 | ((a >> 12) & 0x3fff)), (unsigned)((a >> 26) & 0xffff),
            (unsigned)(b & 0xffffffff));
    }
}

static const char *text_with_ids(struct client *c, size_t slot, const char *text)
{
    if (!strchr(text, 1))
        return text;
    size_t need = strlen(text) * 16 + ID_SIZE;
    if (c->room[slot] < need) {
        c->room[slot] = need;
        c->text[slot] = grown(c->text[slot], need);
    }
    char *to = c->text[slot];
    while (*text) {
        if (*text != 1) {
            *to++ = *text++;
            continue;
        }
        char *stop;
        long id = strtol(text + 1, &stop, 10);
        if (id < 0 || id >= c->plan.ids || *stop != 2)
            die("plan", "an id that is none");
        memcpy(to, c->ids[id], ID_SIZE - 1);
        to += ID_SIZE - 1;
        text = stop + 1;
    }
    *to = 0;
    return c->text[slot];
}

/* ---- playing ---- */

static void results_read(struct client *c, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        PGresult *r = PQgetResult(c->conn);
        ExecStatusType status = PQresultStatus(r);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
            die(c->group->name, PQerrorMessage(c->conn));
        PQclear(r);
        while ((r = PQgetResult(c->conn)))
            PQclear(r);
    }
}

static void sync_read(struct client *c)
{
    PGresult *r = PQgetResult(c->conn);
    if (PQresultStatus(r) != PGRES_PIPELINE_SYNC)
        die(c->group->name, PQerrorMessage(c->conn));
    PQclear(r);
}

static const char *value_of(struct client *c, size_t slot, const struct argument *a)
{
    if (a->kind == ARG_NULL)
        return NULL;
    if (a->kind == ARG_TEXT)
        return text_with_ids(c, slot, a->text);
    if (c->room[slot] < VERSION_SIZE)
        c->text[slot] = grown(c->text[slot], c->room[slot] = VERSION_SIZE);
    snprintf(c->text[slot], VERSION_SIZE, "%ld", a->base + a->step * c->plays);
    return c->text[slot];
}

static void play_transaction(struct client *c, const struct transaction *t)
{
    for (size_t i = 0; i < t->count; i++) {
        const struct execution *x = &t->at[i];
        const char *values[ARGS_LIMIT];
        for (size_t n = 0; n < x->args_count; n++) {
            values[n] = value_of(c, n, &x->args[n]);
        }
        if (!PQsendQueryPrepared(c->conn, c->plan.statements[x->statement].name, (int)x->args_count,
                values, NULL, NULL, 0))
            die(c->group->name, PQerrorMessage(c->conn));
    }
    if (!PQpipelineSync(c->conn))
        die(c->group->name, PQerrorMessage(c->conn));
    results_read(c, t->count);
    sync_read(c);
}

static void client_open(struct client *c)
{
    c->conn = PQconnectdb(c->url);
    if (PQstatus(c->conn) != CONNECTION_OK)
        die(c->group->name, PQerrorMessage(c->conn));
    for (size_t i = 0; i < c->plan.statements_count; i++) {
        PGresult *r =
            PQprepare(c->conn, c->plan.statements[i].name, c->plan.statements[i].sql, 0, NULL);
        if (PQresultStatus(r) != PGRES_COMMAND_OK)
            die(c->plan.statements[i].name, PQerrorMessage(c->conn));
        PQclear(r);
    }
    if (!PQenterPipelineMode(c->conn))
        die(c->group->name, PQerrorMessage(c->conn));
}

static unsigned long slowest(void)
{
    unsigned long least = groups[0].done;
    for (size_t i = 1; i < groups_count; i++)
        if (groups[i].done < least)
            least = groups[i].done;
    return least;
}

static void *client_run(void *arg)
{
    struct client *c = arg;
    struct group *g = c->group;
    for (;;) {
        pthread_mutex_lock(&turn);
        while (!over && g->done > slowest() + AHEAD * g->clients)
            pthread_cond_wait(&moved, &turn);
        bool end = over;
        pthread_mutex_unlock(&turn);
        if (end)
            return NULL;
        ids_make(c);
        for (size_t i = 0; i < c->plan.transactions_count; i++)
            play_transaction(c, &c->plan.transactions[i]);
        c->plays++;
        pthread_mutex_lock(&turn);
        g->done++;
        pthread_cond_broadcast(&moved);
        pthread_mutex_unlock(&turn);
    }
}

static unsigned long wait_and_count(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&t, NULL);
    pthread_mutex_lock(&turn);
    unsigned long done = slowest();
    pthread_mutex_unlock(&turn);
    return done;
}

static struct group *group_of(const char *name)
{
    for (size_t i = 0; i < groups_count; i++)
        if (strcmp(groups[i].name, name) == 0)
            return &groups[i];
    if (groups_count == GROUPS_LIMIT)
        die(name, "too many groups");
    groups[groups_count].name = name;
    return &groups[groups_count++];
}

int main(int argc, char **argv)
{
    size_t count = argc > 3 ? (size_t)(argc - 3) / 3 : 0;
    if (count == 0 || (argc - 3) % 3 != 0) {
        fputs("usage: bench-replay WARMUP_S SECONDS GROUP URL PLAN [GROUP URL PLAN]...\n", stderr);
        return 2;
    }
    struct client *clients = calloc(count, sizeof(*clients));
    if (!clients)
        die("memory", strerror(errno));
    for (size_t i = 0; i < count; i++) {
        struct client *c = &clients[i];
        c->group = group_of(argv[3 + 3 * i]);
        c->group->clients++;
        c->url = argv[4 + 3 * i];
        c->path = argv[5 + 3 * i];
        plan_read(&c->plan, c->path);
        plays_read(c);
        if (c->plan.visits != clients[0].plan.visits)
            die(c->path, "its visits are not as many as the others'");
        c->ids = grown(NULL, (size_t)(c->plan.ids + 1) * sizeof(*c->ids));
        c->chance = (uint64_t)wall_us() * (2 * i + 1) ^ 0x9e3779b97f4a7c15u;
        client_open(c);
    }
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&clients[i].thread, NULL, client_run, &clients[i]) != 0)
            die("threads", strerror(errno));
    unsigned long before = wait_and_count(strtod(argv[1], NULL));
    int64_t from_us = wall_us();
    unsigned long after = wait_and_count(strtod(argv[2], NULL));
    int64_t until_us = wall_us();
    pthread_mutex_lock(&turn);
    over = true;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&turn);
    for (size_t i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
        PQfinish(clients[i].conn);
        plays_write(&clients[i]);
    }
    long visits = clients[0].plan.visits;
    printf("{\"fromUs\":%lld,\"untilUs\":%lld,\"visits\":%lu,\"perSecond\":%.1f,\"all\":{",
        (long long)from_us, (long long)until_us, (after - before) * (unsigned long)visits,
        (double)(after - before) * (double)visits * 1e6 / (double)(until_us - from_us));
    for (size_t i = 0; i < groups_count; i++)
        printf(
            "%s\"%s\":%lu", i ? "," : "", groups[i].name, groups[i].done * (unsigned long)visits);
    puts("}}");
    return 0;
}
